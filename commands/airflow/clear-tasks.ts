import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import { settled } from '../settle.ts'
import type { Airflow, Clearing, TaskKey } from './client.ts'
import { airflow } from './connection.ts'
import { dateDetails } from './dates.ts'
import { changeable, existing, refuseBesideCritical } from './guards.ts'
import type { DagRun, TaskInstance } from './nouns.ts'
import { fingerprintOf, nameOf, pausedWarning, taskTarget } from './show.ts'

export const FAILED = ['failed', 'upstream_failed']
const BUSY = ['running', 'queued', 'restarting', 'deferred']
/** What a task is once it was cleared, until it fails again. */
const CLEARED = ['none', 'scheduled', ...BUSY, 'up_for_retry', 'up_for_reschedule', 'success', 'skipped', 'sensing']

type Held = Readonly<{ task: string; mapIndex: number; tryNumber: number; fingerprint: string }>
type Data = Readonly<{
  connection: string
  dag: string
  run: string
  onlyFailed: boolean
  downstream: boolean
  /** The names that the clear is asked with, and each task that it takes. */
  names: readonly string[]
  tasks: readonly Held[]
}>

/** Names separated by commas, in order and once. */
export const namesIn = (text: string): string[] =>
  [
    ...new Set(
      text
        .split(',')
        .map((name) => name.trim())
        .filter(Boolean),
    ),
  ].sort()

/** Clears the failed tasks of one run, so that Airflow's scheduler runs exactly these again. */
export const clearTasks = defineChange({
  id: 'airflow.clear-tasks',
  summary: 'Clear failed tasks of one DAG run, so that Airflow runs them again',
  effect: 'idempotent',
  risk: 'low',
  params: z.object({
    connection: z.string().describe('Airflow connection'),
    dag: z.string().describe('DAG'),
    run: z.string().describe('Run of the DAG'),
    tasks: z.string().default('').describe('Tasks, separated by commas; empty for all that failed'),
    succeeded: z
      .enum(['no', 'yes'])
      .default('no')
      .describe('Whether the named tasks are cleared though they succeeded'),
    downstream: z
      .enum(['yes', 'no'])
      .default('yes')
      .describe('Whether what failed after the named tasks is cleared with them'),
  }),
  async plan({ connection, dag, run, tasks, succeeded, downstream }, ctx) {
    const { client, settings } = await ctx.connect(airflow, connection)
    const found = await changeable(client, settings, dag, ctx.signal)
    const of = await existing(client, dag, run, ctx.signal)
    await refuseBesideCritical(connection, dag, ctx)
    const all = await client.tasks(dag, run, {}, ctx.signal)
    const chosen = chooseFailed(all, namesIn(tasks), `${dag}, run ${run}`, succeeded === 'yes')
    const names = [...new Set(chosen.map((t) => t.task))]
    const clearing = {
      tasks: names,
      onlyFailed: succeeded === 'no',
      downstream: downstream === 'yes' && succeeded === 'no',
    }
    const taken = await takenBy(client, of, all, clearing, ctx)
    const others = taken.filter((t) => !chosen.includes(t))
    const left =
      clearing.onlyFailed && !clearing.downstream
        ? all.filter((t) => FAILED.includes(t.state) && !taken.includes(t))
        : []
    return {
      summary: `Clear ${taken.length} ${taken.every((t) => FAILED.includes(t.state)) ? 'failed ' : ''}${taken.length === 1 ? 'task' : 'tasks'} of ${dag}, run ${run}`,
      targets: taken.map((t) => ({
        ...taskTarget(connection, t),
        details: { ...taskTarget(connection, t).details, ...dateDetails(of) },
      })),
      steps: [
        {
          id: 'clear',
          title: `Clear ${[...new Set(taken.map((t) => t.task))].join(', ')}`,
          detail: `POST dags/${dag}/clearTaskInstances dag_run_id=${run} task_ids=${names.join(',')} only_failed=${clearing.onlyFailed} include_downstream=${clearing.downstream} reset_dag_runs=true`,
        },
      ],
      warnings: [
        ...pausedWarning(found),
        ...(others.length > 0 ? [alsoTaken(others)] : []),
        ...(left.length > 0 ? [`${listOf(left)} stay as they are: the run fails again because of them.`] : []),
      ],
      data: { connection, dag, run, ...clearing, names, tasks: taken.map(heldOf) } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const { client } = await ctx.connect(airflow, data.connection)
    await ctx.step('clear', async (): Promise<undefined> => {
      await refuseBesideCritical(data.connection, data.dag, ctx)
      const now = await client.tasks(data.dag, data.run, {}, ctx.signal)
      for (const held of data.tasks) {
        const task = now.find((t) => isSame(t, held))
        if (!task || fingerprintOf(task) !== held.fingerprint)
          throw new Refused(
            `${nameOf(held)} is ${task ? fingerprintOf(task) : 'gone'} now; approved was ${held.fingerprint}.`,
          )
      }
      await client.clear(data.dag, data.run, { ...data, tasks: data.names }, false, ctx.signal)
    })
    return `Cleared ${data.tasks.map(nameOf).join(', ')} of ${data.dag}, run ${data.run}: Airflow runs them again.`
  },
  async verify({ data }, ctx) {
    const now = await settled(
      () => look(data, ctx),
      (seen) => seen.every((s) => s.cleared),
      ctx.signal,
    )
    return now.map(({ name, cleared, detail }) => ({
      title: `${name} is no longer the failed try`,
      ok: cleared,
      detail,
    }))
  },
  async probe({ data }, _step, ctx) {
    const now = await look(data, ctx)
    const cleared = now.filter((s) => s.cleared).length
    const detail = now.map((s) => `${s.name}: ${s.detail}`).join('; ')
    // One call clears all of them, in one transaction of Airflow's database.
    return { landed: cleared === now.length ? 'yes' : cleared === 0 ? 'no' : 'cannot_tell', detail }
  },
})

const isSame = (t: TaskInstance, held: Pick<TaskKey, 'task' | 'mapIndex'>) =>
  t.task === held.task && t.mapIndex === held.mapIndex

const heldOf = (t: TaskInstance): Held => ({
  task: t.task,
  mapIndex: t.mapIndex,
  tryNumber: t.tryNumber,
  fingerprint: fingerprintOf(t),
})

async function look(data: Data, ctx: ReadContext) {
  const { client } = await ctx.connect(airflow, data.connection)
  const now = await client.tasks(data.dag, data.run, {}, ctx.signal)
  return data.tasks.map((held) => {
    const task = now.find((t) => isSame(t, held))
    const cleared =
      task !== undefined &&
      fingerprintOf(task) !== held.fingerprint &&
      (CLEARED.includes(task.state) || (FAILED.includes(task.state) && task.tryNumber > held.tryNumber))
    return { name: nameOf(held), cleared, detail: task ? `${task.state}, try ${task.tryNumber}` : 'gone' }
  })
}

const listOf = (tasks: readonly TaskInstance[]): string =>
  `${tasks.slice(0, 10).map(nameOf).join(', ')}${tasks.length > 10 ? ` and ${tasks.length - 10} more` : ''}`

/** What is cleared beside what was named, such as setup and teardown tasks, and what failed behind. */
function alsoTaken(others: readonly TaskInstance[]): string {
  const well = others.filter((t) => !FAILED.includes(t.state))
  const failed = others.filter((t) => FAILED.includes(t.state))
  return [
    failed.length > 0 ? `What failed after them is cleared too: ${listOf(failed)}.` : '',
    well.length > 0
      ? `Airflow also clears ${listOf(well)}, though not failed: ${well.map((t) => t.state).join(', ')}.`
      : '',
  ]
    .filter(Boolean)
    .join(' ')
}

/**
 * Each task of the run that such a clear takes, as Airflow itself says: nothing is cleared. Refuses where it would reach
 * into another run.
 */
export async function takenBy(
  client: Airflow,
  { dag, run }: Pick<DagRun, 'dag' | 'run'>,
  all: readonly TaskInstance[],
  clearing: Clearing,
  ctx: ReadContext,
): Promise<TaskInstance[]> {
  const said = await client.clear(dag, run, clearing, true, ctx.signal)
  const stray = said.find((t) => (t.dag !== '' && t.dag !== dag) || (t.run !== '' && t.run !== run))
  if (stray)
    throw new Refused(
      `Airflow would also clear ${stray.dag}.${nameOf(stray)}, run ${stray.run}, which is another run. Clear this by hand, in Airflow.`,
    )
  // Airflow 2 names tasks without their map index: of a mapped one those count that the clear is for.
  const names = new Set(said.map((t) => t.task))
  const exact = new Set(said.filter((t) => t.id !== '').map(nameOf))
  const taken = all.filter((t) =>
    exact.size > 0
      ? exact.has(nameOf(t))
      : names.has(t.task) &&
        (!clearing.onlyFailed ||
          FAILED.includes(t.state) ||
          all.every((o) => o.task !== t.task || !FAILED.includes(o.state))),
  )
  if (taken.length === 0) throw new Refused(`Airflow says that it would clear nothing of ${dag}, run ${run}.`)
  return taken.sort((a, b) => (a.task === b.task ? a.mapIndex - b.mapIndex : a.task < b.task ? -1 : 1))
}

/**
 * The failed ones among the named tasks, or all failed ones; with `succeeded` also named ones that succeeded. Refuses
 * none, one that did neither, and one that runs.
 */
export function chooseFailed(
  all: readonly TaskInstance[],
  names: readonly string[],
  where: string,
  succeeded: boolean,
): TaskInstance[] {
  if (succeeded && names.length === 0) throw new Refused('Name the tasks to clear though they succeeded.')
  const fits = (t: TaskInstance) => FAILED.includes(t.state) || (succeeded && t.state === 'success')
  for (const name of names) {
    const own = all.filter((t) => t.task === name)
    if (own.length === 0) throw new Refused(`There is no task "${name}" in ${where}.`)
    const busy = own.find((t) => BUSY.includes(t.state))
    if (busy) throw new Refused(`${nameOf(busy)} is ${busy.state} in ${where}; wait until it has ended.`)
    if (!own.some(fits))
      throw new Refused(
        `${name} ${succeeded ? 'neither failed nor succeeded' : 'did not fail'} in ${where}: it is ${own[0]!.state}.`,
      )
  }
  const chosen = all
    .filter((t) => fits(t) && (names.length === 0 || names.includes(t.task)))
    .sort((a, b) => (a.task === b.task ? a.mapIndex - b.mapIndex : a.task < b.task ? -1 : 1))
  if (chosen.length === 0) throw new Refused(`No task failed in ${where}. Nothing to clear.`)
  return chosen
}
