import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import { airflow } from './connection.ts'
import { isCritical } from './guards.ts'
import { slotsText } from './pool.ts'

type Data = Readonly<{ connection: string; pool: string; from: number; to: number }>

/** Sets the slots of a pool: not below what the critical tasks in it need now, and not above its ceiling. */
export const setPoolSlots = defineChange({
  id: 'airflow.set-pool-slots',
  summary: 'Set the slots of a pool, between its running critical tasks and its ceiling',
  effect: 'idempotent',
  risk: 'medium',
  params: z.object({
    connection: z.string().describe('Airflow connection'),
    pool: z.string().describe('Pool'),
    slots: z.coerce.number().int().min(1).describe('Slots'),
  }),
  async plan({ connection, pool, slots }, ctx) {
    const { client } = await ctx.connect(airflow, connection)
    const ceiling = await ceilingOf(connection, pool, slots, ctx)
    const now = await client.pool(pool, ctx.signal)
    if (!now) throw new Refused(`Airflow has no pool "${pool}".`)
    if (now.slots === null) throw new Refused(`Airflow does not say how many slots the pool ${pool} has.`)
    if (now.slots === slots) throw new Refused(`The pool ${pool} has ${slots} slots already. Nothing to do.`)
    await refuseBelowCritical(connection, pool, slots, ctx)
    return {
      summary: `Set the pool ${pool} from ${slotsText(now.slots)} to ${slots} slots`,
      targets: [
        {
          id: `airflow:${connection}/pool/${pool}`,
          name: `pool ${pool}`,
          fingerprint: `${now.slots} slots`,
          details: { Slots: `${slotsText(now.slots)} → ${slots}`, Ceiling: String(ceiling) },
        },
      ],
      steps: [{ id: 'set', title: `Set ${slots} slots`, detail: `PATCH pools/${pool} slots=${slots}` }],
      warnings:
        slots < now.slots || now.slots < 0
          ? ['Tasks that run now go on; new ones start when enough of them have ended.']
          : [],
      data: { connection, pool, from: now.slots, to: slots } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const { client } = await ctx.connect(airflow, data.connection)
    await ctx.step('set', async (): Promise<undefined> => {
      const now = await client.pool(data.pool, ctx.signal)
      if (now?.slots === data.to) return
      if (now?.slots !== data.from)
        throw new Refused(
          `The pool ${data.pool} has ${now?.slots ?? 'no'} slots now; approved was a change from ${data.from}.`,
        )
      await refuseBelowCritical(data.connection, data.pool, data.to, ctx)
      await client.setSlots(data.pool, data.to, ctx.signal)
    })
    return `The pool ${data.pool} has ${data.to} slots now, before it had ${slotsText(data.from)}.`
  },
  async verify({ data }, ctx) {
    const { client } = await ctx.connect(airflow, data.connection)
    const now = await client.pool(data.pool, ctx.signal)
    return [
      { title: 'The pool has the approved slots', ok: now?.slots === data.to, detail: `${now?.slots ?? 'no'} slots` },
    ]
  },
  async probe({ data }, _step, ctx) {
    const { client } = await ctx.connect(airflow, data.connection)
    const slots = (await client.pool(data.pool, ctx.signal))?.slots
    const landed = slots === data.to ? 'yes' : slots === data.from ? 'no' : 'cannot_tell'
    return { landed, detail: `${data.pool} has ${slots ?? 'no'} slots` }
  },
})

/** The ceiling of a pool; refuses a pool that the connection does not list, and slots above it. */
export async function ceilingOf(connection: string, pool: string, slots: number, ctx: ReadContext): Promise<number> {
  const { settings } = await ctx.connect(airflow, connection)
  const limits = Object.hasOwn(settings.pools, pool) ? settings.pools[pool] : undefined
  if (!limits)
    throw new Refused(
      `The connection "${connection}" does not list the pool "${pool}". It lists: ${Object.keys(settings.pools).sort().join(', ') || 'none'}.`,
    )
  if (slots > limits.max)
    throw new Refused(
      `${slots} slots are above the ceiling of ${limits.max} for the pool ${pool}. Ask the owner of the connection to raise it.`,
    )
  return limits.max
}

/** Refuses fewer slots than the critical tasks hold that run in the pool now. */
export async function refuseBelowCritical(
  connection: string,
  pool: string,
  slots: number,
  ctx: ReadContext,
): Promise<void> {
  const { client, settings } = await ctx.connect(airflow, connection)
  const running = await client.tasks('~', '~', { states: ['running'], pool }, ctx.signal)
  const critical = running.filter((t) => isCritical(settings, t.dag, t.task))
  const needed = critical.reduce((sum, t) => sum + t.poolSlots, 0)
  if (slots < needed)
    throw new Refused(
      `${slots} slots are fewer than the ${needed} that critical tasks hold now: ${critical
        .map((t) => `${t.dag}.${t.task}`)
        .sort()
        .join(', ')}.`,
    )
}
