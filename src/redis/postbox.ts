import { createHash, randomUUID } from 'node:crypto'
import type { Postbox, Posted } from '../domain/ports.ts'
import type { Store } from './connect.ts'
import { incidentKey } from './keys.ts'

/** One message per second and channel: https://docs.slack.dev/apis/web-api/rate-limits */
const PACE = 1000
/** A bot that dies while it reconciles keeps the others waiting for this long at most. */
const LEASE = 10_000
/** Twice the five minutes that a signed request of Slack is good for. */
const MEMORY_SECONDS = 600

/** Gives out the next slot of a channel by Redis' own clock: KEYS slot; ARGV interval. Returns the wait. */
const SLOT = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local slot = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0'))
redis.call('SET', KEYS[1], slot + tonumber(ARGV[1]), 'PX', slot - now + tonumber(ARGV[1]) + 1000)
return slot - now
`
const RENEW = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0`
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`

type Scripted = Store & {
  keyturnSlot(key: string, interval: number): Promise<number>
  keyturnRenew(key: string, owner: string, ttl: number): Promise<number>
  keyturnRelease(key: string, owner: string): Promise<number>
}

/** What was posted where, in Redis beside the journal. */
export function createPostbox(redis: Store): Postbox {
  redis.defineCommand('keyturnSlot', { numberOfKeys: 1, lua: SLOT })
  redis.defineCommand('keyturnRenew', { numberOfKeys: 1, lua: RENEW })
  redis.defineCommand('keyturnRelease', { numberOfKeys: 1, lua: RELEASE })
  const scripted = redis as Scripted
  return {
    async read(incident) {
      const stored = await redis.hgetall(incidentKey(incident, 'slack'))
      return Object.fromEntries(Object.entries(stored).map(([key, text]) => [key, JSON.parse(text) as Posted]))
    },
    async write(incident, key, posted) {
      await redis.hset(incidentKey(incident, 'slack'), key, JSON.stringify(posted))
    },
    rendered: (incident) => redis.get(incidentKey(incident, 'rendered')),
    async setRendered(incident, mark) {
      await redis.set(incidentKey(incident, 'rendered'), mark)
    },
    async lease(incident) {
      const key = incidentKey(incident, 'lease')
      const owner = randomUUID()
      if ((await redis.set(key, owner, 'PX', LEASE, 'NX')) === null) return null
      return {
        renew: async () => (await scripted.keyturnRenew(key, owner, LEASE)) === 1,
        release: async () => {
          await scripted.keyturnRelease(key, owner)
        },
      }
    },
    pace: (channel) => scripted.keyturnSlot(`keyturn:pace:${channel}`, PACE),
    async firstTime(signature) {
      const key = `keyturn:seen:${createHash('sha256').update(signature).digest('hex')}`
      return (await redis.set(key, '1', 'EX', MEMORY_SECONDS, 'NX')) !== null
    },
  }
}
