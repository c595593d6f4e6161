import { type ReadContext, Refused } from '../../src/domain/command.ts'
import { FAILED, namesIn, takenBy } from './clear-tasks.ts'
import { airflow } from './connection.ts'
import { microsOf } from './dates.ts'
import { allNeeds, joinNeeds, type Needs, needsOfDatasets, needsOfSensors, readNeeds, wavesOf } from './dependencies.ts'
import { changeable, matches, refuseBesideCritical } from './guards.ts'
import type { DagRun, TaskInstance } from './nouns.ts'
import { fingerprintOf, nameOf } from './show.ts'

/** More than this is no plan that a person can read. */
const MOST_RUNS = 50
/** How many of the latest successes of a DAG are looked at for one that is newer than what failed. */
const LATEST = 20

/** One failed run with the tasks to clear in it. `fingerprint` covers the run and the try of each of these tasks. */
export type Piece = Readonly<{ dag: string; run: string; tasks: readonly string[]; fingerprint: string }>
export type Chosen = Readonly<{
  waves: readonly (readonly (Piece & { shown: DagRun; failed: readonly TaskInstance[] })[])[]
  needs: Needs
  warnings: readonly string[]
}>

export type Wanted = Readonly<{
  connection: string
  dags: string
  hours: number
  leaveOut: string
  dependsOn: string
  alone: string
  /** Only runs with a failed task in this pool; empty for all. */
  inPool: string
  /** Whether runs are taken although a newer one of their DAG succeeded. */
  superseded: 'yes' | 'no'
}>

export const pieceFingerprint = (run: DagRun, tasks: readonly TaskInstance[]): string =>
  [run.state, run.end, ...tasks.map((t) => `${nameOf(t)} ${fingerprintOf(t)}`)].join('; ')

export const failedIn = (tasks: readonly TaskInstance[]): TaskInstance[] =>
  tasks.filter((t) => FAILED.includes(t.state)).sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))

/** From when on runs are looked at, as an ISO time. */
const sinceOf = (requestedAt: Date, hours: number): string =>
  new Date(requestedAt.getTime() - hours * 3_600_000).toISOString()

/** Finds the failed runs, what they depend on, and the order in which they can run again. */
export async function choose(wanted: Wanted, ctx: ReadContext): Promise<Chosen> {
  const { client, settings } = await ctx.connect(airflow, wanted.connection)
  const names = namesIn(wanted.dags)
  const leave = namesIn(wanted.leaveOut)
  const all = await client.runs(
    '~',
    { states: ['failed'], endedSince: sinceOf(ctx.requestedAt, wanted.hours) },
    ctx.signal,
  )
  const failed = all.filter((r) => matches(names.length > 0 ? names : settings.dags, r.dag))
  const isLeft = (r: DagRun) => leave.some((name) => name === r.dag || name === `${r.dag}/${r.run}`)
  const runs = failed.filter((r) => !isLeft(r)).sort((a, b) => (key(a) < key(b) ? -1 : 1))
  if (runs.length === 0)
    throw new Refused(
      `No run failed within ${wanted.hours} h${names.length > 0 ? ` among ${names.join(', ')}` : ''}${leave.length > 0 ? ', but for what is left out' : ''}. Nothing to recover.`,
    )
  if (runs.length > MOST_RUNS)
    throw new Refused(
      `${runs.length} runs failed; one plan holds at most ${MOST_RUNS}. Name fewer DAGs, or look back fewer hours.`,
    )
  for (const stray of leave.filter((name) => !failed.some((r) => name === r.dag || name === `${r.dag}/${r.run}`)))
    throw new Refused(`"${stray}" is to be left out, but is none of the failed DAGs or runs.`)

  const { pieces, sensors, odd } = await sortOut(runs, wanted, ctx)
  const dags = [...new Set(pieces.map((p) => p.dag))].sort()
  if (pieces.length === 0)
    throw new Refused(`None of the ${runs.length} failed runs can be run again. ${odd.slice(0, 10).join(' ')}`)
  const first = namesIn(wanted.alone)
  // One that has succeeded in an earlier try of this recovery is not among them any more.
  const done = first.filter((name) => !dags.includes(name))
  for (const name of done)
    if (!(await client.dag(name, ctx.signal)))
      throw new Refused(`"${name}" is to run alone, but Airflow knows no such DAG. Failed are: ${dags.join(', ')}.`)
  const datasets = needsOfDatasets(await client.datasets(ctx.signal))
  const written = Object.entries(settings.dependsOn).flatMap(([after, list]) =>
    list.map((before): [string, string] => [after, before]),
  )
  const needs = joinNeeds([
    ...datasets,
    ...sensors,
    ...written,
    ...readNeeds(wanted.dependsOn),
    ...aloneFirst(dags, first),
  ])
  const waves = wavesOf(dags, needs).map((wave) => pieces.filter((p) => wave.includes(p.dag)))
  const leftOut = [...new Set(all.map((r) => r.dag))].filter((dag) => !dags.includes(dag)).sort()
  const gone = done.map(
    (name) => `${name} was to run alone first, and is not in this plan: no run of it is to be cleared.`,
  )
  return { waves, needs, warnings: [...odd, ...gone, ...warningsOf(dags, leftOut, needs, datasets)] }
}

type Found = Chosen['waves'][number][number]

/** The runs that can be run again with their failed tasks, and of each other one why not. */
async function sortOut(runs: readonly DagRun[], wanted: Wanted, ctx: ReadContext) {
  const { client } = await ctx.connect(airflow, wanted.connection)
  const pieces: Found[] = []
  const sensors: [string, string][] = []
  const odd: string[] = []
  let others = 0
  for (const own of Object.values(Object.groupBy(runs, (r) => r.dag)).map((group) => group ?? [])) {
    const why = await reasonAgainst(own[0]!.dag, wanted.connection, ctx)
    if (why !== null) {
      odd.push(`Left out: ${own.map((r) => `${r.dag}/${r.run}`).join(', ')}. ${why}`)
      continue
    }
    const newest =
      wanted.superseded === 'yes'
        ? []
        : await client.runs(own[0]!.dag, { states: ['success'], most: LATEST }, ctx.signal)
    for (const run of own) {
      const newer = newest.find((r) => r.state === 'success' && isNewer(r, run))
      if (newer) {
        odd.push(
          `Left out: ${run.dag}/${run.run}. A newer run succeeded since (${newer.run}); say "superseded: yes" to run it all the same.`,
        )
        continue
      }
      const tasks = await client.tasks(run.dag, run.run, {}, ctx.signal)
      sensors.push(...needsOfSensors(tasks))
      const bad = failedIn(tasks)
      if (wanted.inPool && !bad.some((t) => t.pool === wanted.inPool)) {
        others++
        continue
      }
      if (bad.length === 0) {
        odd.push(
          `Left out: ${run.dag}/${run.run}. It failed without a failed task (a time limit of the whole run?). Look at it by hand.`,
        )
        continue
      }
      const ids = [...new Set(bad.map((t) => t.task))]
      const beside = await besides(run, tasks, ids, wanted.connection, ctx)
      if (beside === null) {
        odd.push(`Left out: ${run.dag}/${run.run}. Airflow would not clear exactly its tasks. Clear it by hand.`)
        continue
      }
      if (beside.length > 0)
        odd.push(`Of ${run.dag}/${run.run} Airflow also clears ${beside.join(', ')}, though not failed.`)
      pieces.push({
        dag: run.dag,
        run: run.run,
        tasks: ids,
        fingerprint: pieceFingerprint(run, bad),
        shown: run,
        failed: bad,
      })
    }
  }
  if (others > 0)
    odd.push(`Left out: ${others} ${others === 1 ? 'run' : 'runs'} with no failed task in the pool ${wanted.inPool}.`)
  return { pieces, sensors, odd }
}

/** What Airflow would clear of a run beside its failed tasks, such as setups; null where it would reach into another run. */
async function besides(
  run: DagRun,
  tasks: readonly TaskInstance[],
  ids: readonly string[],
  connection: string,
  ctx: ReadContext,
): Promise<string[] | null> {
  const { client } = await ctx.connect(airflow, connection)
  try {
    const taken = await takenBy(client, run, tasks, { tasks: ids, onlyFailed: true, downstream: false }, ctx)
    return taken.filter((t) => !FAILED.includes(t.state)).map(nameOf)
  } catch (error) {
    if (error instanceof Refused) return null
    throw error
  }
}

/** Why no run of a DAG can be run again now, or null. */
async function reasonAgainst(dag: string, connection: string, ctx: ReadContext): Promise<string | null> {
  const { client, settings } = await ctx.connect(airflow, connection)
  try {
    const found = await changeable(client, settings, dag, ctx.signal)
    await refuseBesideCritical(connection, dag, ctx)
    return found.paused === false
      ? null
      : `The DAG ${dag} is ${found.paused ? 'paused' : 'perhaps paused'}: its runs would wait for ever. Resume it first.`
  } catch (error) {
    if (error instanceof Refused) return error.message
    throw error
  }
}

/** Whether a run is of a later date than another, or began after it where one of them has no date. */
function isNewer(run: DagRun, than: DagRun): boolean {
  if (run.run === than.run) return false
  const [date, other] = [microsOf(run.logicalDate), microsOf(than.logicalDate)]
  if (date !== null && other !== null) return date > other
  return run.start !== '' && than.end !== '' && Date.parse(run.start) > Date.parse(than.end)
}

/** The heaviest first, one after the other, and everything else after them. */
function aloneFirst(dags: readonly string[], first: readonly string[]): [string, string][] {
  const others = dags.filter((dag) => !first.includes(dag))
  return first.flatMap((name, i) => [...first.slice(i + 1), ...others].map((after): [string, string] => [after, name]))
}

function warningsOf(
  dags: readonly string[],
  leftOut: readonly string[],
  needs: Needs,
  datasets: readonly [string, string][],
): string[] {
  const open = dags.flatMap((dag) =>
    allNeeds([dag], needs)
      .filter((name) => leftOut.includes(name))
      .map((name) => `${dag} needs ${name}, which failed and is not in this plan: it may fail again or read old data.`),
  )
  const twice = datasets
    .filter(([after, before]) => after !== before && dags.includes(after) && dags.includes(before))
    .map(
      ([after, before]) =>
        `${before} writes what starts ${after}: Airflow may start one more run of ${after} by itself.`,
    )
  return [...new Set([...open, ...twice])].sort()
}

const key = (r: DagRun): string => `${r.dag} ${r.logicalDate} ${r.run}`
