import type { z } from 'zod'
import type { Entry, Happening } from './event.ts'
import type { Freeze } from './freeze.ts'
import type { Incident } from './incident.ts'
import type { Job } from './job.ts'
import type { Field } from './playbook.ts'
import type { Person } from './policy.ts'
import type { Reason } from './reason.ts'

/** Milliseconds since the epoch. */
export type Clock = () => number

/** The truth: one append-only, hash-chained list of entries an incident. */
export type Journal = Readonly<{
  /** The state now, or null if there is no such incident. */
  load(incident: string): Promise<Incident | null>
  /**
   * Adds events if the journal is still at `version`, all or none. `duplicate`: this `op` is stored already.
   * `conflict`: somebody was faster; load again. Throws when the store cannot be reached.
   */
  append(
    incident: string,
    version: number,
    op: string,
    events: readonly Happening[],
  ): Promise<{ ok: true; incident: Incident } | { ok: false; reason: 'conflict' | 'duplicate' }>
  /** The latest incident of a group, or null. */
  current(group: string): Promise<string | null>
  /** Incidents that still need attention. */
  active(): Promise<string[]>
  /** Takes an incident off the list of active ones, if it is quiet. */
  retire(incident: string): Promise<void>
  /** All entries as stored, unparsed. */
  entries(incident: string): Promise<Entry[]>
  /** Every incident that has a journal. */
  all(): Promise<string[]>
  /** Calls `listener` after each append of any process. Returns how to stop. At most once: the tick covers the rest. */
  watch(listener: (incident: string) => void): () => void
  /** Drops what is remembered: a loss that people were told of is not found a second time. */
  forget(): void
}>

/** The doorbell: says that there is work. Ringing twice does no harm. */
export type Bell = Readonly<{ ring(jobs: readonly Job[]): Promise<void> }>

/** Who holds a target: an incident and its proposal. `take` names one taking of it, since a run may be tried twice at once. */
export type Holder = { incident: string; proposal: string; take?: string }

/** One change per target at a time. A lock belongs to a run and has no time-out. */
export type Locks = Readonly<{
  /**
   * Takes all of them or none; what the same proposal holds already is taken anew, under the new `take`. `fresh` are those
   * that were free.
   */
  acquire(
    targets: readonly string[],
    holder: Holder,
  ): Promise<{ ok: true; fresh: string[] } | { ok: false; target: string; holder: Holder }>
  /** Frees those that this holder holds: with a `take`, only those that nobody has taken anew since; else any of its own. */
  release(targets: readonly string[], holder: Holder): Promise<void>
  /** Remembers for an hour that a change of these began at a time (milliseconds). */
  began(targets: readonly string[], holder: Holder, at: number): Promise<void>
  /** Those of which `most` changes or more have begun since a time (milliseconds). */
  crowded(targets: readonly string[], most: number, since: number): Promise<string[]>
}>

/** A sign of life of a run, and its progress; both may be lost. */
export type Pulse = Readonly<{
  beat(incident: string, proposal: string, worker: string): Promise<void>
  alive(incident: string, proposal: string): Promise<boolean>
  progress(incident: string, proposal: string, progress: Progress): Promise<void>
  read(incident: string, proposal: string): Promise<Progress | null>
}>
export type Progress = { done: number; total: number; note: string }

/** What the bot knows about one of its messages. No `ts`: a post was tried and its end is not known. */
export type Posted = { channel: string; ts: string | null; hash: string; attemptedAt: number }

/** Where the reconciler keeps what it has posted, by message key. */
export type Postbox = Readonly<{
  read(incident: string): Promise<Record<string, Posted>>
  write(incident: string, key: string, posted: Posted): Promise<void>
  /** The journal version that Slack shows. */
  rendered(incident: string): Promise<string | null>
  setRendered(incident: string, mark: string): Promise<void>
  /** One reconciler an incident, over all bots. Null if another has it. `renew` is false once it was lost. */
  lease(incident: string): Promise<{ renew(): Promise<boolean>; release(): Promise<void> } | null>
  /** Reserves the next slot for a message to a channel, over all bots; the milliseconds to wait for it. */
  pace(channel: string): Promise<number>
  /** Remembers a request for ten minutes; false if it was seen before. */
  firstTime(requestSignature: string): Promise<boolean>
}>

/** Notices that Redis has lost what it had confirmed: a FLUSHALL, an older append-only file, a fail-over to a lagging replica. */
export type Witness = Readonly<{
  /** What was lost, as one sentence; null if nothing. Asks Redis each time. */
  look(): Promise<string | null>
  /** Somebody saw that this incident's journal no longer has an entry that was confirmed. */
  missed(incident: string): void
  /** A freeze is stored: what is there now is where the witness goes on from. */
  accept(): void
}>

export type Answer = { ok: true } | { ok: false; reason: Reason }
export type ParamValues = Record<string, z.core.util.JSONType>

/** What people can ask for. Every answer is stored before it is given; a throw means that nothing was. */
export type Handlers = Readonly<{
  /** Looks whether a press is allowed before a modal is opened. */
  mayDecide(intent: {
    incident: string
    proposal: string
    digest: string
    verdict: 'approve' | 'reject'
    person: Person
  }): Promise<{ ok: true; incident: Incident; needsReason: boolean } | { ok: false; reason: Reason }>
  decide(intent: {
    incident: string
    proposal: string
    digest: string
    verdict: 'approve' | 'reject'
    reason: string
    person: Person
  }): Promise<Answer>
  /** Asks for a step. `ask`: these fields are still open, show a modal. `params_invalid` names the faulty fields. */
  request(intent: {
    incident: string
    step: string
    params: ParamValues
    person: Person
    /** The freeze window to override. */
    override?: string
  }): Promise<{ ok: true } | { ok: false; reason: Reason; ask?: Field[]; errors?: Record<string, string> }>
  /** Says that the next change of the ladder is not needed. */
  skip(intent: { incident: string; step: string; person: Person }): Promise<Answer>
  /** Asks for an open plan without some of its parts. */
  narrow(intent: {
    incident: string
    proposal: string
    digest: string
    names: readonly string[]
    person: Person
  }): Promise<Answer>
  cancel(intent: { incident: string; proposal: string; person: Person }): Promise<Answer>
  settle(intent: {
    incident: string
    proposal: string
    choice: 'done' | 'resume' | 'abandon'
    reason: string
    person: Person
  }): Promise<Answer>
  /** The freeze that stands, or null. */
  frozen(): Promise<Freeze | null>
  freeze(intent: { reason: string; person: Person }): Promise<Answer>
  thaw(intent: { reason: string; person: Person }): Promise<Answer>
  /** The state, for a modal. */
  load(incident: string): Promise<Incident | null>
}>
