import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { airflow } from './connection.ts'
import { isCritical, matches } from './guards.ts'
import { cutNote } from './list.ts'
import { nameOf } from './show.ts'

const ROWS = 30

/** Which tasks share a machine now: those where a backfill runs beside critical tasks come first. */
export const hosts = defineRead({
  id: 'airflow.hosts',
  summary: 'Show which running tasks share a machine, with backfills and critical ones marked',
  effect: 'read',
  params: z.object({ connection: z.string().describe('Airflow connection') }),
  async read({ connection }, ctx) {
    const { client, settings } = await ctx.connect(airflow, connection)
    const listed = await client.tasks('~', '~', { states: ['running'], cut: true }, ctx.signal)
    const running = listed.map((t) => ({
      ...t,
      host: t.host || 'not known',
      kind: isCritical(settings, t.dag, t.task)
        ? 'critical'
        : matches(settings.backfills.dags, t.dag)
          ? 'backfill'
          : '',
    }))
    const machines = Object.entries(Object.groupBy(running, (t) => t.host)).map(([host, own = []]) => ({
      host,
      own: own.sort((a, b) => (a.kind === b.kind ? (a.start < b.start ? -1 : 1) : a.kind < b.kind ? 1 : -1)),
      shared: own.some((t) => t.kind === 'backfill') && own.some((t) => t.kind === 'critical'),
    }))
    machines.sort((a, b) => Number(b.shared) - Number(a.shared) || (a.host < b.host ? -1 : 1))
    const shared = machines.filter((machine) => machine.shared).map((machine) => machine.host)
    const rows = machines.flatMap(({ host, own }) =>
      own.map((t) => [host, `${t.dag}.${nameOf(t)}`, t.run, t.start, t.kind]),
    )
    const dags = [...new Set(running.map((t) => t.dag))].sort()
    const whose =
      dags.length > 0
        ? ` They are of ${dags.slice(0, 8).join(', ')}${dags.length > 8 ? ` and ${dags.length - 8} more DAGs` : ''}.`
        : ''
    return {
      summary: `${running.length} running tasks on ${machines.length} machines. ${shared.length > 0 ? `A backfill runs beside critical tasks on ${shared.slice(0, 10).join(', ')}.` : 'On none of them a backfill runs beside critical tasks.'}${whose}${cutNote(listed)}`,
      blocks: [
        {
          type: 'table',
          columns: ['Machine', 'Task', 'Run', 'Since', 'Kind'],
          rows: rows.slice(0, ROWS),
          omitted: Math.max(0, rows.length - ROWS),
        },
      ],
    }
  },
})
