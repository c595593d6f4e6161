import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import type { Happening } from '../../src/domain/event.ts'
import type { Job } from '../../src/domain/job.ts'
import { durabilityFaults, type Store } from '../../src/redis/connect.ts'
import { createJournal } from '../../src/redis/journal.ts'
import { incidentId } from '../../src/redis/keys.ts'
import { createLocks } from '../../src/redis/locks.ts'
import { createPostbox } from '../../src/redis/postbox.ts'
import { createBell, createWorkers } from '../../src/redis/queues.ts'
import { createWitness } from '../../src/redis/witness.ts'
import { freePort } from '../../src/sandbox/processes.ts'
import { DURABLE, startNodes, until } from './cluster.ts'

const opened: Happening = {
  type: 'incident.opened',
  group: 'g',
  title: 't',
  severity: 's',
  channel: 'c',
  playbook: null,
}
const ID = incidentId('g', 1)

/** One address before two servers: new connections go to the one that it was turned to last, those that stand stay. */
async function startAddress(port: number) {
  let target = port
  let refusal: string | null = null
  const open = new Set<Socket>()
  const server = createServer((near) => {
    const far = dial(target, '127.0.0.1')
    for (const socket of [near, far]) open.add(socket)
    near.on('error', () => far.destroy()).on('close', () => far.destroy())
    far.on('error', () => near.destroy()).on('close', () => near.destroy())
    // A word of its own is answered by the address, once; the server does not hear what it is an answer to.
    near.on('data', (bytes) => {
      if (refusal === null) return void far.write(bytes)
      near.write(`-${refusal}\r\n`)
      refusal = null
    })
    far.pipe(near)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    refuseNext: (error: string) => {
      refusal = error
    },
    /** Those who are connected hear nothing any more, and nobody hears them; their connections stay. */
    hush() {
      for (const socket of open) socket.unpipe().removeAllListeners('data').pause()
    },
    turnTo: (other: number) => {
      target = other
    },
    stop() {
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}

describe('when another server takes over behind one address', () => {
  let nodes: Awaited<ReturnType<typeof startNodes>>
  let address: Awaited<ReturnType<typeof startAddress>>
  let first: number
  let second: number
  let direct: Redis[]
  let way: ReturnType<typeof nodes.opener>
  const closing: (() => unknown)[] = []
  beforeEach(async () => {
    nodes = await startNodes()
    first = await freePort()
    second = await freePort()
    await nodes.start(first, [...DURABLE, '--dbfilename', 'first.rdb', '--repl-diskless-sync-delay', '0'])
    await nodes.start(second, [
      ...DURABLE,
      '--dbfilename',
      'second.rdb',
      ...['--replicaof', '127.0.0.1', String(first)],
    ])
    direct = [first, second].map((port) => new Redis(port, '127.0.0.1'))
    await until(
      () => direct[1]!.info('replication'),
      (info) => info.includes('master_link_status:up'),
    )
    address = await startAddress(first)
    way = nodes.opener({ kind: 'one', url: address.url })
  }, 60_000)
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
    for (const client of direct) client.disconnect()
    address.stop()
    await nodes.stop()
  })

  /** The second takes over; the first becomes a replica that hears of nothing any more, and keeps its connections. */
  async function takeOver(): Promise<void> {
    const lastId = (info: string) => /master_repl_offset:(\d+)/.exec(info)?.[1]
    const told = lastId(await direct[0]!.info('replication'))
    await until(
      () => direct[1]!.info('replication'),
      (info) => Number(lastId(info)) >= Number(told),
    )
    await direct[1]!.replicaof('NO', 'ONE')
    address.turnTo(second)
    await direct[0]!.replicaof('127.0.0.1', String(await freePort()))
  }
  const journalOn = (redis: Store, subscriber: Store) => {
    const journal = createJournal({ redis, subscriber, clock: Date.now })
    closing.push(journal.close)
    return journal
  }
  const append = async (journal: ReturnType<typeof journalOn>, event: Happening): Promise<boolean> => {
    const version = (await journal.load(ID))?.version ?? 0
    return (await journal.append(ID, version, randomUUID(), [event])).ok
  }

  it('everything that stores goes on with the one that takes writes, by the next word at the latest', async () => {
    const redis = way.hasty()
    const journal = journalOn(redis, way.patient())
    const [locks, postbox, witness] = [createLocks(redis), createPostbox(redis), createWitness(redis, 'w')]
    expect(await append(journal, opened)).toBe(true)
    expect(await witness.look()).toBeNull()
    await takeOver()
    expect(await append(journal, { type: 'incident.resolved' })).toBe(true)
    expect((await locks.acquire(['lamp'], { incident: ID, proposal: 'p1' })).ok).toBe(true)
    expect(await postbox.firstTime('signature')).toBe(true)
    expect(await postbox.pace('C1')).toBeGreaterThanOrEqual(0)
    expect(await witness.look()).toBeNull()
    expect(await direct[1]!.llen(`keyturn:{${ID.split('-')[0]}}:1:journal`)).toBe(2)
  })

  it('a transaction that meets it is done on the new one later', async () => {
    const witness = createWitness(way.hasty(), 'w')
    await witness.look()
    await takeOver()
    expect(
      await until(
        () => witness.look(),
        (lost) => lost === null,
      ),
    ).toBeNull()
    expect(Number(await direct[1]!.get('keyturn:witness:w'))).toBeGreaterThan(1)
  })

  it('one that only listens hears of what is stored there', async () => {
    const journal = journalOn(way.hasty(), way.patient())
    const heard: string[] = []
    closing.push(journal.watch((id) => heard.push(id)))
    await append(journal, opened)
    await until(
      async () => heard.length,
      (n) => n > 0,
    )
    // Connections that are a moment old are left alone: they have just found their server.
    await until(
      async () => performance.now(),
      (
        (start) => (now: number) =>
          now - start > 1100
      )(performance.now()),
    )
    await takeOver()
    await append(journal, { type: 'incident.resolved' })
    heard.length = 0
    const other = new Redis(second, '127.0.0.1')
    closing.push(() => other.disconnect())
    await until(
      () => other.publish('keyturn:changed', ID),
      (n) => n > 0,
    )
    await until(
      async () => heard,
      (all) => all.includes(ID),
    )
  })

  it('a server that is gone without a word is given up, also by a connection that only listens', async () => {
    const journal = journalOn(way.hasty(), way.patient())
    const heard: string[] = []
    closing.push(journal.watch((id) => heard.push(id)))
    await append(journal, opened)
    await until(
      async () => heard.length,
      (n) => n > 0,
    )
    address.hush()
    address.turnTo(second)
    await direct[1]!.replicaof('NO', 'ONE')
    await until(
      () => append(journal, { type: 'incident.resolved' }),
      (stored) => stored,
    )
    heard.length = 0
    await until(
      () => direct[1]!.publish('keyturn:changed', ID),
      (n) => n > 0,
    )
    await until(
      async () => heard,
      (all) => all.includes(ID),
    )
  })

  it('workers take the next job, also those that waited for one when it happened', async () => {
    const bell = createBell(way.hasty())
    const done: string[] = []
    const onJob = async (job: Job) => {
      done.push(job.kind)
    }
    const workers = createWorkers({
      connect: way.patient,
      onJob,
      onError: () => {},
      concurrency: { read: 1, run: 1 },
    })
    closing.push(() => bell.close())
    closing.push(() => workers.close())
    await bell.ring([{ kind: 'plan', incident: ID, proposal: 'p1' }])
    await until(
      async () => done.length,
      (n) => n === 1,
    )
    await takeOver()
    const rung: Job[] = [
      { kind: 'probe', incident: ID, proposal: 'p1' },
      { kind: 'run', incident: ID, proposal: 'p1' },
    ]
    await until(
      () => bell.ring(rung),
      () => true,
    )
    await until(
      async () => new Set(done),
      (kinds) => kinds.has('probe') && kinds.has('run'),
    )
  })

  it.each([
    "READONLY You can't write against a read only replica.",
    "READONLY You can't write against a read only replica. script: 0f, on @user_script:1.",
    "ERR Error running script (call to f_0f): @user_script:1: -READONLY You can't write against a read only replica.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    'LOADING Redis is loading the dataset in memory',
  ])('what is answered with “%s” is asked again of whoever is there then', async (error) => {
    const redis = way.hasty()
    await redis.set('k', 'before')
    address.refuseNext(error)
    address.turnTo(second)
    await direct[1]!.replicaof('NO', 'ONE')
    expect(await redis.set('k', 'after')).toBe('OK')
    expect([await direct[0]!.get('k'), await direct[1]!.get('k')]).toEqual(['before', 'after'])
  })

  it('an error that is about the command is not asked again', async () => {
    const redis = way.hasty()
    await redis.set('k', 'text')
    await expect(redis.rpush('k', 'x')).rejects.toThrow('WRONGTYPE')
  })

  it('a start on the replica says that it is one', async () => {
    const replica = nodes.opener({ kind: 'one', url: `redis://127.0.0.1:${second}` }).hasty()
    expect(await durabilityFaults(replica)).toEqual([expect.stringContaining('This Redis is a replica')])
  })

  it('what can be stored nowhere is refused in time, and nothing of it comes later', async () => {
    const journal = journalOn(way.hasty(), way.patient())
    await append(journal, opened)
    await direct[0]!.replicaof('127.0.0.1', String(await freePort()))
    await expect(append(journal, { type: 'incident.resolved' })).rejects.toThrow()
    await direct[0]!.replicaof('NO', 'ONE')
    expect(await append(journal, { type: 'incident.reopened' })).toBe(true)
    expect((await journal.entries(ID)).map((e) => e.event.type)).toEqual(['incident.opened', 'incident.reopened'])
  })
})
