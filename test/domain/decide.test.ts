import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { decide, elapse, mayDecide, settle } from '../../src/domain/decide.ts'
import type { Happening } from '../../src/domain/event.ts'
import { verifyGrant } from '../../src/domain/grant.ts'
import { type Incident, landedSteps, proposalOf } from '../../src/domain/incident.ts'
import { nextRung } from '../../src/domain/ladder.ts'
import { digest } from '../../src/domain/plan.ts'
import { type Person, Policy } from '../../src/domain/policy.ts'
import type { Reason } from '../../src/domain/reason.ts'
import { ID, incidentOf, openWith, STATES, subjectOf } from '../slack/cards.ts'
import { person } from './person.ts'

const keys = generateKeyPairSync('ed25519')
const policy = Policy.parse({
  approvers: { dba: { users: ['U0ADA', 'U0SAM', 'U0SAM2'], usergroups: ['S0DATA'], oncall: ['primary'] } },
  oncall: { primary: { users: ['U0DUTY', 'U0NEXT'], start: '2026-11-16T00:00:00Z', shiftHours: 168 } },
  people: { sam: ['U0SAM', 'U0SAM2'] },
})
const AT = '2026-11-21T03:10:00.000Z'
const subject = (step = 'end', requestedBy: string | null = null) => subjectOf({ step, requestedBy })
const asked = (by: string, events: Happening[]) =>
  events.map((e) => (e.type === 'proposal.requested' ? { ...e, by: { user: by, name: by } } : e))
const open = (step = 'end') => incidentOf(...openWith(subject(step)))
type Intent = Parameters<typeof mayDecide>[1]
const intent = (incident: Incident, who: Person, patch: Partial<Intent> = {}): Intent => ({
  proposal: 'p1',
  digest: proposalOf(incident, 'p1')?.digest ?? '',
  verdict: 'approve',
  person: who,
  at: AT,
  ...patch,
})
const say = (incident: Incident, who: Person, rules = policy, patch: Partial<Intent> = {}, reason = 'because') =>
  decide(incident, { ...intent(incident, who, patch), reason }, rules, keys)
const followed = (events: readonly Happening[], ...more: Happening[]) => incidentOf(...events, ...more)

describe('who may decide', () => {
  const rows: [string, Person, Reason | null][] = [
    ['a listed user', person('U0ADA'), null],
    ['a member of a listed group', person('U0MEM', { usergroups: ['S0DATA'] }), null],
    ['a member of another group', person('U0MEM', { usergroups: ['S0OTHER'] }), 'not_an_approver'],
    ['whoever is on duty', person('U0DUTY'), null],
    ['whoever is on duty next week', person('U0NEXT'), 'not_an_approver'],
    ['a stranger', person('U0WHO'), 'not_an_approver'],
    ['a guest, though listed', person('U0ADA', { guest: true }), 'person_is_guest'],
    ['a deactivated account, though listed', person('U0ADA', { deleted: true }), 'person_deactivated'],
    ['somebody of another organisation, though listed', person('U0ADA', { external: true }), 'person_is_external'],
    ['a bot, though listed', person('U0ADA', { bot: true }), 'person_is_bot'],
  ]
  it.each(rows)('%s: %#', (_who, who, reason) => {
    expect(mayDecide(open(), intent(open(), who), policy)).toBe(reason)
  })

  it('nobody at all, when no approver is configured', () => {
    const nobody = Policy.parse({})
    const incident = incidentOf(
      ...openWith(subject()).map((e) =>
        e.type === 'incident.opened' && e.playbook ? { ...e, playbook: { ...e.playbook, approvers: [] } } : e,
      ),
    )
    expect(mayDecide(incident, intent(incident, person('U0ADA')), nobody)).toBe('not_an_approver')
  })
})

describe('when it may be decided', () => {
  const base = openWith(subject())
  const rows: [string, readonly Happening[], Partial<Intent>, Reason][] = [
    ['while the plan is made', base.slice(0, 5), {}, 'not_open'],
    ['after it was rejected', STATES.rejected!, {}, 'already_decided'],
    ['after it was granted', STATES.granted!, {}, 'already_decided'],
    ['after it ran', STATES.succeeded!, {}, 'already_decided'],
    ['after it expired', STATES.expired!, {}, 'proposal_expired'],
    [
      'after the time is up, though nobody has said so yet',
      base,
      { at: '2026-11-21T04:00:05.000Z' },
      'proposal_expired',
    ],
    ['after the alert has resolved', STATES.withdrawn!, {}, 'incident_resolved'],
    ['on another digest', base, { digest: digest('another plan') }, 'digest_changed'],
    ['on the digest of before the world moved', STATES.moved!, { digest: digest(subjectOf()) }, 'digest_changed'],
    ['on a proposal that is not there', base, { proposal: 'p9' }, 'no_such_proposal'],
  ]
  it.each(rows)('is refused %s', (_when, events, patch, reason) => {
    const incident = incidentOf(...events)
    expect(mayDecide(incident, intent(incident, person('U0ADA'), patch), policy)).toBe(reason)
  })

  it('is allowed until the last moment', () => {
    expect(mayDecide(open(), intent(open(), person('U0ADA'), { at: '2026-11-21T04:00:04.999Z' }), policy)).toBeNull()
  })
})

describe('a decision', () => {
  it('that completes the quorum carries a grant that holds for exactly that plan', () => {
    const ruling = say(open(), person('U0ADA'))
    if (!ruling.ok) throw new Error(ruling.reason)
    const [decided, granted] = ruling.events
    expect(decided).toMatchObject({
      type: 'proposal.decided',
      decision: { user: 'U0ADA', via: ['dba/user'], reason: 'because' },
    })
    if (granted?.type !== 'proposal.granted') throw new Error('there is no grant')
    const wanted = {
      key: keys.publicKey,
      policy,
      approvers: ['dba'],
      risk: 'medium',
      incident: ID,
      proposal: 'p1',
      requestedBy: null,
      now: Date.parse(AT),
    } as const
    expect(verifyGrant(granted.grant, { ...wanted, digest: digest(subject()) })).toBeNull()
    for (const other of [
      subjectOf({ params: { connection: 'billing' } }),
      subjectOf({ environment: 'staging' }),
      subjectOf({ playbook: { id: 'postgres/blocked-sessions', hash: 'sha256:1' } }),
      subjectOf({ command: { id: 'postgres.end', version: 'v2' } }),
      subjectOf({
        plan: { ...subject().plan, targets: subject().plan.targets.map((t) => ({ ...t, fingerprint: 'x' })) },
      }),
    ])
      expect(verifyGrant(granted.grant, { ...wanted, digest: digest(other) })).not.toBeNull()
  })

  it('needs a reason where the risk asks for one', () => {
    expect(say(open(), person('U0ADA'), policy, {}, '  ')).toEqual({ ok: false, reason: 'reason_required' })
  })

  it('of high risk needs two different humans, whatever accounts they use', () => {
    const events = openWith(subject('reboot'))
    const first = say(incidentOf(...events), person('U0SAM'))
    if (!first.ok) throw new Error(first.reason)
    expect(first.events.map((e) => e.type)).toEqual(['proposal.decided'])
    const half = followed(events, ...first.events)
    expect(say(half, person('U0SAM'))).toEqual({ ok: false, reason: 'same_human' })
    expect(say(half, person('U0SAM2'))).toEqual({ ok: false, reason: 'same_human' })
    const second = say(half, person('U0ADA'))
    expect(second.ok && second.events.map((e) => e.type)).toEqual(['proposal.decided', 'proposal.granted'])
  })

  it('of who asked for the plan counts only up to the risk that the policy names', () => {
    const incident = incidentOf(...asked('U0SAM', openWith(subject('end', 'U0SAM'))))
    expect(say(incident, person('U0SAM'))).toEqual({ ok: false, reason: 'self_approval' })
    expect(say(incident, person('U0SAM2'))).toEqual({ ok: false, reason: 'self_approval' })
    expect(say(incident, person('U0SAM'), { ...policy, selfApproval: 'low' })).toEqual({
      ok: false,
      reason: 'self_approval',
    })
    expect(say(incident, person('U0SAM'), { ...policy, selfApproval: 'medium' }).ok).toBe(true)
    expect(say(incident, person('U0SAM'), policy, { verdict: 'reject' }).ok).toBe(true)
  })

  it('to reject is one, at any risk, and closes the proposal', () => {
    const ruling = say(open('reboot'), person('U0ADA'), policy, { verdict: 'reject' })
    if (!ruling.ok) throw new Error(ruling.reason)
    const done = followed(openWith(subject('reboot')), ...ruling.events)
    expect(proposalOf(done, 'p1')).toMatchObject({ status: 'rejected', grant: null })
  })

  it('does not build on one that was not signed by the bot', () => {
    const events = openWith(subject('reboot'))
    const first = say(incidentOf(...events), person('U0SAM'))
    if (!first.ok || first.events[0]?.type !== 'proposal.decided') throw new Error('no decision')
    const forged = { ...first.events[0], decision: { ...first.events[0].decision, user: 'U0DUTY' } }
    expect(say(followed(events, forged), person('U0ADA'))).toEqual({ ok: false, reason: 'decision_forged' })
  })
})

describe('time', () => {
  const types = (incident: Incident, at: string) => {
    const ruling = elapse(incident, policy, Date.parse(at))
    return ruling.ok && ruling.events.map((e) => e.type)
  }
  it('reminds at half of it, once, and closes at the end', () => {
    expect(types(open(), '2026-11-21T03:29:00Z')).toEqual([])
    expect(types(open(), '2026-11-21T03:31:00Z')).toEqual(['proposal.reminded'])
    expect(types(incidentOf(...STATES.reminded!), '2026-11-21T03:31:00Z')).toEqual([])
    expect(types(open(), '2026-11-21T04:01:00Z')).toEqual(['proposal.expired'])
  })
  it('lapses a grant that no worker took', () => {
    const granted = incidentOf(...STATES.granted!)
    expect(types(granted, '2026-11-21T03:15:59Z')).toEqual([])
    expect(types(granted, '2026-11-21T03:16:00Z')).toEqual(['proposal.expired'])
  })
})

describe('when an outcome is unknown', () => {
  const unknown = incidentOf(...STATES.unknown!)
  const choose = (
    choice: 'done' | 'resume' | 'abandon',
    who = person('U0ADA'),
    reason = 'I looked',
    incident = unknown,
  ) => settle(incident, { proposal: 'p1', choice, person: who, reason, at: AT }, policy)

  it('an approver chooses, once, and says why', () => {
    expect(choose('done', person('U0WHO'))).toEqual({ ok: false, reason: 'not_an_approver' })
    expect(choose('done', person('U0ADA', { guest: true }))).toEqual({ ok: false, reason: 'person_is_guest' })
    expect(choose('done', person('U0ADA'), ' ')).toEqual({ ok: false, reason: 'reason_required' })
    const done = choose('done')
    if (!done.ok) throw new Error(done.reason)
    expect(choose('abandon', person('U0ADA'), 'x', followed(STATES.unknown!, ...done.events))).toEqual({
      ok: false,
      reason: 'not_unknown',
    })
  })

  it('to resume is a new proposal that skips what has landed and needs its own approval', () => {
    const ruling = choose('resume')
    if (!ruling.ok) throw new Error(ruling.reason)
    const resumed = followed(STATES.unknown!, ...ruling.events)
    expect(proposalOf(resumed, 'p2')).toMatchObject({
      status: 'planning',
      grant: null,
      resumes: { proposal: 'p1', done: ['end-4711'] },
    })
  })

  it('is not resumed once the alert has resolved, and can still be called done or given up', () => {
    const resolved = followed(STATES.unknown!, { type: 'incident.resolved' })
    const why = (choice: 'done' | 'resume' | 'abandon') => {
      const ruling = choose(choice, person('U0ADA'), 'I looked', resolved)
      return ruling.ok ? null : ruling.reason
    }
    expect([why('resume'), why('done'), why('abandon')]).toEqual(['incident_resolved', null, null])
  })

  it('what the probe found has landed as well', () => {
    const found = STATES.unknown!.map((e) =>
      e.type === 'run.unknown' ? { ...e, findings: [{ step: 'end-4712', landed: 'yes' as const, detail: '' }] } : e,
    )
    expect(landedSteps(proposalOf(incidentOf(...found), 'p1')!)).toEqual(['end-4711', 'end-4712'])
  })
})

describe('the ladder', () => {
  const next = (name: string) => nextRung(incidentOf(...STATES[name]!))?.id ?? null
  it.each([
    ['before anything was proposed', 'looking', 'end'],
    ['while the first rung waits', 'open', null],
    ['while it runs', 'running', null],
    ['while its outcome is unknown', 'unknown', null],
    ['after it was rejected', 'rejected', 'reboot'],
    ['after its guard refused it', 'plan-refused', 'reboot'],
    ['after it failed', 'run-failed', 'reboot'],
    ['after it succeeded, since the alert still fires', 'succeeded', 'reboot'],
    ['after the alert has resolved', 'resolved', null],
  ])('offers the next rung %s: %#', (_when, name, step) => {
    expect(next(name)).toBe(step)
  })
})
