import type { KeyObject } from 'node:crypto'
import type { Check, Finding } from './command.ts'
import { isSigned, verifyGrant } from './grant.ts'
import { type Incident, type Proposal, proposalOf } from './incident.ts'
import { digest, type Subject } from './plan.ts'
import { type Person, type Policy, refusePerson } from './policy.ts'
import type { Reason } from './reason.ts'
import { allow, type Ruling, refuse } from './rule.ts'

/** What the worker knows by itself: its own key, policy, playbook and command. */
export type WorkerView = Readonly<{
  publicKey: KeyObject
  policy: Policy
  approvers: readonly string[]
  risk: 'low' | 'medium' | 'high'
}>

/** Whether the stored grant allows this run, judged by the worker's own key and policy. */
export function checkGrant(incident: Incident, id: string, view: WorkerView, now: number): Reason | null {
  const proposal = proposalOf(incident, id)
  if (!proposal) return 'no_such_proposal'
  if (proposal.status !== 'granted' || !proposal.grant || !proposal.subject) return 'not_open'
  return verifyGrant(proposal.grant, {
    key: view.publicKey,
    policy: view.policy,
    approvers: view.approvers,
    risk: view.risk,
    incident: incident.id,
    proposal: id,
    digest: digest(proposal.subject),
    requestedBy: proposal.subject.requestedBy,
    now,
  })
}

/** What a run was granted for. Null if the bot has signed no grant for the plan as the journal has it now. */
export function grantedSubject(
  incident: Incident,
  { id, subject, grant }: Proposal,
  publicKey: KeyObject,
): Subject | null {
  if (!subject || !grant || grant.incident !== incident.id || grant.proposal !== id) return null
  return grant.digest === digest(subject) && isSigned(grant, publicKey) ? subject : null
}

/** START: stored before the first change. It is allowed once, for the plan that the grant names and no other. */
export function start(
  incident: Incident,
  id: string,
  fresh: Subject,
  worker: string,
  view: WorkerView,
  now: number,
): Ruling {
  const no = checkGrant(incident, id, view, now)
  if (no) return refuse(no)
  if (proposalOf(incident, id)?.grant?.digest !== digest(fresh)) return refuse('digest_changed')
  return allow({ type: 'run.started', proposal: id, worker })
}

/** The world moved before anything ran: the proposal is open again with the plan as it would be now. */
export function moved(
  incident: Incident,
  id: string,
  result: { subject: Subject } | { refused: string; window?: string },
): Ruling {
  const proposal = proposalOf(incident, id)
  if (!proposal) return refuse('no_such_proposal')
  if (proposal.status !== 'granted') return allow()
  if ('refused' in result) {
    const { refused, window } = result
    const voided = { type: 'run.voided', proposal: id, reason: refused, subject: null, digest: null } as const
    return allow(window === undefined ? voided : { ...voided, window })
  }
  const reason = 'The target is not as it was when the plan was approved. Nothing has run.'
  const { subject } = result
  return allow({ type: 'run.voided', proposal: id, reason, subject, digest: digest(subject) })
}

/** The grant does not hold: the proposal ends without a run. */
export function voidGrant(incident: Incident, id: string, why: string): Ruling {
  if (proposalOf(incident, id)?.status !== 'granted') return allow()
  return allow({ type: 'run.voided', proposal: id, reason: why, subject: null, digest: null })
}

const running = (incident: Incident, id: string, worker: string) => {
  const proposal = proposalOf(incident, id)
  return proposal?.status === 'running' && proposal.run?.worker === worker ? proposal : null
}

/** A step is about to change something. Refused once the run was cancelled or declared unknown: this is the fence. */
export function startStep(incident: Incident, id: string, step: string, worker: string): Ruling {
  const proposal = running(incident, id, worker)
  if (!proposal?.run || proposal.run.cancelledBy) return refuse('not_running')
  if (!proposal.subject?.plan.steps.some((s) => s.id === step)) return refuse('step_not_in_plan')
  return allow({ type: 'step.started', proposal: id, step })
}

/** A step has landed. */
export function finishStep(incident: Incident, id: string, step: string, result: unknown, worker: string): Ruling {
  if (!running(incident, id, worker)) return refuse('not_running')
  return allow({ type: 'step.done', proposal: id, step, ...(result === undefined ? {} : { result: result as never }) })
}

/** Somebody asks to stop a run; anybody of the organisation may, since stopping is the safe side. */
export function requestCancel(incident: Incident, id: string, person: Person): Ruling {
  const no = refusePerson(person)
  if (no) return refuse(no)
  const proposal = proposalOf(incident, id)
  if (proposal?.status !== 'running' || !proposal.run) return refuse('not_running')
  if (proposal.run.cancelledBy) return refuse('cancel_already_requested')
  return allow({ type: 'run.cancel_requested', proposal: id, by: { user: person.user, name: person.name } })
}

/** The worker knows how its run ended. */
export function finish(
  incident: Incident,
  id: string,
  end: { outcome: 'succeeded' | 'failed' | 'cancelled'; message: string; checks: Check[] },
  worker: string,
): Ruling {
  if (!running(incident, id, worker)) return refuse('not_running')
  return allow({ type: 'run.finished', proposal: id, ...end })
}

/** Nobody knows how a run ended: its worker is gone, or a step's reply was lost. */
export function loseTrack(
  incident: Incident,
  id: string,
  message: string,
  findings: (Finding & { step: string })[],
): Ruling {
  const proposal = proposalOf(incident, id)
  if (proposal?.status !== 'running') return allow()
  return allow({ type: 'run.unknown', proposal: id, message, findings })
}
