import { setTimeout as delay } from 'node:timers/promises'
import { type ChangeCommand, type Command, type ReadContext, Refused } from '../domain/command.ts'
import type { Freeze } from '../domain/freeze.ts'
import type { Incident, Proposal } from '../domain/incident.ts'
import { stepOf } from '../domain/incident.ts'
import { Plan, type Subject, type Target } from '../domain/plan.ts'
import type { Playbook } from '../domain/playbook.ts'
import type { Policy } from '../domain/policy.ts'
import type { Clock, Journal, Locks, Pulse } from '../domain/ports.ts'
import { limitName, windowOf } from '../domain/window.ts'
import { type ConnectionConfig, createContext } from './context.ts'
import { isOwnWord, sentenceOf } from './told.ts'
import type { Ids } from './transact.ts'

/** A command with the digest of its source, which a grant covers. */
export type Versioned = Readonly<{ command: Command; version: string }>

/** What a worker has on its own: commands, playbooks and connections. It trusts no copy of them in Redis. */
export type Workbench = Readonly<{
  journal: Journal
  locks: Locks
  pulse: Pulse
  clock: Clock
  ids: Ids
  commands: ReadonlyMap<string, Versioned>
  playbooks: ReadonlyMap<string, Playbook>
  connections: Readonly<Record<string, ConnectionConfig>>
  policy: Policy
  secret: (environmentVariable: string) => string
  /** Takes known secrets out of a text; everything that a command says goes through it before it is stored. */
  strike: (text: string) => string
  /** The last freeze: while it stands nothing starts and what runs is stopped; what was approved before it was lifted is void. */
  lastFreeze: () => Promise<Freeze | null>
  /** Is given what a command threw that people are told in other words. */
  onFault?: (error: unknown) => void
  /** Aborts when the worker stops. */
  signal: AbortSignal
}>

/** Reading and planning end after this long, in milliseconds. */
export const READ_DEADLINE = 60_000

/** The worker's copy of the playbook does not say what the incident's copy says. */
export class PlaybookDiffers extends Error {
  override name = 'PlaybookDiffers'
}

/** The change falls into a freeze window of the policy, and nobody has asked to override that one. */
export class InWindow extends Refused {
  override name = 'InWindow'
  readonly window: string
  constructor(window: string, why = `This falls into the freeze window “${window}”. Ask again after it`) {
    super(`${why}, or override it: two approvers, each with a reason.`)
    this.window = window
  }
}

/** What the journal says of a refused plan. */
export const refusedBy = (bench: Workbench, error: Refused): { refused: string; window?: string } => ({
  refused: messageOf(bench, error),
  ...(error instanceof InWindow ? { window: error.window } : {}),
})

/** The call of an incident's step by the worker's own playbook. Throws PlaybookDiffers when they do not agree. */
export function ownCall(bench: Workbench, incident: Incident, stepId: string) {
  const theirs = incident.playbook
  const own = theirs && bench.playbooks.get(theirs.id)
  if (!theirs || !own || own.hash !== theirs.hash)
    throw new PlaybookDiffers(
      'The playbook of this worker differs from the one the incident was opened with. Put the file back as it was to run this step, or do it by hand.',
    )
  const call = own.steps.find((s) => s.id === stepId)?.call
  const versioned = call && bench.commands.get(call.command)
  if (!call || !versioned || !stepOf(incident, stepId))
    throw new PlaybookDiffers(`This worker does not know the step ${JSON.stringify(stepId)} or its command.`)
  return { playbook: own, call, ...versioned }
}

/** When and where something was asked for, and by whom. */
export type Asked = Readonly<{ requestedAt: string; origin: ReadContext['origin'] }>

/** What a context says of where a proposal or a look came from. */
export const askedFor = (
  incident: string,
  { requestedAt, requestedBy }: Pick<Proposal, 'requestedAt' | 'requestedBy'>,
): Asked => ({ requestedAt, origin: { incident, by: requestedBy?.name ?? null } })

/** Calls `work` with a context that ends at the deadline or when the worker stops; closes what it opened. */
export async function withContext<T>(
  bench: Workbench,
  asked: Asked,
  deadline: number,
  work: (ctx: ReadContext, environment: () => string) => Promise<T>,
): Promise<T> {
  const over = new AbortController()
  const timeout = AbortSignal.timeout(deadline)
  const signal = AbortSignal.any([bench.signal, timeout, over.signal])
  const context = createContext({ ...bench, signal, ...asked })
  try {
    const late = delay(deadline + 1000, undefined, { signal: over.signal }).then(() => {
      throw new Error(`no answer within ${deadline / 1000} s`)
    })
    return await Promise.race([work(context.ctx, context.environment), late])
  } finally {
    over.abort()
    await context.close()
  }
}

/** A value as JSON keeps it, without known secrets, and without halves of surrogate pairs, which no digest covers. */
export const struck = (bench: Workbench, value: unknown): unknown => {
  const whole = (v: unknown): unknown => {
    if (typeof v === 'string') return bench.strike(v).toWellFormed()
    if (typeof v !== 'object' || v === null) return v
    if (Array.isArray(v)) return v.map(whole)
    return Object.fromEntries(
      Object.entries(v).map(([name, inner]) => [bench.strike(name).toWellFormed(), whole(inner)]),
    )
  }
  return whole(JSON.parse(JSON.stringify(value)))
}

/** What went wrong as one sentence for people; the log is given the whole of it. */
export function messageOf(bench: Workbench, error: unknown): string {
  if (!isOwnWord(error)) bench.onFault?.(error)
  return bench.strike(sentenceOf(error)).split('\n', 1)[0]!.slice(0, 500).toWellFormed() || 'unknown error'
}

const HOUR_MS = 3_600_000

/** Which of these were changed so often within the last hour that something else must be wrong, as one clause; null if none. */
async function tooOften(bench: Workbench, targets: readonly Target[]): Promise<string | null> {
  const { changesPerHour: most } = bench.policy
  const ids = targets.map((t) => t.id)
  const full = await bench.locks.crowded(ids, most, bench.clock() - HOUR_MS)
  if (full.length === 0) return null
  const name = targets.find((t) => t.id === full[0])?.name ?? full[0]
  const others = full.length > 1 ? ` and ${full.length - 1} more` : ''
  return `${name}${others} was changed ${most} times within an hour: look why that does not help. Ask again later`
}

/** Makes the plan of a proposal as the world is now, and everything that a person decides on with it. */
export async function makeSubject(bench: Workbench, incident: Incident, proposal: Proposal): Promise<Subject> {
  const { playbook, call, command, version } = ownCall(bench, incident, proposal.step)
  if (command.effect === 'read') throw new PlaybookDiffers(`${command.id} reads; there is nothing to plan.`)
  const params = command.params.parse(proposal.params)
  return withContext(bench, askedFor(incident.id, proposal), READ_DEADLINE, async (ctx, environment) => {
    // Through JSON, since that is what is stored, shown and compared.
    const plan = Plan.parse(struck(bench, await (command as ChangeCommand).plan(params, ctx)))
    const doing = { command: command.id, environment: environment(), params }
    // What takes a change back is not held by how often that was made.
    const often = call.rung === 'undoes' ? null : await tooOften(bench, plan.targets)
    const limit = limitName(bench.policy.changesPerHour)
    const more = often === null ? [] : [limit]
    const window = windowOf(bench.policy.freezeWindows, doing, bench.clock(), proposal.override, more)
    if (window !== null) throw new InWindow(window, window === limit && often !== null ? often : undefined)
    return {
      incident: incident.id,
      proposal: proposal.id,
      playbook: { id: playbook.id, hash: playbook.hash },
      step: proposal.step,
      command: { id: command.id, version },
      params: proposal.params,
      environment: doing.environment,
      plan,
      requestedBy: proposal.requestedBy?.user ?? null,
      requestedAt: proposal.requestedAt,
      resumes: proposal.resumes,
      ...(proposal.override === null ? {} : { override: proposal.override }),
    }
  })
}
