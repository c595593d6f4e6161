import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { verifyChain } from '../../src/domain/event.ts'
import type { Incident } from '../../src/domain/incident.ts'
import { place, portions } from '../../src/pipeline/ingest.ts'
import { tag } from '../../src/redis/keys.ts'
import { startRedis } from '../redis/server.ts'
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
const room = (name: string, patch = {}) =>
  alertOf({ fingerprint: name, labels: { alertname: 'LampOff', room: name }, ...patch })
const send = (...alerts: ReturnType<typeof room>[]) => w.ingest({ alerts, truncated: 0 })
const fingerprints = (incident: Incident | null) => Object.values(incident?.alerts ?? {}).map((a) => a.fingerprint)
const over = (name: string) => room(name, { status: 'resolved', endsAt: new Date().toISOString() })

describe('alerts', () => {
  it('that are too many for one append are stored one after the other, and the incident does not seem resolved between', async () => {
    const long = { summary: 'x'.repeat(8000) }
    const one = (i: number, patch = {}) => room('cellar', { fingerprint: `f${i}`, annotations: long, ...patch })
    await send(...Array.from({ length: 40 }, (_, i) => one(i)))
    const end = { status: 'resolved', endsAt: new Date().toISOString() } as const
    const heavy = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`part ${i}`, long.summary]))
    await send(...Array.from({ length: 40 }, (_, i) => one(i, end)), one(40, { annotations: heavy }))
    const [id] = await w.journal.active()
    const events = (await w.journal.entries(id!)).map((e) => e.event.type)
    expect(events.filter((type) => type === 'alerts.changed').length).toBeGreaterThan(5)
    expect(events).not.toContain('incident.resolved')
    const incident = await w.journal.load(id!)
    expect(Object.values(incident!.alerts).filter((a) => a.status === 'firing')).toHaveLength(1)
  })

  it('keep the order of the words about one of them in portions, and are all there', () => {
    const long = { summary: 'x'.repeat(30_000) }
    const all = Array.from({ length: 20 }, (_, i) =>
      room('r', {
        fingerprint: `f${i % 5}`,
        annotations: { ...long, i: `${i}` },
        status: i % 3 ? 'firing' : 'resolved',
      }),
    )
    const stored = portions(all).flat()
    for (const n of ['f0', 'f1', 'f2', 'f3', 'f4'])
      expect(stored.filter((a) => a.fingerprint === n)).toEqual(all.filter((a) => a.fingerprint === n))
    expect(stored).toHaveLength(all.length)
  })

  it('that end are told to the incident where they fire, also when playbooks have changed that group them otherwise', async () => {
    const id = await w.open(room('attic'))
    await w.decide(id)
    const other = { ...PLAYBOOK, id: 'lamp/other', groupBy: ['room'] }
    const ingest = w.ingestBy([other])
    await ingest({ alerts: [over('attic')], truncated: 0 })
    expect((await w.journal.load(id))?.resolvedAt).not.toBeNull()
    expect((await w.state(id)).status).toBe('withdrawn')

    const again = await w.open(room('cellar'))
    await ingest({ alerts: [room('cellar')], truncated: 0 })
    w.time.offset += 2000
    await ingest({ alerts: [over('cellar')], truncated: 0 })
    expect((await w.journal.load(again))?.resolvedAt).not.toBeNull()
    const ends = await Promise.all((await w.journal.all()).map((one) => w.journal.load(one)))
    expect(ends.map((i) => [i?.playbook?.id, i?.resolvedAt === null])).toEqual(
      expect.arrayContaining([
        ['lamp/off', false],
        ['lamp/other', false],
      ]),
    )
  })

  it('whose labels were chosen so that their incident would have the id of another get one of their own', async () => {
    const [one, other] = ['r1165073', 'r20002979']
    const groups = [one, other].map((name) => place(room(name), [PLAYBOOK], () => false).group)
    expect(tag(groups[0]!)).toBe(tag(groups[1]!))
    await send(room(one), room(other))
    await send(over(other))
    const incidents = await Promise.all((await w.journal.all()).map((id) => w.journal.load(id)))
    expect(incidents.map((i) => [fingerprints(i).join(), i!.resolvedAt === null]).sort()).toEqual([
      [one, true],
      [other, false],
    ])
  })

  it('of one batch are all stored, each in the incident of its group', async () => {
    const rooms = Array.from({ length: 30 }, (_, i) => room(`r${i % 10}`, { fingerprint: `f${i}` }))
    await send(...rooms)
    const active = await w.journal.active()
    expect(active).toHaveLength(10)
    const states = await Promise.all(active.map((id) => w.journal.load(id)))
    expect(states.flatMap(fingerprints).sort()).toEqual(rooms.map((r) => r.fingerprint).sort())
  })

  it('that two bots take in at once, again and again, open one incident and are stored once', async () => {
    await Promise.all(Array.from({ length: 12 }, () => send(room('attic'))))
    const active = await w.journal.active()
    expect(active).toHaveLength(1)
    const entries = await w.journal.entries(active[0]!)
    expect(entries.filter((e) => e.event.type === 'incident.opened')).toHaveLength(1)
    expect(entries.filter((e) => e.event.type === 'alerts.changed')).toHaveLength(1)
    expect(verifyChain(active[0]!, entries)).toBeNull()
  })

  it('that fire again within half an hour go on in the same thread; later they open the next one', async () => {
    await send(room('hall'))
    await send(over('hall'))
    await send(room('hall', { startsAt: new Date().toISOString() }))
    const [first] = await w.journal.active()
    expect(await w.journal.load(first!)).toMatchObject({ resolvedAt: null })
    await send(over('hall'))
    w.time.offset = 31 * 60_000
    await send(room('hall', { startsAt: new Date(Date.now() + w.time.offset).toISOString() }))
    const all = await w.journal.all()
    expect(all).toHaveLength(2)
    expect(new Set(all.map((id) => id.replace(/-\d+$/, ''))).size).toBe(1)
  })

  it('without a playbook open an incident that has none', async () => {
    await send(alertOf({ labels: { alertname: 'Strange' } }))
    const [id] = await w.journal.active()
    expect(await w.journal.load(id!)).toMatchObject({ title: 'Strange', playbook: null, proposals: [] })
  })

  it('that resolve withdraw what waits for a decision', async () => {
    const id = await w.open(room('porch'))
    await send(over('porch'))
    expect((await w.state(id)).status).toBe('withdrawn')
    expect(await w.decide(id)).toEqual({ ok: false, reason: 'incident_resolved' })
  })

  it('are refused with an error when they cannot be stored', async () => {
    await w.client.quit()
    await expect(send(room('roof'))).rejects.toThrow()
  })
})

describe('evidence', () => {
  it('is tried again after a broken connection, and its last failure is stored', async () => {
    const id = await w.open()
    w.lamp.broken = 'no route; hunter2'
    await expect(w.gather(id, 'look', false)).rejects.toThrow('no route')
    await w.gather(id, 'look', true)
    const state = await w.journal.load(id)
    expect(state?.evidence.look?.result).toMatchObject({ status: 'failed', error: 'no route; •••' })
    await w.gather(id, 'look', true)
    expect(w.lamp.looked).toBe(2)
  })
  it('that is refused is not tried again', async () => {
    const id = await w.open()
    w.lamp.refuse = 'not that lamp'
    await w.gather(id, 'look', false)
    expect((await w.journal.load(id))?.evidence.look?.result).toMatchObject({ error: 'not that lamp' })
  })
  it('holds no half of a character, which no digest covers', async () => {
    const id = await w.open()
    w.lamp.broken = 'x\ud800'
    await w.gather(id, 'look', true)
    expect((await w.journal.load(id))?.evidence.look?.result).toMatchObject({ error: 'x\ufffd' })
  })
})

describe('a plan', () => {
  it('that is refused says why, and may be asked for again', async () => {
    w.lamp.refuse = 'The lamp is not ours.'
    const id = await w.open()
    expect(await w.state(id)).toMatchObject({ status: 'refused', note: 'The lamp is not ours.' })
    w.lamp.refuse = ''
    expect(await w.handlers.request({ incident: id, step: 'switch', params: {}, person: ada })).toEqual({ ok: true })
    await w.propose(id, 'p2', true)
    expect((await w.state(id, 'p2')).status).toBe('open')
  })
  it('that cannot be made is tried again, then said', async () => {
    w.lamp.broken = 'no route'
    await w.ingest({ alerts: [alertOf()], truncated: 0 })
    const [id] = await w.journal.active()
    await expect(w.propose(id!, 'p1', false)).rejects.toThrow('no route')
    await w.propose(id!, 'p1', true)
    expect(await w.state(id!)).toMatchObject({ status: 'plan_failed', note: 'no route' })
  })
})

describe('the round', () => {
  it('rings again for everything that nobody has done yet', async () => {
    await w.ingest({ alerts: [alertOf()], truncated: 0 })
    const first = w.rung.splice(0)
    expect(first.map((j) => j.kind)).toEqual(['evidence', 'plan'])
    await w.botTick()
    expect(w.rung).toEqual(first)
  })
  it('lets a quiet incident go once Slack shows it, and no other', async () => {
    const id = await w.open(room('porch'))
    await w.botTick()
    await send(over('porch'))
    await w.botTick(false)
    expect(await w.journal.active()).toEqual([id])
    await w.botTick(true)
    expect(await w.journal.active()).toEqual([])
  })
  it('reminds once, and closes what nobody decided on', async () => {
    const id = await w.open()
    w.time.offset = 31 * 60_000
    await w.botTick()
    await w.botTick()
    expect((await w.state(id)).reminded).toBe(true)
    const reminders = (await w.journal.entries(id)).filter((e) => e.event.type === 'proposal.reminded')
    expect(reminders).toHaveLength(1)
    w.time.offset = 61 * 60_000
    await w.botTick()
    expect((await w.state(id)).status).toBe('expired')
    expect(await w.decide(id)).toEqual({ ok: false, reason: 'proposal_expired' })
  })
  it('goes on with the others when one incident breaks', async () => {
    await send(room('a'), room('b'))
    const load = w.journal.load
    const [broken, other] = await w.journal.active()
    Object.assign(w.journal, {
      load: async (id: string) => (id === broken ? Promise.reject(new Error('torn')) : load(id)),
    })
    w.rung.splice(0)
    await w.botTick()
    expect(w.errors).toHaveLength(1)
    expect(w.rung.some((j) => j.incident === other)).toBe(true)
  })
})
