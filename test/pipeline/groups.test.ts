import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { type Incident, remarksOf } from '../../src/domain/incident.ts'
import type { Playbook } from '../../src/domain/playbook.ts'
import { createAttendance } from '../../src/redis/attendance.ts'
import { alertmanager } from '../../src/sources/alertmanager.ts'
import { startRedis } from '../redis/server.ts'
import { outcome } from '../sources/edge.ts'
import { ada, alertOf, type Bench, createBench, PLAYBOOK } from './bench.ts'

let redis: Awaited<ReturnType<typeof startRedis>>
let w: Bench
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())
beforeEach(async () => {
  w = await createBench(redis)
})

const GROUP = '{}:{alertname="LampOff"}'
type Sent = { status?: string; startsAt?: string; endsAt?: string; labels?: Record<string, unknown> }
const body = (names: readonly string[], rest: Record<string, unknown> = {}, alert: Sent = {}) => ({
  version: '4',
  groupKey: GROUP,
  status: 'firing',
  groupLabels: { alertname: 'LampOff' },
  truncatedAlerts: 0,
  ...rest,
  alerts: names.map((fingerprint) => ({
    status: rest.status ?? 'firing',
    labels: { alertname: 'LampOff', room: 'kitchen', severity: 'warning', ...alert.labels },
    annotations: { summary: 'dark' },
    startsAt: '2026-11-21T03:00:00Z',
    endsAt: rest.status === 'resolved' ? '2026-11-21T03:30:00Z' : '0001-01-01T00:00:00Z',
    fingerprint,
    ...alert,
    ...(alert.labels && { labels: { alertname: 'LampOff', room: 'kitchen', severity: 'warning', ...alert.labels } }),
  })),
})
const names = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `f${from + i}`)

async function post(sent: unknown, source = 'eu', ingest = w.ingest, at = '2026-11-21T04:00:00Z'): Promise<void> {
  const decoded = outcome(alertmanager.decode(sent, {} as never, { source, receivedAt: new Date(at) }))
  if (!decoded.ok) throw new Error(decoded.reason)
  await ingest(decoded.batch)
}
const load = async (at = 0): Promise<Incident> => (await w.journal.load((await w.journal.all()).sort()[at]!))!
const firing = (incident: Incident) =>
  Object.values(incident.alerts)
    .filter((a) => a.status === 'firing')
    .map((a) => a.fingerprint)

describe('a group that the sender says is resolved', () => {
  it('ends every alert of it, also those that the message leaves out, and nothing can be approved afterwards', async () => {
    await post(body(names(10, 60), { truncatedAlerts: 10 }))
    const { id } = await load()
    await w.propose(id, 'p1', true)
    await post(body(names(0, 50), { status: 'resolved', truncatedAlerts: 10 }))
    const incident = await load()
    expect(firing(incident)).toEqual([])
    expect(incident.resolvedAt).not.toBeNull()
    expect((await w.state(id)).status).toBe('withdrawn')
    expect(await w.decide(id)).toEqual({ ok: false, reason: 'incident_resolved' })
    expect(remarksOf(incident)).toEqual([
      'The message that said resolved left out 10 alerts: look whether they have ended too.',
    ])
  })

  it('ends them in each incident that they belong to, in those of other bots too, and in no other source or group', async () => {
    const byRoom: Playbook = { ...PLAYBOOK, groupBy: ['room'] }
    const [one, other] = [w.ingestBy([byRoom]), w.ingestBy([byRoom])]
    await post(body(['a'], {}, { labels: { room: 'attic' } }), 'eu', one)
    await post(body(['b'], {}, { labels: { room: 'cellar' } }), 'eu', one)
    await post(body(['c'], { groupKey: '{}:{room="hall"}' }, { labels: { room: 'hall' } }), 'eu', one)
    await post(body(['d'], {}, { labels: { room: 'roof' } }), 'us', one)
    await post(body(['a'], { status: 'resolved', truncatedAlerts: 1 }, { labels: { room: 'attic' } }), 'eu', other)
    const all = await Promise.all((await w.journal.all()).map((id) => w.journal.load(id)))
    expect(all.flatMap((i) => firing(i!)).sort()).toEqual(['c', 'd'])
    expect(all.filter((i) => i!.resolvedAt !== null)).toHaveLength(2)
  })

  it('ends what a message without any alert speaks of', async () => {
    await post(body(['a', 'b']))
    await post(body([], { status: 'resolved', truncatedAlerts: 2 }))
    expect((await load()).resolvedAt).not.toBeNull()
  })

  it('ends what an earlier version stored without its group', async () => {
    const labels = { alertname: 'LampOff', room: 'kitchen', severity: 'warning' }
    await w.ingest({
      alerts: ['a', 'b'].map((fingerprint) => alertOf({ source: 'eu', fingerprint, labels })),
      truncated: 0,
    })
    await post(body(['a'], { status: 'resolved', truncatedAlerts: 1 }))
    expect((await load()).resolvedAt).not.toBeNull()
  })

  it('does not end what began after a complete message, which is then an old one, or what has begun again', async () => {
    await post(body(['a'], {}, { startsAt: '2026-11-21T03:40:00Z' }))
    await post(body(['b'], { status: 'resolved' }))
    expect(firing(await load())).toEqual(['a'])
    await post(body(['a'], { status: 'resolved', truncatedAlerts: 1 }))
    expect(firing(await load())).toEqual(['a'])
  })

  it('goes on when the sender says that only some of it ended', async () => {
    await post(body(['a', 'b']))
    await post(body(['a'], { status: 'resolved', truncatedAlerts: 1, notification_reason: 'some alerts resolved' }))
    expect(firing(await load())).toEqual(['b'])
  })

  it('opens again when it fires again', async () => {
    await post(body(['a', 'b']))
    await post(body(['a'], { status: 'resolved', truncatedAlerts: 1 }))
    await post(body(['b'], {}, { startsAt: '2026-11-21T03:50:00Z' }))
    expect(firing(await load())).toEqual(['b'])
  })
})

describe('a message that tells of one alert twice', () => {
  const twice = (...statuses: ('firing' | 'resolved')[]) =>
    w.ingest({ alerts: statuses.map((status) => alertOf({ status, undated: true })), truncated: 0 })

  it('is believed in its last word, whether the alert was known or not', async () => {
    await twice('resolved', 'firing')
    expect(firing(await load())).toEqual(['f1'])
    await twice('firing', 'resolved')
    expect(firing(await load())).toEqual([])
    await twice('resolved', 'firing')
    expect((await load()).resolvedAt).toBeNull()
    await twice('resolved', 'firing')
    expect(firing(await load())).toEqual(['f1'])
  })
})

it('an alert that ends without a time of its own has begun when it was first heard of', async () => {
  await w.ingest({ alerts: [alertOf()], truncated: 0 })
  const end = alertOf({ status: 'resolved', startsAt: '2026-01-02T05:00:00.000Z', undated: true })
  await w.ingest({ alerts: [end], truncated: 0 })
  expect(Object.values((await load()).alerts)).toMatchObject([{ status: 'resolved', startsAt: alertOf().startsAt }])
})

describe('what the source left out', () => {
  it('is what the latest message of the group says', async () => {
    await post(body(['f1'], { truncatedAlerts: 150 }))
    expect((await load()).truncated).toBe(150)
    await post(body(['f1'], { truncatedAlerts: 20 }))
    expect((await load()).truncated).toBe(20)
    await post(body(['f1']))
    expect((await load()).truncated).toBe(0)
    const { version } = await load()
    await post(body(['f1']))
    expect((await load()).version).toBe(version)
  })

  it('is added up over groups and sources, each by its own latest message', async () => {
    await post(body(['f1'], { truncatedAlerts: 150 }))
    await post(body(['f1'], { truncatedAlerts: 7 }), 'us')
    await post(body(['f2'], { truncatedAlerts: 5, groupKey: '{}:{room="kitchen"}' }))
    expect((await load()).truncated).toBe(162)
    await post(body(['f1']))
    expect((await load()).truncated).toBe(12)
  })

  it('is no number of a group that its alerts have left', async () => {
    await post(body(['f1'], { truncatedAlerts: 150 }))
    await post(body(['f1'], { groupKey: '{}:{room="kitchen"}', truncatedAlerts: 3 }))
    expect((await load()).truncated).toBe(3)
  })

  it('is also told to incidents of the group that the message has nothing else for', async () => {
    const ingest = w.ingestBy([{ ...PLAYBOOK, groupBy: ['room'] }])
    await post(body(['a'], { truncatedAlerts: 150 }, { labels: { room: 'attic' } }), 'eu', ingest)
    await post(body(['b'], {}, { labels: { room: 'cellar' } }), 'eu', ingest)
    const all = await Promise.all((await w.journal.all()).map((id) => w.journal.load(id)))
    expect(all.map((i) => i!.truncated)).toEqual([0, 0])
  })

  it('and could not be read is said by the latest message', async () => {
    const bad = body(['f1'])
    await post({ ...bad, alerts: [...bad.alerts, 'x'] })
    expect(remarksOf(await load())).toEqual([
      '1 alert of a message could not be read: alerts[1]: an object is expected, there is a text',
    ])
    await post({ ...bad, alerts: [...bad.alerts, 'x', { labels: 7, status: 'firing' }] })
    expect(remarksOf(await load())).toEqual([
      '2 alerts of a message could not be read: alerts[1]: an object is expected, there is a text',
    ])
    await post(bad)
    expect(remarksOf(await load())).toEqual([])
  })
})

describe('two sources', () => {
  it('that send one fingerprint have two alerts: the end of one is not that of the other', async () => {
    await post(body(['f1']), 'us')
    await post(body(['f1']), 'eu')
    const { id } = await load()
    await w.propose(id, 'p1', true)
    await post(body(['f1'], { status: 'resolved' }), 'eu')
    const incident = await load()
    expect(Object.values(incident.alerts).map((a) => [a.source, a.status])).toEqual([
      ['us', 'firing'],
      ['eu', 'resolved'],
    ])
    expect(incident.resolvedAt).toBeNull()
    expect((await w.state(id)).status).toBe('open')
    await post(body(['f1'], { status: 'resolved' }), 'us')
    expect((await load()).resolvedAt).not.toBeNull()
  })
})

describe('the severity', () => {
  const send = (fingerprint: string, severity: unknown, rest = {}) =>
    post(body([fingerprint], rest, { labels: { severity } }))
  it('is the highest of what fires', async () => {
    await send('f1', 'warning')
    expect((await load()).severity).toBe('warning')
    await send('f9', 'critical')
    expect((await load()).severity).toBe('critical')
    await send('f2', 'info')
    expect((await load()).severity).toBe('critical')
    await post(
      body(
        ['f9'],
        { status: 'firing' },
        { status: 'resolved', endsAt: '2026-11-21T03:20:00Z', labels: { severity: 'critical' } },
      ),
    )
    expect((await load()).severity).toBe('warning')
  })

  it('stays the last one when nothing fires, and is the playbook’s where alerts name none', async () => {
    await send('f1', 'critical')
    await post(body(['f1'], { status: 'resolved' }, { labels: { severity: 'critical' } }))
    expect(await load()).toMatchObject({ severity: 'critical' })
    w = await createBench(redis, {}, { ...PLAYBOOK, severity: 'error' })
    await send('f2', '')
    expect(await load()).toMatchObject({ severity: 'error' })
    await send('f3', 'warning')
    expect(await load()).toMatchObject({ severity: 'error' })
    await send('f4', 'page')
    expect(await load()).toMatchObject({ severity: 'page' })
  })
})

describe('an alert', () => {
  it('that ends under other labels ends where it fires', async () => {
    const ingest = w.ingestBy([{ ...PLAYBOOK, groupBy: ['room'] }])
    await post(body(['a'], { groupKey: null }, { labels: { room: 'attic' } }), 'eu', ingest)
    await post(body(['a'], { groupKey: null, status: 'resolved' }, { labels: { room: 'cellar' } }), 'eu', ingest)
    expect((await load()).resolvedAt).not.toBeNull()
  })

  it('that ends without labels ends where it fires', async () => {
    await post(body(['a']))
    const ended = body(['a'], { groupKey: null, status: 'resolved' })
    await post({ ...ended, alerts: ended.alerts.map((a) => ({ ...a, labels: null })) })
    expect((await load()).resolvedAt).not.toBeNull()
  })

  it('whose playbook was renamed or removed ends', async () => {
    for (const playbooks of [[{ ...PLAYBOOK, id: 'lamp/renamed' }], []]) {
      w = await createBench(redis)
      await post(body(['a']))
      await post(body(['a'], { status: 'resolved' }), 'eu', w.ingestBy(playbooks))
      expect((await load()).resolvedAt).not.toBeNull()
    }
  })
})

describe('an incident whose source was taken out of the configuration', () => {
  const bot = (own: string[]) => {
    const attendance = createAttendance({ redis: w.client, own, clock: w.bench.clock })
    return () => w.botTick(true, attendance)
  }
  const DAY = 24 * 3_600_000

  it('ends when no bot has had it for a day, and says why', async () => {
    await post(body(['a']))
    const { id } = await load()
    await w.propose(id, 'p1', true)
    await bot(['eu'])()
    const [other, without] = [bot(['us', 'eu']), bot(['us'])]
    w.time.offset += DAY
    await other()
    await without()
    expect((await load()).resolvedAt).toBeNull()
    w.time.offset += DAY - 60_000
    await without()
    expect((await load()).resolvedAt).toBeNull()
    w.time.offset += 120_000
    await without()
    const incident = await load()
    expect(incident.resolvedAt).not.toBeNull()
    expect(await w.decide(id)).toMatchObject({ ok: false })
    expect(remarksOf(incident)).toEqual([expect.stringContaining('The source “eu” is not configured any more')])
    expect(w.errors).toEqual([])
  })

  it('counts from the first look, where no bot has ever said that it had it; a freeze is none', async () => {
    await w.freezer.freeze({ by: 'ada', reason: 'r', person: ada })
    await post(body(['a']))
    const without = bot([])
    await without()
    w.time.offset += DAY - 60_000
    await without()
    expect(
      await Promise.all((await w.journal.active()).map(async (id) => (await w.journal.load(id))!.resolvedAt)),
    ).toEqual([null, null])
    w.time.offset += 120_000
    await without()
    const left = await Promise.all((await w.journal.all()).map((id) => w.journal.load(id)))
    expect(left.filter((i) => i!.resolvedAt === null).map((i) => i!.title)).toEqual([expect.stringContaining('Frozen')])
  })

  it('goes on while another alert of it fires from a source that is there', async () => {
    await post(body(['a']), 'old')
    await post(body(['a']), 'new')
    const renamed = bot(['new'])
    await renamed()
    w.time.offset += DAY + 60_000
    await renamed()
    expect(firing(await load())).toEqual(['a'])
    await post(body(['a'], { status: 'resolved' }), 'new')
    expect((await load()).resolvedAt).not.toBeNull()
  })

  it('keeps no other work of the round from being done when Redis does not let it look', async () => {
    const id = await w.open()
    w.time.offset += 3 * DAY
    const refuse = async () => {
      throw new Error('NOPERM')
    }
    await w.botTick(true, { attend: refuse, isGone: refuse })
    expect((await w.state(id)).status).toBe('expired')
  })
})

describe('an alert without a time that can be read', () => {
  const undated = (at: string, rest: Record<string, unknown> = {}, sent: Sent = { startsAt: 'noon' }) =>
    post(body(['a'], { groupKey: null, ...rest }, sent), 'eu', w.ingest, at)

  it('is no news when it is sent again, and began when it was received first', async () => {
    await undated('2026-11-21T04:00:00Z')
    const { version } = await load()
    await undated('2026-11-21T04:30:00Z')
    expect(await load()).toMatchObject({ version })
    expect(Object.values((await load()).alerts)[0]).toMatchObject({ startsAt: '2026-11-21T04:00:00.000Z' })
  })

  it('ends with a word that has a time, though it seems older', async () => {
    await undated('2026-11-21T04:00:00Z')
    await undated('2026-11-21T04:30:00Z', { status: 'resolved' }, { startsAt: '2026-11-21T02:00:00Z', endsAt: '' })
    expect((await load()).resolvedAt).not.toBeNull()
  })

  it('ends with a word that has none', async () => {
    await undated('2026-11-21T04:00:00Z', {}, { startsAt: '2026-11-21T05:00:00Z' })
    await undated('2026-11-21T04:30:00Z', { status: 'resolved' }, { startsAt: '' })
    expect((await load()).resolvedAt).not.toBeNull()
  })
})
