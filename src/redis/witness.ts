import type { Witness } from '../domain/ports.ts'
import type { Store } from './connect.ts'
import { witnessKey } from './keys.ts'

/** A witness that was not heard of for this long is forgotten, in seconds. */
const FORGOTTEN = 7 * 24 * 3600

/**
 * A counter of this process in Redis, and the same in its memory: Redis must never be behind. `id` is this process's
 * alone. A process that begins after the loss knows of nothing; the heads in the threads are for that.
 */
export function createWitness(redis: Store, id: string): Witness {
  const key = witnessKey(id)
  let seen = 0
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
    missed(incident) {
      lost ??= `Redis has lost entries of ${incident} that it had confirmed`
    },
    accept() {
      lost = null
    },
  }
}
