import { type ReadContext, Refused } from '../../src/domain/command.ts'
import type { Airflow } from './client.ts'
import type { Conf } from './conf.ts'
import { sameConf } from './conf.ts'
import type { Settings } from './connection.ts'
import { dayOf, microsOf, momentOf, sameMoment } from './dates.ts'
import type { Dag, DagRun } from './nouns.ts'

type Carried = Readonly<{ logical: string; start: string; end: string }>
/** How a run comes to the date that it processes. */
export type Way =
  | Readonly<{ kind: 'new'; date: Carried | null }>
  /** The run of that date itself runs again, all of its tasks. `after` is the last backfill of the DAG before. */
  | Readonly<{ kind: 'backfill'; date: string; behavior: 'failed' | 'completed'; after: number }>
export type Chosen = Readonly<{ way: Way; details: Record<string, string>; warnings: readonly string[] }>

/**
 * From 3.2.2 on a backfill writes its conf over that of the run that it clears; before, the run keeps its old one and nobody
 * is told (apache/airflow#59043, mended by #64939 and #65599).
 */
const BACKFILL_SETS_CONF = [3, 2, 2]
/** From 2.9.0 on POST dagRuns takes a data interval (apache/airflow#36630). */
const TAKES_INTERVAL = [2, 9, 0]

/** By which way a run of the DAG processes what the run `from` did. Refuses where it would process another date unseen. */
export async function chooseWay(
  { client, settings }: { client: Airflow; settings: Settings },
  dag: Dag,
  from: DagRun | null,
  conf: Conf,
  ctx: ReadContext,
): Promise<Chosen> {
  const key = Object.hasOwn(settings.dateFromConf, dag.dag) ? settings.dateFromConf[dag.dag]! : undefined
  if (key !== undefined) return fromConf(dag, key, conf)
  if (!from) return undated(settings, dag)
  if (from.partition !== '')
    throw new Refused(
      `${from.run} processes the partition ${from.partition}, which a new run does not take over. Clear the failed run instead (airflow.clear-tasks).`,
    )
  if (from.logicalDate === '') {
    if (settings.api === 1) return undated(settings, dag)
    return {
      way: { kind: 'new', date: null },
      details: { Processes: `no date, as ${from.run}` },
      warnings: ['This run processes no date, as the failed one did: both have no logical date.'],
    }
  }
  const day = dayOf(from.logicalDate)
  const backfill = await asBackfill(client, settings, from, conf, ctx)
  if (backfill)
    return {
      way: backfill,
      details: { Processes: `${day}, as ${from.run}`, ...intervalOf(from) },
      warnings: [
        `This run processes ${day}, as the failed one did: it is the failed run itself, and all of its tasks run again, also those that succeeded.`,
      ],
    }
  return carried(client, settings, dag, from, day, ctx)
}

const intervalOf = (run: DagRun): Record<string, string> =>
  run.intervalStart ? { Interval: `${dayOf(run.intervalStart)} to ${dayOf(run.intervalEnd)}` } : {}

function fromConf(dag: Dag, key: string, conf: Conf): Chosen {
  if (!Object.hasOwn(conf, key) || conf[key] === null || conf[key] === '')
    throw new Refused(
      `${dag.dag} takes its date from "${key}" of its conf, and the conf of this run has none: it would process another date. Set "${key}".`,
    )
  const value = JSON.stringify(conf[key])
  return {
    way: { kind: 'new', date: null },
    details: { Processes: `${key} ${value}, from its conf` },
    warnings: [`This run processes ${key} ${value}, which its conf names.`],
  }
}

/** A run that follows no other one. */
function undated(settings: Settings, dag: Dag): Chosen {
  if (settings.api === 2)
    return {
      way: { kind: 'new', date: null },
      details: { Processes: 'no date' },
      warnings: [
        'This run processes no date: it has no logical date and no data interval. A DAG that reads one ({{ ds }}) fails, or takes none.',
      ],
    }
  if (dag.scheduled)
    throw new Refused(
      `A new run of ${dag.dag} would process its latest interval, whatever is meant: Airflow 2 gives it the date of now. Name the run that it repeats (from), clear that run instead, or let the owner of the connection list the DAG under dateFromConf.`,
    )
  return {
    way: { kind: 'new', date: null },
    details: { Processes: 'the moment of its start' },
    warnings: ['This run has the moment of its start as its date ({{ ds }} is today), as every run of this DAG.'],
  }
}

/** Airflow 3 can run a date of the schedule again as it was. Null where it would not, or not with this conf. */
async function asBackfill(
  client: Airflow,
  settings: Settings,
  from: DagRun,
  conf: Conf,
  ctx: ReadContext,
): Promise<Extract<Way, { kind: 'backfill' }> | null> {
  if (settings.api === 1 || !['failed', 'success'].includes(from.state)) return null
  if (!sameConf(conf, from.conf) && !isFrom(await client.version(ctx.signal), BACKFILL_SETS_CONF)) return null
  const behavior = from.state === 'failed' ? 'failed' : 'completed'
  const wanted = { dag: from.dag, date: from.logicalDate, behavior, conf } as const
  const dates = await client.tryBackfill(wanted, ctx.signal)
  if (dates?.length !== 1 || !sameMoment(dates[0]!, from.logicalDate)) return null
  const active = await client.backfills(from.dag, ctx.signal)
  if (active.some((b) => b.ended === '')) return null
  return { kind: 'backfill', date: from.logicalDate, behavior, after: Math.max(0, ...active.map((b) => b.id)) }
}

const isFrom = (version: readonly number[] | null, first: readonly number[]): boolean => {
  if (version === null) return false
  for (const [i, part] of first.entries()) if (version[i] !== part) return (version[i] ?? 0) > part
  return true
}

/**
 * A new run with the data interval of the other one. A date is taken by one run only, so its own is the next microsecond that
 * is free: the same day, hour and second.
 */
async function carried(
  client: Airflow,
  settings: Settings,
  dag: Dag,
  from: DagRun,
  day: string,
  ctx: ReadContext,
): Promise<Chosen> {
  const clear = 'Clear the failed run instead (airflow.clear-tasks): it keeps its date, and its conf.'
  if (from.intervalStart === '' || from.intervalEnd === '')
    throw new Refused(
      `${from.run} processes ${day}, and Airflow does not say which data interval: a new run could be of another one. ${clear}`,
    )
  if (settings.api === 1 && !isFrom(await client.version(ctx.signal), TAKES_INTERVAL))
    throw new Refused(
      `${from.run} processes ${day}. A new run would process another date: Airflow takes the date of a run from 2.9 on, and this one is older or does not tell its version. ${clear}`,
    )
  const waits = (await client.structure(dag.dag, ctx.signal)).filter((t) => t.needsPast).map((t) => t.task)
  if (waits.length > 0)
    throw new Refused(
      `${waits.slice(0, 5).join(', ')} of ${dag.dag} wait for the run before (depends_on_past), which is the failed one: a new run would never begin. ${clear}`,
    )
  const own = microsOf(from.logicalDate)
  if (own === null) throw new Refused(`${from.run} has a date that cannot be read: ${from.logicalDate}. ${clear}`)
  const near = await client.runs(dag.dag, { near: from.logicalDate }, ctx.signal)
  const taken = new Set(near.map((r) => microsOf(r.logicalDate)))
  let free = own + 1n
  while (taken.has(free)) free++
  return {
    way: { kind: 'new', date: { logical: momentOf(free), start: from.intervalStart, end: from.intervalEnd } },
    details: { Processes: `${day}, as ${from.run}`, ...intervalOf(from), 'Logical date': momentOf(free) },
    warnings: [
      `This run processes ${day}, as the failed one did: it has the same data interval. Its logical date is a microsecond later, since a date has one run only; the failed run stays as it is.`,
    ],
  }
}
