import { z } from 'zod'
import { Alert } from './alert.ts'
import { Check, Evidence, Finding } from './command.ts'
import { Grant, SignedDecision } from './grant.ts'
import { digest, Subject } from './plan.ts'
import { Playbook } from './playbook.ts'

const by = z.object({ user: z.string(), name: z.string() })
const params = z.record(z.string(), z.json())
const proposal = z.string()

const on = <T extends string, S extends z.core.$ZodLooseShape>(type: T, shape: S) =>
  z.object({ type: z.literal(type), ...shape })

/** Everything that can happen to an incident. */
export const Happening = z.discriminatedUnion('type', [
  on('incident.opened', {
    group: z.string(),
    title: z.string(),
    severity: z.string(),
    channel: z.string(),
    playbook: Playbook.nullable(),
  }),
  on('alerts.changed', {
    alerts: z.array(Alert),
    truncated: z.number().int(),
    /** The `groupKey` whose latest message says how many were left out; without it the number is the highest of all. */
    from: z.string().optional(),
    /** What could not be stored of that message, one sentence an alert. */
    unread: z.array(z.string()).optional(),
  }),
  on('incident.resolved', {}),
  on('incident.reopened', {}),
  on('evidence.requested', { step: z.string(), params, by: by.nullable() }),
  on('evidence.gathered', { step: z.string(), evidence: Evidence }),
  on('evidence.failed', { step: z.string(), error: z.string() }),
  on('proposal.requested', {
    proposal,
    step: z.string(),
    params,
    by: by.nullable(),
    resumes: z.object({ proposal: z.string(), done: z.array(z.string()) }).nullable(),
    /** The freeze window that somebody asks to override. */
    override: z.string().optional(),
  }),
  on('plan.made', { proposal, subject: Subject, digest: z.string() }),
  /** `window`: it falls into this freeze window, which can be overridden. */
  on('plan.refused', { proposal, reason: z.string(), window: z.string().optional() }),
  on('plan.failed', { proposal, error: z.string() }),
  on('proposal.decided', { decision: SignedDecision }),
  on('proposal.granted', { grant: Grant }),
  on('proposal.reminded', { proposal }),
  on('proposal.expired', { proposal }),
  on('undo.reminded', { step: z.string() }),
  /** A person says that a change of the ladder is not needed here: the next one is offered. */
  on('step.skipped', { step: z.string(), by }),
  on('proposal.withdrawn', { proposal, reason: z.string() }),
  /** Nothing ran: the world had moved (`subject` is the plan as it would be now), or the grant was not good. */
  on('run.voided', {
    proposal,
    reason: z.string(),
    subject: Subject.nullable(),
    digest: z.string().nullable(),
    window: z.string().optional(),
  }),
  on('run.started', { proposal, worker: z.string() }),
  on('step.started', { proposal, step: z.string() }),
  on('step.done', { proposal, step: z.string(), result: z.json().optional() }),
  on('run.cancel_requested', { proposal, by }),
  on('run.finished', {
    proposal,
    outcome: z.enum(['succeeded', 'failed', 'cancelled']),
    message: z.string(),
    checks: z.array(Check),
  }),
  on('run.unknown', { proposal, message: z.string(), findings: z.array(Finding.extend({ step: z.string() })) }),
  on('run.settled', { proposal, choice: z.enum(['done', 'resume', 'abandon']), by, reason: z.string() }),
])
export type Happening = z.infer<typeof Happening>
export type HappeningOf<T extends Happening['type']> = Extract<Happening, { type: T }>

/** One line of a journal. `seq` counts from 1; `prev` is the hash of the line before, or of the incident's id. */
export const Entry = z.object({
  incident: z.string(),
  seq: z.number().int().positive(),
  at: z.iso.datetime(),
  /** Names the intent that caused it; the same intent is stored once. */
  op: z.string(),
  event: Happening,
  prev: z.string(),
  hash: z.string(),
})
export type Entry = z.infer<typeof Entry>

/** What the first entry of an incident's journal has as `prev`. */
export const genesis = (incident: string): string => digest({ incident })

/** Chains an entry to the one before it. */
export function seal(entry: Omit<Entry, 'hash'>): Entry {
  return { ...entry, hash: digest(entry) }
}

/** The first fault of a journal, or null: a changed, missing, moved or foreign entry. */
export function verifyChain(incident: string, entries: readonly Entry[]): { seq: number; fault: string } | null {
  let prev = genesis(incident)
  for (const [index, { hash, ...entry }] of entries.entries()) {
    const fault =
      entry.incident !== incident
        ? `belongs to incident ${entry.incident}`
        : entry.seq !== index + 1
          ? `has number ${entry.seq} in place ${index + 1}`
          : entry.prev !== prev
            ? 'does not follow the entry before it'
            : digest(entry) !== hash
              ? 'was changed after it was written'
              : null
    if (fault) return { seq: index + 1, fault }
    prev = hash
  }
  return null
}
