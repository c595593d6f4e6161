import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { acknowledge } from '../../../commands/pagerduty/acknowledge.ts'
import { PagerdutySettings } from '../../../commands/pagerduty/connection.ts'
import { incident } from '../../../commands/pagerduty/incident.ts'
import { resolve } from '../../../commands/pagerduty/resolve.ts'
import { type ReadCommand, Refused } from '../../../src/domain/command.ts'
import { createWorld, propose, type World } from '../context.ts'
import { FROM, type Pagerduty, startPagerduty, TOKEN } from './server.ts'

let server: Pagerduty
let world: World
const at = (from = FROM, token = TOKEN) =>
  createWorld({
    connections: {
      duty: {
        kind: 'pagerduty',
        settings: { baseUrl: server.origin, tokenFrom: 'PAGERDUTY_TOKEN', from, services: ['PSVC1'] },
      },
    },
    secrets: { PAGERDUTY_TOKEN: token },
  })

beforeAll(async () => {
  server = await startPagerduty()
})
afterAll(() => server.stop())
beforeEach(() => {
  world = at()
})
afterEach(async () => {
  await world.close()
  server.incidents.clear()
  server.behave()
  server.seen.length = 0
})

const on = (id = 'Q1ABCDEF') => ({ connection: 'duty', incident: id })
const show = (in_ = world) => {
  const command = incident as ReadCommand
  return command.read(command.params.parse(on()), in_.read())
}

describe('pagerduty.incident', () => {
  it('shows how an incident stands, and who has it', async () => {
    server.add('Q1ABCDEF')
    expect(await show()).toEqual({
      summary: 'Incident #1234 is triggered: Disk full',
      blocks: [
        {
          type: 'table',
          columns: ['service', 'urgency', 'assigned to', 'opened', 'last change'],
          rows: [['service PSVC1', 'high', 'Ada', '2026-11-21T01:00:00Z', '2026-11-21T01:00:00Z']],
          omitted: 0,
        },
      ],
    })
  })

  it('says what PagerDuty says when there is none, or the token is wrong', async () => {
    await expect(show()).rejects.toThrow(
      new Refused('PagerDuty has no incident Q1ABCDEF for us: it answered 404: Not Found.'),
    )
    const stranger = at(FROM, 'wrong-token')
    await expect(show(stranger)).rejects.toThrow(/it answered 401: Unauthorized/)
    await stranger.close()
  })

  it('takes null for what is not there, and an answer about another incident for none', async () => {
    server.add('Q1ABCDEF')
    Object.assign(server.strange, {
      title: null,
      urgency: null,
      priority: null,
      assignments: null,
      last_status_change_at: null,
    })
    expect((await show()).blocks[0]).toMatchObject({
      rows: [['service PSVC1', '', 'nobody', '2026-11-21T01:00:00Z', '']],
    })
    server.strange.service = null
    await expect(show()).rejects.toThrow(/"incident.service" is missing or of another form/)
    server.behave()
    server.strange.id = 'Q9ABCDEF'
    await expect(show()).rejects.toThrow('PagerDuty was asked for incident Q1ABCDEF and gave Q9ABCDEF')
  })

  it.each(['Q1ABCDEF/merge', '../users', 'q1abcdef', '', 'Q1ABC?x=1'])('asks nothing for the id %j', (id) => {
    expect(incident.params.safeParse(on(id)).success).toBe(false)
    expect(resolve.params.safeParse(on(id)).success).toBe(false)
  })
})

describe.each([
  ['pagerduty.acknowledge', acknowledge, 'acknowledge', 'acknowledged'],
  ['pagerduty.resolve', resolve, 'resolve', 'resolved'],
] as const)('%s', (_id, command, step, status) => {
  const plan = (id?: string, in_ = world) => propose(command, on(id), in_.read())

  it(`sets an incident to ${status}, from the configured user`, async () => {
    server.add('Q1ABCDEF')
    const made = await plan()
    expect(made.summary).toBe(`Set incident #1234 of service PSVC1 to ${status}`)
    expect(made.targets).toMatchObject([
      {
        id: 'pagerduty:duty/incident/Q1ABCDEF',
        details: { status: 'triggered', service: 'service PSVC1', 'assigned to': 'Ada' },
      },
    ])
    expect(JSON.stringify(made)).not.toContain(TOKEN)
    expect(await command.probe(made, step, world.read())).toMatchObject({ landed: 'no' })
    expect(server.seen.every((s) => s.method === 'GET')).toBe(true)

    expect(await command.run(made, world.run(made).ctx)).toBe(`Incident #1234 is ${status}`)
    expect(server.seen.filter((s) => s.method === 'PUT').map((s) => s.headers.from)).toEqual([FROM])
    expect(server.incidents.get('Q1ABCDEF')?.status).toBe(status)
    expect(await command.verify(made, world.read())).toEqual([
      { title: `Incident #1234 is ${status}`, ok: true, detail: `it is ${status}` },
    ])
    expect(await command.probe(made, step, world.read())).toMatchObject({ landed: 'yes' })
    await expect(plan()).rejects.toThrow(new Refused(`Nothing to do: incident #1234 is ${status} already.`))
  })

  it('refuses an incident of a service that is not named, and one that is resolved', async () => {
    server.add('Q1ABCDEF', 'triggered', 'PSVC2')
    server.add('Q2ABCDEF', 'resolved')
    await expect(plan()).rejects.toThrow(
      new Refused('The connection duty does not allow to change incidents of service PSVC2.'),
    )
    await expect(plan('Q2ABCDEF')).rejects.toThrow(new Refused('Nothing to do: incident #1234 is resolved already.'))
  })

  it('says what PagerDuty says when it is resolved in between, and has changed nothing', async () => {
    server.add('Q1ABCDEF')
    const made = await plan()
    server.incidents.get('Q1ABCDEF')!.status = 'resolved'
    const broken = await command.run(made, world.run(made).ctx).catch((error: unknown) => error)
    expect(broken).toEqual(
      new Refused(
        'PagerDuty did not change Q1ABCDEF: it answered 400: Invalid Input Provided; Incident Already Resolved.',
      ),
    )
    expect(broken).toBeInstanceOf(Refused)
  })

  it('is refused by PagerDuty for a user that it does not know, or when it must wait too long', async () => {
    server.add('Q1ABCDEF')
    const stranger = at('nobody@example.com')
    const made = await plan(undefined, stranger)
    await expect(command.run(made, stranger.run(made).ctx)).rejects.toThrow(/400: Requester User Not Found/)
    await stranger.close()
    const again = await plan()
    Object.assign(server.throttle, { left: 1, seconds: 60 })
    await expect(command.run(again, world.run(again).ctx)).rejects.toThrow(/429: Rate Limit Exceeded/)
    expect(server.incidents.get('Q1ABCDEF')?.status).toBe('triggered')
  })

  it('waits as long as PagerDuty asks for when that is short, and sends it once more: a 429 was not done', async () => {
    server.add('Q1ABCDEF')
    server.throttle.left = 2
    const made = await plan()
    server.throttle.left = 2
    await command.run(made, world.run(made).ctx)
    expect(server.incidents.get('Q1ABCDEF')?.status).toBe(status)
  })

  it('refuses an incident in a state that nobody knows, and does not take it for done or not done', async () => {
    server.add('Q1ABCDEF')
    const made = await plan()
    server.strange.status = 'suppressed'
    await expect(plan()).rejects.toThrow(
      new Refused('Incident #1234 is in a state that is unknown: suppressed. Change it in PagerDuty.'),
    )
    expect(await command.probe(made, step, world.read())).toMatchObject({ landed: 'cannot_tell' })
    expect(await command.verify(made, world.read())).toMatchObject([{ ok: false, detail: 'it is unknown: suppressed' }])
  })

  it('finds by its probe that a change whose answer was lost has landed', async () => {
    server.add('Q1ABCDEF')
    server.mishap.landed = true
    const made = await plan()
    const broken = await command.run(made, world.run(made).ctx).catch((error: unknown) => error)
    expect(broken).not.toBeInstanceOf(Refused)
    expect(String(broken)).toContain('may have taken effect')
    expect(await command.probe(made, step, world.read())).toMatchObject({ landed: 'yes' })
  })

  it('is another plan when somebody changed the incident', async () => {
    server.add('Q1ABCDEF')
    const made = await plan()
    server.incidents.get('Q1ABCDEF')!.changed = '2026-11-21T01:30:00Z'
    expect(await plan()).not.toEqual(made)
  })
})

it('an acknowledgement of which an incident that is resolved now does not tell is not guessed', async () => {
  server.add('Q1ABCDEF')
  const made = await propose(acknowledge, on(), world.read())
  server.incidents.get('Q1ABCDEF')!.status = 'resolved'
  expect(await acknowledge.probe(made, 'acknowledge', world.read())).toMatchObject({ landed: 'cannot_tell' })
})

it('settings send the token over https alone, and name no service by themselves', () => {
  const settings = { tokenFrom: 'T', from: FROM }
  expect(PagerdutySettings.parse(settings)).toMatchObject({ baseUrl: 'https://api.pagerduty.com', services: [] })
  expect(PagerdutySettings.safeParse({ ...settings, baseUrl: 'http://api.pagerduty.com' }).success).toBe(false)
  expect(PagerdutySettings.safeParse({ ...settings, from: 'oncall' }).success).toBe(false)
})
