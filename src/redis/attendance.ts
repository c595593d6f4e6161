import type { Clock } from '../domain/ports.ts'
import type { Store } from './connect.ts'
import { SOURCES } from './keys.ts'

/** How often a bot says which sources it has, in milliseconds. */
const TOLD = 60_000
/** No bot has had a source for this long: nothing will ever tell of the end of its alerts. In milliseconds. */
export const GONE = 24 * 3_600_000

/** Which sources some bot has had in its configuration, and when last: other bots may have others than this one. */
export function createAttendance(deps: { redis: Store; own: readonly string[]; clock: Clock }) {
  const { redis, clock } = deps
  const own = new Set(deps.own)
  let told = Number.NEGATIVE_INFINITY

  return {
    /** Says that this bot is there with its sources. */
    async attend(): Promise<void> {
      const now = clock()
      if (own.size === 0 || now - told < TOLD) return
      await redis.hset(SOURCES, Object.fromEntries([...own].map((source) => [source, now])))
      told = now
    },
    /** Whether no bot has had this source for a day. One that nobody ever had counts from the first question on. */
    async isGone(source: string): Promise<boolean> {
      if (own.has(source)) return false
      const seen = await redis.hget(SOURCES, source)
      if (seen !== null) return clock() - Number(seen) > GONE
      await redis.hsetnx(SOURCES, source, clock())
      return false
    },
  }
}
