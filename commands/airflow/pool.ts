import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { airflow } from './connection.ts'
import { isCritical } from './guards.ts'
import { cutNote } from './list.ts'
import type { TaskInstance } from './nouns.ts'
import { nameOf } from './show.ts'

const ROWS = 25
const DAGS = 10

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
    const listed = await client.tasks('~', '~', { states: ['running', 'queued'], pool: name, cut: true }, ctx.signal)
    const tasks = listed.toSorted((a, b) =>
      a.state === b.state ? b.poolSlots - a.poolSlots : a.state === 'running' ? -1 : 1,
    )
    const limit = Object.hasOwn(settings.pools, name) ? String(settings.pools[name]!.max) : 'may not be resized'
    const dags = byDag(tasks)
    const most = dags[0] ? ` ${dags[0].dag} holds the most: ${dags[0].running} of the running slots.` : ''
    return {
      summary: `Pool ${name}: ${said(found.running)} of ${slotsText(found.slots)} slots run, ${said(found.queued)} queued, ${said(found.scheduled)} waiting.${most}${cutNote(listed)}`,
      blocks: [
        {
          type: 'table',
          columns: ['Slots', 'Running', 'Queued', 'Waiting', 'Open', 'Ceiling'],
          rows: [
            [
              slotsText(found.slots),
              ...[found.running, found.queued, found.scheduled].map(said),
              slotsText(found.open === Number.POSITIVE_INFINITY ? -1 : found.open),
              limit,
            ],
          ],
          omitted: 0,
        },
        {
          type: 'table',
          columns: ['DAG', 'Slots running', 'Slots queued', 'Tasks'],
          rows: dags.slice(0, DAGS).map((d) => [d.dag, String(d.running), String(d.queued), String(d.tasks)]),
          omitted: Math.max(0, dags.length - DAGS),
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

const said = (value: number | null): string => (value === null ? '?' : String(value))
/** -1 slots are no limit, for which Python writes `Infinity` open ones. */
export const slotsText = (slots: number | null): string =>
  slots === null ? '?' : slots < 0 || slots === Number.POSITIVE_INFINITY ? 'no limit' : String(slots)

/** Who took the slots: the one that holds the most first. */
function byDag(tasks: readonly TaskInstance[]) {
  const slots = (own: readonly TaskInstance[], state: string) =>
    own.filter((t) => t.state === state).reduce((sum, t) => sum + t.poolSlots, 0)
  return Object.entries(Object.groupBy(tasks, (t) => t.dag))
    .map(([dag, own = []]) => ({
      dag,
      running: slots(own, 'running'),
      queued: slots(own, 'queued'),
      tasks: own.length,
    }))
    .sort((a, b) => b.running - a.running || b.queued - a.queued || (a.dag < b.dag ? -1 : 1))
}
