import type { Incident, ProposalStatus } from '../../src/domain/incident.ts'
import { type Flaw, policy, RULES } from './core-world.ts'

const EVER = 1e9
/** The incident as if its proposals of one status had another. */
const as = (incident: Incident, to: ProposalStatus, ...from: ProposalStatus[]): Incident => ({
  ...incident,
  proposals: incident.proposals.map((p) => (from.includes(p.status) ? { ...p, status: to } : p)),
})
const lasting = { ...policy, proposalMinutes: EVER, grantMinutes: EVER }
const sameHuman = { ...policy, people: {} }

/** Rules of the domain that are broken on purpose, one at a time; each must be found within a number of schedules. */
export const FLAWS: Readonly<Record<string, Flaw>> = {
  'an unknown outcome is run again': {
    checkGrant: (i, ...rest) => RULES.checkGrant(as(i, 'granted', 'unknown'), ...rest),
    start: (i, ...rest) => RULES.start(as(i, 'granted', 'unknown'), ...rest),
  },
  'a run that has started is started again': {
    checkGrant: (i, ...rest) => RULES.checkGrant(as(i, 'granted', 'running'), ...rest),
    start: (i, ...rest) => RULES.start(as(i, 'granted', 'running'), ...rest),
  },
  'a resolved alert can still be approved': {
    notice: (...all) => {
      const ruling = RULES.notice(...all)
      return ruling.ok ? { ...ruling, events: ruling.events.filter((e) => e.type !== 'proposal.withdrawn') } : ruling
    },
  },
  'a plan and a grant never lapse': { policy: lasting, elapse: (i, p) => RULES.elapse(i, p, 0) },
  'the digest does not cover the state of the target': { sees: () => 'any' },
  'the plan of now is not held against the granted one': {
    differs: () => false,
    start: (i, id, fresh, ...rest) =>
      RULES.start(i, id, i.proposals.find((p) => p.id === id)?.subject ?? fresh, ...rest),
  },
  'one human counts twice, with two accounts': { policy: sameHuman },
  'one person is enough': { policy: { ...policy, quorum: { ...policy.quorum, low: 1 } } },
  'who asked may approve': { policy: { ...policy, selfApproval: 'high' } },
  'a guest may approve': { takesFor: (now) => ({ ...now, guest: false }) },
  'somebody who left may approve': { takesFor: (now) => ({ ...now, deleted: false }) },
  'membership of a group is remembered': { takesFor: (now, before) => ({ ...now, usergroups: before.usergroups }) },
  'a rejected plan can be approved': {
    decide: (i, ...rest) => RULES.decide(as(i, 'open', 'rejected'), ...rest),
  },
  'a run goes on after a cancel': {
    startStep: (i, ...rest) =>
      RULES.startStep(
        { ...i, proposals: i.proposals.map((p) => (p.run ? { ...p, run: { ...p.run, cancelledBy: null } } : p)) },
        ...rest,
      ),
  },
  'a run goes on after its outcome is unknown': {
    startStep: (i, ...rest) => RULES.startStep(as(i, 'running', 'unknown'), ...rest),
    finishStep: (i, ...rest) => RULES.finishStep(as(i, 'running', 'unknown'), ...rest),
  },
  'an end is stored over an unknown outcome': {
    finish: (i, ...rest) => RULES.finish(as(i, 'running', 'unknown'), ...rest),
  },
  'a resumed run does again what is done': {
    settle: (...all) => {
      const ruling = RULES.settle(...all)
      if (!ruling.ok) return ruling
      const events = ruling.events.map((e) =>
        e.type === 'proposal.requested' && e.resumes ? { ...e, resumes: { ...e.resumes, done: [] } } : e,
      )
      return { ok: true, events }
    },
  },
  'the freeze is not looked at': { heedsFreeze: false },
  'a lock has a time-out': { lockFor: 500 },
  'the journal appends without comparing': { blind: true },
  'the store forgets which intents it has stored': { forgetful: true },
}
