import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { airflow } from './connection.ts'
import { isCritical } from './guards.ts'
import { nameOf } from './show.ts'

const ROWS = 25

/** How full a pool is, and which tasks run in it or wait for it. */
export const pool = defineRead({
  id: 'airflow.pool',
  summary: 'Show the slots of a pool, and the tasks that run in it or wait for it',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Airflow connection'),
    pool: z.string().default('default_pool').describe('Pool'),
  }),
  async read({ connection, pool: name }, ctx) {
    const { client, settings } = await ctx.connect(airflow, connection)
    const found = await client.pool(name, ctx.signal)
    if (!found) throw new Refused(`Airflow has no pool "${name}".`)
    const tasks = await client.tasks('~', '~', { states: ['running', 'queued'], pool: name }, ctx.signal)
    tasks.sort((a, b) => (a.state === b.state ? b.poolSlots - a.poolSlots : a.state === 'running' ? -1 : 1))
    const limit = Object.hasOwn(settings.pools, name) ? String(settings.pools[name]!.max) : 'may not be resized'
    return {
      summary: `Pool ${name}: ${found.running} of ${found.slots < 0 ? 'unlimited' : found.slots} slots run, ${found.queued} queued, ${found.scheduled} waiting.`,
      blocks: [
        {
          type: 'table',
          columns: ['Slots', 'Running', 'Queued', 'Waiting', 'Open', 'Ceiling'],
          rows: [[found.slots, found.running, found.queued, found.scheduled, found.open, limit].map(String)],
          omitted: 0,
        },
        {
          type: 'table',
          columns: ['Task', 'Run', 'State', 'Slots', 'Since', 'Critical'],
          rows: tasks
            .slice(0, ROWS)
            .map((t) => [
              `${t.dag}.${nameOf(t)}`,
              t.run,
              t.state,
              String(t.poolSlots),
              t.start,
              isCritical(settings, t.dag, t.task) ? 'yes' : '',
            ]),
          omitted: Math.max(0, tasks.length - ROWS),
        },
      ],
    }
  },
})
