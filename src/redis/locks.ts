import { createHash } from 'node:crypto'
import type { Holder, Locks } from '../domain/ports.ts'
import type { Store } from './connect.ts'

/**
 * Takes a free lock, or one's own anew: KEYS lock; ARGV value, start of one's own values. Returns '' if it was free, the new
 * value if it was one's own, else the value of who holds it.
 */
const TAKE = `
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, #ARGV[2]) ~= ARGV[2] then return held end
redis.call('SET', KEYS[1], ARGV[1])
return held and ARGV[1] or ''
`
/** Frees a lock whose value is the given one, or starts like it if it is no whole one: KEYS lock; ARGV value. */
const FREE = `
local held = redis.call('GET', KEYS[1])
if not held then return 0 end
local whole = string.sub(ARGV[1], -1) == ']'
if held == ARGV[1] or (not whole and string.sub(held, 1, #ARGV[1]) == ARGV[1]) then return redis.call('DEL', KEYS[1]) end
return 0
`

type Scripted = Store & {
  keyturnTake(key: string, value: string, own: string): Promise<string>
  keyturnFree(key: string, value: string): Promise<number>
}

const HOUR = 3_600_000
const beganKey = (target: string) => `keyturn:began:${createHash('sha256').update(target).digest('hex')}`
const keyOf = (target: string) => `keyturn:lock:${createHash('sha256').update(target).digest('hex')}`

/** Locks in Redis, taken in sorted order; they have no time-out, so only their run or a person's choice frees them. */
export function createLocks(redis: Store): Locks {
  redis.defineCommand('keyturnTake', { numberOfKeys: 1, lua: TAKE })
  redis.defineCommand('keyturnFree', { numberOfKeys: 1, lua: FREE })
  const scripted = redis as Scripted
  /** Every value of this proposal starts so. */
  const own = ({ incident, proposal }: Holder) => JSON.stringify([incident, proposal]).slice(0, -1)
  const value = (holder: Holder) =>
    `${own(holder)}${holder.take === undefined ? '' : `,${JSON.stringify(holder.take)}`}]`
  return {
    async acquire(targets, holder) {
      const fresh: string[] = []
      for (const target of [...new Set(targets)].sort()) {
        const answer = await scripted.keyturnTake(keyOf(target), value(holder), own(holder))
        if (answer === '') fresh.push(target)
        if (answer === '' || answer === value(holder)) continue
        for (const t of fresh) await scripted.keyturnFree(keyOf(t), value(holder))
        const [incident, proposal, take] = JSON.parse(answer) as [string, string, string?]
        return { ok: false, target, holder: { incident, proposal, ...(take === undefined ? {} : { take }) } }
      }
      return { ok: true, fresh }
    },
    async release(targets, holder) {
      const freed = holder.take === undefined ? own(holder) : value(holder)
      for (const target of new Set(targets)) await scripted.keyturnFree(keyOf(target), freed)
    },
    async began(targets, holder, at) {
      for (const target of new Set(targets)) {
        const key = beganKey(target)
        // A reply that was lost makes this come twice: the same member is added once.
        await redis.zadd(key, at, JSON.stringify([holder.incident, holder.proposal]))
        await redis.zremrangebyscore(key, '-inf', at - HOUR)
        await redis.pexpire(key, HOUR)
      }
    },
    async crowded(targets, most, since) {
      const full: string[] = []
      for (const target of new Set(targets))
        if ((await redis.zcount(beganKey(target), `(${since}`, '+inf')) >= most) full.push(target)
      return full
    },
  }
}
