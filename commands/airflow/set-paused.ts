import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import type { Airflow } from './client.ts'
import { airflow } from './connection.ts'
import { dayOf } from './dates.ts'
import { changeable, matches, refuseBesideCritical } from './guards.ts'
import type { Backfill } from './nouns.ts'
import { Answered } from './rest.ts'

/** `backfills` are the ids of those of Airflow 3 that are paused or resumed with the DAG. */
type Data = Readonly<{ connection: string; dag: string; backfills: readonly number[] }>

const stepOf = (id: number) => `backfill:${id}`

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
      const { backfills, warnings, shown } = await goingBackfills(connection, dag, paused, ctx)
      if (found.paused === paused && backfills.length === 0)
        throw new Refused(`The DAG ${dag} is ${done} already. Nothing to do.`)
      if (!paused) await refuseBesideCritical(connection, dag, ctx)
      const critical = matches(settings.critical.dags, dag)
      return {
        summary: `${paused ? 'Pause' : 'Resume'} the DAG ${dag}`,
        targets: [
          {
            id: `airflow:${connection}/${dag}`,
            name: dag,
            fingerprint: `paused=${found.paused}${backfills.length > 0 ? ` backfills ${backfills.join(' ')}` : ''}`,
            details: {
              State: found.paused === null ? 'not said' : found.paused ? 'paused' : 'active',
              Owners: found.owners,
              File: found.file,
              Critical: critical ? 'yes' : 'no',
              ...(shown && { Backfills: shown }),
            },
          },
        ],
        steps: [
          { id: verb, title: `${paused ? 'Pause' : 'Resume'} ${dag}`, detail: `PATCH dags/${dag} is_paused=${paused}` },
          ...backfills.map((id) => ({
            id: stepOf(id),
            title: `${paused ? 'Pause' : 'Resume'} its backfill ${id}`,
            detail: `PUT backfills/${id}/${paused ? 'pause' : 'unpause'}`,
          })),
        ],
        warnings: [
          ...(critical && paused ? [`${dag} is critical: while it is paused, what others wait for is not made.`] : []),
          paused
            ? 'Tasks that run now go on to their end. Nothing new starts until the DAG is resumed.'
            : 'Runs that became due meanwhile may all start now, if the DAG catches up.',
          ...warnings,
        ],
        data: { connection, dag, backfills } satisfies Data,
      }
    },
    async run({ data }, ctx) {
      const { client } = await ctx.connect(airflow, data.connection)
      await ctx.step(verb, async (): Promise<undefined> => {
        if (!paused) await refuseBesideCritical(data.connection, data.dag, ctx)
        await client.setPaused(data.dag, paused, ctx.signal)
      })
      for (const id of data.backfills)
        await ctx.step(stepOf(id), async () => client.pauseBackfill(id, paused, ctx.signal))
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
        ...(await backfillChecks(data, paused, ctx)),
      ]
    },
    async probe({ data }, step, ctx) {
      const { client } = await ctx.connect(airflow, data.connection)
      if (step !== verb) {
        const own = (await client.backfills(data.dag, ctx.signal)).find((b) => stepOf(b.id) === step)
        const isDone = own === undefined ? null : own.ended !== '' || own.paused === paused
        return {
          landed: isDone === null ? 'cannot_tell' : isDone ? 'yes' : 'no',
          detail: own
            ? `the backfill ${own.id} is ${own.ended ? 'over' : own.paused ? 'paused' : 'going'}`
            : 'no such backfill',
        }
      }
      const now = await client.dag(data.dag, ctx.signal)
      if (!now) return { landed: 'cannot_tell', detail: `Airflow knows no DAG ${data.dag} any more` }
      return {
        landed: now.paused === null ? 'cannot_tell' : now.paused === paused ? 'yes' : 'no',
        detail: `${data.dag} is ${now.paused ? 'paused' : 'not paused'}`,
      }
    },
  })
}

/** What a backfill of the DAG does meanwhile, and those of Airflow 3 that are switched with it. */
async function goingBackfills(connection: string, dag: string, paused: boolean, ctx: ReadContext) {
  const { client, settings } = await ctx.connect(airflow, connection)
  if (settings.api === 1) {
    const runs = paused ? await commandRuns(client, dag, ctx) : []
    const names = runs.slice(0, 5).map((r) => r.run)
    const warnings =
      runs.length > 0
        ? [
            `A backfill started by \`airflow dags backfill\` goes on all the same: it does not look at this switch (${names.join(', ')}). Stop its process where it was started, or mark these runs as failed in Airflow.`,
          ]
        : []
    return { backfills: [], warnings, shown: names.join(', ') }
  }
  let all: readonly Backfill[]
  try {
    all = await client.backfills(dag, ctx.signal)
  } catch (error) {
    if (!(error instanceof Answered)) throw error
    const warnings = [
      `Its backfills cannot be seen (${error.status}), and none is ${paused ? 'paused' : 'resumed'} with it.`,
    ]
    return { backfills: [], warnings, shown: 'cannot be seen' }
  }
  const going = all.filter((b) => b.ended === '')
  const turned = going.filter((b) => b.paused !== paused)
  const warnings =
    turned.length > 0 && paused ? ['Runs of the backfill that go on now go on to their end; it makes no new ones.'] : []
  const shown = going.map((b) => `${b.id}: ${dayOf(b.from)} to ${dayOf(b.to)}${b.paused ? ', paused' : ''}`).join('; ')
  return { backfills: turned.map((b) => b.id).sort((a, b) => a - b), warnings, shown }
}

/** Runs that `airflow dags backfill` of Airflow 2 started and that go on. */
async function commandRuns(client: Airflow, dag: string, ctx: ReadContext) {
  const going = await client.runs(dag, { states: ['running', 'queued'] }, ctx.signal)
  return going.filter((r) => r.type === 'backfill' || r.run.startsWith('backfill__'))
}

async function backfillChecks(data: Data, paused: boolean, ctx: ReadContext) {
  const { client, settings } = await ctx.connect(airflow, data.connection)
  if (settings.api === 1) {
    const runs = paused ? await commandRuns(client, data.dag, ctx) : []
    if (runs.length === 0) return []
    const detail = `${runs
      .slice(0, 5)
      .map((r) => r.run)
      .join(', ')}: Airflow 2 cannot pause it. Stop its process.`
    return [{ title: 'No backfill of the DAG goes on', ok: false, detail }]
  }
  if (data.backfills.length === 0) return []
  const all = await client.backfills(data.dag, ctx.signal)
  return data.backfills.map((id) => {
    const own = all.find((b) => b.id === id)
    const isDone = own !== undefined && (own.ended !== '' || own.paused === paused)
    return {
      title: `Its backfill ${id} is ${paused ? 'paused' : 'going again'}`,
      ok: isDone,
      detail: own ? '' : 'not to be seen',
    }
  })
}
