import type { KeyObject } from 'node:crypto'
import type { Happening } from '../../src/domain/event.ts'
import type { Incident, ProposalStatus } from '../../src/domain/incident.ts'
import type { Person, Policy } from '../../src/domain/policy.ts'

type Pair = { privateKey: KeyObject; publicKey: KeyObject }

/** What is broken on purpose in a schedule, so that the checker shows that it would find it. */
export type Bug = Readonly<{
  /** What of the target's state goes into the plan. */
  sees: (bulb: string) => string
  /** What a process takes an incident for. */
  views: (incident: Incident, process: string) => Incident
  /** What Slack says of a person. */
  people: (person: Person) => Person
  /** Whether an event is kept. */
  keeps: (event: Happening) => boolean
  policy: (policy: Policy) => Policy
  /** When a webhook is answered: after its alerts are stored, or before. */
  answers: 'after' | 'before'
  /** When the store's file is on disk: before it answers, or within a second. */
  fsync: 'always' | 'everysec'
  /** Whether a command tries again when its call breaks. */
  retries: boolean
  /** Whether a worker takes whatever signature a grant carries. */
  believes: boolean
  signs: (own: Pair, other: Pair) => Pair
  trusts: (own: KeyObject, other: KeyObject) => KeyObject
}>

export const NO_BUG: Bug = {
  sees: (bulb) => bulb,
  views: (incident) => incident,
  people: (person) => person,
  keeps: () => true,
  policy: (policy) => policy,
  answers: 'after',
  fsync: 'always',
  retries: false,
  believes: false,
  signs: (own) => own,
  trusts: (own) => own,
}

/** Planted bugs by name; each must be found within a number of schedules. */
export const BUGS: Readonly<Record<string, Bug>> = {
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
  'an unknown outcome is run again': { ...NO_BUG, views: takes('unknown', 'granted') },
  'only the id of a job says that it was done, and is forgotten with it': {
    ...NO_BUG,
    views: takes('succeeded', 'granted'),
  },
  'a change that may be made once is retried': { ...NO_BUG, retries: true },
  'a job needs no signature': { ...NO_BUG, believes: true },
  'a webhook is answered before its alerts are stored': { ...NO_BUG, answers: 'before' },
  'the store writes its file once a second': { ...NO_BUG, fsync: 'everysec' },
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
