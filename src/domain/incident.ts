import { type Alert, common, type Labels, WARNING } from './alert.ts'
import type { Check, Evidence, Finding, Risk } from './command.ts'
import type { HappeningOf } from './event.ts'
import type { Grant, SignedDecision } from './grant.ts'
import type { Subject } from './plan.ts'
import type { Playbook, Step } from './playbook.ts'

type By = { user: string; name: string }

export type ProposalStatus =
  | 'planning'
  | 'refused'
  | 'plan_failed'
  | 'open'
  | 'rejected'
  | 'expired'
  | 'withdrawn'
  | 'granted'
  | 'running'
  | 'succeeded'
  | 'failed'
  | 'cancelled'
  | 'unknown'
  | 'settled'

export type StepRecord = { status: 'running' | 'done'; startedAt: string; doneAt: string | null; result: unknown }

/** One execution of a granted plan. */
export type Run = {
  worker: string
  startedAt: string
  endedAt: string | null
  /** The journal's entry that ended it: posted in the thread, so that a journal cut short later is found out. */
  entry: { seq: number; hash: string } | null
  steps: Record<string, StepRecord>
  cancelledBy: By | null
  message: string
  checks: Check[]
  findings: (Finding & { step: string })[]
  settled: (Pick<HappeningOf<'run.settled'>, 'choice' | 'by' | 'reason'> & { at: string }) | null
}

/** A step with its parameters filled in, its plan, and the state of its decision. */
export type Proposal = {
  id: string
  step: string
  params: Record<string, unknown>
  status: ProposalStatus
  requestedBy: By | null
  requestedAt: string
  resumes: { proposal: string; done: string[] } | null
  /** The freeze window that it overrides. */
  override: string | null
  /** When the current plan was made; the decision's time limit counts from here. */
  plannedAt: string | null
  subject: Subject | null
  digest: string | null
  /** Why the plan was refused, failed or voided, or why the proposal was withdrawn. */
  note: string
  /** The freeze window that its plan falls into, so that it was refused. */
  window: string | null
  /** How often the world had moved and the plan was made anew. */
  voided: number
  /** What was approved before the world moved, so that people can see the difference. */
  previous: Subject | null
  /** Decisions on the current digest; those on an earlier one stay in the journal only. */
  decisions: SignedDecision[]
  grant: Grant | null
  reminded: boolean
  endedAt: string | null
  run: Run | null
}

export type EvidenceRecord = {
  step: string
  params: Record<string, unknown>
  requestedAt: string
  by: By | null
  result:
    | { status: 'gathered'; evidence: Evidence; at: string }
    | { status: 'failed'; error: string; at: string }
    | null
}

/** The alerts that belong together, and all that was done about them: a fold of the journal. */
export type Incident = {
  id: string
  version: number
  /** Hash of the last entry. */
  head: string
  group: string
  title: string
  severity: string
  channel: string
  openedAt: string
  resolvedAt: string | null
  /** When it last fired again after it had resolved. */
  reopenedAt: string | null
  playbook: Playbook | null
  /** By `alertKey`. */
  alerts: Record<string, Alert>
  /** How many more the senders have left out, by the latest message of each of their groups. */
  truncated: number
  /** What the latest message of a sender's group left out, by `groupKey`; those that left out nothing are not here. */
  leftOut: Record<string, { truncated: number; unread: string[] }>
  /** When people were told that the change of this step is still to be undone. */
  undoReminders: { step: string; at: string }[]
  /** Changes that a person said are not needed, by step. */
  skipped: Record<string, { by: By; at: string; seq: number }>
  evidence: Record<string, EvidenceRecord>
  proposals: Proposal[]
}

const ENDED: readonly ProposalStatus[] = ['refused', 'plan_failed', 'rejected', 'expired', 'withdrawn', 'settled']
const RAN: readonly ProposalStatus[] = ['succeeded', 'failed', 'cancelled']

/** Whether nothing can follow in this proposal any more. */
export const isOver = (p: Proposal): boolean => ENDED.includes(p.status) || hasRun(p)

/** Whether its run has ended, and how is known. */
export const hasRun = (p: Proposal): boolean => RAN.includes(p.status)

/** What people should know about what was sent: what could not be read, was cut or was guessed. Each sentence once. */
export const remarksOf = ({
  alerts,
  leftOut,
  truncated,
  resolvedAt,
}: Pick<Incident, 'alerts' | 'leftOut' | 'truncated' | 'resolvedAt'>): string[] => [
  ...new Set([
    // Alertmanager takes a message's status from the alerts that it names, after it has cut their list.
    ...(resolvedAt !== null && truncated > 0
      ? [`The message that said resolved left out ${truncated} alerts: look whether they have ended too.`]
      : []),
    ...Object.values(leftOut).flatMap(({ unread }) =>
      unread.length === 0
        ? []
        : [
            `${unread.length === 1 ? '1 alert' : `${unread.length} alerts`} of a message could not be read: ${unread[0]}`,
          ],
    ),
    ...Object.values(alerts).flatMap((a) => a.annotations[WARNING] ?? []),
  ]),
]

/** The labels and annotations that fill slots: those that all firing alerts agree on (all alerts, when none fires). */
export function slotValues(incident: Pick<Incident, 'alerts'>): { labels: Labels; annotations: Labels } {
  const all = Object.values(incident.alerts)
  const firing = all.filter((a) => a.status === 'firing')
  const from = firing.length > 0 ? firing : all
  return { labels: common(from.map((a) => a.labels)), annotations: common(from.map((a) => a.annotations)) }
}

export const stepOf = (incident: Incident, id: string): Step | null =>
  incident.playbook?.steps.find((s) => s.id === id) ?? null

export const proposalOf = (incident: Incident, id: string): Proposal | null =>
  incident.proposals.find((p) => p.id === id) ?? null

/** Proposals of a step, oldest first. */
export const proposalsOf = (incident: Incident, step: string): Proposal[] =>
  incident.proposals.filter((p) => p.step === step)

/** The command's risk as the incident's own playbook has it; high when it is not known, or overrides a freeze window. */
export const riskOf = (incident: Incident, proposal: Proposal): Risk =>
  proposal.override === null ? (stepOf(incident, proposal.step)?.call?.risk ?? 'high') : 'high'

/** Steps of a run that are known to have landed: their result is stored, or the probe found them. */
export function landedSteps(proposal: Proposal): string[] {
  const done = Object.entries(proposal.run?.steps ?? {}).flatMap(([id, s]) => (s.status === 'done' ? [id] : []))
  const found = (proposal.run?.findings ?? []).filter((f) => f.landed === 'yes').map((f) => f.step)
  return [...new Set([...(proposal.resumes?.done ?? []), ...done, ...found])]
}
