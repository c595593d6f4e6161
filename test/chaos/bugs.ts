import type { KeyObject } from 'node:crypto'
import type { Happening } from '../../src/domain/event.ts'
import type { Incident, ProposalStatus } from '../../src/domain/incident.ts'
import type { Person, Policy } from '../../src/domain/policy.ts'

type Pair = { privateKey: KeyObject; publicKey: KeyObject }

/** What is broken on purpose in a schedule, so that the checker shows that it would find it. */
export type Bug = Readonly<{
  /** Whether the journal compares the version before it appends. */
  compareAndSet: boolean
  /** Milliseconds that a lock is held for. */
  lockFor: number
  /** What of the target's state goes into the plan. */
  sees: (bulb: string) => string
  /** What a process takes an incident for. */
  views: (incident: Incident, process: string) => Incident
  /** What Slack says of a person. */
  people: (person: Person) => Person
  /** Whether an event is kept. */
  keeps: (event: Happening) => boolean
  policy: (policy: Policy) => Policy
  signs: (own: Pair, other: Pair) => Pair
  trusts: (own: KeyObject, other: KeyObject) => KeyObject
}>

export const NO_BUG: Bug = {
  compareAndSet: true,
  lockFor: Number.POSITIVE_INFINITY,
  sees: (bulb) => bulb,
  views: (incident) => incident,
  people: (person) => person,
  keeps: () => true,
  policy: (policy) => policy,
  signs: (own) => own,
  trusts: (own) => own,
}

/** Planted bugs by name; each must be found within a number of schedules. */
export const BUGS: Readonly<Record<string, Bug>> = {
  'the journal appends without comparing': { ...NO_BUG, compareAndSet: false },
  'the digest does not cover the state of the target': { ...NO_BUG, sees: () => 'any' },
  'two accounts of one human count twice': { ...NO_BUG, policy: (p) => ({ ...p, people: {} }) },
  'one person is enough': { ...NO_BUG, policy: (p) => ({ ...p, quorum: { ...p.quorum, low: 1 } }) },
  'anybody may approve': {
    ...NO_BUG,
    policy: (p) => ({
      ...p,
      approvers: { data: { ...p.approvers.data!, users: [...p.approvers.data!.users, 'U0WHO'] } },
    }),
  },
  'a guest may approve': { ...NO_BUG, people: (p) => ({ ...p, guest: false }) },
  'a run that has started is started again': { ...NO_BUG, views: takes('running', 'granted') },
  'a plan stays open after its alert resolves': { ...NO_BUG, keeps: (e) => e.type !== 'proposal.withdrawn' },
  'a plan and a grant never expire': {
    ...NO_BUG,
    policy: (p) => ({ ...p, proposalMinutes: 100_000, grantMinutes: 100_000 }),
  },
}

function takes(from: ProposalStatus, to: ProposalStatus): Bug['views'] {
  return (incident, process) => ({
    ...incident,
    proposals: incident.proposals.map((p) =>
      p.status === from && p.run?.worker !== process ? { ...p, status: to } : p,
    ),
  })
}
