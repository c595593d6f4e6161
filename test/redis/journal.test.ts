import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { type Happening, verifyChain } from '../../src/domain/event.ts'
import { evolve } from '../../src/domain/evolve.ts'
import type { Incident } from '../../src/domain/incident.ts'
import { connectPatient, durabilityFaults } from '../../src/redis/connect.ts'
import { createJournal } from '../../src/redis/journal.ts'
import { incidentId, parseIncidentId } from '../../src/redis/keys.ts'
import { createLocks } from '../../src/redis/locks.ts'
import { createPulse } from '../../src/redis/pulse.ts'
import { startRedis } from './server.ts'

let redis: Awaited<ReturnType<typeof startRedis>>
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())
beforeEach(async () => {
  await redis.connect().flushall()
})

const opened: Happening = {
  type: 'incident.opened',
  group: 'g',
  title: 't',
  severity: 's',
  channel: 'c',
  playbook: null,
}
const note = (n: number): Happening => ({ type: 'alerts.changed', alerts: [], truncated: n })
const journalOf = (client = redis.connect()) =>
  createJournal({ redis: client, subscriber: redis.connect(), clock: Date.now })
const ID = incidentId('g', 1)

/** Appends for as long as somebody else is faster. */
async function insist(journal: ReturnType<typeof journalOf>, event: Happening): Promise<void> {
  for (;;) {
    const version = (await journal.load(ID))?.version ?? 0
    const stored = await journal.append(ID, version, randomUUID(), [event])
    if (stored.ok) return
  }
}

describe('the journal', () => {
  it('takes one of many writers at a time: nothing is lost, doubled or torn', async () => {
    const journals = Array.from({ length: 10 }, () => journalOf())
    await journals[0]!.append(ID, 0, 'open', [opened])
    await Promise.all(journals.flatMap((j, w) => [0, 1, 2].map((i) => insist(j, note(w * 3 + i + 1)))))
    const entries = await journals[0]!.entries(ID)
    expect(verifyChain(ID, entries)).toBeNull()
    const seen = entries.flatMap((e) => (e.event.type === 'alerts.changed' ? [e.event.truncated] : []))
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1))
    const folded = entries.reduce<Incident | null>(evolve, null)
    for (const j of journals) expect(await j.load(ID)).toEqual(folded)
  })

  it('tells what changes again after a reconnect, though Redis refused that for a while', async () => {
    const client = redis.connect()
    const subscriber = connectPatient({ kind: 'one', url: redis.path }, () => {})
    const journal = createJournal({ redis: client, subscriber, clock: Date.now })
    try {
      for (const channels of ['resetchannels', 'allchannels']) {
        await client.call('ACL', 'SETUSER', 'default', channels)
        const ready = once(subscriber, 'ready')
        subscriber.disconnect(true)
        await ready
        await subscriber.ping()
      }
      const told = new Promise((resolve) => journal.watch(resolve))
      await journalOf().append(ID, 0, 'open', [opened])
      expect(await told).toBe(ID)
    } finally {
      await client.call('ACL', 'SETUSER', 'default', 'allchannels')
      subscriber.disconnect()
    }
  })

  it('lists as active what it stores, though the process dies right after', async () => {
    const client = redis.connect()
    const journal = journalOf(client)
    await journal.append(ID, 0, 'open', [opened, { type: 'incident.resolved' }])
    await journal.retire(ID)
    expect(await journal.active()).toEqual([])
    const append = Reflect.get(client, 'keyturnAppend') as (...args: unknown[]) => Promise<unknown>
    Reflect.set(client, 'keyturnAppend', async (...args: unknown[]) => {
      await append.apply(client, args)
      throw new Error('here it dies')
    })
    await expect(journal.append(ID, 2, 'again', [{ type: 'incident.reopened' }])).rejects.toThrow('here it dies')
    const later = journalOf()
    expect((await later.load(ID))?.resolvedAt).toBeNull()
    expect(await later.active()).toEqual([ID])
  })

  it('retires what is quiet only', async () => {
    const journal = journalOf()
    await journal.append(ID, 0, 'open', [opened])
    await journal.retire(ID)
    expect(await journal.active()).toEqual([ID])
  })

  it('stores an intent once, though its reply was lost and it was sent again', async () => {
    const way = await redis.lossy()
    const journal = journalOf(way.connect())
    await journal.append(ID, 0, 'open', [opened])
    for (let n = 1; n <= 20; n += 1) {
      const op = `op-${n}`
      const version = (await journal.load(ID))!.version
      way.losing = 1
      const stored = await journal.append(ID, version, op, [note(n)])
      if (!stored.ok) expect(stored.reason).toBe('duplicate')
    }
    const entries = await journal.entries(ID)
    expect(entries).toHaveLength(21)
    expect(verifyChain(ID, entries)).toBeNull()
  })

  it('stores all events of an intent or none', async () => {
    const journal = journalOf()
    await expect(journal.append(ID, 0, 'open', [opened, { type: 'nonsense' } as never])).rejects.toThrow()
    expect(await journal.load(ID)).toBeNull()
  })

  it('keeps everything that it has acknowledged when Redis is killed under load', async () => {
    const journal = journalOf()
    await journal.append(ID, 0, 'open', [opened])
    const acknowledged: number[] = []
    let killed = false
    const writing = (async () => {
      for (let n = 1; acknowledged.length < 300; n += 1) {
        const version = (await journal.load(ID).catch(() => null))?.version
        if (version === undefined) continue
        const stored = await journal.append(ID, version, randomUUID(), [note(n)]).catch(() => null)
        if (stored?.ok) acknowledged.push(n)
        if (acknowledged.length < 200 || killed) continue
        killed = true
        void redis.kill().then(() => redis.restart())
      }
    })()
    await writing
    const entries = await journalOf().entries(ID)
    const kept = new Set(entries.flatMap((e) => (e.event.type === 'alerts.changed' ? [e.event.truncated] : [])))
    expect(acknowledged.filter((n) => !kept.has(n))).toEqual([])
    expect(verifyChain(ID, entries)).toBeNull()
  })

  it('tells every process of a change', async () => {
    const [writer, watcher] = [journalOf(), journalOf()]
    await watcher.load(ID)
    const told = new Promise<string>((resolve) => watcher.watch(resolve))
    await writer.append(ID, 0, 'open', [opened])
    expect(await told).toBe(ID)
  })

  it('notices when it was replaced behind its back, and folds it anew', async () => {
    const [one, two] = [journalOf(), journalOf()]
    await one.append(ID, 0, 'open', [opened])
    await one.append(ID, 1, 'more', [note(5)])
    await redis.connect().flushall()
    await two.append(ID, 0, 'open again', [{ ...opened, title: 'another' }])
    expect(await one.load(ID)).toMatchObject({ version: 1, title: 'another' })
    expect(await one.append(ID, 2, 'late', [note(6)])).toEqual({ ok: false, reason: 'conflict' })
  })
})

describe('an incident id', () => {
  it.each(['', 'x', '{a}', `${'a'.repeat(12)}-0`, `${'a'.repeat(12)}-1\n`, `${'a'.repeat(12)}-1:journal`, '__proto__'])(
    'is not %j',
    (id) => {
      expect(() => parseIncidentId(id)).toThrow(TypeError)
    },
  )
})

describe('locks', () => {
  const holder = (n: number) => ({ incident: incidentId('g', n), proposal: 'p1' })
  it('are taken all or none, and by one', async () => {
    const [a, b] = [createLocks(redis.connect()), createLocks(redis.connect())]
    expect(await a.acquire(['x'], holder(1))).toMatchObject({ ok: true })
    expect(await b.acquire(['w', 'x', 'y'], holder(2))).toEqual({ ok: false, target: 'x', holder: holder(1) })
    expect(await a.acquire(['w', 'y'], holder(3))).toMatchObject({ ok: true })
  })
  it('are kept by who holds them, and freed by nobody else', async () => {
    const locks = createLocks(redis.connect())
    await locks.acquire(['x'], holder(1))
    expect(await locks.acquire(['x'], holder(1))).toMatchObject({ ok: true })
    await locks.release(['x'], holder(2))
    expect((await locks.acquire(['x'], holder(2))).ok).toBe(false)
    await locks.release(['x'], holder(1))
    expect((await locks.acquire(['x'], holder(2))).ok).toBe(true)
  })
  it('are taken anew by another try of the same run, and then freed by neither the first try nor who saw it hold them', async () => {
    const locks = createLocks(redis.connect())
    const [one, two] = [
      { ...holder(1), take: 'one' },
      { ...holder(1), take: 'two' },
    ]
    expect(await locks.acquire(['x'], one)).toEqual({ ok: true, fresh: ['x'] })
    expect(await locks.acquire(['x'], holder(2))).toEqual({ ok: false, target: 'x', holder: one })
    expect(await locks.acquire(['x', 'y'], two)).toEqual({ ok: true, fresh: ['y'] })
    await locks.release(['x'], one)
    expect((await locks.acquire(['x'], holder(2))).ok).toBe(false)
    await locks.release(['x', 'y'], holder(1))
    expect((await locks.acquire(['x', 'y'], holder(2))).ok).toBe(true)
  })
  it('have no time-out, and outlive Redis', async () => {
    const client = redis.connect()
    await createLocks(client).acquire(['x'], holder(1))
    const [key] = await client.keys('keyturn:lock:*')
    expect(await client.pttl(key!)).toBe(-1)
    await redis.kill()
    redis.restart()
    expect((await createLocks(redis.connect()).acquire(['x'], holder(2))).ok).toBe(false)
  })
})

it('a sign of life lapses by itself', async () => {
  const client = redis.connect()
  const pulse = createPulse(client)
  await pulse.beat(ID, 'p1', 'w')
  expect(await pulse.alive(ID, 'p1')).toBe(true)
  const [key] = await client.keys('*beat*')
  expect(await client.pttl(key!)).toBeGreaterThan(0)
  await client.pexpire(key!, 0)
  expect(await pulse.alive(ID, 'p1')).toBe(false)
})

describe('a Redis that could lose the journal', () => {
  it.each([
    ['keeps no append-only file', ['--appendonly', 'no'], 'set `appendonly yes`'],
    ['writes it once a second', ['--appendonly', 'yes', '--appendfsync', 'everysec'], 'set `appendfsync always`'],
    [
      'may evict',
      ['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'allkeys-lru'],
      'set `maxmemory-policy noeviction`',
    ],
  ])('%s, and is told what to set', async (_what, settings, remedy) => {
    const volatile = await startRedis(settings)
    const faults = await durabilityFaults(volatile.connect())
    await volatile.stop()
    expect(faults).toHaveLength(1)
    expect(faults[0]).toContain(remedy)
  })
  it('is not one that writes always and evicts nothing', async () => {
    expect(await durabilityFaults(redis.connect())).toEqual([])
  })
})
