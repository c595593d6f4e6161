import type { ExportTask } from '@aws-sdk/client-rds'
import { CancelExportTaskCommand, ExportTaskNotFoundFault, InvalidExportTaskStateFault } from '@aws-sdk/client-rds'
import { z } from 'zod'
import type { ReadContext } from '../../src/domain/command.ts'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { answered } from '../aws/answered.ts'
import { narrowed } from '../aws/narrow.ts'
import { outlive } from '../aws/outlive.ts'
import { rest } from '../settle.ts'
import { rds } from './connection.ts'
import { cancelling } from './rights.ts'
import { databasesOf, findTask, isAlive, isRunning, onlyOf, placeOf, stateOf } from './tasks.ts'

/** `identity` tells the task from a later one of the same name. */
type Data = Readonly<{ connection: string; name: string; identity: string }>

const identityOf = (task: ExportTask): string => [task.SourceArn, task.SnapshotTime?.toISOString() ?? ''].join(' ')
const isStopped = (state: string): boolean => state === 'CANCELED' || state === 'CANCELING'
/** DescribeExportTasks may show the old state for a few looks after a cancel. */
const STALE_LOOKS = 8

/** Cancels one export to S3 that runs, and waits until its slot is free. What it has written so far stays in S3. */
export const cancelExport = defineChange({
  id: 'rds.cancel-export',
  summary: 'Cancel one running RDS export to S3',
  effect: 'idempotent',
  risk: 'medium',
  params: z.object({
    connection: z.string().describe('RDS connection'),
    name: z
      .string()
      .regex(/^[A-Za-z](-?[A-Za-z0-9])*$/, 'the identifier of an export task')
      .max(60)
      .describe('Name of the export task'),
  }),
  async plan({ connection, name }, ctx) {
    const { client, environment, settings } = await ctx.connect(rds, connection)
    const task = await findTask(client.reads, name, ctx.signal)
    if (!task) throw new Refused(`There is no export task named ${name} in this account and region.`)
    const state = stateOf(task)
    if (!isAlive(task)) throw new Refused(`${name} is ${state}; only an export that starts or runs can be cancelled.`)
    if (!task.S3Bucket) throw new Refused(`RDS does not say where ${name} goes, so nobody can tell whose it is.`)
    if (task.S3Bucket !== settings.bucket)
      throw new Refused(
        `${name} goes to the bucket ${task.S3Bucket}, not to the one of the connection "${connection}": it is somebody else's.`,
      )
    return {
      summary: `Cancel the export ${name}`,
      targets: [
        {
          id: `rds:${connection}/export/${name}`,
          name,
          fingerprint: identityOf(task),
          // No state and no progress: both change by themselves.
          details: {
            Source: task.SourceArn ?? 'unknown',
            Account: (task.SourceArn ?? '').split(':')[4] ?? 'unknown',
            Region: settings.region,
            Environment: environment,
            Databases: databasesOf(onlyOf(task)),
            To: placeOf(task),
            'Snapshot of': task.SnapshotTime?.toISOString() ?? 'unknown',
          },
        },
      ],
      steps: [
        { id: 'cancel', title: 'Cancel the export', detail: `CancelExportTask ${name}` },
        {
          id: 'wait',
          title: 'Wait until its slot is free',
          detail: `DescribeExportTasks ${name} every ${settings.pollSeconds} s`,
        },
      ],
      warnings: [`What it has written so far stays at ${placeOf(task)}: a reader must not take it for a whole export.`],
      data: { connection, name, identity: identityOf(task) } satisfies Data,
    }
  },
  async run({ data }, given) {
    const ctx = await narrowed(given, rds, data.connection, () => cancelling)
    const { client, settings } = await ctx.connect(rds, data.connection)
    await ctx.step('cancel', async () => {
      const task = await findTask(client.reads, data.name, ctx.signal)
      const state = stateOf(task)
      if (!task || identityOf(task) !== data.identity)
        throw new Refused(`${data.name} is ${task ? 'another export than the one that was shown' : 'gone'}.`)
      if (isStopped(state)) return state
      if (!isAlive(task)) throw new Refused(`${data.name} is ${state}: it ended by itself.`)
      try {
        const sent = await answered(`CancelExportTask ${data.name}`, ctx.signal, () =>
          client.writes.send(new CancelExportTaskCommand({ ExportTaskIdentifier: data.name }), {
            abortSignal: ctx.signal,
          }),
        )
        return sent.Status ?? 'CANCELING'
      } catch (error) {
        if (error instanceof ExportTaskNotFoundFault || error instanceof InvalidExportTaskStateFault)
          throw new Refused(`RDS does not cancel ${data.name}: ${error.message}`, { cause: error })
        throw error
      }
    })
    const state = await ctx.step('wait', async () => {
      const note = (text: string) => ctx.progress(1, 2, text)
      const pace = { signal: ctx.signal, pauseMs: settings.pollSeconds * 1000, onPause: note }
      for (let stale = 0; ; ) {
        const task = await outlive(() => look(data, ctx), pace)
        const now = stateOf(task)
        if (!task || !isRunning(task)) return now
        if (now !== 'CANCELING' && ++stale > STALE_LOOKS)
          throw new Error(`${data.name} is ${now}, though RDS has taken the cancel. Look at it in the RDS console.`)
        note(`${data.name} is ${now}`)
        await rest(settings.pollSeconds, ctx.signal)
      }
    })
    return `The export ${data.name} is ${state}.`
  },
  async verify({ data }, ctx) {
    const state = stateOf(await look(data, ctx))
    return [{ title: 'The export is cancelled and its slot is free', ok: state === 'CANCELED', detail: state }]
  },
  async probe({ data }, step, ctx) {
    const state = stateOf(await look(data, ctx))
    const detail = `${data.name} is ${state}`
    if (step === 'wait') return { landed: state === 'CANCELED' ? 'yes' : 'no', detail }
    if (isStopped(state)) return { landed: 'yes', detail }
    return { landed: state === 'STARTING' || state === 'IN_PROGRESS' ? 'no' : 'cannot_tell', detail }
  },
})

/** The task, unless another one has its name by now. */
async function look({ connection, name, identity }: Data, ctx: ReadContext): Promise<ExportTask | null> {
  const { client } = await ctx.connect(rds, connection)
  const task = await findTask(client.reads, name, ctx.signal)
  return task && identityOf(task) === identity ? task : null
}
