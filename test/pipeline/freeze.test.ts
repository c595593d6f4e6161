import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { verifyChain } from '../../src/domain/event.ts'
import { sentence } from '../../src/domain/reason.ts'
import { startRedis } from '../redis/server.ts'
import { ada, type Bench, createBench } from './bench.ts'

let redis: Awaited<ReturnType<typeof startRedis>>
let w: Bench
let id: string
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())
beforeEach(async () => {
  w = await createBench(redis)
  id = await w.open()
})
const why = { by: 'ona', reason: 'strange writes', person: null }

describe('a freeze', () => {
  it('lets nothing be approved; lifted, what is approved from then on starts', async () => {
    expect(await w.freezer.freeze(why)).toEqual({ ok: true })
    expect(await w.decide(id)).toEqual({ ok: false, reason: 'frozen' })
    await w.freezer.thaw(why)
    w.time.offset += 1
    await w.decide(id)
    await w.runner('w1').run(id, 'p1')
    expect((await w.state(id)).status).toBe('succeeded')
  })

  it('lets nothing start that was approved before, also when it is lifted', async () => {
    await w.decide(id)
    await w.freezer.freeze(why)
    await w.runner('w1').run(id, 'p1')
    expect([w.lamp.on, (await w.state(id)).status]).toEqual([0, 'granted'])
    await w.freezer.thaw(why)
    await w.runner('w1').run(id, 'p1')
    expect(w.lamp.on).toBe(0)
    expect(await w.state(id)).toMatchObject({ status: 'refused', note: sentence('frozen_since') })
  })

  it('that was lifted while the plan was made again lets nothing start either', async () => {
    await w.decide(id)
    let looks = 0
    const lastFreeze = async () => {
      const last = await w.freezer.last()
      if (looks++ === 0) for (const verb of ['freeze', 'thaw'] as const) await w.freezer[verb](why)
      return last
    }
    await w.runner('w1', { lastFreeze }).run(id, 'p1')
    expect([w.lamp.on, (await w.state(id)).note]).toEqual([0, sentence('frozen_since')])
    expect(await w.free()).toBe(true)
  })

  it('lets nothing start that was approved before, also when the clock that lifted it is behind', async () => {
    await w.decide(id)
    w.time.offset += 1
    await w.freezer.freeze(why)
    w.time.offset -= 60_000
    await w.freezer.thaw(why)
    w.time.offset += 60_000
    await w.runner('w1').run(id, 'p1')
    expect([w.lamp.on, (await w.state(id)).note]).toEqual([0, sentence('frozen_since')])
  })

  it('stops a run before its next step, and says who froze and why', async () => {
    const { reached, go } = w.hold()
    await w.decide(id)
    const running = w.runner('w1').run(id, 'p1')
    await reached
    await w.freezer.freeze(why)
    go()
    await running
    expect(w.lamp.on).toBe(1)
    expect(await w.state(id)).toMatchObject({ status: 'cancelled', run: { message: 'Frozen by ona: strange writes.' } })
  })

  it('aborts a step under way, which may still land', async () => {
    const reached = w.hang()
    await w.decide(id)
    const running = w.runner('w1').run(id, 'p1')
    await reached
    await w.freezer.freeze(why)
    await running
    expect(await w.state(id)).toMatchObject({
      status: 'unknown',
      run: { message: '“first” broke off: Frozen by ona: strange writes. It was under way and may still land.' },
    })
  })

  it('still lets people reject, look, and settle', async () => {
    await w.freezer.freeze(why)
    expect(await w.decide(id, 'reject')).toEqual({ ok: true })
    expect(await w.handlers.request({ incident: id, step: 'look', params: {}, person: ada })).toEqual({ ok: true })
  })

  it('is an incident of its own: named, told once, kept in a journal, and the next one is another', async () => {
    await Promise.all([w.freezer.freeze(why), w.freezer.freeze(why), w.freezer.freeze(why)])
    expect(await w.freezer.freeze(why)).toEqual({ ok: false, reason: 'frozen' })
    expect(await w.freezer.state()).toMatchObject({ by: 'ona', reason: 'strange writes' })
    expect(await w.freezer.freeze({ ...why, reason: ' ' })).toEqual({ ok: false, reason: 'reason_required' })
    await w.freezer.thaw({ ...why, by: 'ada' })
    expect(await w.freezer.thaw(why)).toEqual({ ok: false, reason: 'not_frozen' })
    await w.freezer.freeze(why)
    const frozen = (await w.journal.all()).filter((other) => other !== id)
    expect(frozen).toHaveLength(2)
    for (const one of frozen) {
      const entries = await w.journal.entries(one)
      expect(entries.filter((e) => e.event.type === 'incident.opened')).toHaveLength(1)
      expect(verifyChain(one, entries)).toBeNull()
    }
  })
})
