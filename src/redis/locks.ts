import { createHash } from 'node:crypto'
import type { Holder, Locks } from '../domain/ports.ts'
import type { Store } from './connect.ts'

/** Takes a free lock or confirms one's own: KEYS lock; ARGV holder. Returns the holder. */
const TAKE = `
local holder = redis.call('GET', KEYS[1])
if holder then return holder end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
`
const FREE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`

type Scripted = Store & {
  keyturnTake(key: string, holder: string): Promise<string>
  keyturnFree(key: string, holder: string): Promise<number>
}

const keyOf = (target: string) => `keyturn:lock:${createHash('sha256').update(target).digest('hex')}`

/** Locks in Redis, taken in sorted order; they have no time-out, so only their run or a person's choice frees them. */
export function createLocks(redis: Store): Locks {
  redis.defineCommand('keyturnTake', { numberOfKeys: 1, lua: TAKE })
  redis.defineCommand('keyturnFree', { numberOfKeys: 1, lua: FREE })
  const scripted = redis as Scripted
  const text = (holder: Holder) => JSON.stringify([holder.incident, holder.proposal])
  return {
    async acquire(targets, holder) {
      const taken: string[] = []
      for (const target of [...new Set(targets)].sort()) {
        const answer = await scripted.keyturnTake(keyOf(target), text(holder))
        if (answer === text(holder)) {
          taken.push(target)
          continue
        }
        for (const t of taken) await scripted.keyturnFree(keyOf(t), text(holder))
        const [incident, proposal] = JSON.parse(answer) as [string, string]
        return { ok: false, target, holder: { incident, proposal } }
      }
      return { ok: true }
    },
    async release(targets, holder) {
      for (const target of new Set(targets)) await scripted.keyturnFree(keyOf(target), text(holder))
    },
  }
}
