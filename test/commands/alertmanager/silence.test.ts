import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { AlertmanagerSettings } from '../../../commands/alertmanager/connection.ts'
import { silence } from '../../../commands/alertmanager/silence.ts'
import { silences } from '../../../commands/alertmanager/silences.ts'
import { type ReadCommand, Refused } from '../../../src/domain/command.ts'
import { describeWith } from '../../harness/peer.ts'
import { createWorld, propose, type World } from '../context.ts'
import { startService } from '../http/server.ts'
import { type Alertmanager, PASSWORD, PROGRAM, startAlertmanager, USER } from './server.ts'

const settings = (baseUrl: string) => ({ baseUrl, silenceable: ['DiskFull', 'Lag', 'Storm'], mostMinutes: 120 })

describeWith([PROGRAM], 'a real Alertmanager', () => {
  let server: Alertmanager
  let world: World
  let asked: Date

  beforeAll(async () => {
    server = await startAlertmanager()
  })
  afterAll(() => server?.stop())
  beforeEach(() => {
    asked = new Date()
    const connections = { alerts: { kind: 'alertmanager', settings: settings(server.origin) } }
    world = createWorld({ connections, requestedAt: asked })
  })
  afterEach(async () => {
    await world.close()
    for (const { id, status } of await server.silences()) if (status.state !== 'expired') await server.expire(id)
  })

  const show = async (labels: string[] = []) => {
    const command = silences as ReadCommand
    return command.read(command.params.parse({ connection: 'alerts', labels }), world.read())
  }
  const plan = (labels: string[], more: Record<string, unknown> = {}) =>
    propose(
      silence,
      { connection: 'alerts', labels, minutes: '30', reason: 'The disk is being replaced', ...more },
      world.read(),
    )

  it('silences exactly the alerts with these labels, until a fixed time, with incident and person in its comment', async () => {
    await server.fire(
      { alertname: 'DiskFull', host: 'db-1', disk: 'a' },
      { alertname: 'DiskFull', host: 'db-1', disk: 'b' },
      { alertname: 'DiskFull', host: 'db-2', disk: 'a' },
    )
    const before = (await server.silences()).length
    const made = await plan(['host=db-1', 'alertname=DiskFull'])
    const until = new Date(asked.getTime() + 30 * 60_000).toISOString()
    expect(made.summary).toBe(`Silence DiskFull until ${until}`)
    expect(made.targets[0]).toMatchObject({
      name: 'alertname="DiskFull", host="db-1"',
      details: { until, 'fires now': '2', 'alert 1': expect.stringMatching(/^disk=[ab]$/) },
    })
    expect(await plan(['alertname=DiskFull', 'host=db-1'])).toEqual(made)
    expect(await silence.probe(made, 'silence', world.read())).toMatchObject({ landed: 'no' })
    expect((await server.silences()).length).toBe(before)

    const said = await silence.run(made, world.run(made).ctx)
    const [stands] = (await server.silences()).filter((s) => s.status.state === 'active')
    expect(said).toBe(`Silence ${stands?.id} stands until ${until}`)
    expect(stands).toMatchObject({ createdBy: 'Ona with Keyturn', endsAt: until })
    expect(stands?.comment).toMatch(/^The disk is being replaced \(incident e3b0c44298fc-1, [0-9a-f]{12}\)$/)
    expect((await server.heard()).filter((l) => l.alertname === 'DiskFull')).toEqual([
      { alertname: 'DiskFull', host: 'db-2', disk: 'a' },
    ])
    expect(await silence.verify(made, world.read())).toMatchObject([{ ok: true }, { ok: true }])
    expect(await silence.probe(made, 'silence', world.read())).toMatchObject({ landed: 'yes' })
    expect((await show(['alertname=DiskFull'])).blocks).toEqual([
      expect.objectContaining({
        rows: [['alertname="DiskFull", host="db-1"', 'active', until, 'Ona with Keyturn', stands!.comment]],
      }),
    ])
    await expect(plan(['alertname=DiskFull', 'host=db-1'])).rejects.toThrow(/^Nothing to do: silence .* stands until /)
    await server.expire(stands!.id)
    expect(await silence.verify(made, world.read())).toMatchObject([{ ok: false }, { ok: false }])
    expect((await silence.probe(made, 'silence', world.read())).landed).toBe('yes')
  })

  it.each([
    [['alertname=Billing'], {}, /does not allow to silence Billing/],
    [['host=db-1'], {}, /needs an alertname/],
    [['alertname=.*'], {}, /does not allow to silence \.\*/],
    [['alertname=DiskFull'], { minutes: 121 }, /121 minutes are more than the 120/],
    [['alertname=DiskFull', 'host=nowhere'], {}, /Nothing to do: no alert with these labels fires/],
    [['alertname=DiskFull', 'alertname=Lag'], {}, /there twice/],
    [['alertname~=.*'], {}, /is not label=value/],
    [['alertname=DiskFull', '__proto__'], {}, /is not label=value/],
  ] as const)('refuses %j with %j', async (labels, more, says) => {
    const before = await server.silences()
    await expect(plan([...labels], more)).rejects.toThrow(says)
    await expect(plan([...labels], more)).rejects.toBeInstanceOf(Refused)
    expect(await server.silences()).toEqual(before)
  })

  it('refuses one that would have ended before it was approved', async () => {
    await server.fire({ alertname: 'Lag' })
    const late = createWorld({
      connections: { alerts: { kind: 'alertmanager', settings: settings(server.origin) } },
      requestedAt: new Date(Date.now() - 31 * 60_000),
    })
    const params = { connection: 'alerts', labels: ['alertname=Lag'], minutes: 30, reason: 'late' }
    await expect(propose(silence, params, late.read())).rejects.toThrow(/would have ended already/)
    await late.close()
  })

  it('is another plan when another alert fires that it would hide', async () => {
    await server.fire({ alertname: 'Lag', topic: 'a' })
    const before = await plan(['alertname=Lag'])
    await server.fire({ alertname: 'Lag', topic: 'b' })
    expect(await plan(['alertname=Lag'])).not.toEqual(before)
  })

  it('asks for the alerts with these labels alone, and reads a storm of twelve thousand of one name', async () => {
    const storm = Array.from({ length: 12_000 }, (_, i) => ({
      alertname: 'Storm',
      quoted: 'a "b" \\ c',
      topic: `orders-${String(i).padStart(6, '0')}`,
      padding: 'x'.repeat(200),
    }))
    for (let i = 0; i < storm.length; i += 2_000) await server.fire(...storm.slice(i, i + 2_000))
    const [one] = (await plan(['alertname=Storm', 'topic=orders-000007', 'quoted=a "b" \\ c'])).targets
    expect(one?.details['fires now']).toBe('1')
    const [all] = (await plan(['alertname=Storm'])).targets
    expect(all?.details['fires now']).toBe('12000')
    const small = createWorld({
      connections: {
        alerts: { kind: 'alertmanager', settings: { ...settings(server.origin), maxResponseBytes: 1024 * 1024 } },
      },
      requestedAt: asked,
    })
    const params = { connection: 'alerts', labels: ['alertname=Storm'], minutes: 5, reason: 'x' }
    await expect(propose(silence, params, small.read())).rejects.toThrow(
      'alertmanager: GET /api/v2/alerts answered more than can be read; raise maxResponseBytes of the connection.',
    )
    expect(
      (await propose(silence, { ...params, labels: [...params.labels, 'topic=orders-000007'] }, small.read())).targets,
    ).toHaveLength(1)
    await small.close()
  })

  it('adds up what it has silenced within a day, where a day has a most', async () => {
    await server.fire({ alertname: 'Lag', topic: 'day' })
    // By the server's clock they have not begun, so that the alert is heard.
    const [startsAt, endsAt, later] = [60, 70, 120].map((minutes) => new Date(Date.now() + minutes * 60_000))
    const matchers = [{ name: 'alertname', value: 'Lag', isRegex: false, isEqual: true }]
    for (const createdBy of ['Ona with Keyturn', 'ada'])
      await server.silence({ matchers, startsAt, endsAt, createdBy, comment: createdBy })
    const daily = createWorld({
      connections: { alerts: { kind: 'alertmanager', settings: { ...settings(server.origin), mostMinutesADay: 30 } } },
      requestedAt: later!,
      now: () => later!,
    })
    const params = { connection: 'alerts', labels: ['alertname=Lag'], reason: 'again' }
    expect((await propose(silence, { ...params, minutes: 20 }, daily.read())).targets).toHaveLength(1)
    await expect(propose(silence, { ...params, minutes: 21 }, daily.read())).rejects.toThrow(
      'Keyturn has silenced these labels for 10 minutes of the last day; with 21 more that is above the 30 that alerts allows. Mend the cause',
    )
    await daily.close()
  })

  it('takes a user and a password, as the program itself asks for them', async () => {
    const guarded = await startAlertmanager(true)
    const of = (password: string) =>
      createWorld({
        connections: {
          alerts: {
            kind: 'alertmanager',
            settings: { baseUrl: guarded.origin, auth: { kind: 'basic', user: USER, passwordFrom: 'P' } },
          },
        },
        secrets: { P: password },
      })
    const [right, wrong] = [of(PASSWORD), of('nothing')]
    const command = silences as ReadCommand
    const read = (in_: World) => command.read(command.params.parse({ connection: 'alerts' }), in_.read())
    expect((await read(right)).summary).toBe('No silence stands.')
    await expect(read(wrong)).rejects.toThrow(/Alertmanager answered 401 to GET silences/)
    await Promise.all([right.close(), wrong.close(), guarded.stop()])
  })

  it('says that no silence stands where none does, and shows one by a regular expression for any labels', async () => {
    expect(await show(['alertname=Lag'])).toEqual({
      summary: 'No silence stands that may concern alertname=Lag.',
      blocks: [],
    })
    const ends = { startsAt: new Date().toISOString(), endsAt: new Date(Date.now() + 60_000).toISOString() }
    const matchers = [{ name: 'alertname', value: 'L.*', isRegex: true, isEqual: true }]
    await server.silence({ matchers, ...ends, createdBy: 'ada', comment: 'known' })
    expect((await show(['alertname=Lag'])).summary).toBe('1 silence stands that may concern alertname=Lag.')
  })
})

describe('a connection to an Alertmanager', () => {
  it('follows no redirect, and sends its token as a bearer token', async () => {
    const service = await startService((_seen, _incoming, outgoing) => {
      outgoing.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()
    })
    const world = createWorld({
      connections: { alerts: { kind: 'alertmanager', settings: { baseUrl: service.origin, tokenFrom: 'T' } } },
      secrets: { T: 'canary-alertmanager-token' },
    })
    const command = silences as ReadCommand
    await expect(command.read(command.params.parse({ connection: 'alerts' }), world.read())).rejects.toThrow(
      /a redirect to/,
    )
    expect(service.seen.map((s) => [s.url, s.headers.authorization])).toEqual([
      ['/api/v2/silences', 'Bearer canary-alertmanager-token'],
    ])
    await world.close()
    await service.stop()
  })

  it('sends no token in the open, and silences nothing unless it is named', () => {
    expect(AlertmanagerSettings.safeParse({ baseUrl: 'http://am.example', tokenFrom: 'T' }).success).toBe(false)
    expect(AlertmanagerSettings.parse({ baseUrl: 'http://am.example' }).silenceable).toEqual([])
  })
})
