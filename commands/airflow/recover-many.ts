import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { defineChange, type ReadContext, Refused, type RunContext } from '../../src/domain/command.ts'
import { namesIn } from './clear-tasks.ts'
import { airflow } from './connection.ts'
import { dateDetails } from './dates.ts'
import { allNeeds } from './dependencies.ts'
import { choose, failedIn, type Piece, pieceFingerprint } from './recovery.ts'
import { isPassing } from './rest.ts'
import { ceilingOf, refuseBelowCritical } from './set-pool-slots.ts'
import { line, runTarget } from './show.ts'

type Wave = Readonly<{
  pieces: readonly Piece[] /** DAGs outside of this plan that must be done before. */
  outside: readonly string[]
}>
type PoolChange = Readonly<{
  name: string
  from: number
  to: number
  back: number /** Index of the wave before which it is set. */
  wave: number
}>
type Data = Readonly<{ connection: string; waves: readonly Wave[]; pool: PoolChange | null }>

const POOL = 'pool'
const POOL_BACK = 'pool-back'
const nameOf = ({ dag, run }: Piece) => `${dag}/${run}`
/** How long the pool may take to go back after the run was stopped, in milliseconds. */
const LAST_CALL = 15_000
/** How long a wait goes on though Airflow does not answer: an upgrade with its migrations takes less. */
const MOST_SILENT_SECONDS = 3600
/** How often a state is looked at that nobody knows, before it counts as no success. */
const ODD_LOOKS = 30

/** Runs many failed runs again in the order of their dependencies, wave by wave, and stops at the first that fails. */
export const recoverMany = defineChange({
  id: 'airflow.recover-many',
  summary: 'Clear many failed runs in the order of their dependencies, wave by wave',
  effect: 'idempotent',
  runMinutes: 24 * 60,
  risk: 'medium',
  params: z.object({
    connection: z.string().describe('Airflow connection'),
    dags: z
      .string()
      .default('')
      .describe('DAGs, separated by commas, * for any characters; empty for all that may be changed'),
    hours: z.coerce.number().int().min(1).max(168).default(24).describe('How far back to look, in hours'),
    leaveOut: z.string().default('').describe('DAGs, or runs as dag/run, to leave out, separated by commas'),
    inPool: z.string().default('').describe('Only runs with a failed task in this pool; empty for all'),
    superseded: z
      .enum(['no', 'yes'])
      .default('no')
      .describe('Whether runs are cleared although a newer run of their DAG succeeded'),
    dependsOn: z.string().default('').describe('What Airflow does not show: "report: clean load; clean: extract"'),
    alone: z.string().default('').describe('The heaviest DAGs, in order: each runs alone, before all others'),
    pool: z.string().default('').describe('Pool to resize meanwhile; empty for none'),
    poolSlots: z.coerce
      .number()
      .int()
      .min(1)
      .optional()
      .describe('Slots of that pool once nothing runs alone any more; empty for its ceiling'),
  }),
  async plan(params, ctx) {
    const { connection } = params
    const { waves, needs, warnings } = await choose(params, ctx)
    const own = new Set(waves.flat().map((p) => p.dag))
    const first = namesIn(params.alone)
    const at = waves.findIndex((wave) => wave.some((p) => !first.includes(p.dag)))
    const pool = await poolOf(params, Math.max(0, at), ctx)
    const title = (wave: number) => `Wave ${wave + 1} of ${waves.length}`
    const poolTarget = pool && {
      id: `airflow:${connection}/pool/${pool.name}`,
      name: `pool ${pool.name}`,
      fingerprint: `${pool.from} slots`,
      details: { Slots: `${pool.from} → ${pool.to}, then ${pool.back}` },
    }
    return {
      summary: `Run ${waves.flat().length} failed runs of ${own.size} DAGs again, in ${waves.length} ${waves.length === 1 ? 'wave' : 'waves'}`,
      targets: [
        ...waves.flatMap((wave, i) =>
          wave.map((p) => ({
            ...runTarget(connection, p.shown, {
              Wave: String(i + 1),
              ...dateDetails(p.shown),
              ...(needs.has(p.dag) && { After: [...needs.get(p.dag)!].sort().join(', ') }),
              Clears: p.tasks.join(', '),
            }),
            fingerprint: p.fingerprint,
          })),
        ),
        ...(poolTarget ? [poolTarget] : []),
      ],
      steps: [
        ...waves.flatMap((wave, i) => [
          ...(pool?.wave === i
            ? [
                {
                  id: POOL,
                  title: `Set the pool ${pool.name} to ${pool.to} slots`,
                  detail: `PATCH pools/${pool.name} slots=${pool.to}`,
                },
              ]
            : []),
          ...wave.map((p) => ({
            id: `clear:${nameOf(p)}`,
            title: `${title(i)}: clear ${p.dag}`,
            detail: `POST dags/${p.dag}/clearTaskInstances dag_run_id=${p.run} task_ids=${p.tasks.join(',')} only_failed=true reset_dag_runs=true`,
          })),
          ...wave.map((p) => ({
            id: `wait:${nameOf(p)}`,
            title: `${title(i)}: ${p.dag} succeeds`,
            detail: `GET dags/${p.dag}/dagRuns/${p.run}`,
          })),
        ]),
        ...(pool
          ? [
              {
                id: POOL_BACK,
                title: `Set the pool ${pool.name} back to ${pool.back} slots`,
                detail: `PATCH pools/${pool.name} slots=${pool.back}, also when a wave fails`,
              },
            ]
          : []),
      ],
      warnings: [...warnings],
      leaveOut: { param: 'leaveOut', names: waves.flatMap((wave) => wave.map(nameOf)) },
      data: {
        connection,
        waves: waves.map((wave) => ({
          pieces: wave.map(({ dag, run, tasks, fingerprint }) => ({ dag, run, tasks, fingerprint })),
          outside: allNeeds(
            wave.map((p) => p.dag),
            needs,
          ).filter((dag) => !own.has(dag)),
        })),
        pool,
      } satisfies Data,
    }
  },

  async run({ data }, ctx) {
    const total = data.waves.reduce((sum, wave) => sum + wave.pieces.length, 0)
    let done = 0
    try {
      for (const [index, { pieces, outside }] of data.waves.entries()) {
        await untilDone(data, outside, ctx)
        if (data.pool?.wave === index) await ctx.step(POOL, () => setPool(data, data.pool!.to, ctx))
        for (const piece of pieces) await ctx.step(`clear:${nameOf(piece)}`, () => clear(data, piece, ctx))
        const failed: string[] = []
        for (const piece of pieces) {
          const note = (state: string) =>
            ctx.progress(done, total, `wave ${index + 1} of ${data.waves.length}: ${piece.dag} is ${state}`)
          const state = await ctx.step(`wait:${nameOf(piece)}`, () => ended(data, piece, note, ctx))
          if (state === 'success') done++
          // An earlier worker may have died between the end of the wait and the storing of it: then nothing is known.
          else failed.push(`${nameOf(piece)}${state === 'failed' ? '' : ` (${state ?? 'its end is not known'})`}`)
        }
        ctx.progress(done, total, `wave ${index + 1} of ${data.waves.length} is over`)
        if (failed.length > 0)
          throw new Error(
            `Wave ${index + 1} of ${data.waves.length} failed: ${failed.join(', ')}. ${total - done - failed.length} runs after it were not touched.`,
          )
      }
    } finally {
      if (data.pool) await poolBack(data, ctx)
    }
    return `All ${total} runs succeeded, in ${data.waves.length} ${data.waves.length === 1 ? 'wave' : 'waves'}.`
  },

  async verify({ data }, ctx) {
    const { client } = await ctx.connect(airflow, data.connection)
    const pieces = data.waves.flatMap((wave) => wave.pieces)
    const states = []
    for (const p of pieces)
      states.push({
        title: `${p.dag} ${p.run} succeeded`,
        state: (await client.run(p.dag, p.run, ctx.signal))?.state ?? 'gone',
      })
    const slots = data.pool && (await client.pool(data.pool.name, ctx.signal))?.slots
    return [
      ...states.map(({ title, state }) => ({ title, ok: state === 'success', detail: state })),
      ...(data.pool
        ? [
            {
              title: `The pool ${data.pool.name} has its slots back`,
              ok: slots === data.pool.back,
              detail: `${slots} slots`,
            },
          ]
        : []),
    ]
  },

  async probe({ data }, step, ctx) {
    const { client } = await ctx.connect(airflow, data.connection)
    if (data.pool && (step === POOL || step === POOL_BACK)) {
      const slots = (await client.pool(data.pool.name, ctx.signal))?.slots
      const [want, was] = step === POOL ? [data.pool.to, data.pool.from] : [data.pool.back, data.pool.to]
      return {
        landed: slots === want ? 'yes' : slots === was ? 'no' : 'cannot_tell',
        detail: `${data.pool.name} has ${slots ?? 'no'} slots`,
      }
    }
    const piece = data.waves.flatMap((wave) => wave.pieces).find((p) => step.endsWith(`:${nameOf(p)}`))
    if (!piece) return { landed: 'cannot_tell', detail: `The plan has no step ${step}` }
    const { state, end, fingerprint } = await see(data, piece, ctx)
    const detail = `${nameOf(piece)} is ${state}`
    if (step.startsWith('wait:')) return { landed: state === 'success' ? 'yes' : 'no', detail }
    if (fingerprint === piece.fingerprint) return { landed: 'no', detail }
    const isAnew = ['queued', 'running', 'success'].includes(state) || (state === 'failed' && end !== '')
    return { landed: isAnew ? 'yes' : 'cannot_tell', detail }
  },
})

async function poolOf(
  params: { connection: string; pool: string; poolSlots?: number | undefined },
  wave: number,
  ctx: ReadContext,
): Promise<PoolChange | null> {
  const { connection, pool: name, poolSlots } = params
  if (!name && poolSlots !== undefined) throw new Refused('Name the pool that is to have these slots.')
  if (!name) return null
  const { client, settings } = await ctx.connect(airflow, connection)
  const to = poolSlots ?? settings.pools[name]?.max ?? 1
  await ceilingOf(connection, name, to, ctx)
  await refuseBelowCritical(connection, name, to, ctx)
  const now = await client.pool(name, ctx.signal)
  if (!now) throw new Refused(`Airflow has no pool "${name}".`)
  if (now.slots === null) throw new Refused(`Airflow does not say how many slots the pool ${name} has.`)
  // A run that died may have left it so, and its old size is then known to the configuration alone.
  const back = now.slots === to ? settings.pools[name]?.usual : now.slots
  if (back === undefined)
    throw new Refused(
      `The pool ${name} has ${to} slots already, and the connection does not say how many are usual. Leave the pool out.`,
    )
  return { name, from: now.slots, to, back, wave }
}

/** Waits for the runs of these DAGs that go on now: an earlier part of this recovery, or another one, started them. */
async function untilDone(data: Data, dags: readonly string[], ctx: RunContext): Promise<void> {
  const { client } = await ctx.connect(airflow, data.connection)
  // Without a time: a run that was cleared has not begun yet.
  for (const dag of dags) {
    const look = () => client.runs(dag, { states: ['running', 'queued'] }, ctx.signal)
    const seen = (state: string) => ctx.progress(0, data.waves.length, `${dag} is ${state}`)
    for (const { run } of await patiently(data, look, seen, ctx)) {
      const note = (state: string) =>
        ctx.progress(0, data.waves.length, `waiting for ${dag}, which is ${state} (${run})`)
      if ((await ended(data, { dag, run }, note, ctx)) !== 'success')
        throw new Error(`${dag}/${run} failed, and what comes next needs it. Recover it first.`)
    }
  }
}

async function see(data: Data, piece: Piece, ctx: ReadContext) {
  const { client } = await ctx.connect(airflow, data.connection)
  const run = await client.run(piece.dag, piece.run, ctx.signal)
  if (!run) return { state: 'gone', end: '', fingerprint: '' }
  const tasks = failedIn(await client.tasks(piece.dag, piece.run, {}, ctx.signal))
  return { state: run.state, end: run.end, fingerprint: pieceFingerprint(run, tasks) }
}

async function clear(data: Data, piece: Piece, ctx: RunContext): Promise<string> {
  const { client } = await ctx.connect(airflow, data.connection)
  const note = (state: string) => ctx.progress(0, data.waves.length, `${nameOf(piece)} is ${state}`)
  const { state, fingerprint } = await patiently(data, () => see(data, piece, ctx), note, ctx)
  if (state === 'success') return 'succeeded already'
  if (fingerprint !== piece.fingerprint)
    throw new Refused(`${nameOf(piece)} is ${state} and not as it was when this was approved.`)
  const clearing = { tasks: piece.tasks, onlyFailed: true, downstream: false }
  await client.clear(piece.dag, piece.run, clearing, false, ctx.signal)
  return 'cleared'
}

/** Looks again as long as a look fails for a reason that passes, and says so. */
async function patiently<T>(
  data: Data,
  look: () => Promise<T>,
  note: (state: string) => void,
  ctx: RunContext,
): Promise<T> {
  const { settings } = await ctx.connect(airflow, data.connection)
  for (let silent = 0; ; silent += settings.pollSeconds)
    try {
      return await look()
    } catch (error) {
      if (ctx.signal.aborted || !isPassing(error) || silent > MOST_SILENT_SECONDS) throw error
      note(`not to be seen: ${line(error instanceof Error ? error.message : String(error), 120)}. Looking again`)
      await pause(settings.pollSeconds * 1000, undefined, { signal: ctx.signal })
    }
}

/** `success`, `failed` or what is not known, once the run has ended. */
async function ended(
  data: Data,
  piece: Pick<Piece, 'dag' | 'run'>,
  note: (state: string) => void,
  ctx: RunContext,
): Promise<string> {
  const { client, settings } = await ctx.connect(airflow, data.connection)
  for (let odd = 0; ; ) {
    const run = await patiently(data, () => client.run(piece.dag, piece.run, ctx.signal), note, ctx)
    if (run === null) return 'failed'
    if (run.state === 'success' || run.state === 'failed') return run.state
    if (run.state !== 'running' && run.state !== 'queued') {
      odd++
      if (run.end !== '' || odd > ODD_LOOKS) return run.state
    }
    note(run.state)
    await pause(settings.pollSeconds * 1000, undefined, { signal: ctx.signal })
  }
}

async function setPool(data: Data, slots: number, ctx: ReadContext): Promise<number> {
  const { client } = await ctx.connect(airflow, data.connection)
  await refuseBelowCritical(data.connection, data.pool!.name, slots, ctx)
  await client.setSlots(data.pool!.name, slots, ctx.signal)
  return slots
}

/** Sets the pool back, unless somebody has given it yet another size. A stopped run takes no more steps: it is done outside of one. */
async function poolBack(data: Data, ctx: RunContext): Promise<void> {
  const { client } = await ctx.connect(airflow, data.connection)
  const { name, to, back } = data.pool!
  const restore = async (signal: AbortSignal): Promise<number> => {
    const now = (await client.pool(name, signal))?.slots
    if (now === to && now !== back) await client.setSlots(name, back, signal)
    return back
  }
  try {
    if (!ctx.signal.aborted) {
      const note = (state: string) => ctx.progress(0, data.waves.length, `the pool ${name} is ${state}`)
      await ctx.step(POOL_BACK, () => patiently(data, () => restore(ctx.signal), note, ctx))
      return
    }
  } catch (error) {
    if (!ctx.signal.aborted) throw error
  }
  await restore(AbortSignal.timeout(LAST_CALL))
}
