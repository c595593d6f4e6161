import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { airflow } from './connection.ts'
import { matches } from './guards.ts'

const ROWS = 25

/** Runs of one DAG or of all, the newest first, with those of critical DAGs marked. */
export const dagRuns = defineRead({
  id: 'airflow.dag-runs',
  summary: 'List the runs of a DAG or of all DAGs, by state',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Airflow connection'),
    dag: z.string().default('~').describe('DAG; ~ for all'),
    state: z.enum(['any', 'running', 'queued', 'failed', 'success']).default('any').describe('State'),
  }),
  async read({ connection, dag, state }, ctx) {
    const { client, settings } = await ctx.connect(airflow, connection)
    const states = state === 'any' ? undefined : [state]
    const runs = await client.runs(dag, { states, most: 100 }, ctx.signal)
    const kind = (name: string) =>
      matches(settings.critical.dags, name) ? 'critical' : matches(settings.backfills.dags, name) ? 'backfill' : ''
    return {
      summary: `${runs.length === 100 ? 'The latest 100' : runs.length} ${state === 'any' ? '' : `${state} `}runs of ${dag === '~' ? 'all DAGs' : dag}; ${runs.filter((r) => kind(r.dag) === 'critical').length} of critical DAGs.`,
      blocks: [
        {
          type: 'table',
          columns: ['DAG', 'Run', 'State', 'Type', 'Date', 'Began', 'Ended', 'Kind'],
          rows: runs
            .slice(0, ROWS)
            .map((r) => [r.dag, r.run, r.state, r.type, r.logicalDate, r.start, r.end, kind(r.dag)]),
          omitted: Math.max(0, runs.length - ROWS),
        },
      ],
    }
  },
})
