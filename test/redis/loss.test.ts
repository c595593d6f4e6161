import { cp, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import type { Happening } from '../../src/domain/event.ts'
import { sentence } from '../../src/domain/reason.ts'
import { createJournal } from '../../src/redis/journal.ts'
import { incidentId, incidentKey, witnessKey } from '../../src/redis/keys.ts'
import { createWitness } from '../../src/redis/witness.ts'
import { ada, type Bench, createBench } from '../pipeline/bench.ts'
import { startSentinel, until } from './cluster.ts'
import { startRedis } from './server.ts'

const opened: Happening = {
  type: 'incident.opened',
  group: 'g',
  title: 't',
  severity: 's',
  channel: 'c',
  playbook: null,
}

describe('when Redis has lost what it had confirmed', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>
  let w: Bench
  let id: string
  beforeEach(async () => {
    redis = await startRedis()
    w = await createBench(redis)
    id = await w.open()
    expect(await w.freezer.state()).toBeNull()
  })
  afterEach(() => redis.stop())

  it('by a FLUSHALL, everything is frozen until a person lifts it', async () => {
    await w.client.flushall()
    expect(await w.freezer.state()).toMatchObject({ by: 'Keyturn', reason: expect.stringContaining('has lost') })
    expect(await w.freezer.state()).not.toBeNull()
    expect(await w.freezer.thaw({ by: 'ada', reason: 'looked', person: null })).toEqual({ ok: true })
    expect(await w.freezer.state()).toBeNull()
  })

  it('by an older append-only file, what had run by then is not run again, neither frozen nor after', async () => {
    const folder = join(dirname(redis.path), 'appendonlydir')
    await w.decide(id)
    await redis.kill()
    await cp(folder, `${folder}.old`, { recursive: true })
    redis.restart()
    await w.runner('w1').run(id, 'p1')
    expect([w.lamp.on, (await w.state(id)).status]).toEqual([2, 'succeeded'])
    await redis.kill()
    await rm(folder, { recursive: true })
    await cp(`${folder}.old`, folder, { recursive: true })
    redis.restart()

    await w.runner('w1').run(id, 'p1')
    expect([w.lamp.on, (await w.state(id)).status]).toEqual([2, 'granted'])
    expect(await w.freezer.state()).toMatchObject({ by: 'Keyturn' })
    await w.freezer.thaw({ by: 'ada', reason: 'looked', person: null })
    await w.runner('w1').run(id, 'p1')
    expect([w.lamp.on, (await w.state(id)).note]).toEqual([2, sentence('frozen_since')])
  })

  it('a person lifts the freeze once: an older journal that is read later freezes nothing again', async () => {
    const key = incidentKey(id, 'journal')
    const older = await w.client.lrange(key, 0, -1)
    await w.decide(id)
    await w.client.flushall()
    await w.client.rpush(key, ...older)
    expect(await w.freezer.state()).not.toBeNull()
    await w.freezer.thaw({ by: 'ada', reason: 'looked', person: null })
    expect((await w.state(id)).status).toBe('open')
    expect(await w.freezer.state()).toBeNull()
  })

  it('to draw writes nothing to Redis, to decide asks whether it still has everything', async () => {
    const count = () => w.client.get(witnessKey('bench'))
    const before = await count()
    expect(await w.handlers.frozen()).toBeNull()
    expect(await count()).toBe(before)
    await w.client.flushall()
    expect(await w.handlers.frozen()).toBeNull()
    const { reason } = (await w.handlers.decide({
      incident: id,
      proposal: 'p1',
      digest: '',
      verdict: 'approve',
      reason: '',
      person: ada,
    })) as { reason?: string }
    expect(reason).toBe('frozen')
    expect(await w.handlers.frozen()).toMatchObject({ by: 'Keyturn' })
  })

  it('a restart that keeps the file freezes nothing', async () => {
    await redis.kill()
    redis.restart()
    expect(await w.freezer.state()).toBeNull()
    expect((await w.state(id)).status).toBe('open')
  })
})

it('a fail-over to a replica that lagged is found out by the next look at what was lost', async () => {
  const sentinel = await startSentinel()
  const replica = new Redis(sentinel.replica, '127.0.0.1')
  try {
    const redis = sentinel.hasty()
    const witness = createWitness(redis, 'p')
    const journal = createJournal({ redis, subscriber: sentinel.patient(), clock: Date.now, missed: witness.missed })
    const id = incidentId('g', 1)
    await journal.append(id, 0, 'a', [opened])
    expect(await witness.look()).toBeNull()
    await redis.call('WAIT', '1', '5000')
    // A master without a password refuses one, so that the replica falls behind from here.
    await replica.config('SET', 'masterauth', 'wrong')
    await replica.call('CLIENT', 'KILL', 'TYPE', 'master')
    await until(
      () => replica.info('replication'),
      (info) => info.includes('master_link_status:down'),
    )
    await journal.append(id, 1, 'b', [{ type: 'incident.resolved' }])
    await sentinel.killMaster()
    await until(
      () => journal.load(id).catch(() => null),
      (incident) => incident?.version === 1,
    )
    expect(await witness.look()).toContain(`has lost entries of ${id}`)
  } finally {
    replica.disconnect()
    await sentinel.stop()
  }
}, 60_000)
