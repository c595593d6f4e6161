import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { namesIn } from './clear-tasks.ts'
import { airflow } from './connection.ts'
import { matches } from './guards.ts'
import type { DagRun } from './nouns.ts'

const ROWS = 25
const SHOWN = 100
/** Where only some DAGs are asked for: their runs stand among those of all others. */
const LOOKED_AT = 1000

/** Runs of one DAG or of all, the newest or the longest first, with those of critical DAGs marked. */
export const dagRuns = defineRead({
  id: 'airflow.dag-runs',
  summary: 'List the runs of a DAG or of all DAGs, by state',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Airflow connection'),
    dag: z.string().default('~').describe('DAG; ~ for all'),
    dags: z.string().default('').describe('Of all DAGs only these, separated by commas, * for any characters'),
    state: z.enum(['any', 'running', 'queued', 'failed', 'success']).default('any').describe('State'),
    order: z.enum(['newest', 'longest']).default('newest').describe('Which come first'),
  }),
  async read({ connection, dag, dags, state, order }, ctx) {
    const { client, settings } = await ctx.connect(airflow, connection)
    const states = state === 'any' ? undefined : [state]
    const wanted = namesIn(dags)
    const all = await client.runs(dag, { states, most: wanted.length > 0 ? LOOKED_AT : SHOWN }, ctx.signal)
    const runs = all.filter((r) => wanted.length === 0 || matches(wanted, r.dag))
    const cut = all.cut ? ` Only the latest ${all.length} of ${all.total} were looked at.` : ''
    if (order === 'longest') runs.sort((a, b) => minutes(b, ctx.now()) - minutes(a, ctx.now()))
    const longest = runs[0]
    const kind = (name: string) =>
      matches(settings.critical.dags, name) ? 'critical' : matches(settings.backfills.dags, name) ? 'backfill' : ''
    return {
      summary: `${runs.length} ${state === 'any' ? '' : `${state} `}runs of ${dag === '~' ? 'all DAGs' : dag}; ${runs.filter((r) => kind(r.dag) === 'critical').length} of critical DAGs.${cut}${order === 'longest' && longest ? ` The longest is ${longest.dag} with ${minutes(longest, ctx.now())} min.` : ''}`,
      blocks: [
        {
          type: 'table',
          columns: ['DAG', 'Run', 'State', 'Type', 'Date', 'Began', 'Ended', 'Minutes', 'Kind'],
          rows: runs
            .slice(0, ROWS)
            .map((r) => [
              r.dag,
              r.run,
              r.state,
              r.type,
              r.logicalDate,
              r.start,
              r.end,
              r.start ? String(minutes(r, ctx.now())) : '',
              kind(r.dag),
            ]),
          omitted: Math.max(0, runs.length - ROWS),
        },
      ],
    }
  },
})

/** How long a run took, or takes by now; 0 for one that has not begun. */
function minutes({ start, end }: DagRun, now: Date): number {
  if (!start) return 0
  const ms = (end ? Date.parse(end) : now.getTime()) - Date.parse(start)
  return Number.isFinite(ms) ? Math.round(ms / 6_000) / 10 : 0
}
