import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import { settled } from '../settle.ts'
import type { TaskKey } from './client.ts'
import { airflow } from './connection.ts'
import { changeable, existing, refuseBesideCritical } from './guards.ts'
import type { TaskInstance } from './nouns.ts'
import { fingerprintOf, nameOf, pausedWarning, taskTarget } from './show.ts'

export const FAILED = ['failed', 'upstream_failed']
const BUSY = ['running', 'queued', 'restarting', 'deferred']

type Held = Readonly<{ task: string; mapIndex: number; tryNumber: number; fingerprint: string }>
type Data = Readonly<{ connection: string; dag: string; run: string; onlyFailed: boolean; tasks: readonly Held[] }>

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
  }),
  async plan({ connection, dag, run, tasks, succeeded }, ctx) {
    const { client, settings } = await ctx.connect(airflow, connection)
    const found = await changeable(client, settings, dag, ctx.signal)
    await existing(client, dag, run, ctx.signal)
    await refuseBesideCritical(connection, dag, ctx)
    const all = await client.tasks(dag, run, {}, ctx.signal)
    const chosen = chooseFailed(all, namesIn(tasks), `${dag}, run ${run}`, succeeded === 'yes')
    const onlyFailed = succeeded === 'no'
    const names = [...new Set(chosen.map((t) => t.task))]
    return {
      summary: `Clear ${chosen.length} ${onlyFailed ? 'failed ' : ''}${chosen.length === 1 ? 'task' : 'tasks'} of ${dag}, run ${run}`,
      targets: chosen.map((t) => taskTarget(connection, t)),
      steps: [
        {
          id: 'clear',
          title: `Clear ${names.join(', ')}`,
          detail: `POST dags/${dag}/clearTaskInstances dag_run_id=${run} task_ids=${names.join(',')} only_failed=${onlyFailed} reset_dag_runs=true`,
        },
      ],
      warnings: pausedWarning(found),
      data: { connection, dag, run, onlyFailed, tasks: chosen.map(heldOf) } satisfies Data,
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
      const ids = [...new Set(data.tasks.map((t) => t.task))]
      await client.clear(data.dag, data.run, ids, ctx.signal, data.onlyFailed)
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
      (!FAILED.includes(task.state) || task.tryNumber > held.tryNumber)
    return { name: nameOf(held), cleared, detail: task ? `${task.state}, try ${task.tryNumber}` : 'gone' }
  })
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
