import type { KeyObject } from 'node:crypto'
import type { Happening } from './event.ts'
import {
  BREAK_GLASS,
  countable,
  type Decision,
  ownKey,
  type SignedDecision,
  signDecision,
  signGrant,
  verifyDecision,
} from './grant.ts'
import {
  type Incident,
  isOver,
  landedSteps,
  type Proposal,
  proposalOf,
  proposalsOf,
  riskOf,
  stepOf,
} from './incident.ts'
import { owedUndo } from './ladder.ts'
import { nextProposalId } from './notice.ts'
import { digest, type Subject } from './plan.ts'
import {
  approverNames,
  humanOf,
  type Person,
  type Policy,
  refusePerson,
  requirement,
  selfApprovalAllowed,
  standing,
} from './policy.ts'
import type { Reason } from './reason.ts'
import { allow, type Ruling, refuse } from './rule.ts'

/** A plan came back from a worker. It must be about what was asked for. */
export function planReady(
  incident: Incident,
  id: string,
  result: { subject: Subject } | { refused: string; window?: string } | { failed: string },
): Ruling {
  const proposal = proposalOf(incident, id)
  if (!proposal) return refuse('no_such_proposal')
  if (proposal.status !== 'planning') return allow()
  if ('refused' in result) {
    const { refused: reason, window } = result
    return allow({ type: 'plan.refused', proposal: id, reason, ...(window === undefined ? {} : { window }) })
  }
  if ('failed' in result) return allow({ type: 'plan.failed', proposal: id, error: result.failed })
  return allow({ type: 'plan.made', proposal: id, subject: result.subject, digest: digest(result.subject) })
}

export type DecideIntent = Readonly<{
  proposal: string
  /** What the pressed button carried. */
  digest: string
  verdict: 'approve' | 'reject'
  reason: string
  person: Person
  /** ISO time of the click. */
  at: string
}>

/** Whether this person may press this button now; a modal is opened only if so. Everything but the reason's text. */
export function mayDecide(incident: Incident, intent: Omit<DecideIntent, 'reason'>, policy: Policy): Reason | null {
  const proposal = proposalOf(incident, intent.proposal)
  if (!proposal) return 'no_such_proposal'
  const { person } = intent
  const stranger = refusePerson(person)
  if (stranger) return stranger
  if (standing(policy, approverNames(policy, incident.playbook), person, Date.parse(intent.at)).length === 0)
    return 'not_an_approver'
  return undecidable(incident, proposal, { ...intent, user: person.user }, policy)
}

/** Why an approver cannot decide this now. */
function undecidable(
  incident: Incident,
  proposal: Proposal,
  intent: Pick<Decision, 'digest' | 'verdict' | 'user' | 'at'>,
  policy: Policy,
): Reason | null {
  if (proposal.status === 'expired') return 'proposal_expired'
  if (proposal.status === 'withdrawn') return 'incident_resolved'
  if (proposal.status !== 'open')
    return proposal.decisions.length > 0 || proposal.grant ? 'already_decided' : 'not_open'
  if (isExpired(proposal, policy, Date.parse(intent.at))) return 'proposal_expired'
  if (intent.digest !== proposal.digest || digest(proposal.subject) !== proposal.digest) return 'digest_changed'
  if (intent.verdict === 'reject') return null
  const human = humanOf(policy, intent.user)
  if (proposal.decisions.some((d) => humanOf(policy, d.user) === human)) return 'same_human'
  const asked = proposal.requestedBy?.user
  if (asked && humanOf(policy, asked) === human && !selfApprovalAllowed(policy, riskOf(incident, proposal)))
    return 'self_approval'
  return null
}

/** A person decides. The decision that completes the quorum carries the grant with it, in the same append. */
export function decide(incident: Incident, intent: DecideIntent, policy: Policy, keys: Keys): Ruling {
  const proposal = proposalOf(incident, intent.proposal)
  const no = mayDecide(incident, intent, policy)
  if (no || !proposal?.digest) return refuse(no ?? 'no_such_proposal')
  const need = requirement(policy, riskOf(incident, proposal))
  const reason = intent.reason.trim()
  if (need.reason && reason === '') return refuse('reason_required')
  if (!proposal.decisions.every((d) => verifyDecision(d, keys.publicKey, policy))) return refuse('decision_forged')
  const decision: Decision = {
    incident: incident.id,
    proposal: proposal.id,
    digest: proposal.digest,
    verdict: intent.verdict,
    user: intent.person.user,
    name: intent.person.name,
    via: standing(policy, approverNames(policy, incident.playbook), intent.person, Date.parse(intent.at)),
    reason,
    at: intent.at,
  }
  const signed = signDecision(decision, keys.privateKey)
  const decided: Happening = { type: 'proposal.decided', decision: signed }
  if (intent.verdict === 'reject') return allow(decided)
  return allow(decided, ...granted(incident, proposal, [...proposal.decisions, signed], intent.at, policy, keys))
}

/**
 * A person decides at a terminal, with the key that the policy has for them; a reason is always asked for. The bot grants
 * what that completes, see `complete`.
 */
export function decideAtTerminal(incident: Incident, decision: SignedDecision, policy: Policy): Ruling {
  const proposal = proposalOf(incident, decision.proposal)
  if (!proposal || decision.incident !== incident.id) return refuse('no_such_proposal')
  const own = ownKey(policy, decision.user)
  if (!decision.via.includes(BREAK_GLASS) || own === null) return refuse('no_key_at_terminal')
  if (!verifyDecision(decision, own, policy)) return refuse('wrong_key_at_terminal')
  const no = undecidable(incident, proposal, decision, policy)
  if (no) return refuse(no)
  return decision.reason.trim() === '' ? refuse('reason_required') : allow({ type: 'proposal.decided', decision })
}

/** The bot grants what people have decided elsewhere than with it. */
export function complete(incident: Incident, policy: Policy, keys: Keys, now: number): Ruling {
  const at = new Date(now).toISOString()
  return allow(
    ...incident.proposals
      .filter((p) => p.status === 'open' && !isExpired(p, policy, now))
      .filter((p) => p.decisions.some((d) => d.via.includes(BREAK_GLASS)))
      .filter((p) => p.decisions.every((d) => verifyDecision(d, keys.publicKey, policy)))
      .flatMap((p) => granted(incident, p, p.decisions, at, policy, keys)),
  )
}

/** The grant, if these decisions are enough. */
function granted(
  incident: Incident,
  proposal: Proposal,
  decisions: readonly SignedDecision[],
  at: string,
  policy: Policy,
  keys: Keys,
): Happening[] {
  const { id, digest } = proposal
  if (digest === null) return []
  const approvals = countable(decisions, digest, policy)
  if (approvals.length < requirement(policy, riskOf(incident, proposal)).quorum) return []
  const expiresAt = new Date(Date.parse(at) + policy.grantMinutes * 60_000).toISOString()
  const grant = { incident: incident.id, proposal: id, digest, approvals, issuedAt: at, expiresAt }
  return [{ type: 'proposal.granted', grant: signGrant(grant, keys.privateKey) }]
}

/** The bot's Ed25519 pair. */
export type Keys = Readonly<{ privateKey: KeyObject; publicKey: KeyObject }>

/** Whether an open proposal has waited too long. */
export const isExpired = (proposal: Proposal, policy: Policy, now: number): boolean =>
  proposal.plannedAt !== null && now >= Date.parse(proposal.plannedAt) + policy.proposalMinutes * 60_000

/**
 * What time alone brings: a proposal expires, a grant that no worker took lapses, a waiting one is mentioned once more, and
 * what is still to be undone again and again.
 */
export function elapse(incident: Incident, policy: Policy, now: number): Ruling {
  return allow(
    ...incident.proposals.flatMap((p): Happening[] => {
      if (p.status === 'open' && isExpired(p, policy, now)) return [{ type: 'proposal.expired', proposal: p.id }]
      if (p.status === 'granted' && p.grant && now >= Date.parse(p.grant.expiresAt))
        return [{ type: 'proposal.expired', proposal: p.id }]
      const half = p.plannedAt !== null && now >= Date.parse(p.plannedAt) + policy.proposalMinutes * 30_000
      if (p.status === 'open' && half && !p.reminded) return [{ type: 'proposal.reminded', proposal: p.id }]
      return []
    }),
    ...remindOfUndo(incident, policy, now),
  )
}

/** Reminders come after an hour, two hours more, four more, and then each day; see `undoMinutes`. */
const RARELY = 24 * 3_600_000

function remindOfUndo(incident: Incident, policy: Policy, now: number): Happening[] {
  const owed = owedUndo(incident)
  if (!owed || !proposalsOf(incident, owed.step.id).every(isOver)) return []
  const told = incident.undoReminders.filter((r) => r.step === owed.step.id && r.at >= owed.since)
  const pause = Math.min(policy.undoMinutes * 60_000 * 2 ** told.length, RARELY)
  const due = Date.parse(told.at(-1)?.at ?? owed.since) + pause
  return now >= due ? [{ type: 'undo.reminded', step: owed.step.id }] : []
}

/**
 * A person says what becomes of a run whose end is not known. `resume` asks for a new plan of the same step, which
 * needs its own approval, and an alert that still fires; the steps that are known to have landed are not done again.
 */
export function settle(
  incident: Incident,
  intent: {
    proposal: string
    choice: 'done' | 'resume' | 'abandon'
    person: Person
    reason: string
    at: string
  },
  policy: Policy,
): Ruling {
  const proposal = proposalOf(incident, intent.proposal)
  if (!proposal?.run) return refuse('no_such_proposal')
  const no = refusePerson(intent.person)
  if (no) return refuse(no)
  if (standing(policy, approverNames(policy, incident.playbook), intent.person, Date.parse(intent.at)).length === 0)
    return refuse('not_an_approver')
  if (proposal.status !== 'unknown') return refuse('not_unknown')
  if (intent.reason.trim() === '') return refuse('reason_required')
  const by = { user: intent.person.user, name: intent.person.name }
  const settled = {
    type: 'run.settled',
    proposal: proposal.id,
    choice: intent.choice,
    by,
    reason: intent.reason,
  } as const
  if (intent.choice !== 'resume') return allow(settled)
  if (!stepOf(incident, proposal.step)?.call) return refuse('no_such_step')
  if (incident.resolvedAt !== null) return refuse('incident_resolved')
  return allow(settled, {
    type: 'proposal.requested',
    proposal: nextProposalId(incident),
    step: proposal.step,
    params: proposal.params as Record<string, never>,
    by,
    resumes: { proposal: proposal.id, done: landedSteps(proposal) },
  })
}
