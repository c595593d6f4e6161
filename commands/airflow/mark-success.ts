import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import { settled } from '../settle.ts'
import { FAILED, namesIn } from './clear-tasks.ts'
import { airflow } from './connection.ts'
import { dateDetails } from './dates.ts'
import { changeable, existing, isCritical } from './guards.ts'
import type { Task, TaskInstance } from './nouns.ts'
import { fingerprintOf, nameOf, pausedWarning, taskTarget } from './show.ts'

type Held = Readonly<{ task: string; mapIndex: number; fingerprint: string }>
type Data = Readonly<{
  connection: string
  dag: string
  run: string
  marked: readonly Held[]
  cleared: readonly Held[]
  /** The failed run has no task left that runs: it is looked at again, and ends as its tasks stand. */
  ends: boolean
  before: string
}>

const stepOf = (held: Held) => `mark:${nameOf(held)}`
const CLEAR = 'clear'
const END = 'end'

/** Marks tasks of one run as success, though they did not succeed, and clears what failed after them. */
export const markSuccess = defineChange({
  id: 'airflow.mark-success',
  summary: 'Mark tasks of one DAG run as success, and clear the failed tasks after them',
  effect: 'idempotent',
  risk: 'medium',
  params: z.object({
    connection: z.string().describe('Airflow connection'),
    dag: z.string().describe('DAG'),
    run: z.string().describe('Run of the DAG'),
    tasks: z.string().min(1).describe('Tasks, separated by commas'),
  }),
  async plan({ connection, dag, run, tasks }, ctx) {
    const { client, settings } = await ctx.connect(airflow, connection)
    const found = await changeable(client, settings, dag, ctx.signal)
    const of = await existing(client, dag, run, ctx.signal)
    const names = namesIn(tasks)
    const all = await client.tasks(dag, run, {}, ctx.signal)
    const structure = await client.structure(dag, ctx.signal)
    for (const name of names) {
      if (isCritical(settings, dag, name))
        throw new Refused(`${dag}.${name} is critical: nobody marks it as success. It must succeed.`)
      const own = all.filter((t) => t.task === name)
      if (own.length === 0) throw new Refused(`There is no task "${name}" in ${dag}, run ${run}.`)
      const busy = own.find((t) => t.state === 'running' || t.state.startsWith('unknown'))
      if (busy)
        throw new Refused(
          `${nameOf(busy)} is ${busy.state} (try ${busy.tryNumber}); marking it would stop it. Wait until it has ended.`,
        )
      if (own.every((t) => t.state === 'success')) throw new Refused(`${name} is success already. Nothing to do.`)
    }
    // The last ones first: marking a task makes Airflow clear what failed after it.
    const depth = (name: string) => below(structure, [name]).size
    const marked = all
      .filter((t) => names.includes(t.task) && t.state !== 'success')
      .sort(
        (a, b) =>
          depth(a.task) - depth(b.task) || (a.task === b.task ? a.mapIndex - b.mapIndex : a.task < b.task ? -1 : 1),
      )
    const after = below(structure, names)
    const cleared = all
      .filter((t) => after.has(t.task) && !names.includes(t.task) && FAILED.includes(t.state))
      .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
    const list = (tasks: readonly TaskInstance[]) => tasks.map(nameOf).join(', ')
    const others = all.filter((t) => FAILED.includes(t.state) && !marked.includes(t) && !cleared.includes(t))
    // Airflow queues a run again when it clears something of it, and not when a task without any after it is marked.
    const ends = of.state === 'failed' && cleared.length === 0 && others.length === 0
    return {
      summary: `Mark ${list(marked)} of ${dag}, run ${run}, as success${cleared.length > 0 ? ` and clear ${list(cleared)} after` : ''}`,
      targets: [...marked, ...cleared].map((t) => ({
        ...taskTarget(connection, t),
        details: { ...taskTarget(connection, t).details, ...dateDetails(of) },
      })),
      steps: [
        ...marked.map((t) => ({
          id: stepOf({ ...t, fingerprint: '' }),
          title: `Mark ${nameOf(t)} as success`,
          detail: `PATCH dags/${dag}/dagRuns/${run}/taskInstances/${t.task} new_state=success`,
        })),
        ...(cleared.length > 0
          ? [
              {
                id: CLEAR,
                title: `Clear ${list(cleared)}`,
                detail: `POST dags/${dag}/clearTaskInstances only_failed=true, unless Airflow did so by itself`,
              },
            ]
          : []),
        ...(ends
          ? [
              {
                id: END,
                title: 'Let the run end as its tasks stand',
                detail: `PATCH dags/${dag}/dagRuns/${run} state=queued: no failed task is left in it`,
              },
            ]
          : []),
      ],
      warnings: [
        `What ${names.join(', ')} should have made is not made: whatever reads it finds the old state or nothing.`,
        ...(others.length > 0
          ? [`The run stays failed: ${list(others.slice(0, 10))} failed as well and do not come after.`]
          : []),
        ...pausedWarning(found),
      ],
      data: {
        connection,
        dag,
        run,
        marked: marked.map(heldOf),
        cleared: cleared.map(heldOf),
        ends,
        before: `${of.state} ${of.start} ${of.end}`,
      } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const { client } = await ctx.connect(airflow, data.connection)
    for (const held of data.marked)
      await ctx.step(stepOf(held), async (): Promise<undefined> => {
        const now = (await client.tasks(data.dag, data.run, {}, ctx.signal)).find((t) => isSame(t, held))
        if (!now || fingerprintOf(now) !== held.fingerprint)
          throw new Refused(
            `${nameOf(held)} is ${now ? fingerprintOf(now) : 'gone'} now; approved was ${held.fingerprint}.`,
          )
        await client.markSuccess({ ...held, dag: data.dag, run: data.run }, ctx.signal)
      })
    if (data.cleared.length > 0)
      await ctx.step(CLEAR, async (): Promise<undefined> => {
        const left = (await look(data, ctx)).filter((seen) => !seen.marked && !seen.ok).map((seen) => seen.task)
        const clearing = { tasks: [...new Set(left)], onlyFailed: true, downstream: false }
        if (left.length > 0) await client.clear(data.dag, data.run, clearing, false, ctx.signal)
      })
    if (data.ends)
      await ctx.step(END, async (): Promise<undefined> => {
        const now = await client.run(data.dag, data.run, ctx.signal)
        if (now?.state === 'failed') await client.queueRun(data.dag, data.run, ctx.signal)
      })
    const cleared = data.cleared.length > 0 ? ` ${data.cleared.map(nameOf).join(', ')} run again.` : ''
    return `${data.marked.map(nameOf).join(', ')} of ${data.dag}, run ${data.run}: marked as success.${cleared}`
  },
  async verify({ data }, ctx) {
    const now = await settled(
      () => look(data, ctx),
      (seen) => seen.every((s) => s.ok),
      ctx.signal,
    )
    const checks = now.map((s) => ({
      title: s.marked ? `${s.name} is success` : `${s.name} is no longer the failed try`,
      ok: s.ok,
      detail: s.detail,
    }))
    if (!data.ends) return checks
    const { client } = await ctx.connect(airflow, data.connection)
    const run = await settled(
      () => client.run(data.dag, data.run, ctx.signal),
      (seen) => seen?.state === 'success',
      ctx.signal,
    )
    const isOver = ['queued', 'running', 'success'].includes(run?.state ?? '')
    return [...checks, { title: 'The run is not failed any more', ok: isOver, detail: run?.state ?? 'gone' }]
  },
  async probe({ data }, step, ctx) {
    if (step === END) {
      const { client } = await ctx.connect(airflow, data.connection)
      const run = await client.run(data.dag, data.run, ctx.signal)
      const detail = `${data.run} is ${run?.state ?? 'gone'}`
      if (['queued', 'running', 'success'].includes(run?.state ?? '')) return { landed: 'yes', detail }
      return { landed: run && `${run.state} ${run.start} ${run.end}` === data.before ? 'no' : 'cannot_tell', detail }
    }
    const now = (await look(data, ctx)).filter((s) => (step === CLEAR ? !s.marked : step === `mark:${s.name}`))
    const detail = now.map((s) => `${s.name}: ${s.detail}`).join('; ')
    if (now.every((s) => s.ok)) return { landed: 'yes', detail }
    return { landed: now.every((s) => s.untouched) ? 'no' : 'cannot_tell', detail }
  },
})

const isSame = (t: TaskInstance, held: Held) => t.task === held.task && t.mapIndex === held.mapIndex
const heldOf = (t: TaskInstance): Held => ({ task: t.task, mapIndex: t.mapIndex, fingerprint: fingerprintOf(t) })

/** The tasks after these, near and far. */
export function below(structure: readonly Task[], names: readonly string[]): Set<string> {
  const seen = new Set<string>()
  const open = [...names]
  for (let name = open.pop(); name !== undefined; name = open.pop())
    for (const next of structure.find((t) => t.task === name)?.downstream ?? [])
      if (!seen.has(next)) {
        seen.add(next)
        open.push(next)
      }
  return seen
}

async function look(data: Data, ctx: ReadContext) {
  const { client } = await ctx.connect(airflow, data.connection)
  const now = await client.tasks(data.dag, data.run, {}, ctx.signal)
  const see = (held: Held, marked: boolean) => {
    const task = now.find((t) => isSame(t, held))
    const untouched = task !== undefined && fingerprintOf(task) === held.fingerprint
    const ok = marked
      ? task?.state === 'success'
      : task !== undefined && !untouched && !FAILED.includes(task.state) && !task.state.startsWith('unknown')
    return {
      task: held.task,
      name: nameOf(held),
      marked,
      ok,
      untouched,
      detail: task ? `${task.state}, try ${task.tryNumber}` : 'gone',
    }
  }
  return [...data.marked.map((held) => see(held, true)), ...data.cleared.map((held) => see(held, false))]
}
