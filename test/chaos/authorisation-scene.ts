import { generateKeyPairSync } from 'node:crypto'
import type { Happening } from '../../src/domain/event.ts'
import { signDecision, signGrant } from '../../src/domain/grant.ts'
import { digest, type Subject } from '../../src/domain/plan.ts'
import type { Playbook } from '../../src/domain/playbook.ts'
import { Policy } from '../../src/domain/policy.ts'
import { alertOf, playbook as example, ID, subjectOf } from '../slack/cards.ts'
import * as oracle from './oracle.ts'
import type { Random } from './scheduler.ts'

export const keys = generateKeyPairSync('ed25519')
export const T0 = Date.parse('2026-11-21T03:00:00.000Z')
export const MINUTE = 60_000

/** Every kind of account that can press; each but the stranger may be on any list. */
const ACCOUNTS: readonly oracle.Account[] = [
  { user: 'U0ADA', is: 'member', groups: [] },
  { user: 'U0SAM', is: 'member', groups: ['S0DATA'] },
  { user: 'U0SAM2', is: 'member', groups: [] },
  { user: 'U0GRP', is: 'member', groups: ['S0DATA', 'S0OTHER'] },
  { user: 'U0ONA', is: 'member', groups: [] },
  { user: 'U0GUS', is: 'guest', groups: ['S0DATA'] },
  { user: 'U0DEL', is: 'deactivated', groups: ['S0DATA'] },
  { user: 'U0BOT', is: 'bot', groups: [] },
  { user: 'U0EXT', is: 'external', groups: ['S0DATA'] },
  { user: 'U0ERR', is: 'silent', groups: [] },
  { user: 'U0WHO', is: 'member', groups: [] },
]
const LISTED = ACCOUNTS.slice(0, -1).map((a) => a.user)

const some = <T>(random: Random, all: readonly T[], chance = 0.4): T[] => all.filter(() => random.chance(chance))

/** A policy of chance, from nobody at all to everybody on every list. */
export function drawPolicy(random: Random): Policy {
  const list = () => ({
    users: some(random, LISTED),
    usergroups: some(random, ['S0DATA', 'S0OTHER'], 0.3),
    oncall: some(random, ['primary', 'night'], 0.3),
  })
  const approvers = Object.fromEntries(some(random, ['dba', 'ops', 'constructor'], 0.7).map((name) => [name, list()]))
  return Policy.parse({
    approvers,
    defaultApprovers: some(random, Object.keys(approvers), 0.6),
    oncall: {
      primary: { users: ['U0ONA', 'U0ADA'], start: '2026-11-20T00:00:00Z', shiftHours: random.pick([1, 12, 168]) },
      night: { users: ['U0GUS', 'U0SAM'], start: '2026-11-21T04:00:00Z', shiftHours: 0.5 },
    },
    people: random.chance(0.7) ? { sam: ['U0SAM', 'U0SAM2'], ada: ['U0ADA'] } : {},
    quorum: { low: random.pick([1, 1, 2]), medium: random.pick([1, 2]), high: random.pick([2, 3]) },
    selfApproval: random.pick(['never', 'low', 'medium', 'high'] as const),
    proposalMinutes: random.pick([1, 60, 1440]),
    grantMinutes: random.pick([1, 15]),
  })
}

export const STATES = [
  ...[
    'none',
    'planning',
    'refused',
    'in window',
    'open',
    'open',
    'open',
    'approved once',
    'approved once',
    'rejected',
    'expired',
  ],
  ...['withdrawn', 'granted', 'running', 'cancelling', 'succeeded', 'failed', 'unknown', 'settled'],
]

/** What can be asked for. The test beside this one says that no button, form or route is missing. */
export const ACTS = [
  'approve',
  'reject',
  'request',
  'cancel',
  'done',
  'resume',
  'abandon',
  'freeze',
  'thaw',
  'override',
  'narrow',
  'skip',
] as const
type Act = (typeof ACTS)[number]

/** The states in which an act may find something to do. */
const FITTING: Readonly<Record<Act, readonly string[]>> = {
  approve: ['open', 'approved once', 'approved once'],
  reject: ['open', 'approved once'],
  request: ['none', 'rejected', 'expired', 'refused', 'succeeded', 'failed', 'settled'],
  cancel: ['running'],
  done: ['unknown'],
  resume: ['unknown'],
  abandon: ['unknown'],
  freeze: ['open'],
  thaw: ['open'],
  override: ['in window'],
  narrow: ['open', 'approved once'],
  skip: ['none'],
}

export type Drawn = oracle.Scene &
  Readonly<{ act: Act; press: oracle.Moment; submit: oracle.Moment; playbook: Playbook; events: readonly Happening[] }>

/** How the incident came to its state, with decisions that were really signed. */
function history(scene: Omit<oracle.Scene, 'plannedAt'>, playbook: Playbook, subject: Subject): Happening[] {
  const proposal = 'p1'
  const by = { user: 'U0WHO', name: 'Who' }
  const hash = digest(subject)
  const signed = scene.approvals.map(({ account, at, reason }) => {
    const via = oracle.ways(
      scene.policy,
      scene.lists.length > 0 ? scene.lists : scene.policy.defaultApprovers,
      account,
      at,
    )
    const { user } = account
    const stamp = new Date(at).toISOString()
    const decision = {
      incident: ID,
      proposal,
      digest: hash,
      verdict: 'approve' as const,
      user,
      name: user,
      via,
      reason,
      at: stamp,
    }
    return signDecision(decision, keys.privateKey)
  })
  const times = {
    issuedAt: new Date(T0).toISOString(),
    expiresAt: new Date(T0 + scene.policy.grantMinutes * MINUTE).toISOString(),
  }
  const grant = () => ({
    type: 'proposal.granted' as const,
    grant: signGrant({ incident: ID, proposal, digest: hash, approvals: signed, ...times }, keys.privateKey),
  })
  const requestedBy = scene.requester === null ? null : { user: scene.requester, name: 'Asker' }
  const opening: Happening[] = [
    { type: 'incident.opened', group: 'g', title: 't', severity: 'critical', channel: 'default', playbook },
    { type: 'alerts.changed', alerts: [alertOf()], truncated: 0 },
  ]
  const asked: Happening = {
    type: 'proposal.requested',
    proposal,
    step: 'end',
    params: subject.params as never,
    by: requestedBy,
    resumes: null,
  }
  const open: Happening[] = [asked, { type: 'plan.made', proposal, subject, digest: hash }]
  const decided = signed.map((decision): Happening => ({ type: 'proposal.decided', decision }))
  const run: Happening[] = [...open, ...decided, grant(), { type: 'run.started', proposal, worker: 'w' }]
  const finished = (outcome: 'succeeded' | 'failed'): Happening => ({
    type: 'run.finished',
    proposal,
    outcome,
    message: '',
    checks: [],
  })
  const lost: Happening = { type: 'run.unknown', proposal, message: '', findings: [] }
  const rejected = (): Happening => ({
    type: 'proposal.decided',
    decision: { ...signed[0]!, verdict: 'reject' },
  })
  const paths: Record<string, () => Happening[]> = {
    none: () => [],
    planning: () => [asked],
    'in window': () => [asked, { type: 'plan.refused', proposal, reason: 'no', window: 'month end' }],
    refused: () => [asked, { type: 'plan.refused', proposal, reason: 'no' }],
    open: () => open,
    'approved once': () => [...open, ...decided],
    rejected: () => [...open, rejected()],
    expired: () => [...open, { type: 'proposal.expired', proposal }],
    withdrawn: () => [...open, { type: 'incident.resolved' }, { type: 'proposal.withdrawn', proposal, reason: '' }],
    granted: () => [...open, ...decided, grant()],
    running: () => run,
    cancelling: () => [...run, { type: 'run.cancel_requested', proposal, by }],
    succeeded: () => [...run, finished('succeeded')],
    failed: () => [...run, finished('failed')],
    unknown: () => [...run, lost],
    settled: () => [...run, lost, { type: 'run.settled', proposal, choice: 'done', by, reason: 'r' }],
  }
  return [...opening, ...paths[scene.state]!()]
}

/** A plan of which something can be left out. */
export const PLAN = { ...subjectOf().plan, leaveOut: { param: 'pids', names: ['4711', '4712'] } }

/** A press of chance: on what, by whom, when, where, and how the incident came there. Only these states, if any are given. */
export function draw(random: Random, states: readonly string[] | null): Drawn {
  const policy = drawPolicy(random)
  const risk = random.pick(['low', 'medium', 'high'] as const)
  const lists = some(random, ['dba', 'ops', 'constructor', 'ghost'], 0.4)
  const act = random.pick<Act>(['approve', 'approve', 'approve', ...ACTS])
  // Half of the time something that could be allowed, or chance would mostly ask for what never is.
  const state = random.pick(states ?? (random.chance(0.5) ? STATES : FITTING[act]))
  const others = ACCOUNTS.filter((a) => a.is === 'member')
  const first = random.pick(others)
  const twin = ACCOUNTS.find((a) => a.user === (first.user === 'U0SAM' ? 'U0SAM2' : 'U0SAM'))!
  const account = random.chance(0.2) ? twin : random.pick(ACCOUNTS)
  const had = ['none', 'planning', 'refused', 'in window', 'open', 'expired', 'withdrawn'].includes(state)
  const scene = {
    policy,
    lists,
    risk,
    state,
    requester: random.pick([null, null, ...others.map((a) => a.user)]),
    approvals: had ? [] : [{ account: first, at: T0 + 4000, reason: 'because' }],
    frozen: random.chance(act === 'thaw' ? 0.7 : 0.15),
    place: random.pick([
      'its message',
      'its message',
      'its message',
      'another message of the thread',
      'elsewhere',
    ] as const),
    digest: random.chance(0.9) ? ('current' as const) : ('older' as const),
  }
  const playbook: Playbook = {
    ...example,
    approvers: lists,
    // Only what another change follows can be left out.
    steps: example.steps
      .slice(0, act === 'skip' ? 3 : 2)
      .map((s) => (s.id === 'end' ? { ...s, call: { ...s.call!, risk } } : s)),
  }
  const subject = subjectOf({
    requestedBy: scene.requester,
    environment: 'none',
    requestedAt: new Date(T0 + 2000).toISOString(),
    plan: PLAN,
  })
  const events = history(scene, playbook, subject)
  // Entries are one second apart, and a plan is the fourth of them.
  const plannedAt = T0 + 3000
  const limit = plannedAt + policy.proposalMinutes * MINUTE
  const at = random.pick([T0 + 10_000, plannedAt, limit - 1, limit, limit + 1, T0 + 61 * MINUTE, T0 + 7 * 86_400_000])
  const reason = random.pick(['the loader is hung', 'the loader is hung', '', ' \n '])
  const later = random.pick([at, at, limit - 1, limit].filter((t) => t >= at))
  // Between opening the form and sending it somebody may have lost the account, or the group.
  const then = random.pick<oracle.Account>([
    account,
    account,
    { ...account, is: 'deactivated' },
    { ...account, groups: [] },
  ])
  const press = { at, account, reason }
  return {
    ...scene,
    act,
    press,
    submit: { at: later, account: then, reason },
    plannedAt,
    playbook,
    events,
  }
}
