import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { decide } from '../../src/domain/decide.ts'
import type { Happening } from '../../src/domain/event.ts'
import { proposalOf } from '../../src/domain/incident.ts'
import type { Subject } from '../../src/domain/plan.ts'
import * as rule from '../../src/domain/run.ts'
import { context, incidentOf, openWith, plan, subjectOf } from '../slack/cards.ts'
import { person } from './person.ts'

const keys = generateKeyPairSync('ed25519')
const NOW = Date.parse('2026-11-21T03:10:00.000Z')
const view = { publicKey: keys.publicKey, policy: context.policy, approvers: ['dba'], risk: 'medium' } as const
const sam = person('U0000000SAM', { name: 'sam' })

/** An incident whose plan is granted by a real signature. */
function granted(): Happening[] {
  const events = openWith(subjectOf())
  const incident = incidentOf(...events)
  const digest = proposalOf(incident, 'p1')?.digest ?? ''
  const at = new Date(NOW).toISOString()
  const ruling = decide(
    incident,
    { proposal: 'p1', digest, verdict: 'approve', reason: 'why', person: sam, at },
    context.policy,
    keys,
  )
  if (!ruling.ok) throw new Error(ruling.reason)
  return [...events, ...ruling.events]
}
const reasonOf = (ruling: ReturnType<typeof rule.start>) => (ruling.ok ? null : ruling.reason)
const start = (
  events: readonly Happening[],
  fresh: Subject = subjectOf(),
  more: Partial<rule.WorkerView> = {},
  now = NOW,
) => reasonOf(rule.start(incidentOf(...events), 'p1', fresh, 'w1', { ...view, ...more }, now))
const started: Happening = { type: 'run.started', proposal: 'p1', worker: 'w1' }

describe('START', () => {
  it('is allowed for the plan that the grant names', () => {
    expect(start(granted())).toBeNull()
  })
  it.each<[string, Partial<Subject>]>([
    ['other parameters', { params: { connection: 'billing' } }],
    ['another playbook', { playbook: { id: 'postgres/blocked-sessions', hash: 'sha256:1' } }],
    ['another version of the command', { command: { id: 'postgres.end', version: 'v2' } }],
    ['another environment', { environment: 'staging' }],
    [
      'another state of a target',
      { plan: { ...plan, targets: plan.targets.map((t) => ({ ...t, fingerprint: 'x' })) } },
    ],
    ['another step', { plan: { ...plan, steps: plan.steps.map((s) => ({ ...s, detail: 'x' })) } }],
  ])('is refused for %s', (_what, change) => {
    expect(start(granted(), subjectOf(change))).toBe('digest_changed')
  })
  it('is given once: not while it runs, nor after it has ended in any way', () => {
    expect(start([...granted(), started])).toBe('not_open')
    const end: Happening = { type: 'run.finished', proposal: 'p1', outcome: 'failed', message: '', checks: [] }
    expect(start([...granted(), started, end])).toBe('not_open')
    const unknown: Happening = { type: 'run.unknown', proposal: 'p1', message: '', findings: [] }
    expect(start([...granted(), started, unknown])).toBe('not_open')
  })
  it('is refused without a grant, after its time, and under a policy that does not know the approver', () => {
    expect(start(openWith(subjectOf()))).toBe('not_open')
    expect(start(granted(), subjectOf(), {}, NOW + 15 * 60_000)).toBe('grant_expired')
    expect(start(granted(), subjectOf(), { approvers: ['others'] })).toBe('quorum_short')
    expect(start(granted(), subjectOf(), { risk: 'high' })).toBe('quorum_short')
    expect(start(granted(), subjectOf(), { publicKey: generateKeyPairSync('ed25519').publicKey })).toBe('grant_forged')
  })
})

describe('a step', () => {
  const running = [...granted(), started]
  const step = (events: readonly Happening[], id = 'end-4711', worker = 'w1') =>
    reasonOf(rule.startStep(incidentOf(...events), 'p1', id, worker))
  it('starts for the worker that runs the plan, if it is in it', () => {
    expect(step(running)).toBeNull()
    expect(step(running, 'end-9999')).toBe('step_not_in_plan')
    expect(step(running, 'end-4711', 'w2')).toBe('not_running')
    expect(step(granted())).toBe('not_running')
  })
  it('does not start any more once somebody has asked to cancel, or the outcome is unknown', () => {
    expect(step([...running, { type: 'run.cancel_requested', proposal: 'p1', by: { user: 'U1', name: 'n' } }])).toBe(
      'not_running',
    )
    expect(step([...running, { type: 'run.unknown', proposal: 'p1', message: '', findings: [] }])).toBe('not_running')
  })
})

describe('a cancel', () => {
  const cancel = (events: readonly Happening[], patch = {}) =>
    reasonOf(rule.requestCancel(incidentOf(...events), 'p1', { ...sam, ...patch }))
  it('may be asked for by anybody of the organisation, while it runs, once', () => {
    const running = [...granted(), started]
    expect(cancel(running, { user: 'U0ANYBODY' })).toBeNull()
    expect(cancel(running, { guest: true })).toBe('person_is_guest')
    expect(cancel(running, { external: true })).toBe('person_is_external')
    expect(cancel(granted())).toBe('not_running')
    expect(cancel([...running, { type: 'run.cancel_requested', proposal: 'p1', by: { user: 'U1', name: 'n' } }])).toBe(
      'cancel_already_requested',
    )
  })
})
