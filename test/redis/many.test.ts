import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Cluster } from 'ioredis'
import { type Happening, verifyChain } from '../../src/domain/event.ts'
import type { Job } from '../../src/domain/job.ts'
import { durabilityFaults, type Store } from '../../src/redis/connect.ts'
import { createJournal } from '../../src/redis/journal.ts'
import { incidentId } from '../../src/redis/keys.ts'
import { createLocks } from '../../src/redis/locks.ts'
import { createPostbox } from '../../src/redis/postbox.ts'
import { createPulse } from '../../src/redis/pulse.ts'
import { createBell, createWorkers } from '../../src/redis/queues.ts'
import { startCluster, startSentinel, until } from './cluster.ts'

const opened: Happening = {
  type: 'incident.opened',
  group: 'g',
  title: 't',
  severity: 's',
  channel: 'c',
  playbook: null,
}
const note = (n: number): Happening => ({ type: 'alerts.changed', alerts: [], truncated: n })
const journalOn = (redis: Store, subscriber: Store) => createJournal({ redis, subscriber, clock: Date.now })
/** Groups enough to have their keys on every node. */
const IDS = Array.from({ length: 12 }, (_, i) => incidentId(`group ${i}`, 1))

const nodesOf = (store: Store) => (store instanceof Cluster ? store.nodes('master') : [store])

async function insist(journal: ReturnType<typeof journalOn>, id: string, event: Happening): Promise<void> {
  for (;;) {
    const version = (await journal.load(id))?.version ?? 0
    if ((await journal.append(id, version, randomUUID(), [event])).ok) return
  }
}

describe('on a Redis Cluster', () => {
  let cluster: Awaited<ReturnType<typeof startCluster>>
  let redis: Store
  beforeAll(async () => {
    cluster = await startCluster()
    redis = cluster.hasty()
  }, 90_000)
  afterAll(() => cluster?.stop())

  it('journals on all nodes take one of many writers at a time', async () => {
    const writers = [0, 1, 2].map(() => journalOn(cluster.hasty(), cluster.patient()))
    await Promise.all(IDS.map((id) => insist(writers[0]!, id, opened)))
    await Promise.all(IDS.flatMap((id) => writers.map((w, n) => insist(w, id, note(n + 1)))))
    for (const id of IDS) {
      const entries = await writers[0]!.entries(id)
      expect(entries).toHaveLength(4)
      expect(verifyChain(id, entries)).toBeNull()
    }
    expect((await writers[1]!.all()).sort()).toEqual([...IDS].sort())
    const used = await Promise.all(cluster.ports.map((_, i) => nodesOf(redis)[i]!.dbsize()))
    expect(used.every((keys) => keys > 0)).toBe(true)
  })

  it('every process is told of a change, whichever node holds it', async () => {
    const writer = journalOn(cluster.hasty(), cluster.patient())
    const told = new Set<string>()
    journalOn(cluster.hasty(), cluster.patient()).watch((id) => told.add(id))
    // Its subscription stands when it has heard of something.
    await until(
      async () => {
        await insist(writer, IDS[0]!, note(1))
        return told.size
      },
      (n) => n > 0,
    )
    for (const id of IDS) await insist(writer, id, note(2))
    await until(
      async () => IDS.filter((id) => told.has(id)),
      (heard) => heard.length === IDS.length,
    )
  })

  it('locks on several nodes are taken all or none', async () => {
    const locks = createLocks(redis)
    const holder = (n: number) => ({ incident: IDS[n]!, proposal: 'p1' })
    const targets = Array.from({ length: 12 }, (_, i) => `target ${i}`)
    await locks.acquire([targets[11]!], holder(1))
    expect((await locks.acquire(targets, holder(2))).ok).toBe(false)
    expect(await locks.acquire(targets.slice(0, 11), holder(3))).toMatchObject({ ok: true })
    await locks.release(targets.slice(0, 11), holder(3))
    await locks.release([targets[11]!], holder(1))
    expect(await locks.acquire(targets, holder(2))).toMatchObject({ ok: true })
  })

  it('signs of life, what was posted and the pace of a channel are kept', async () => {
    const [pulse, postbox] = [createPulse(redis), createPostbox(redis)]
    for (const id of IDS) {
      await pulse.beat(id, 'p1', 'w')
      expect(await pulse.alive(id, 'p1')).toBe(true)
      await pulse.progress(id, 'p1', { step: 's', done: 1, total: 2 } as never)
      expect(await pulse.read(id, 'p1')).toMatchObject({ done: 1 })
      await postbox.write(id, 'root', { channel: 'C', ts: '1', hash: 'h', attemptedAt: 1 })
      expect(Object.keys(await postbox.read(id))).toEqual(['root'])
      const lease = await postbox.lease(id)
      expect(await postbox.lease(id)).toBeNull()
      expect(await lease!.renew()).toBe(true)
      await lease!.release()
      expect(await postbox.lease(id)).not.toBeNull()
    }
    expect(await postbox.pace('C1')).toBe(0)
    expect(await postbox.pace('C1')).toBeGreaterThan(0)
    expect([await postbox.firstTime('s'), await postbox.firstTime('s')]).toEqual([true, false])
  })

  it('work rung for is done', async () => {
    const bell = createBell(cluster.hasty())
    const seen: Job[] = []
    const all = Promise.withResolvers<void>()
    const workers = createWorkers({
      connect: () => cluster.patient(),
      onJob: async (job) => {
        if (seen.push(job) === IDS.length * 2) all.resolve()
      },
      onError: () => {},
      concurrency: { read: 2, run: 2 },
    })
    const jobs = IDS.flatMap((incident): Job[] => [
      { kind: 'run', incident, proposal: 'p1' },
      { kind: 'plan', incident, proposal: 'p1' },
    ])
    await bell.ring(jobs)
    await all.promise
    expect(seen).toHaveLength(jobs.length)
    await workers.close()
    await bell.close()
  })

  it('each node that could lose the journal is named', async () => {
    expect(await durabilityFaults(redis)).toEqual([])
    const [node] = nodesOf(redis)
    await node!.config('SET', 'appendfsync', 'everysec')
    const faults = await durabilityFaults(redis)
    await node!.config('SET', 'appendfsync', 'always')
    expect(faults).toEqual([
      `127.0.0.1:${node!.options.port}: Redis may lose the last second (appendfsync everysec): set \`appendfsync always\`.`,
    ])
  })

  it('what cannot be stored is refused and not waited for, and what was acknowledged outlives a kill of all nodes', async () => {
    const journal = journalOn(cluster.hasty(), cluster.patient())
    const id = incidentId('killed', 1)
    await insist(journal, id, { ...opened, group: 'killed' })
    await cluster.kill()
    await expect(journal.append(id, 1, 'lost', [note(1)])).rejects.toThrow()
    await expect(journalOn(cluster.hasty(), cluster.patient()).load(id)).rejects.toThrow()
    await cluster.restart()
    expect(
      (await until(
        () => journal.load(id),
        (i) => i !== null,
      ))!.version,
    ).toBe(1)
    await until(
      () => journal.append(id, 1, 'again', [note(2)]),
      (stored) => stored.ok || stored.reason === 'duplicate',
    )
    expect(verifyChain(id, await journal.entries(id))).toBeNull()
  }, 90_000)
})

describe('under Sentinel', () => {
  let sentinel: Awaited<ReturnType<typeof startSentinel>>
  beforeAll(async () => {
    sentinel = await startSentinel()
  }, 90_000)
  afterAll(() => sentinel?.stop())

  it('the journal, its watchers and the queues go on with the replica when the master dies', async () => {
    const redis = sentinel.hasty()
    const [journal, watcher] = [journalOn(redis, sentinel.patient()), journalOn(sentinel.hasty(), sentinel.patient())]
    const id = IDS[0]!
    await insist(journal, id, opened)
    expect(await redis.wait(1, 5000)).toBe(1)
    const bell = createBell(sentinel.hasty())
    const done = Promise.withResolvers<Job>()
    const workers = createWorkers({
      connect: () => sentinel.patient(),
      onJob: async (job) => done.resolve(job),
      onError: () => {},
      concurrency: { read: 1, run: 1 },
    })
    await sentinel.killMaster()
    const stored = await until(
      () => journal.append(id, 1, 'after', [note(7)]),
      () => true,
    )
    expect(stored.ok || stored.reason === 'duplicate').toBe(true)
    const entries = await journal.entries(id)
    expect(entries.map((e) => e.event.type)).toEqual(['incident.opened', 'alerts.changed'])
    expect(verifyChain(id, entries)).toBeNull()
    let told = 0
    watcher.watch(() => {
      told += 1
    })
    await until(
      async () => {
        await insist(journal, id, note(told))
        return told
      },
      (n) => n > 0,
    )
    const job: Job = { kind: 'run', incident: id, proposal: 'p1' }
    await until(
      () => bell.ring([job]),
      () => true,
    )
    expect(await done.promise).toEqual(job)
    await workers.close()
    await bell.close()
  }, 60_000)
})
