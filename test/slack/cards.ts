import type { Alert } from '../../src/domain/alert.ts'
import { type Entry, genesis, type Happening, seal } from '../../src/domain/event.ts'
import { evolve } from '../../src/domain/evolve.ts'
import { BREAK_GLASS } from '../../src/domain/grant.ts'
import type { Incident } from '../../src/domain/incident.ts'
import { digest, type Plan, type Subject } from '../../src/domain/plan.ts'
import type { Field, Playbook, RUNGS } from '../../src/domain/playbook.ts'
import { Policy } from '../../src/domain/policy.ts'
import type { ViewContext } from '../../src/slack/app.ts'

export const ID = '4fa38adc3708-1'
const field: Field = { name: 'connection', label: 'Connection', type: 'text', options: [], required: true }
const call = (command: string, effect: 'read' | 'once', risk: 'low' | 'medium' | 'high' | null) => ({
  command,
  summary: 'Does it',
  effect,
  risk,
  params: { connection: `\${labels.connection}` },
  fields: [field],
})

export const playbook: Playbook = {
  id: 'postgres/blocked-sessions',
  hash: 'sha256:0',
  title: 'Sessions block each other',
  match: { alertname: { kind: 'equals', value: 'Blocked' } },
  groupBy: ['connection'],
  owner: '@data-platform',
  approvers: ['dba'],
  severity: null,
  channel: null,
  intro: 'Reports **wait** for a lock.',
  steps: [
    { id: 'look', title: 'Who blocks whom', line: 1, prose: 'Read it.', call: call('postgres.tree', 'read', null) },
    {
      id: 'end',
      title: '1. End the root',
      line: 2,
      prose: 'It rolls back.',
      call: call('postgres.end', 'once', 'medium'),
    },
    { id: 'reboot', title: '2. Reboot', line: 3, prose: 'All of it.', call: call('rds.reboot', 'once', 'high') },
  ],
}

export const policy = Policy.parse({
  approvers: { dba: { usergroups: ['S0000DATA'], users: ['U0000000SAM'], oncall: ['primary'] } },
  oncall: { primary: { users: ['U0000ONCALL'], start: '2026-01-01T00:00:00Z' } },
})

export const context: ViewContext = {
  policy,
  progress: {},
  frozen: null,
  ownerChannel: () => null,
  ownerId: (owner) => (owner === '@data-platform' ? 'S0000PLAT' : null),
  playbookUrl: (id) => `https://wiki.example.com/playbooks/${id}`,
}

export const plan: Plan = {
  summary: 'Terminate 2 sessions on warehouse',
  targets: [4711, 4712].map((pid) => ({
    id: `postgres:warehouse/pid/${pid}`,
    name: `session ${pid} of app`,
    fingerprint: `${pid}@2026-11-21T03:00:00Z`,
    details: { user: 'app', state: 'idle in transaction', query: 'update accounts set balance = balance + 1' },
  })),
  steps: [
    { id: 'end-4711', title: 'Terminate session 4711', detail: 'select pg_terminate_backend(4711)' },
    { id: 'end-4712', title: 'Terminate session 4712', detail: 'select pg_terminate_backend(4712)' },
  ],
  warnings: ['What these sessions have not committed is rolled back.'],
  data: null,
}

export const subjectOf = (over: Partial<Subject> = {}): Subject => ({
  incident: ID,
  proposal: 'p1',
  playbook: { id: playbook.id, hash: playbook.hash },
  step: 'end',
  command: { id: 'postgres.end', version: 'v1' },
  params: { connection: 'warehouse' },
  environment: 'production',
  plan,
  requestedBy: null,
  requestedAt: '2026-11-21T03:00:01.000Z',
  resumes: null,
  ...over,
})

export const alertOf = (over: Partial<Alert> = {}) => ({
  source: 'alertmanager',
  fingerprint: 'c8eca08886b11391',
  status: 'firing' as const,
  labels: { alertname: 'Blocked', connection: 'warehouse', severity: 'critical' },
  annotations: { summary: 'Reports have waited for a lock for 5 minutes' },
  startsAt: '2026-11-21T02:55:00.000Z',
  endsAt: null,
  links: [{ title: 'Alertmanager', url: 'https://alerts.example.com/#/alerts' }],
  ...over,
})

/** What happened, one second after the other, as an incident. */
export function incidentOf(...events: readonly Happening[]): Incident {
  let state: Incident | null = null
  events.forEach((event, i) => {
    const at = new Date(Date.parse('2026-11-21T03:00:00.000Z') + i * 1000).toISOString()
    const entry: Entry = seal({ incident: ID, seq: i + 1, at, op: `op-${i}`, event, prev: state?.head || genesis(ID) })
    state = evolve(state, entry)
  })
  if (!state) throw new Error('nothing happened')
  return state
}

const by = { user: 'U0000ONCALL', name: 'Ona' }
const opened: Happening = {
  type: 'incident.opened',
  group: 'g',
  title: playbook.title,
  severity: 'critical',
  channel: 'default',
  playbook,
}
const proposal = 'p1'
const made = (subject: Subject): Happening => ({ type: 'plan.made', proposal, subject, digest: digest(subject) })

/** The decision of a person; the views do not look at signatures. */
const decided = (subject: Subject, verdict: 'approve' | 'reject', user = 'U0000000SAM'): Happening => ({
  type: 'proposal.decided',
  decision: {
    incident: ID,
    proposal,
    digest: digest(subject),
    verdict,
    user,
    name: 'Sam',
    via: ['dba/user'],
    reason: 'The loader is hung',
    at: '2026-11-21T03:01:00.000Z',
    signature: 'c2ln',
  },
})
const granted = (subject: Subject): Happening => {
  const decision = decided(subject, 'approve')
  if (decision.type !== 'proposal.decided') throw new Error('not a decision')
  const times = { issuedAt: '2026-11-21T03:01:00.000Z', expiresAt: '2026-11-21T03:16:00.000Z' }
  const grant = {
    incident: ID,
    proposal,
    digest: digest(subject),
    approvals: [decision.decision],
    ...times,
    signature: 'c2ln',
  }
  return { type: 'proposal.granted', grant }
}

/** Everything up to an open proposal. */
export function openWith(subject: Subject): Happening[] {
  return [
    opened,
    { type: 'alerts.changed', alerts: [alertOf()], truncated: 0 },
    { type: 'evidence.requested', step: 'look', params: { connection: 'warehouse' }, by: null },
    {
      type: 'proposal.requested',
      proposal,
      step: subject.step,
      params: { connection: 'warehouse' },
      by: null,
      resumes: subject.resumes,
    },
    {
      type: 'evidence.gathered',
      step: 'look',
      evidence: {
        summary: '2 sessions wait for a lock. At the root: 4711.',
        blocks: [
          {
            type: 'table',
            columns: ['pid', 'blocked by', 'query'],
            rows: [
              ['4711', '', 'update accounts'],
              ['4713', '4711', 'select 1'],
            ],
            omitted: 3,
          },
          { type: 'code', text: 'idle in transaction since 02:50' },
          {
            type: 'chart',
            title: 'Waiting sessions',
            unit: 'sessions',
            points: [
              { label: '02:50', value: 1 },
              { label: '02:55', value: 4 },
            ],
          },
        ],
      },
    },
    made(subject),
  ]
}

const approved = (subject: Subject) => [...openWith(subject), decided(subject, 'approve'), granted(subject)]
const started = (subject: Subject): Happening[] => [
  ...approved(subject),
  { type: 'run.started', proposal, worker: 'worker-1' },
  { type: 'step.started', proposal, step: 'end-4711' },
  { type: 'step.done', proposal, step: 'end-4711', result: true },
  { type: 'step.started', proposal, step: 'end-4712' },
]
const s = subjectOf()
const settled = (choice: 'done' | 'resume' | 'abandon'): Happening => ({
  type: 'run.settled',
  proposal,
  choice,
  by,
  reason: 'I looked',
})
const unknown: Happening = {
  type: 'run.unknown',
  proposal,
  message: 'The worker that ran this is gone.',
  findings: [{ step: 'end-4712', landed: 'cannot_tell', detail: 'The session is still there.' }],
}
const finished = (outcome: 'succeeded' | 'failed' | 'cancelled', ok: boolean): Happening => ({
  type: 'run.finished',
  proposal,
  outcome,
  message: 'Terminated 2 sessions.',
  checks: [{ title: 'Nobody waits', ok, detail: ok ? '' : '1 session still waits' }],
})
const moved = subjectOf({
  plan: {
    ...plan,
    summary: 'Terminate 1 session on warehouse',
    targets: plan.targets.slice(1),
    steps: plan.steps.slice(1),
  },
})
const big = subjectOf({
  plan: {
    ...plan,
    summary: 'Terminate 60 sessions on warehouse',
    targets: Array.from({ length: 60 }, (_, i) => ({ ...plan.targets[0]!, id: `t${i}`, name: `session ${i}` })),
    steps: Array.from({ length: 60 }, (_, i) => ({ id: `s${i}`, title: `Terminate session ${i}`, detail: '' })),
  },
})
const withdrawn: Happening = { type: 'proposal.withdrawn', proposal, reason: 'The alert has resolved.' }

const overriding = subjectOf({ override: 'the sale' })
const parted = subjectOf({ plan: { ...plan, leaveOut: { param: 'pids', names: ['4711', '4712'] } } })
/** The playbook with its second change marked. */
const marked = (rung: (typeof RUNGS)[number], events: readonly Happening[]): Happening[] =>
  events.map((e) =>
    e.type === 'incident.opened' && e.playbook
      ? {
          ...e,
          playbook: {
            ...e.playbook,
            steps: e.playbook.steps.map((one) =>
              one.id === 'reboot' && one.call ? { ...one, call: { ...one.call, rung } } : one,
            ),
          },
        }
      : e,
  )

/** An incident in every state that people see, by name. */
export const STATES: Record<string, readonly Happening[]> = {
  looking: openWith(s).slice(0, 3),
  'evidence-failed': [
    ...openWith(s).slice(0, 3),
    { type: 'evidence.failed', step: 'look', error: 'connection refused' },
  ],
  'no-playbook': [
    { ...opened, title: 'Blocked', playbook: null },
    { type: 'alerts.changed', alerts: [alertOf()], truncated: 7 },
  ],
  handover: [
    { ...opened, playbook: { ...playbook, steps: playbook.steps.slice(0, 1) } },
    ...openWith(s).slice(1, 3),
    ...openWith(s).slice(4, 5),
  ],
  'handover-with-steps': [{ ...opened, playbook: { ...playbook, handOver: true } }, ...openWith(s).slice(1)],
  planning: openWith(s).slice(0, 5),
  open: openWith(s),
  'open-long': openWith(big),
  'open-high': openWith(subjectOf({ step: 'reboot', plan: { ...plan, targets: plan.targets.slice(0, 1) } })),
  'approved-once': [...openWith(subjectOf({ step: 'reboot' })), decided(subjectOf({ step: 'reboot' }), 'approve')],
  reminded: [...openWith(s), { type: 'proposal.reminded', proposal }],
  'plan-refused': [
    ...openWith(s).slice(0, 5),
    { type: 'plan.refused', proposal, reason: 'Session 4711 is a superuser session.' },
  ],
  'plan-failed': [...openWith(s).slice(0, 5), { type: 'plan.failed', proposal, error: 'connection refused' }],
  rejected: [...openWith(s), decided(s, 'reject')],
  expired: [...openWith(s), { type: 'proposal.expired', proposal }],
  withdrawn: [...openWith(s), { type: 'incident.resolved' }, withdrawn],
  reopened: [...openWith(s), { type: 'incident.resolved' }, withdrawn, { type: 'incident.reopened' }],
  granted: approved(s),
  moved: [
    ...approved(s),
    { type: 'run.voided', proposal, reason: 'The target is not as it was.', subject: moved, digest: digest(moved) },
  ],
  running: started(s),
  cancelling: [...started(s), { type: 'run.cancel_requested', proposal, by }],
  cancelled: [...started(s), { type: 'run.cancel_requested', proposal, by }, finished('cancelled', true)],
  'run-failed': [...started(s), finished('failed', false)],
  succeeded: [
    ...started(s),
    { type: 'step.done', proposal, step: 'end-4712', result: true },
    finished('succeeded', true),
  ],
  unknown: [...started(s), unknown],
  'settled-done': [...started(s), unknown, settled('done')],
  resumed: [
    ...started(s),
    unknown,
    settled('resume'),
    {
      type: 'proposal.requested',
      proposal: 'p2',
      step: 'end',
      params: { connection: 'warehouse' },
      by,
      resumes: { proposal, done: ['end-4711'] },
    },
  ],
  resolved: [
    ...started(s),
    { type: 'step.done', proposal, step: 'end-4712', result: true },
    finished('succeeded', true),
    { type: 'incident.resolved' },
  ],
  'in-window': [
    ...openWith(s).slice(0, 5),
    { type: 'plan.refused', proposal, reason: 'This falls into the freeze window “the sale”.', window: 'the sale' },
  ],
  override: openWith(overriding).map((e) => (e.type === 'proposal.requested' ? { ...e, override: 'the sale' } : e)),
  parts: openWith(parted),
  'at-terminal': approved(s).map((e) =>
    e.type === 'proposal.decided' ? { ...e, decision: { ...e.decision, via: [BREAK_GLASS] } } : e,
  ),
  spare: [
    ...marked('otherwise', started(s)),
    { type: 'step.done', proposal, step: 'end-4712', result: true },
    finished('succeeded', true),
  ],
  'still-to-be-undone': [
    ...marked('undoes', started(s)),
    { type: 'step.done', proposal, step: 'end-4712', result: true },
    finished('succeeded', true),
    { type: 'incident.resolved' },
    { type: 'undo.reminded', step: 'reboot' },
  ],
}
