import { z } from 'zod'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { digest } from '../../src/domain/plan.ts'
import { settled } from '../settle.ts'
import { airflow, type Settings } from './connection.ts'
import { changeable, existing, refuseBesideCritical } from './guards.ts'
import { line } from './show.ts'

const Conf = z.record(z.string(), z.json())
type Conf = z.output<typeof Conf>
type Data = Readonly<{ connection: string; dag: string; run: string; conf: Conf }>

/** Starts one run of a DAG with a conf whose numbers stay below their ceilings, under an id that makes it happen once. */
export const triggerRun = defineChange({
  id: 'airflow.trigger-run',
  summary: 'Start a run of a DAG with a conf, up to the ceilings of its numbers',
  effect: 'once',
  risk: 'medium',
  params: z.object({
    connection: z.string().describe('Airflow connection'),
    dag: z.string().describe('DAG'),
    conf: z.string().describe('Conf to set, a JSON object such as {"partitions": 400}; {} for none'),
    from: z.string().default('').describe('Run whose conf is taken over where it is not set; empty for none'),
  }),
  async plan({ connection, dag, conf, from }, ctx) {
    const { client, settings } = await ctx.connect(airflow, connection)
    const found = await changeable(client, settings, dag, ctx.signal)
    if (found.paused) throw new Refused(`The DAG ${dag} is paused: a run of it would only wait. Resume it first.`)
    await refuseBesideCritical(connection, dag, ctx)
    const before = from ? Conf.parse((await existing(client, dag, from, ctx.signal)).conf) : {}
    const set = confOf(conf)
    const after = { ...before, ...set }
    const details = describe(settings, dag, before, set, after)
    const going = (await client.runs(dag, { states: ['running', 'queued'], most: 1 }, ctx.signal))[0]
    if (going) throw new Refused(`A run of ${dag} is ${going.state} already: ${going.run}. Wait until it has ended.`)
    const run = `keyturn__${ctx.requestedAt.toISOString()}`
    return {
      summary: `Start a run of ${dag}${Object.keys(set).length > 0 ? ` with ${line(JSON.stringify(set), 100)}` : ''}`,
      targets: [
        {
          id: `airflow:${connection}/${dag}`,
          name: dag,
          fingerprint: `not paused, conf of ${from || 'none'} ${digest(before)}`,
          details: { Run: run, Owners: found.owners, File: found.file, ...(from && { 'Conf from': from }), ...details },
        },
      ],
      steps: [
        {
          id: 'start',
          title: `Start ${run}`,
          detail: `POST dags/${dag}/dagRuns dag_run_id=${run} conf=${JSON.stringify(after)}`,
        },
      ],
      warnings: [],
      data: { connection, dag, run, conf: after } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const { client } = await ctx.connect(airflow, data.connection)
    const began = await ctx.step('start', async () => {
      await refuseBesideCritical(data.connection, data.dag, ctx)
      return client.trigger(data.dag, data.run, data.conf, ctx.signal)
    })
    return `The run ${data.run} of ${data.dag} ${began ? 'is started' : 'was started already'}.`
  },
  async verify({ data }, ctx) {
    const { client } = await ctx.connect(airflow, data.connection)
    const run = await settled(
      () => client.run(data.dag, data.run, ctx.signal),
      (seen) => seen !== null && seen.state !== 'queued',
      ctx.signal,
    )
    const same = run !== null && digest(run.conf) === digest(data.conf)
    return [
      {
        title: 'The run exists and has not failed',
        ok: run !== null && run.state !== 'failed',
        detail: run?.state ?? 'there is no such run',
      },
      { title: 'It has the approved conf', ok: same, detail: same ? '' : line(JSON.stringify(run?.conf ?? null)) },
    ]
  },
  async probe({ data }, _step, ctx) {
    const { client } = await ctx.connect(airflow, data.connection)
    const run = await client.run(data.dag, data.run, ctx.signal)
    return {
      landed: run ? 'yes' : 'no',
      detail: run ? `${data.run} is ${run.state}` : `${data.dag} has no run ${data.run}`,
    }
  },
})

function confOf(text: string): Conf {
  try {
    return Conf.parse(JSON.parse(text))
  } catch {
    throw new Refused(`The conf is not a JSON object: ${line(text, 100)}`)
  }
}

/** Each key of the conf as it was and will be. Refuses keys that the connection does not list, and numbers above theirs. */
function describe(settings: Settings, dag: string, before: Conf, set: Conf, after: Conf): Record<string, string> {
  const allowed = Object.hasOwn(settings.trigger, dag) ? settings.trigger[dag] : undefined
  if (!allowed)
    throw new Refused(
      `The connection does not list the DAG "${dag}" under trigger. It lists: ${Object.keys(settings.trigger).sort().join(', ') || 'none'}.`,
    )
  const show = (conf: Conf, key: string) =>
    Object.hasOwn(conf, key) ? line(JSON.stringify(conf[key]), 100) : 'not set'
  const details: Record<string, string> = {}
  for (const key of Object.keys(after).sort()) {
    const value = after[key]
    const ceiling = Object.hasOwn(allowed.numbers, key) ? allowed.numbers[key] : undefined
    if (ceiling !== undefined) {
      if (typeof value !== 'number' || !(value > 0))
        throw new Refused(`${key} must be a number above 0, and is ${show(after, key)}.`)
      if (value > ceiling)
        throw new Refused(
          `${key} ${value} is above the ceiling of ${ceiling} for ${dag}. Ask the owner of the connection to raise it.`,
        )
    } else if (Object.hasOwn(set, key) && !(allowed.texts.includes(key) && typeof value === 'string'))
      throw new Refused(
        `The connection does not allow to set "${key}" for ${dag}. It allows: ${[...Object.keys(allowed.numbers), ...allowed.texts].sort().join(', ') || 'nothing'}.`,
      )
    const limit = ceiling === undefined ? '' : ` (ceiling ${ceiling})`
    details[key] = `${show(before, key)} → ${show(after, key)}${limit}`
  }
  return details
}
