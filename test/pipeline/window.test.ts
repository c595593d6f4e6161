import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { nextRung } from '../../src/domain/ladder.ts'
import { startRedis } from '../redis/server.ts'
import { ada, alertOf, type Bench, createBench, sam } from './bench.ts'

const WINDOW = { name: 'the sale', commands: ['lamp.*'], start: '2000-01-01T00:00:00Z', end: '2100-01-01T00:00:00Z' }
let redis: Awaited<ReturnType<typeof startRedis>>
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())
const ask = (w: Bench, id: string, override?: string) =>
  w.handlers.request({ incident: id, step: 'switch', params: {}, person: ada, ...(override ? { override } : {}) })

it('a change in a freeze window is refused with its name, and runs only when two people override it with reasons', async () => {
  const w = await createBench(redis, { freezeWindows: [WINDOW], selfApproval: 'low' })
  const id = await w.open()
  expect(await w.state(id)).toMatchObject({
    status: 'refused',
    window: 'the sale',
    note: expect.stringContaining('“the sale”'),
  })
  expect(await ask(w, id, 'another')).toEqual({ ok: false, reason: 'not_in_window' })
  expect(await ask(w, id, 'the sale')).toEqual({ ok: true })
  await w.propose(id, 'p2', true)
  expect(await w.state(id, 'p2')).toMatchObject({
    status: 'open',
    override: 'the sale',
    subject: { override: 'the sale' },
  })
  const { digest } = await w.state(id, 'p2')
  const press = { incident: id, proposal: 'p2', digest: digest ?? '', verdict: 'approve' as const }
  expect(await w.handlers.decide({ ...press, reason: '', person: sam })).toEqual({
    ok: false,
    reason: 'reason_required',
  })
  // Who asked for it is none of the two, though the risk of the command alone would let them.
  expect(await w.handlers.decide({ ...press, reason: 'why', person: ada })).toEqual({
    ok: false,
    reason: 'self_approval',
  })
  await w.decide(id, 'approve', 'p2', sam)
  expect((await w.state(id, 'p2')).status).toBe('open')
  await w.decide(id, 'approve', 'p2', { ...ada, user: 'U0EVE' })
  expect((await w.state(id, 'p2')).status).toBe('granted')
  await w.runner('w1').run(id, 'p2')
  expect((await w.state(id, 'p2')).status).toBe('succeeded')
})

it('what was approved before a window does not start in it', async () => {
  const w = await createBench(redis)
  const id = await w.open()
  await w.decide(id)
  const policy = { ...w.bench.policy, freezeWindows: [WINDOW].map((x) => ({ ...x, params: {} })) }
  await w.runner('w1', { policy }).run(id, 'p1')
  expect([w.lamp.on, (await w.state(id)).note]).toEqual([0, expect.stringContaining('“the sale”')])
  // The window is no answer of the guard: it can be overridden, and the ladder does not go on.
  expect(nextRung((await w.journal.load(id))!)).toBeNull()
  expect(await ask(w, id, 'the sale')).toEqual({ ok: true })
})

it('a worker whose policy has a window does not take the journal’s word for less than two approvers', async () => {
  const w = await createBench(redis, { freezeWindows: [WINDOW] })
  const id = await w.open()
  await ask(w, id, 'the sale')
  await w.propose(id, 'p2', true)
  await w.decide(id, 'approve', 'p2', sam)
  await w.decide(id, 'approve', 'p2', { ...ada, user: 'U0EVE' })
  const { journal } = w.bench
  // Somebody who can write to Redis says that nothing is overridden, so that one approval would do.
  const load: typeof journal.load = async (one) => {
    const incident = await journal.load(one)
    return incident && { ...incident, proposals: incident.proposals.map((p) => ({ ...p, override: null })) }
  }
  await w.runner('w1', { journal: { ...journal, load } }).run(id, 'p2')
  expect([w.lamp.on, (await w.state(id, 'p2')).status]).toEqual([0, 'refused'])
})

it('what was changed as often as the policy lets within an hour is held, until two people override that or an hour is over', async () => {
  const w = await createBench(redis, { changesPerHour: 2 })
  const LIMIT = 'the limit of 2 changes of one target an hour'
  const run = async (id: string) => {
    await w.decide(id, 'approve', 'p1', sam)
    await w.runner('w1').run(id, 'p1')
    return (await w.state(id)).status
  }
  const open = async (room: string) => {
    const before = await w.journal.active()
    await w.ingest({ alerts: [alertOf({ fingerprint: room, labels: { ...alertOf({}).labels, room } })], truncated: 0 })
    const id = (await w.journal.active()).find((one) => !before.includes(one))!
    await w.propose(id, 'p1', true)
    return id
  }
  expect([await run(await open('a')), await run(await open('b'))]).toEqual(['succeeded', 'succeeded'])
  const third = await open('c')
  expect(await w.state(third)).toMatchObject({
    status: 'refused',
    window: LIMIT,
    note: expect.stringMatching(/was changed 2 times within an hour: look why that does not help/),
  })
  expect(await ask(w, third, LIMIT)).toEqual({ ok: true })
  await w.propose(third, 'p2', true)
  expect(await w.state(third, 'p2')).toMatchObject({ status: 'open', override: LIMIT })
  w.time.offset += 3_600_001
  const later = await open('d')
  expect((await w.state(later)).status).toBe('open')
})
