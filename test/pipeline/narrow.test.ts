import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { refuseView } from '../../src/sandbox/slack/blocks.ts'
import { modals } from '../../src/slack/views/modals.ts'
import { startRedis } from '../redis/server.ts'
import { ada, type Bench, createBench } from './bench.ts'

let redis: Awaited<ReturnType<typeof startRedis>>
let w: Bench
let id: string
beforeAll(async () => {
  redis = await startRedis()
  w = await createBench(redis)
  w.lamp.parts = Array.from({ length: 25 }, (_, i) => `room ${i}`)
  id = await w.open()
})
afterAll(() => redis.stop())
const without = async (names: readonly string[], digest?: string) =>
  w.handlers.narrow({
    incident: id,
    proposal: 'p1',
    digest: digest ?? (await w.state(id)).digest ?? '',
    names,
    person: ada,
  })

it('a plan of many parts shows a box for each, ten in a block, as Slack takes it', async () => {
  const state = { kind: 'narrow' as const, incident: id, proposal: 'p1', digest: 'd', origin: null }
  const view = modals.narrow((await w.journal.load(id))!, state)
  expect(refuseView(view)).toBeNull()
  expect(JSON.stringify(view).match(/"room \d+"/g)).toHaveLength(25)
})

it('what is checked is left out by another plan, which takes the place of the first and needs its own decision', async () => {
  expect(await without([])).toEqual({ ok: false, reason: 'leaves_nothing' })
  expect(await without(w.lamp.parts)).toEqual({ ok: false, reason: 'leaves_nothing' })
  expect(await without(['nothing of it'])).toEqual({ ok: false, reason: 'leaves_nothing' })
  expect(await without(['room 1'], 'sha256:0')).toEqual({ ok: false, reason: 'digest_changed' })
  expect(await without(['room 1', 'room 7'])).toEqual({ ok: true })
  expect(await w.state(id)).toMatchObject({ status: 'withdrawn', note: expect.stringContaining('without 2') })
  expect(await w.state(id, 'p2')).toMatchObject({ status: 'planning', params: { without: 'room 1, room 7' } })
  expect(await w.decide(id)).toMatchObject({ ok: false })
  expect(await without(['room 2'])).toEqual({ ok: false, reason: 'not_open' })
})
