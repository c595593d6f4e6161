import { z } from 'zod'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { narrowed } from '../aws/narrow.ts'
import { rds } from './connection.ts'
import { exporting } from './rights.ts'
import { databasesOf, findSource, findTask, isAlive, isComplete, listTasks, onlyOf, placeOf, stateOf } from './tasks.ts'
import type { Wanted } from './wanted.ts'
import { isSame, madeAlready, placeOfWanted, refuseUnlessFree, start } from './wanted.ts'

type Data = Readonly<{ connection: string; wanted: Wanted; again: boolean }>

/** RDS exports parts only of databases, schemas and tables with these characters: "Limitations" of the user guide. */
const PART = /^[A-Za-z0-9$_]+(\.[A-Za-z0-9$_]+){0,2}$/

/** Starts one export of one snapshot or cluster that names all the databases, under a name with the minute in it. */
export const startExport = defineChange({
  id: 'rds.start-export',
  summary: 'Start one RDS export to S3 with all databases in it, under a unique name',
  effect: 'once',
  risk: 'medium',
  params: z.object({
    connection: z.string().describe('RDS connection'),
    name: z
      .string()
      // 60 characters in all, with the 14 of the date and minute.
      .regex(/^[a-z](-?[a-z0-9])*$/, 'small letters, digits and single hyphens, beginning with a letter')
      .max(46)
      .describe('Name of the export; date and minute are added'),
    source: z
      .string()
      .regex(/^arn:[^:]+:rds:[^:]*:[^:]*:(cluster|cluster-snapshot|snapshot):.+$/, 'the ARN of a snapshot or cluster')
      .describe('ARN of the snapshot or cluster'),
    databases: z.string().default('').describe('Databases, separated by commas; empty for all'),
    again: z.enum(['no', 'yes']).default('no').describe('Whether one that was made already is made again'),
  }),
  async plan({ connection, name, source: arn, databases, again }, ctx) {
    const { client, settings } = await ctx.connect(rds, connection)
    const { bucket, iamRoleArn, kmsKeyId } = settings
    if (!bucket || !iamRoleArn || !kmsKeyId)
      throw new Refused(
        `The connection "${connection}" does not say where exports go. Set bucket, iamRoleArn and kmsKeyId.`,
      )
    const region = arn.split(':')[3]
    if (region && region !== settings.region)
      throw new Refused(`${arn} is in ${region}; the connection "${connection}" is for ${settings.region}.`)
    const only = [
      ...new Set(
        databases
          .split(',')
          .map((part) => part.trim())
          .filter(Boolean),
      ),
    ].sort()
    const odd = only.find((part) => !PART.test(part))
    if (odd)
      throw new Refused(
        `RDS cannot export "${odd}" by itself: only letters, digits, $ and _, as database[.schema][.table]. Leave the list empty to export everything.`,
      )
    const source = await findSource(client.reads, arn, ctx.signal)
    if (!source) throw new Refused(`There is no snapshot or cluster ${arn} in this account and region.`)
    if (source.status !== 'available')
      throw new Refused(`${arn} is ${source.status}; only an available one can be exported.`)
    const wanted: Wanted = {
      name: `${name}-${minuteOf(ctx.requestedAt)}`,
      source: arn,
      only,
      bucket,
      prefix: settings.s3Prefix,
      role: iamRoleArn,
      key: kmsKeyId,
    }
    const tasks = await listTasks(client.reads, ctx.signal)
    await refuseUnlessFree(client.reads, tasks, wanted, source, again === 'yes', ctx.signal)
    const { elsewhere } = madeAlready(tasks, wanted, source)
    return {
      summary: `Export ${databasesOf(only)} of ${source.owner} to S3 as ${wanted.name}`,
      targets: [
        {
          // One export per cluster or instance at a time: that is what is held, not the one snapshot.
          id: `rds:${connection}/${source.owner}`,
          name: source.owner,
          fingerprint: [arn, source.status, source.created].join(' '),
          details: {
            Source: arn,
            'Source created': source.created,
            Databases: databasesOf(only),
            Name: wanted.name,
            To: placeOfWanted(wanted),
            Role: wanted.role,
            Key: wanted.key,
          },
        },
      ],
      steps: [
        {
          id: 'start',
          title: 'Start the export',
          detail: `StartExportTask ${wanted.name} SourceArn=${arn} S3=${wanted.bucket}/${wanted.prefix} ExportOnly=${databasesOf(only)}`,
        },
      ],
      // Who else runs changes by itself: no part of the plan, but counted again before the start.
      warnings: elsewhere.map((task) => `The same was exported to another place already: ${placeOf(task)}.`),
      data: { connection, wanted, again: again === 'yes' } satisfies Data,
    }
  },
  async run({ data }, given) {
    const ctx = await narrowed(given, rds, data.connection, (own) => exporting(own, data.wanted))
    const { client } = await ctx.connect(rds, data.connection)
    const { wanted } = data
    const state = await ctx.step('start', async () => {
      const source = await findSource(client.reads, wanted.source, ctx.signal)
      if (!source) throw new Refused(`${wanted.source} is gone.`)
      const tasks = await listTasks(client.reads, ctx.signal)
      const own = tasks.find((task) => isSame(task, wanted))
      if (own) return own.Status ?? 'unknown'
      await refuseUnlessFree(client.reads, tasks, wanted, source, data.again, ctx.signal)
      return start(client.writes, client.reads, wanted, ctx.signal)
    })
    return `The export ${wanted.name} is ${state}. It goes to ${placeOfWanted(wanted)}.`
  },
  async verify({ data: { connection, wanted } }, ctx) {
    const { client } = await ctx.connect(rds, connection)
    const task = await findTask(client.reads, wanted.name, ctx.signal)
    const alive = task !== null && (isComplete(task) || isAlive(task))
    const detail = task
      ? [stateOf(task), `${task.PercentProgress ?? 0} %`, task.FailureCause].filter(Boolean).join(', ')
      : 'RDS knows no such task'
    return [
      { title: 'The export runs or is complete', ok: alive, detail },
      {
        title: 'It is the export that was approved',
        ok: task !== null && isSame(task, wanted),
        detail: task ? databasesOf(onlyOf(task)) : '',
      },
    ]
  },
  async probe({ data: { connection, wanted } }, _step, ctx) {
    const { client } = await ctx.connect(rds, connection)
    const task = await findTask(client.reads, wanted.name, ctx.signal)
    if (!task) return { landed: 'no', detail: `RDS knows no export task named ${wanted.name}` }
    if (!isSame(task, wanted))
      return {
        landed: 'no',
        detail: `${wanted.name} is another export: ${databasesOf(onlyOf(task))} of ${task.SourceArn}`,
      }
    return { landed: 'yes', detail: `${wanted.name} is ${stateOf(task)}` }
  },
})

/** `YYYYMMDD-HHMM` in UTC, of the time when the export was asked for: the same each time the plan is made. */
const minuteOf = (time: Date): string => time.toISOString().slice(0, 16).replaceAll(/[-:]/g, '').replace('T', '-')
