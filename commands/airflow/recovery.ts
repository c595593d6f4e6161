import { type ReadContext, Refused } from '../../src/domain/command.ts'
import { FAILED, namesIn } from './clear-tasks.ts'
import { airflow } from './connection.ts'
import { allNeeds, joinNeeds, type Needs, needsOfDatasets, needsOfSensors, readNeeds, wavesOf } from './dependencies.ts'
import { changeable, matches, refuseBesideCritical } from './guards.ts'
import type { DagRun, TaskInstance } from './nouns.ts'
import { fingerprintOf, nameOf } from './show.ts'

/** More than this is no plan that a person can read. */
const MOST_RUNS = 50

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
  const all = await client.runs('~', { states: ['failed'], since: sinceOf(ctx.requestedAt, wanted.hours) }, ctx.signal)
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

  const dags = [...new Set(runs.map((r) => r.dag))].sort()
  const first = namesIn(wanted.alone)
  // One that has succeeded in an earlier try of this recovery is not among them any more.
  const done = first.filter((name) => !dags.includes(name))
  for (const name of done)
    if (!(await client.dag(name, ctx.signal)))
      throw new Refused(`"${name}" is to run alone, but Airflow knows no such DAG. Failed are: ${dags.join(', ')}.`)
  for (const dag of dags) {
    const found = await changeable(client, settings, dag, ctx.signal)
    if (found.paused)
      throw new Refused(`The DAG ${dag} is paused: its runs would wait for ever. Resume it, or leave it out.`)
    await refuseBesideCritical(wanted.connection, dag, ctx)
  }
  const pieces: Chosen['waves'][number][number][] = []
  const sensors: [string, string][] = []
  for (const run of runs) {
    const tasks = await client.tasks(run.dag, run.run, {}, ctx.signal)
    sensors.push(...needsOfSensors(tasks))
    const bad = failedIn(tasks)
    if (bad.length === 0)
      throw new Refused(
        `${run.dag}, run ${run.run}, failed without a failed task (a time limit of the whole run?). Leave it out, and look at it by hand.`,
      )
    const ids = [...new Set(bad.map((t) => t.task))]
    pieces.push({
      dag: run.dag,
      run: run.run,
      tasks: ids,
      fingerprint: pieceFingerprint(run, bad),
      shown: run,
      failed: bad,
    })
  }
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
  return { waves, needs, warnings: [...gone, ...warningsOf(dags, leftOut, needs, datasets)] }
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
