import type { Alert } from '../../src/domain/alert.ts'
import { type Entry, verifyChain } from '../../src/domain/event.ts'
import { humanOf } from '../../src/domain/policy.ts'
import type { Target } from './simulation-actors.ts'
import { type Effect, MAY, type Press, policy, STEPS } from './simulation-cast.ts'
import type { Store } from './simulation-store.ts'
import { must } from './violation.ts'

/**
 * Holds what the target saw against what people and sources were told and what the journals say; throws Violation.
 * `answered` are the alerts that a source was told are kept.
 */
export function createChecker(
  { journals, states }: Store,
  target: Target,
  presses: readonly Press[],
  answered: readonly Alert[],
) {
  /** What the target saw, held against what people pressed and what the journals say in their order. */
  function check(): void {
    for (const [i, e] of target.effects.entries()) {
      const before = target.effects.slice(0, i)
      const mine = (o: Effect) => o.incident === e.incident && o.proposal === e.proposal
      must(!before.some((o) => mine(o) && o.step === e.step), `${e.step} of ${e.proposal} had two target.effects`)
      const beside = before.filter(
        (o) => !mine(o) && o.to !== null && o.from < (e.to ?? target.instant) && e.from < o.to,
      )
      must(beside.length === 0, 'two changes on one target at once')
      const agreed = approvers(e.incident, e.proposal, e.step === STEPS[0] ? e.bulb : null)
      must(agreed >= 2, `${e.step} of ${e.proposal} ran though ${agreed} of 2 people agreed to that plan`)
    }
    for (const [id, entries] of journals) if (target.instant % 20 === 0) inOrder(id, entries)
    for (const state of states.values())
      for (const p of state.proposals)
        if (p.status === 'succeeded')
          must(
            STEPS.every((s) => target.effects.some((e) => e.incident === state.id && e.step === s)),
            'succeeded without its target.effects',
          )
  }

  /** What somebody was told is kept must be in a journal; an alert that says nothing new need not. */
  function kept(): void {
    for (const one of answered) {
      const known = [...states.values()].filter((i) => Object.hasOwn(i.alerts, one.fingerprint))
      const is = JSON.stringify(one)
      const stored =
        (known.length === 0 && one.status === 'resolved') ||
        known.some((i) => i.alerts[one.fingerprint]!.startsAt > one.startsAt) ||
        [...journals.values()]
          .flat()
          .some(({ event }) => event.type === 'alerts.changed' && event.alerts.some((a) => JSON.stringify(a) === is))
      must(stored, `the ${one.status} alert of the ${one.labels.room} was answered and is not kept`)
    }
    for (const { incident, proposal, user } of presses) {
      const stored = (journals.get(incident) ?? []).some(
        ({ event }) =>
          event.type === 'proposal.decided' && event.decision.proposal === proposal && event.decision.user === user,
      )
      must(stored, `the approval of ${user} was answered and is not kept`)
    }
  }

  /** How many humans who may have agreed: those who were told yes, and those whose decision is stored and not yet answered. */
  function approvers(incident: string, proposal: string, saw: string | null): number {
    const entries = journals.get(incident) ?? []
    const shown = new Map<string, string>()
    const stored: Press[] = []
    for (const { event } of entries) {
      if ((event.type === 'plan.made' || event.type === 'run.voided') && event.subject && event.digest)
        shown.set(event.digest, event.subject.plan.targets[0]!.fingerprint)
      if (event.type !== 'proposal.decided' || event.decision.verdict !== 'approve') continue
      const { user, digest } = event.decision
      stored.push({ incident, proposal: event.decision.proposal, user, bulb: shown.get(digest) ?? '', at: 0 })
    }
    const agreed = [...presses, ...stored].filter(
      (p) =>
        p.incident === incident && p.proposal === proposal && MAY.includes(p.user) && (saw === null || p.bulb === saw),
    )
    return new Set(agreed.map((p) => humanOf(policy, p.user))).size
  }

  function inOrder(id: string, entries: readonly Entry[]): void {
    must(verifyChain(id, entries) === null, `the journal of ${id} does not verify`)
    let resolved = false
    const planned = new Map<string, number>()
    const granted = new Map<string, number>()
    for (const { event, at } of entries) {
      const now = Date.parse(at)
      if (event.type === 'incident.resolved') resolved = true
      if (event.type === 'incident.reopened') resolved = false
      if (event.type === 'plan.made' || event.type === 'run.voided') planned.set(event.proposal, now)
      if (event.type === 'proposal.granted') granted.set(event.grant.proposal, now)
      if (event.type === 'proposal.decided') {
        must(!resolved, 'a plan was decided on after its alert had resolved')
        must(MAY.includes(event.decision.user), `${event.decision.user} decided`)
        must(
          now - planned.get(event.decision.proposal)! <= policy.proposalMinutes * 60_000,
          'a plan was decided on after its time',
        )
      }
      if (event.type === 'run.started')
        must(
          now - granted.get(event.proposal)! <= policy.grantMinutes * 60_000,
          'a run started after its grant had lapsed',
        )
    }
  }

  return { check, kept }
}
