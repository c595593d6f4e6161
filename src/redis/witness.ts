import type { Clock, Witness } from '../domain/ports.ts'
import type { Store } from './connect.ts'
import { witnessKey } from './keys.ts'

/** A witness that was not heard of for this long is forgotten, in seconds. */
const FORGOTTEN = 7 * 24 * 3600

/**
 * A counter in Redis, and the same in the memory of this process: Redis must never be behind. `before` is what an earlier
 * process had counted under this id, and when; without it nothing is known of a loss that came before the first look.
 */
export function createWitness(
  redis: Store,
  id: string,
  before: Readonly<{ seen: number; at: number }> = { seen: 0, at: 0 },
  clock: Clock = Date.now,
): Witness & { seen(): number } {
  const key = witnessKey(id)
  // Redis itself has forgotten the count by then.
  let seen = clock() - before.at < (FORGOTTEN / 2) * 1000 ? before.seen : 0
  let lost: string | null = null
  return {
    async look() {
      const replies = await redis.multi().incr(key).expire(key, FORGOTTEN).exec()
      const [error, count] = replies?.[0] ?? [new Error('Redis gave no answer to the witness')]
      if (error) throw error
      if (Number(count) <= seen) lost ??= 'Redis has lost entries that it had confirmed'
      seen = Number(count)
      return lost
    },
    seen: () => seen,
    missed(incident) {
      lost ??= `Redis has lost entries of ${incident} that it had confirmed`
    },
    accept() {
      lost = null
    },
  }
}
