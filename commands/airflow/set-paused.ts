import { z } from 'zod'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { airflow } from './connection.ts'
import { changeable, matches, refuseBesideCritical } from './guards.ts'

type Data = Readonly<{ connection: string; dag: string }>

/** The two commands that turn the switch of a DAG. */
export function switchTo(paused: boolean) {
  const verb = paused ? 'pause' : 'resume'
  const done = paused ? 'paused' : 'not paused'
  return defineChange({
    id: `airflow.${verb}-dag`,
    summary: paused ? 'Pause a DAG: none of its tasks is started any more' : 'Resume a paused DAG',
    effect: 'idempotent',
    risk: paused ? 'low' : 'medium',
    params: z.object({
      connection: z.string().describe('Airflow connection'),
      dag: z.string().describe('DAG'),
    }),
    async plan({ connection, dag }, ctx) {
      const { client, settings } = await ctx.connect(airflow, connection)
      const found = await changeable(client, settings, dag, ctx.signal)
      if (found.paused === paused) throw new Refused(`The DAG ${dag} is ${done} already. Nothing to do.`)
      if (!paused) await refuseBesideCritical(connection, dag, ctx)
      const critical = matches(settings.critical.dags, dag)
      return {
        summary: `${paused ? 'Pause' : 'Resume'} the DAG ${dag}`,
        targets: [
          {
            id: `airflow:${connection}/${dag}`,
            name: dag,
            fingerprint: `paused=${found.paused}`,
            details: {
              State: found.paused ? 'paused' : 'active',
              Owners: found.owners,
              File: found.file,
              Critical: critical ? 'yes' : 'no',
            },
          },
        ],
        steps: [
          { id: verb, title: `${paused ? 'Pause' : 'Resume'} ${dag}`, detail: `PATCH dags/${dag} is_paused=${paused}` },
        ],
        warnings: [
          ...(critical && paused ? [`${dag} is critical: while it is paused, what others wait for is not made.`] : []),
          paused
            ? 'Tasks that run now go on to their end. Nothing new starts until the DAG is resumed.'
            : 'Runs that became due meanwhile may all start now, if the DAG catches up.',
        ],
        data: { connection, dag } satisfies Data,
      }
    },
    async run({ data }, ctx) {
      const { client } = await ctx.connect(airflow, data.connection)
      await ctx.step(verb, async (): Promise<undefined> => {
        if (!paused) await refuseBesideCritical(data.connection, data.dag, ctx)
        await client.setPaused(data.dag, paused, ctx.signal)
      })
      return `The DAG ${data.dag} is ${done} now.`
    },
    async verify({ data }, ctx) {
      const { client } = await ctx.connect(airflow, data.connection)
      const now = await client.dag(data.dag, ctx.signal)
      return [
        {
          title: `The DAG is ${done}`,
          ok: now?.paused === paused,
          detail: now ? `paused: ${now.paused}` : 'there is no such DAG',
        },
      ]
    },
    async probe({ data }, _step, ctx) {
      const { client } = await ctx.connect(airflow, data.connection)
      const now = await client.dag(data.dag, ctx.signal)
      if (!now) return { landed: 'cannot_tell', detail: `Airflow knows no DAG ${data.dag} any more` }
      return {
        landed: now.paused === paused ? 'yes' : 'no',
        detail: `${data.dag} is ${now.paused ? 'paused' : 'not paused'}`,
      }
    },
  })
}
