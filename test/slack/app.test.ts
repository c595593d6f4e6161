import { afterEach, describe, expect, it } from '@jest/globals'
import { sentence } from '../../src/domain/reason.ts'
import { defaultWorkspace } from '../../src/sandbox/slack/workspace.ts'
import { ACTIONS } from '../../src/slack/actions.ts'
import { createDesk, type Desk } from './desk.ts'
import { ADA, DATA, GUS, OLF, ONA, SAM } from './world.ts'

const desks: Desk[] = []
const desk = async (...args: Parameters<typeof createDesk>) => {
  const made = await createDesk(...args)
  desks.push(made)
  return made
}
afterEach(async () => {
  for (const one of desks.splice(0)) await one.close()
})

const OK = { ok: true, status: 200 }

describe.each(['http', 'socket'] as const)('over %s', (mode) => {
  it('a press of an approver grants a low risk, once, whatever is pressed how often', async () => {
    const d = await desk({ mode })
    const presses = await Promise.all([
      d.press(ADA, ACTIONS.approve),
      d.press(ADA, ACTIONS.approve),
      d.press(SAM, ACTIONS.approve),
    ])
    expect(presses.every((p) => p.ok)).toBe(true)
    const { status, decisions } = await d.proposal()
    expect([status, decisions.length]).toEqual(['granted', 1])
    await d.sandbox.waitFor((now) => now.messages[DATA]!.some((m) => m.text === 'low: granted'))
  })

  it('a higher risk asks for the reason in a modal, and takes it', async () => {
    const d = await desk({ mode, step: 'medium' })
    expect(await d.press(ADA, ACTIONS.approve)).toEqual(OK)
    const view = await d.modal(ADA)
    expect(view.title.text).toBe('Decide')
    expect((await d.proposal()).status).toBe('open')
    const empty = await d.sandbox.submit(ADA, view.id, d.reason(' '))
    expect(empty.errors).toEqual({ reason: sentence('reason_required') })
    expect(await d.sandbox.submit(ADA, view.id, d.reason('disk full'))).toEqual(OK)
    expect(await d.proposal()).toMatchObject({ status: 'granted', decisions: [{ user: ADA, reason: 'disk full' }] })
    expect(d.sandbox.state().modals[ADA]).toBeNull()
  })

  it('shows the person an error when it cannot be stored, and takes the next press', async () => {
    const d = await desk({ mode })
    d.journal.readOnly = true
    const pressed = await d.press(ADA, ACTIONS.approve)
    expect(pressed).toMatchObject({ ok: false, status: mode === 'http' ? 503 : 0 })
    d.journal.readOnly = false
    expect((await d.proposal()).status).toBe('open')
    expect(await d.press(ADA, ACTIONS.approve)).toEqual(OK)
    expect((await d.proposal()).status).toBe('granted')
  })
})

it('keeps a modal open when the store goes down before it is sent', async () => {
  const d = await desk({ step: 'medium' })
  await d.press(ADA, ACTIONS.approve)
  const view = await d.modal(ADA)
  d.journal.down = true
  expect(await d.sandbox.submit(ADA, view.id, d.reason('disk full'))).toMatchObject({ ok: false, status: 503 })
  d.journal.down = false
  expect(d.sandbox.state().modals[ADA]).not.toBeNull()
  expect(await d.sandbox.submit(ADA, view.id, d.reason('disk full'))).toEqual(OK)
})

it('says in the modal that it could not be looked up when the store goes down after the click', async () => {
  const d = await desk({ step: 'medium' })
  const down = d.sandbox
    .waitFor((now) => now.modals[ADA] != null)
    .then(() => {
      d.journal.down = true
    })
  d.sandbox.faults({ slowMs: 100 })
  await d.press(ADA, ACTIONS.approve)
  await down
  const view = await d.modal(ADA)
  expect(JSON.stringify(view.blocks)).toContain('could not be looked up')
  d.journal.down = false
  d.sandbox.faults({ slowMs: 0 })
})

it('processes a replayed press once, and a forged one never', async () => {
  const d = await desk()
  expect(await d.press(ADA, ACTIONS.approve)).toEqual(OK)
  const { version } = await d.incident()
  expect((await d.sandbox.replay(-1)).status).toBe(200)
  expect((await d.incident()).version).toBe(version)
  expect(d.whispers(ADA)).toEqual([])
  const payload = JSON.parse(new URLSearchParams(d.sandbox.sent.at(-1)!.body).get('payload')!)
  expect((await d.sandbox.forge(payload, { secret: 'guessed' })).status).toBe(401)
  expect((await d.sandbox.forge(payload, { timestamp: Math.floor(Date.now() / 1000) + 400 })).status).toBe(401)
})

describe('refuses, and tells only the person who pressed,', () => {
  it.each([
    ['a guest', GUS, 'person_is_guest'],
    ['somebody of another organisation', OLF, 'person_is_external'],
  ] as const)('%s', async (_, user, reason) => {
    const d = await desk()
    expect(await d.press(user!, ACTIONS.approve)).toEqual(OK)
    await d.sandbox.waitFor(() => d.whispers(user!).length > 0)
    expect(d.whispers(user!)).toEqual([[sentence(reason), d.at('root').ts]])
    expect((await d.proposal()).decisions).toEqual([])
  })

  it('a guest in the modal that was opened for them', async () => {
    const d = await desk({ step: 'medium' })
    await d.press(GUS, ACTIONS.approve)
    expect(JSON.stringify((await d.modal(GUS)).blocks)).toContain(sentence('person_is_guest'))
  })

  it('somebody who has just left the group of the approvers', async () => {
    const d = await desk()
    d.sandbox.setUsergroup('S0000DATA', [ADA])
    await d.press(ONA, ACTIONS.approve)
    await d.sandbox.waitFor(() => d.whispers(ONA).length > 0)
    expect(d.whispers(ONA)[0]![0]).toBe(sentence('not_an_approver'))
  })

  it('somebody who was made a guest between the press and the submission', async () => {
    const d = await desk({ step: 'medium' })
    await d.press(ADA, ACTIONS.approve)
    const view = await d.modal(ADA)
    d.sandbox.setUser(ADA, { is_restricted: true })
    const sent = await d.sandbox.submit(ADA, view.id, d.reason('disk full'))
    expect(sent.errors).toEqual({ reason: sentence('person_is_guest') })
    expect((await d.proposal()).status).toBe('open')
  })

  it.each([
    ['limits how often it may be asked', { rateLimited: 9, retryAfter: 30 }, 'lookup_limited'],
    ['breaks each time', { errorRate: 1 }, 'lookup_failed'],
  ] as const)('everybody whom only a group may let decide while Slack %s', async (_, faults, reason) => {
    const d = await desk({ sandbox: { faults: { ...faults, methods: ['usergroups.users.list'] } } })
    expect(await d.press(ONA, ACTIONS.approve)).toEqual(OK)
    await d.sandbox.waitFor(() => d.whispers(ONA).length > 0)
    expect(d.whispers(ONA)[0]![0]).toBe(sentence(reason))
    expect((await d.proposal()).status).toBe('open')
    // Whoever is named may decide without the group.
    expect(await d.press(ADA, ACTIONS.approve)).toEqual(OK)
    expect((await d.proposal()).status).toBe('granted')
  })

  it('everybody while Slack cannot say whose token the bot has; the click is not swallowed', async () => {
    const d = await desk({ sandbox: { faults: { errorRate: 1, methods: ['auth.test'] } } })
    expect(await d.press(ADA, ACTIONS.approve)).toEqual(OK)
    await d.sandbox.waitFor(() => d.whispers(ADA).length > 0)
    expect(d.whispers(ADA)[0]![0]).toBe(sentence('lookup_failed'))
    d.sandbox.faults({ errorRate: 0 })
    await d.press(ADA, ACTIONS.approve)
    expect((await d.proposal()).status).toBe('granted')
  })

  it('a button on another message than the one that carries it now', async () => {
    const d = await desk()
    const stored = await d.postbox.read('i1')
    // The old message may well be one of this incident.
    await d.postbox.write('i1', 'proposal:p0', stored['proposal:p1']!)
    await d.postbox.write('i1', 'proposal:p1', { ...stored['proposal:p1']!, ts: '1.000001' })
    await d.press(ADA, ACTIONS.approve, { channel: DATA, ts: stored['proposal:p1']!.ts! })
    await d.sandbox.waitFor(() => d.whispers(ADA).length > 0)
    expect(d.whispers(ADA)[0]![0]).toBe(sentence('wrong_message'))
    expect((await d.proposal()).decisions).toEqual([])
  })

  it('a button on a message whose post is not yet settled, and asks to press again', async () => {
    const d = await desk()
    const stored = (await d.postbox.read('i1'))['proposal:p1']!
    await d.postbox.write('i1', 'proposal:p1', { ...stored, ts: null, attemptedAt: 1 })
    await d.press(ADA, ACTIONS.approve, { channel: DATA, ts: stored.ts! })
    await d.sandbox.waitFor(() => d.whispers(ADA).length > 0)
    expect(d.whispers(ADA)[0]![0]).toBe(sentence('message_unsettled'))
    expect((await d.proposal()).decisions).toEqual([])
  })

  it('the same button in another channel, though the payload is signed', async () => {
    const d = await desk()
    await d.press(GUS, ACTIONS.approve)
    const payload = JSON.parse(new URLSearchParams(d.sandbox.sent.at(-1)!.body).get('payload')!)
    const moved = {
      ...payload,
      user: { ...payload.user, id: ADA },
      container: { ...payload.container, channel_id: 'C0000HANDOV' },
    }
    expect((await d.sandbox.forge(moved)).status).toBe(200)
    expect((await d.proposal()).decisions).toEqual([])
  })
})

it('goes by the user id of the payload, not by a name in it', async () => {
  const d = await desk()
  await d.press(GUS, ACTIONS.approve)
  const payload = JSON.parse(new URLSearchParams(d.sandbox.sent.at(-1)!.body).get('payload')!)
  const named = { ...payload, user: { ...payload.user, name: 'ada', username: 'ada', team_id: 'T0KEYTURN01' } }
  expect((await d.sandbox.forge(named)).status).toBe(200)
  expect((await d.proposal()).decisions).toEqual([])
})

it('rejects with a reason', async () => {
  const d = await desk()
  await d.press(SAM, ACTIONS.reject)
  expect(await d.sandbox.submit(SAM, (await d.modal(SAM)).id, d.reason('wrong table'))).toEqual(OK)
  expect(await d.proposal()).toMatchObject({
    status: 'rejected',
    decisions: [{ verdict: 'reject', reason: 'wrong table' }],
  })
  await d.press(ADA, ACTIONS.approve)
  await d.sandbox.waitFor(() => d.whispers(ADA).length > 0)
  expect(d.whispers(ADA)[0]![0]).toBe(sentence('already_decided'))
})

describe('a step', () => {
  it('is asked for with what the person fills in, and faults are shown beside the field', async () => {
    const d = await desk()
    d.journal.add('i1', { type: 'proposal.expired', proposal: 'p1' })
    d.journal.add('i1', { type: 'plan.refused', proposal: 'p1', reason: 'no' })
    for (const [n, id] of [['p2', 'medium']] as const)
      d.journal.add(
        'i1',
        { type: 'proposal.requested', proposal: n, step: id, params: {}, by: null, resumes: null },
        { type: 'plan.refused', proposal: n, reason: 'no' },
      )
    await d.settled()
    expect(await d.press(ONA, ACTIONS.request, d.at('root'), 'ask ask')).toEqual(OK)
    const view = await d.modal(ONA)
    expect(view.title.text).toBe('Parameters')
    const wrong = await d.sandbox.submit(ONA, view.id, d.days('99'))
    expect(Object.values(wrong.errors!)).toEqual(['at most 30'])
    expect(await d.sandbox.submit(ONA, view.id, d.days('3'))).toEqual(OK)
    expect((await d.incident()).proposals.at(-1)).toMatchObject({
      step: 'ask',
      params: { days: 3 },
      requestedBy: { user: ONA },
    })
  })

  it('that is not offered yet is refused', async () => {
    const d = await desk()
    await d.press(ONA, ACTIONS.request, d.at('root'), 'ask medium')
    await d.sandbox.waitFor(() => d.whispers(ONA).length > 0)
    expect(d.whispers(ONA)[0]![0]).toBe(sentence('not_offered_yet'))
  })
})

describe('a run', () => {
  it('is cancelled from the thread, by anybody of the organisation', async () => {
    const d = await desk()
    d.journal.add('i1', { type: 'run.started', proposal: 'p1', worker: 'w' })
    expect(await d.press(ONA, ACTIONS.cancel)).toEqual(OK)
    expect((await d.proposal()).run?.cancelledBy).toMatchObject({ user: ONA })
    await d.press(SAM, ACTIONS.cancel)
    await d.sandbox.waitFor(() => d.whispers(SAM).length > 0)
    expect(d.whispers(SAM)[0]![0]).toBe(sentence('cancel_already_requested'))
  })

  it('whose end is not known is settled with a reason', async () => {
    const d = await desk()
    d.journal.add(
      'i1',
      { type: 'run.started', proposal: 'p1', worker: 'w' },
      { type: 'run.unknown', proposal: 'p1', message: '?', findings: [] },
    )
    expect(await d.press(ADA, ACTIONS.done)).toEqual(OK)
    const view = await d.modal(ADA)
    expect((await d.sandbox.submit(ADA, view.id, d.reason(''))).errors).toEqual({ reason: sentence('reason_required') })
    expect(await d.sandbox.submit(ADA, view.id, d.reason('I looked'))).toEqual(OK)
    expect((await d.proposal()).run?.settled).toMatchObject({ choice: 'done', reason: 'I looked', by: { user: ADA } })
  })
})

it('acknowledges a link that is pressed like a button', async () => {
  const d = await desk()
  expect(await d.press(GUS, 'playbook', d.at('root'))).toEqual(OK)
  expect(d.whispers(GUS)).toEqual([])
})

it('draws the home tab with what needs attention', async () => {
  const d = await desk()
  d.sandbox.openHome(ONA)
  const now = await d.sandbox.waitFor((state) => state.homes[ONA] != null)
  expect(JSON.stringify(now.homes[ONA])).toContain('Blocked')
})

it('takes presses again after Slack was down, in Socket Mode', async () => {
  const d = await desk({ mode: 'socket' })
  const connects = () => d.sandbox.log.filter((e) => e.kind === 'socket' && e.name === 'connected').length
  d.sandbox.faults({ outage: true })
  await d.sandbox.waitFor(
    () => d.sandbox.log.filter((e) => e.name === 'apps.connections.open' && e.status === 0).length > 1,
    30_000,
  )
  d.sandbox.faults({ outage: false })
  await d.sandbox.waitFor(() => connects() > 1, 30_000)
  expect(await d.press(ADA, ACTIONS.approve)).toEqual(OK)
  expect((await d.proposal()).status).toBe('granted')
})

describe('the kill switch', () => {
  const switched = async (d: Desk, user: string, verb: 'freeze' | 'thaw') => {
    d.sandbox.openHome(user)
    const label = verb === 'freeze' ? ACTIONS.freeze : ACTIONS.thaw
    const view = (now = d.sandbox.state()) => now.homes[user] as { id: string } | null
    await d.sandbox.waitFor((now) => JSON.stringify(view(now) ?? '').includes(label))
    expect(await d.sandbox.press(user, { view_id: view()!.id }, label)).toEqual(OK)
    const modal = await d.modal(user)
    return d.sandbox.submit(user, modal.id, d.reason('strange writes'))
  }

  it('is the first thing in the Home tab; anybody freezes, and then nobody approves', async () => {
    const d = await desk()
    expect(await switched(d, ONA, 'freeze')).toEqual(OK)
    const now = await d.sandbox.waitFor((state) => JSON.stringify(state.homes[ONA]).includes('Frozen by'))
    expect(JSON.stringify(now.homes[ONA])).toContain('strange writes')
    expect(await d.press(ADA, ACTIONS.approve)).toEqual(OK)
    await d.sandbox.waitFor(() => d.whispers(ADA).length > 0)
    expect(d.whispers(ADA)[0]![0]).toBe(sentence('frozen'))
    expect((await d.proposal()).status).toBe('open')
  })

  it('is lifted by an approver only', async () => {
    const d = await desk()
    d.sandbox.setUsergroup('S0000DATA', [SAM])
    await switched(d, ONA, 'freeze')
    const refused = await switched(d, ONA, 'thaw')
    expect(refused).toMatchObject({ errors: { reason: sentence('not_an_approver') } })
    expect(await switched(d, ADA, 'thaw')).toEqual(OK)
    expect(await d.freezer.state()).toBeNull()
    expect(await d.press(ADA, ACTIONS.approve)).toEqual(OK)
    expect((await d.proposal()).status).toBe('granted')
  })

  it('refuses guests and strangers', async () => {
    const d = await desk()
    for (const user of [GUS, OLF]) expect((await switched(d, user, 'freeze')).errors).toBeDefined()
    expect(await d.freezer.state()).toBeNull()
  })
})

it('lets a decision go on while another list names a user group that is gone, and says so in the Home tab', async () => {
  const d = await desk({ approvers: { 'old-team': { usergroups: ['S0000GONE'] } } })
  expect(await d.press(SAM, ACTIONS.approve)).toEqual(OK)
  expect((await d.proposal()).status).toBe('granted')
  await d.sandbox.waitFor(() => d.has('error', 'S0000GONE'))
  d.sandbox.openHome(ADA)
  const state = await d.sandbox.waitFor((now) => now.homes[ADA] != null)
  expect(JSON.stringify(state.homes[ADA])).toContain('The user group S0000GONE of “old-team” does not exist')
})

it('asks for the groups of this playbook alone, once for the press and once for the form', async () => {
  const d = await desk({ step: 'medium', approvers: { other: { usergroups: ['S0000PLAT'] } } })
  const asked = () => d.sandbox.log.flatMap((e) => (e.name === 'usergroups.users.list' ? [e.args?.usergroup] : []))
  await d.press(SAM, ACTIONS.approve)
  const view = await d.modal(SAM)
  expect(asked()).toEqual(['S0000DATA'])
  expect(await d.sandbox.submit(SAM, view.id, d.reason('disk full'))).toEqual(OK)
  expect(asked()).toEqual(['S0000DATA', 'S0000DATA'])
  expect((await d.proposal()).status).toBe('granted')
})

it('takes no press on a card that a newer one has replaced, since it could not be edited', async () => {
  const d = await desk()
  const old = d.card()
  const payloadOf = () => JSON.parse(new URLSearchParams(d.sandbox.sent.at(-1)!.body).get('payload')!)
  await d.press(GUS, ACTIONS.approve)
  const payload = { ...payloadOf(), user: { id: SAM } }
  d.sandbox.faults({ refuse: { 'chat.update': 'edit_window_closed' } })
  expect(await d.press(ADA, ACTIONS.approve)).toEqual(OK)
  await d.sandbox.waitFor((now) => now.messages[DATA]!.some((m) => m.text === 'low: granted'))
  await d.settled()
  expect(d.card().ts).not.toBe(old.ts)
  // Slack may not let the bot take the old card away; its buttons count for nothing.
  const { version } = await d.incident()
  expect((await d.sandbox.forge(payload)).status).toBe(200)
  await d.sandbox.waitFor(() => d.whispers(SAM).length > 0)
  expect(d.whispers(SAM)[0]![0]).toBe(sentence('wrong_message'))
  expect((await d.incident()).version).toBe(version)
})

it('lets people decide where the app is installed for an organisation and the workspace is named', async () => {
  const workspace = { ...defaultWorkspace(), organisation: { id: 'E0000ORG' } }
  const d = await desk({ sandbox: { workspace }, team: 'T0KEYTURN01' })
  expect(await d.press(SAM, ACTIONS.approve)).toEqual(OK)
  expect((await d.proposal()).status).toBe('granted')
  const unnamed = await desk({ sandbox: { workspace } })
  await unnamed.press(SAM, ACTIONS.approve)
  await unnamed.sandbox.waitFor(() => unnamed.whispers(SAM).length > 0)
  expect(unnamed.whispers(SAM)[0]![0]).toBe(sentence('organisation_unclear'))
})
