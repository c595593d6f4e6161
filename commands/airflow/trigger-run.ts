import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import { digest } from '../../src/domain/plan.ts'
import { settled } from '../settle.ts'
import { confOf, confText, describeConf, sameConf, sendable } from './conf.ts'
import { airflow } from './connection.ts'
import { sameMoment } from './dates.ts'
import { changeable, existing, refuseBesideCritical } from './guards.ts'
import type { DagRun } from './nouns.ts'
import { chooseWay, type Way } from './rerun.ts'
import { line } from './show.ts'

/** `conf` is JSON as text: a journal reads numbers as doubles. `before` is what a backfill must find of its run. */
type Data = Readonly<{ connection: string; dag: string; run: string; conf: string; way: Way; before: string }>

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
    from: z
      .string()
      .default('')
      .describe('Run that is repeated: its date and its conf, where it is not set; empty for none'),
  }),
  async plan({ connection, dag, conf, from }, ctx) {
    const { client, settings } = await ctx.connect(airflow, connection)
    const found = await changeable(client, settings, dag, ctx.signal)
    if (found.paused !== false)
      throw new Refused(
        `The DAG ${dag} is ${found.paused ? 'paused' : 'perhaps paused'}: a run of it would only wait. Resume it first.`,
      )
    await refuseBesideCritical(connection, dag, ctx)
    const repeated = from ? await existing(client, dag, from, ctx.signal) : null
    const before = sendable(repeated?.conf ?? {})
    const set = confOf(conf)
    const after = { ...before, ...set }
    const details = describeConf(settings, dag, before, set, after)
    const going = (await client.runs(dag, { states: ['running', 'queued'], most: 1 }, ctx.signal))[0]
    if (going) throw new Refused(`A run of ${dag} is ${going.state} already: ${going.run}. Wait until it has ended.`)
    const { way, details: dates, warnings } = await chooseWay({ client, settings }, found, repeated, after, ctx)
    const run = way.kind === 'backfill' ? repeated!.run : `keyturn__${ctx.requestedAt.toISOString()}`
    const changes = Object.keys(set).length > 0 ? ` with ${line(JSON.stringify(set), 100)}` : ''
    return {
      summary: `${way.kind === 'backfill' ? `Run ${run} of ${dag} again` : `Start a run of ${dag}`}${changes}`,
      targets: [
        {
          id: `airflow:${connection}/${dag}`,
          name: dag,
          fingerprint: `not paused, conf of ${from || 'none'} ${digest(confText(before))}${repeated ? `, ${stateOf(repeated)}` : ''}`,
          details: {
            Run: run,
            ...dates,
            Owners: found.owners,
            File: found.file,
            ...(from && { 'Conf from': from }),
            ...details,
          },
        },
      ],
      steps: [
        way.kind === 'backfill'
          ? {
              id: 'start',
              title: `Run ${run} again`,
              detail: `POST backfills dag_id=${dag} from_date=to_date=${way.date} reprocess_behavior=${way.behavior} dag_run_conf=${JSON.stringify(after)}`,
            }
          : {
              id: 'start',
              title: `Start ${run}`,
              detail: `POST dags/${dag}/dagRuns dag_run_id=${run}${way.date ? ` logical_date=${way.date.logical} data_interval_start=${way.date.start} data_interval_end=${way.date.end}` : ''} conf=${JSON.stringify(after)}`,
            },
      ],
      warnings: [...warnings],
      data: {
        connection,
        dag,
        run,
        conf: JSON.stringify(after),
        way,
        before: repeated ? stateOf(repeated) : '',
      } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const began = await ctx.step('start', async () => {
      await refuseBesideCritical(data.connection, data.dag, ctx)
      return data.way.kind === 'backfill' ? runAgain(data, data.way, ctx) : startNew(data, data.way.date, ctx)
    })
    return `The run ${data.run} of ${data.dag} ${began ? 'is started' : 'was started already'}.`
  },
  async verify({ data }, ctx) {
    const { client } = await ctx.connect(airflow, data.connection)
    const run = await settled(
      () => client.run(data.dag, data.run, ctx.signal),
      (seen) => seen !== null && seen.state !== 'queued' && !isStill(data, seen),
      ctx.signal,
    )
    const conf = confOf(data.conf)
    const same = run !== null && sameConf(run.conf, conf)
    const isGoing = run !== null && ['queued', 'running', 'success'].includes(run.state) && !isStill(data, run)
    return [
      { title: 'The run exists and has not failed', ok: isGoing, detail: run?.state ?? 'there is no such run' },
      { title: 'It has the approved conf', ok: same, detail: same ? '' : line(JSON.stringify(run?.conf ?? null)) },
      ...dateChecks(data.way, run),
    ]
  },
  async probe({ data }, _step, ctx) {
    const { client } = await ctx.connect(airflow, data.connection)
    const run = await client.run(data.dag, data.run, ctx.signal)
    const detail = run ? `${data.run} is ${run.state}` : `${data.dag} has no run ${data.run}`
    if (data.way.kind === 'new') return { landed: run ? 'yes' : 'no', detail }
    const ours = await ourBackfill(data, data.way, ctx)
    return { landed: ours ? 'yes' : run && isStill(data, run) ? 'no' : 'cannot_tell', detail }
  },
})

const stateOf = (run: DagRun): string => `${run.state} ${run.start} ${run.end}`
/** A run that is to be run again, and is as it was before that. */
const isStill = (data: Data, run: DagRun): boolean => data.way.kind === 'backfill' && stateOf(run) === data.before

async function startNew(data: Data, date: Extract<Way, { kind: 'new' }>['date'], ctx: ReadContext): Promise<boolean> {
  const { client } = await ctx.connect(airflow, data.connection)
  const conf = confOf(data.conf)
  if (await client.trigger(data.dag, { run: data.run, conf, ...(date && { date }) }, ctx.signal)) return true
  // The same answer for a run of this id and for one of this date.
  if (await client.run(data.dag, data.run, ctx.signal)) return false
  throw new Refused(
    `Airflow has another run of ${data.dag} with the date ${date?.logical ?? 'of this one'} by now. Nothing was started.`,
  )
}

async function runAgain(data: Data, way: Extract<Way, { kind: 'backfill' }>, ctx: ReadContext): Promise<boolean> {
  const { client } = await ctx.connect(airflow, data.connection)
  if (await ourBackfill(data, way, ctx)) return false
  const now = await client.run(data.dag, data.run, ctx.signal)
  if (!now || !isStill(data, now))
    throw new Refused(`${data.run} is ${now ? stateOf(now) : 'gone'} now; approved was ${data.before}.`)
  const wanted = { dag: data.dag, date: way.date, behavior: way.behavior, conf: confOf(data.conf) }
  if (await client.backfill(wanted, ctx.signal)) return true
  throw new Refused(`A backfill of ${data.dag} is going already. Nothing was started.`)
}

async function ourBackfill(data: Data, way: Extract<Way, { kind: 'backfill' }>, ctx: ReadContext): Promise<boolean> {
  const { client } = await ctx.connect(airflow, data.connection)
  const all = await client.backfills(data.dag, ctx.signal)
  return all.some((b) => b.id > way.after && sameMoment(b.from, way.date) && sameMoment(b.to, way.date))
}

function dateChecks(way: Way, run: DagRun | null) {
  if (way.kind === 'backfill') {
    const ok = run !== null && sameMoment(run.logicalDate, way.date)
    return [{ title: `It processes ${way.date}`, ok, detail: ok ? '' : (run?.logicalDate ?? '') }]
  }
  if (!way.date) return []
  const { start, end } = way.date
  const ok = run !== null && sameMoment(run.intervalStart, start) && sameMoment(run.intervalEnd, end)
  const detail = ok ? '' : `${run?.intervalStart || 'none'} to ${run?.intervalEnd || 'none'}`
  return [{ title: `It processes ${start} to ${end}`, ok, detail }]
}
