import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { startRedis } from '../redis/server.ts'
import { createDesk } from './desk.ts'
import { stopPipeline } from './redshift.ts'
import { ROWS } from './table.ts'

let redis: Awaited<ReturnType<typeof startRedis>>
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(async () => {
  await stopPipeline()
  await redis.stop()
})

/** The query of this one ignores its cancel, so that nothing landed, and the probe rightly says so. */
const IGNORED = ['B6']

it.each(ROWS.map((row) => [row.id, row] as const))(
  '%s: a worker that dies when its first step has landed leaves an unknown outcome, a probe that does not deny it, and a lock',
  async (name, row) => {
    const system = await row.begin()
    try {
      const desk = await createDesk(redis, system)
      const id = await desk.fire(await system.alert())
      const first = await desk.last(id)
      // Nothing to approve: handed over, or first somebody has to be asked for something.
      if (first?.status !== 'open')
        return expect(system.mended === undefined || system.recover !== undefined).toBe(true)
      await desk.approveAndLose(id)
      const { status, run } = (await desk.last(id))!
      expect([status, run?.findings.map((f) => f.landed)]).toEqual([
        'unknown',
        [expect.stringMatching(IGNORED.includes(name) ? /^no$/ : /^(yes|cannot_tell)$/)],
      ])
      expect(await desk.isFree(id)).toBe(false)
      expect(await desk.thread(id)).toContain('OUTCOME UNKNOWN')
    } finally {
      await system.stop()
    }
  },
)
