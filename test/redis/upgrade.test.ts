import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { Redis } from 'ioredis'
import { Entry, Happening, verifyChain } from '../../src/domain/event.ts'
import { evolve } from '../../src/domain/evolve.ts'
import { type Incident, proposalOf } from '../../src/domain/incident.ts'
import { createPostbox } from '../../src/redis/postbox.ts'
import { createBell, createWorkers } from '../../src/redis/queues.ts'
import { render } from '../../src/slack/render.ts'
import { context } from '../slack/cards.ts'
import { until } from './cluster.ts'
import { startRedis } from './server.ts'
import { ada, createUpgradeWorld, idOf, sam } from './upgrade-world.ts'

const FIXTURES = join(import.meta.dirname, '../fixtures/upgrade')
const read = (file: string) => JSON.parse(readFileSync(join(FIXTURES, file), 'utf8'))
type Recorded = Record<string, { type: string; value: string | string[] | Record<string, string> }>
const versions = readdirSync(FIXTURES).filter((file) => /^\d/.test(file))

/** Puts back what a version left in Redis. */
async function restore(client: Redis, recorded: Recorded): Promise<void> {
  for (const [key, { type, value }] of Object.entries(recorded)) {
    if (typeof value === 'string') await client.set(key, value)
    else if (!Array.isArray(value)) await client.hset(key, value)
    else if (type === 'list') await client.rpush(key, ...value)
    else if (type === 'set') await client.sadd(key, ...value)
    else for (let i = 0; i < value.length; i += 2) await client.zadd(key, value[i + 1]!, value[i]!)
  }
}

describe.each(versions)('what %s left in Redis', (file) => {
  const recorded: Recorded = read(file)
  let redis: Awaited<ReturnType<typeof startRedis>>
  let client: Redis
  let world: ReturnType<typeof createUpgradeWorld>
  let bell: ReturnType<typeof createBell>
  let workers: ReturnType<typeof createWorkers> | null
  beforeEach(async () => {
    redis = await startRedis()
    client = redis.connect()
    await restore(client, recorded)
    bell = createBell(redis.connect())
    workers = null
    const now = Date.parse('2026-01-02T03:06:00.000Z')
    world = createUpgradeWorld({ redis: client, subscriber: redis.connect(), clock: () => now, bell })
  })
  afterEach(async () => {
    await workers?.close()
    await bell.close()
    await redis.stop()
  })
  const start = () => {
    const concurrency = { read: 2, run: 2 }
    workers = createWorkers({ connect: () => redis.connect(), onJob: world.onJob, onError: () => {}, concurrency })
  }
  const proposal = async (room: string) => proposalOf((await world.journal.load(idOf(room)))!, 'p1')!
  const becomes = (room: string, status: string) =>
    until(
      () => proposal(room),
      (p) => p.status === status,
    )
  const decide = async (room: string, verdict: 'approve' | 'reject', person = ada) => {
    const { digest } = await proposal(room)
    const intent = { incident: idOf(room), proposal: 'p1', digest: digest!, verdict, reason: 'I looked', person }
    return world.handlers.decide(intent)
  }

  it('verifies, is folded to the end, and can be drawn', async () => {
    const all = await world.journal.all()
    expect(all.length).toBeGreaterThanOrEqual(5)
    for (const id of all) {
      expect(verifyChain(id, await world.journal.entries(id))).toBeNull()
      const incident = (await world.journal.load(id))!
      expect(incident.version).toBe((await world.journal.entries(id)).length)
      expect(render(incident, context).length).toBeGreaterThan(0)
    }
  })

  it('loses no field when it is read, so that what was hashed and signed still is', async () => {
    for (const id of await world.journal.all())
      for (const entry of await world.journal.entries(id)) expect(Entry.parse(entry)).toStrictEqual(entry)
  })

  it('is decided, run and verified, with the plan that people saw', async () => {
    start()
    expect(await decide('hall', 'approve')).toEqual({ ok: true })
    expect(await decide('hall', 'approve', sam)).toEqual({ ok: false, reason: 'already_decided' })
    expect(await becomes('hall', 'succeeded')).toMatchObject({ voided: 0, run: { checks: [{ ok: true }] } })
    expect(world.switched.filter((s) => s.startsWith('hall'))).toEqual(['hall/first', 'hall/second'])
    expect(verifyChain(idOf('hall'), await world.journal.entries(idOf('hall')))).toBeNull()
  })

  it('goes on with the jobs that waited: a plan is made, evidence gathered, and a granted plan runs once', async () => {
    start()
    expect(await becomes('attic', 'succeeded')).toMatchObject({ voided: 0 })
    expect((await becomes('cellar', 'open')).digest).toMatch(/^sha256:/)
    await until(
      () => world.journal.load(idOf('cellar')),
      (i) => i?.evidence.look?.result?.status === 'gathered',
    )
    await bell.ring([{ kind: 'run', incident: idOf('attic'), proposal: 'p1' }])
    expect(await decide('cellar', 'approve')).toEqual({ ok: true })
    await becomes('cellar', 'succeeded')
    expect(world.switched.filter((s) => s.startsWith('attic'))).toEqual(['attic/first', 'attic/second'])
  })

  it('has a run without a worker: nobody runs it again, and its target is held until a person says what becomes of it', async () => {
    start()
    await world.tick()
    expect(await becomes('porch', 'unknown')).toMatchObject({ run: { findings: [{ step: 'first' }] } })
    const other = { incident: idOf('hall'), proposal: 'p9', take: 'x' }
    expect(await world.locks.acquire(['lamp:porch'], other)).toMatchObject({ ok: false })
    const intent = { incident: idOf('porch'), proposal: 'p1', choice: 'abandon', reason: 'I looked' } as const
    expect(await world.handlers.settle({ ...intent, person: ada })).toEqual({ ok: true })
    expect(await world.locks.acquire(['lamp:porch'], other)).toMatchObject({ ok: true })
    expect(world.switched.some((s) => s.startsWith('porch'))).toBe(false)
  })

  it('has a lock of a run that was over, which is no hindrance', async () => {
    const before = await world.locks.acquire(['lamp:shed'], { incident: idOf('hall'), proposal: 'p9' })
    expect(before).toEqual({ ok: false, target: 'lamp:shed', holder: { incident: idOf('shed'), proposal: 'p1' } })
    const incident = idOf('shed')
    expect(await world.handlers.request({ incident, step: 'switch', params: {}, person: ada })).toEqual({ ok: true })
    start()
    const next = () => world.journal.load(incident).then((i) => proposalOf(i!, 'p2')!)
    const { digest } = await until(next, (p) => p.status === 'open')
    const intent = { incident, proposal: 'p2', digest: digest!, verdict: 'approve', reason: '', person: sam } as const
    expect(await world.handlers.decide(intent)).toEqual({ ok: true })
    await until(next, (p) => p.status === 'succeeded')
  })

  it('knows which messages were posted, and which one may have been', async () => {
    const at = { channel: 'C1', attemptedAt: Date.parse('2026-01-02T03:05:00.000Z') }
    expect(await createPostbox(client).read(idOf('hall'))).toEqual({
      root: { ...at, ts: '1767323100.000100', hash: 'a' },
      'proposal:p1': { ...at, ts: null, hash: 'b' },
    })
  })
})

describe('every kind of event', () => {
  const examples: Happening[] = read('events.json')
  const kinds = Happening.options.map((option) => option.shape.type.value)

  it.each(kinds)('%s has an example in test/fixtures/upgrade/events.json', (kind) => {
    expect(examples.some((e) => e.type === kind)).toBe(true)
  })

  it.each(examples.map((e, i) => [e.type, i, e] as const))(
    '%s keeps every field that a journal may carry, and gets none that it does not (example %i)',
    (_kind, _i, example) => {
      expect(Happening.parse(example)).toStrictEqual(example)
    },
  )

  it('is folded without a gap', () => {
    const state = examples.reduce<Incident | null>(
      (before, event, i) =>
        evolve(before, {
          incident: 'x',
          seq: i + 1,
          at: '2026-01-02T03:04:05.000Z',
          op: `${i}`,
          event,
          prev: '',
          hash: '',
        }),
      null,
    )
    expect(state?.version).toBe(examples.length)
  })
})
