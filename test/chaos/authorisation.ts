import { generateKeyPairSync } from 'node:crypto'
import type { App } from '@slack/bolt'
import type { ModalView } from '@slack/types'
import { type Entry, genesis, type Happening, seal } from '../../src/domain/event.ts'
import { signDecision, signGrant } from '../../src/domain/grant.ts'
import { evolve, type Incident } from '../../src/domain/incident.ts'
import { digest, type Subject } from '../../src/domain/plan.ts'
import type { Playbook } from '../../src/domain/playbook.ts'
import { approverNames, Policy } from '../../src/domain/policy.ts'
import type { Journal, Posted } from '../../src/domain/ports.ts'
import { checkGrant } from '../../src/domain/run.ts'
import { createLog } from '../../src/log.ts'
import { createFreezer } from '../../src/pipeline/freezer.ts'
import { createHandlers } from '../../src/pipeline/handlers.ts'
import { type Press, writePress } from '../../src/slack/actions.ts'
import type { LookUp } from '../../src/slack/approvers.ts'
import { listen } from '../../src/slack/interactions.ts'
import type { Send } from '../../src/slack/send.ts'
import { modals } from '../../src/slack/views/modals.ts'
import { alertOf, playbook as example, ID, subjectOf } from '../slack/cards.ts'
import * as oracle from './oracle.ts'
import { type Random, randomOf } from './scheduler.ts'
import { Violation } from './violation.ts'

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
function drawPolicy(random: Random): Policy {
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
}

type Drawn = oracle.Scene &
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
    steps: example.steps.slice(0, 2).map((s) => (s.id === 'end' ? { ...s, call: { ...s.call!, risk } } : s)),
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

const forms = (scene: Drawn): boolean =>
  !['cancel', 'request', 'override'].includes(scene.act) && !(scene.act === 'approve' && scene.risk === 'low')

/** What must be in the journal afterwards, and whether the freeze must stand. */
function expected(scene: Drawn): { events: string[]; frozen: boolean } {
  const { act, press, submit, place, frozen } = scene
  if (act === 'freeze') return { events: [], frozen: oracle.freeze(scene, submit) }
  if (act === 'thaw') return { events: [], frozen: oracle.thaw(scene, submit) }
  const deciding = act === 'approve' || act === 'reject' || act === 'narrow'
  const isOn = deciding ? place === 'its message' : place !== 'elsewhere'
  // Where there is no proposal, there is no message of one.
  if (!isOn || (scene.state === 'none' && (deciding || place === 'its message'))) return { events: [], frozen }
  switch (act) {
    case 'approve':
      if (!oracle.mayApprove(scene, press)) return { events: [], frozen }
      return { events: oracle.approve(scene, forms(scene) ? submit : press), frozen }
    case 'reject':
      return { events: oracle.mayReject(scene, press) ? oracle.reject(scene, submit) : [], frozen }
    case 'cancel':
      return { events: oracle.cancel(scene, press), frozen }
    case 'override':
      return { events: oracle.override(scene, press), frozen }
    case 'narrow':
      return { events: press.account.is === 'silent' ? [] : oracle.narrow(scene, submit), frozen }
    case 'request':
      return { events: oracle.request(scene, press), frozen }
    default:
      return { events: press.account.is === 'silent' ? [] : oracle.settle(scene, submit, act), frozen }
  }
}

function pressOf({ act, digest: which }: Drawn, current: string): Press {
  const [incident, proposal] = [ID, 'p1']
  if (act === 'freeze' || act === 'thaw') return { kind: 'freeze', verb: act }
  if (act === 'request') return { kind: 'request', incident, step: 'end' }
  if (act === 'override')
    return { kind: 'request', incident, step: 'end', override: which === 'current' ? 'month end' : 'Sunday' }
  if (act === 'cancel') return { kind: 'cancel', incident, proposal }
  const hash = which === 'current' ? current : digest('older')
  if (act === 'narrow') return { kind: 'narrow', incident, proposal, digest: hash }
  if (act === 'approve' || act === 'reject') return { kind: 'decide', verdict: act, incident, proposal, digest: hash }
  return { kind: 'settle', choice: act, incident, proposal }
}

/** A journal in memory, with the entries of an incident one second apart. */
export function createMemory(clock: () => number) {
  const states = new Map<string, Incident>()
  const entries = new Map<string, Entry[]>()
  const latest = new Map<string, string>()
  const add = (id: string, events: readonly Happening[], at: (i: number) => number) => {
    const all = entries.get(id) ?? []
    for (const event of events) {
      const before = states.get(id) ?? null
      const [seq, when] = [all.length + 1, new Date(at(all.length)).toISOString()]
      const entry = seal({ incident: id, seq, at: when, op: `${id}/${seq}`, event, prev: before?.head ?? genesis(id) })
      all.push(entry)
      states.set(id, evolve(before, entry))
    }
    entries.set(id, all)
    const group = states.get(id)?.group
    if (group) latest.set(group, id)
  }
  const journal: Pick<Journal, 'load' | 'append' | 'current' | 'entries'> = {
    load: async (id) => states.get(id) ?? null,
    current: async (group) => latest.get(group) ?? null,
    entries: async (id) => entries.get(id) ?? [],
    async append(id, version, _op, events) {
      if ((states.get(id)?.version ?? 0) !== version) return { ok: false, reason: 'conflict' }
      add(id, events, clock)
      return { ok: true, incident: states.get(id)! }
    },
  }
  return { ...journal, write: (events: readonly Happening[]) => add(ID, events, (i) => T0 + i * 1000) } as Journal & {
    write(events: readonly Happening[]): void
  }
}

const log = createLog({ level: 'silent', strike: (text) => text, destination: { write: () => {} } })
const MESSAGES: Record<string, Posted> = Object.fromEntries(
  ['root', 'proposal:p1', 'evidence:look'].map((key, i) => [
    key,
    { channel: 'C0OURS', ts: `1.${i}`, hash: '', attemptedAt: 1 },
  ]),
)
const PLACES = {
  'its message': { channel_id: 'C0OURS', message_ts: '1.1' },
  'another message of the thread': { channel_id: 'C0OURS', message_ts: '1.0' },
}

/** One press, with the form behind it if there is one, by the real way in from Slack; judged by the oracle. */
export async function authorise(seed: number): Promise<void> {
  const random = randomOf(seed)
  const scene = draw(random, null)
  let now = T0
  const journal = createMemory(() => now)
  journal.write(scene.events)
  const before = (await journal.entries(ID)).length
  const policy = scene.policy
  const common = { journal, clock: () => now, ids: () => `op-${seed}`, policy }
  const freezer = createFreezer({ ...common, incidentId: (_, n) => `freeze-${n}`, ordinal: () => 1 })
  if (scene.frozen) await freezer.freeze({ by: 'terminal', reason: 'release', person: null })
  const bell = { ring: async () => {} }
  const locks = { acquire: async () => ({ ok: true as const, fresh: [] }), release: async () => {} }
  const handlers = createHandlers({ ...common, bell, locks, keys, freezer, faultsOf: () => ({}), onError: () => {} })

  let asking = scene.press
  const lookUp = async (): Promise<LookUp> => {
    const { user, is, groups } = asking.account
    if (is === 'silent') return { ok: false, reason: 'lookup_failed' }
    const flags = {
      deleted: is === 'deactivated',
      bot: is === 'bot',
      guest: is === 'guest',
      external: is === 'external',
    }
    return { ok: true, person: { user, name: user, usergroups: groups, ...flags } }
  }
  const visible: string[] = []
  let form: ModalView | null = null
  const send = {
    open: async (_trigger: string, view: ModalView) => {
      form = view
      return { ok: true, value: 'V1' }
    },
    replace: async (_id: string, view: ModalView) => {
      form = view
      visible.push('form')
      return { ok: true, value: 'V1' }
    },
    tell: async () => void visible.push('told'),
  } as unknown as Send
  type Listener = (it: { body: unknown; ack: (answer?: unknown) => Promise<void> }) => Promise<void>
  const heard: { press?: Listener; submit?: Listener } = {}
  const app = {
    action: (pattern: RegExp, listener: Listener) => {
      if (pattern.test('keyturn:approve')) heard.press = listener
    },
    view: (_pattern: RegExp, listener: Listener) => {
      heard.submit = listener
    },
  } as unknown as App
  listen(app, {
    handlers,
    postbox: { read: async () => (scene.state === 'none' ? { root: MESSAGES.root! } : MESSAGES) },
    people: { lookUp },
    send,
    policy,
    modals,
    drawHome: async () => {},
    log,
  })

  const elsewhere = random.pick([
    { channel_id: 'C0OTHER', message_ts: '1.1' },
    { channel_id: 'C0OURS', message_ts: '9.9' },
  ])
  const container = scene.place === 'elsewhere' ? elsewhere : PLACES[scene.place]
  let acks = 0
  const ack = async (answer?: unknown) => {
    acks += 1
    if (answer) visible.push('answered')
  }
  now = scene.press.at
  const current = (await journal.load(ID))?.proposals[0]?.digest ?? digest('none')
  const user = { id: scene.press.account.user }
  await heard.press!({
    body: { user, trigger_id: 't', container, actions: [writePress(pressOf(scene, current))] },
    ack,
  })
  const shown = form as ModalView | null
  if (shown?.callback_id) {
    asking = scene.submit
    now = scene.submit.at
    const values =
      scene.act === 'narrow'
        ? { 'leave:0': { value: { type: 'checkboxes', selected_options: [{ value: '1' }] } } }
        : { reason: { value: { type: 'plain_text_input', value: scene.submit.reason } } }
    const view = { ...shown, private_metadata: shown.private_metadata ?? '', state: { values } }
    await heard.submit!({ body: { user, view }, ack })
    acks -= 1
  }

  const say = () =>
    `${scene.act} by ${scene.press.account.user} (${scene.press.account.is}, then ${scene.submit.account.is}) on ${scene.place}, ${scene.state}, ${scene.risk}, ${JSON.stringify(scene.press.reason)}, +${(scene.press.at - T0) / MINUTE} min, frozen ${scene.frozen}, policy ${JSON.stringify(policy)}, lists ${scene.lists}`
  const written = (await journal.entries(ID)).slice(before).map((e) => e.event.type)
  const wanted = expected(scene)
  if (JSON.stringify(written) !== JSON.stringify(wanted.events))
    throw new Violation(`[${written}] instead of [${wanted.events}]: ${say()}`)
  if (((await freezer.state()) !== null) !== wanted.frozen) throw new Violation(`the freeze is wrong: ${say()}`)
  if (acks !== 1) throw new Violation(`acknowledged ${acks} times: ${say()}`)
  const changed = wanted.events.length > 0 || wanted.frozen !== scene.frozen
  // Asking for what is under way already is no refusal.
  if (!changed && visible.length === 0 && scene.act !== 'request')
    throw new Violation(`nothing is seen of it: ${say()}`)
  if (!written.includes('proposal.granted')) return

  const own = random.chance(0.6) ? policy : drawPolicy(random)
  const given = forms(scene) ? scene.submit : scene.press
  const runAt = given.at + random.pick([0, policy.grantMinutes * MINUTE - 1, policy.grantMinutes * MINUTE, 86_400_000])
  const incident = (await journal.load(ID))!
  const view = {
    publicKey: keys.publicKey,
    policy: own,
    approvers: approverNames(own, scene.playbook),
    risk: scene.risk,
  }
  const runs = checkGrant(incident, 'p1', view, runAt) === null
  const approvals = [...scene.approvals, { ...given, reason: given.reason.trim() }]
  if (runs !== oracle.mayRun(scene, approvals, own, given.at, runAt))
    throw new Violation(`the worker ${runs ? 'runs' : 'does not run'} it, with ${JSON.stringify(own)}: ${say()}`)
}
