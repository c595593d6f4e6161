import {
  InsufficientDBInstanceCapacityFault,
  InvalidDBInstanceStateFault,
  ModifyDBInstanceCommand,
} from '@aws-sdk/client-rds'
import { z } from 'zod'
import type { ReadContext } from '../../src/domain/command.ts'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { answered } from '../aws/answered.ts'
import { narrowed } from '../aws/narrow.ts'
import { outlive } from '../aws/outlive.ts'
import { rest } from '../settle.ts'
import { rds } from './connection.ts'
import { classOf, findInstance, isOffered, pendingClass, pendingOf, stateOf, storageOf } from './instance.ts'
import { resizing } from './rights.ts'

/** `resource` is RDS's own id: an instance that was deleted and made again has another. */
type Data = Readonly<{ connection: string; instance: string; resource: string; from: string; to: string }>

/** DescribeDBInstances may show the old state for a few looks after a change. */
const STALE_LOOKS = 8
/** The class of instances of Aurora Serverless v2. */
const SERVERLESS = 'db.serverless'
const BROKEN = /^(failed|storage-full|restore-error|inaccessible-|incompatible-)/

/** Gives one allow-listed instance another allow-listed class at once, and waits until it is available with it. */
export const resizeInstance = defineChange({
  id: 'rds.resize-instance',
  summary: 'Give an RDS instance another class, at once',
  effect: 'idempotent',
  risk: 'high',
  runMinutes: 120,
  params: z.object({
    connection: z.string().describe('RDS connection'),
    instance: z
      .string()
      .regex(/^[a-z](-?[a-z0-9])*$/, 'small letters, digits and single hyphens')
      .max(63)
      .describe('DB instance'),
    class: z
      .string()
      .regex(/^db\.([a-z0-9-]+\.[a-z0-9-]+|serverless)$/, 'a class such as db.r6g.xlarge')
      .describe('Class that it shall have'),
  }),
  async plan({ connection, instance: id, class: to }, ctx) {
    const { client, environment, settings } = await ctx.connect(rds, connection)
    const { instances, classes } = settings.resize
    if (!instances.includes(id))
      throw new Refused(
        `The connection "${connection}" may not resize ${id}. It may resize: ${instances.join(', ') || 'nothing'}.`,
      )
    if (!classes.includes(to))
      throw new Refused(
        `${to} is not one of the classes that the connection allows: ${classes.join(', ') || 'none'}. Ask its owner to add it.`,
      )
    const found = await findInstance(client.reads, id, ctx.signal)
    const from = classOf(found)
    const pending = pendingOf(found)
    if (from === to) throw new Refused(`${id} is a ${to} already.`)
    if (from === SERVERLESS || to === SERVERLESS)
      throw new Refused(
        `${id} ${from === SERVERLESS ? 'is' : 'would become'} serverless, which has no size of its own: its cluster's capacity range decides. Its owner can raise it: aws rds modify-db-cluster --db-cluster-identifier ${found.DBClusterIdentifier ?? '…'} --serverless-v2-scaling-configuration MinCapacity=…,MaxCapacity=…`,
      )
    if (stateOf(found) !== 'available')
      throw new Refused(`${id} is ${stateOf(found)}; it can be resized when it is available again.`)
    if (pending.length > 0)
      throw new Refused(
        `${id} has changes that wait for its maintenance window (${pending.join(', ')}): they would be made at once too. Have its owner make or cancel them first.`,
      )
    if (!(await isOffered(client.reads, found, to, ctx.signal)))
      throw new Refused(`RDS does not offer ${to} for ${found.Engine} ${found.EngineVersion} in ${settings.region}.`)
    const away = found.MultiAZ
      ? 'It fails over to its standby: connections break, and it is away for a minute or two.'
      : 'It restarts: connections break, and it is away for several minutes.'
    return {
      summary: `Make ${id} a ${to}, at once; it is a ${from}`,
      targets: [
        {
          id: `rds:${connection}/instance/${id}`,
          name: id,
          fingerprint: [found.DbiResourceId, from, stateOf(found)].join(' '),
          details: {
            Account: found.DBInstanceArn?.split(':')[4] ?? 'unknown',
            Region: settings.region,
            Environment: environment,
            Class: `${from} → ${to}`,
            Engine: `${found.Engine} ${found.EngineVersion}`,
            Zones: found.MultiAZ ? 'several' : 'one',
            ...(found.DBClusterIdentifier && { Cluster: found.DBClusterIdentifier }),
            Storage: storageOf(found),
            Created: found.InstanceCreateTime?.toISOString() ?? 'unknown',
          },
        },
      ],
      steps: [
        {
          id: 'modify',
          title: `Make it a ${to}`,
          detail: `ModifyDBInstance ${id} DBInstanceClass=${to} ApplyImmediately=true`,
        },
        {
          id: 'wait',
          title: 'Wait until it is available again',
          detail: `DescribeDBInstances ${id} every ${settings.pollSeconds} s`,
        },
      ],
      warnings: [away, `The new class stays, and is paid for, until somebody sets ${from} again.`],
      data: { connection, instance: id, resource: found.DbiResourceId ?? '', from, to } satisfies Data,
    }
  },
  async run({ data }, given) {
    const ctx = await narrowed(given, rds, data.connection, (own) => resizing(own, data.instance))
    const { client, settings } = await ctx.connect(rds, data.connection)
    await ctx.step('modify', async () => {
      const now = await look(data, ctx)
      if (now.is === data.to || now.pending === data.to) return 'asked already'
      if (now.is !== data.from || now.state !== 'available' || now.others.length > 0)
        throw new Refused(`${now.sentence}; approved was a change from ${data.from}. Ask for a new plan.`)
      const input = { DBInstanceIdentifier: data.instance, DBInstanceClass: data.to, ApplyImmediately: true }
      try {
        await answered(`ModifyDBInstance ${data.instance}`, ctx.signal, () =>
          client.writes.send(new ModifyDBInstanceCommand(input), { abortSignal: ctx.signal }),
        )
      } catch (error) {
        if (error instanceof InvalidDBInstanceStateFault || error instanceof InsufficientDBInstanceCapacityFault)
          throw new Refused(`RDS does not resize ${data.instance}: ${error.message}`, { cause: error })
        throw error
      }
      return 'sent'
    })
    await ctx.step('wait', async () => {
      const onPause = (text: string) => ctx.progress(1, 2, text)
      for (let looks = 1; ; looks++) {
        const pace = { signal: ctx.signal, pauseMs: settings.pollSeconds * 1000, onPause }
        const now = await outlive(() => look(data, ctx), pace)
        if (now.isDone) return now.sentence
        if (BROKEN.test(now.state)) throw new Error(`${now.sentence}. Wake the owner of the database.`)
        if (now.state === 'available' && now.pending === null && looks >= STALE_LOOKS)
          throw new Error(`${now.sentence}: RDS took the change back or never began.`)
        ctx.progress(1, 2, `${now.sentence} (look ${looks})`)
        await rest(settings.pollSeconds, ctx.signal)
      }
    })
    return `${data.instance} is a ${data.to} now, before it was a ${data.from}.`
  },
  async verify({ data }, ctx) {
    const now = await look(data, ctx)
    return [
      { title: `The instance is a ${data.to}`, ok: now.is === data.to && now.pending === null, detail: now.is },
      { title: 'It is available', ok: now.state === 'available', detail: now.state },
    ]
  },
  async probe({ data }, step, ctx) {
    const now = await look(data, ctx)
    const detail = now.sentence
    if (step === 'wait') return { landed: now.isDone ? 'yes' : 'no', detail }
    if (now.is === data.to || now.pending === data.to) return { landed: 'yes', detail }
    // While it is being modified it may still show the old class, whoever changes it.
    const isUntouched = now.is === data.from && now.state === 'available' && now.pending === null
    return { landed: isUntouched ? 'no' : 'cannot_tell', detail }
  },
})

/** The approved instance as it is now; Refused if it is another one of the same name. */
async function look({ connection, instance, resource, to }: Data, ctx: ReadContext) {
  const { client } = await ctx.connect(rds, connection)
  const found = await findInstance(client.reads, instance, ctx.signal)
  if (found.DbiResourceId !== resource)
    throw new Refused(`${instance} is another instance than the one that was approved: it was made anew.`)
  const [is, state, pending] = [classOf(found), stateOf(found), pendingClass(found)]
  const others = pendingOf(found).filter((name) => name !== 'DBInstanceClass')
  const sentence = `${instance} is ${state} as a ${is}${pending ? `, becoming a ${pending}` : ''}${others.length > 0 ? `, with ${others.join(', ')} waiting` : ''}`
  return { is, state, pending, others, sentence, isDone: is === to && state === 'available' && pending === null }
}
