import { EventEmitter } from 'node:events'
import { Entry, genesis, Happening, seal } from '../domain/event.ts'
import { evolve } from '../domain/evolve.ts'
import type { Incident } from '../domain/incident.ts'
import { isQuiet } from '../domain/ladder.ts'
import type { Clock, Journal } from '../domain/ports.ts'
import type { Store } from './connect.ts'
import { ACTIVE, ALL, CHANGED, currentKey, incidentId, incidentKey, parseIncidentId, tag } from './keys.ts'

/**
 * Adds entries if the journal still ends where the caller thinks it does. Everything is in one slot.
 * KEYS journal, meta, current; ARGV version, head, op, n, channel, incident, new head, entries…
 */
const APPEND = `
if redis.call('HEXISTS', KEYS[2], 'op:' .. ARGV[3]) == 1 then return 'duplicate' end
local version = redis.call('LLEN', KEYS[1])
if version ~= tonumber(ARGV[1]) then return 'conflict' end
if version > 0 and redis.call('HGET', KEYS[2], 'head') ~= ARGV[2] then return 'conflict' end
for i = 8, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
redis.call('HSET', KEYS[2], 'op:' .. ARGV[3], version, 'head', ARGV[7])
local current = tonumber(redis.call('GET', KEYS[3]) or '0')
if tonumber(ARGV[4]) > current then redis.call('SET', KEYS[3], ARGV[4]) end
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 'ok'
`

type Scripted = Store & { keyturnAppend(...args: (string | number)[]): Promise<'ok' | 'conflict' | 'duplicate'> }

/** Folded states kept in this process; the oldest use goes first. */
const CACHED = 1000

/**
 * The journal in Redis. `subscriber` is a connection of its own, used for nothing else. `missed` is told of an incident
 * whose journal no longer has an entry that was there: journals only grow.
 */
export function createJournal(deps: {
  redis: Store
  subscriber: Store
  clock: Clock
  missed?: (incident: string) => void
}): Journal & { close(): void } {
  const { redis, subscriber, clock, missed = () => {} } = deps
  redis.defineCommand('keyturnAppend', { numberOfKeys: 3, lua: APPEND })
  const scripted = redis as Scripted
  const cache = new Map<string, Incident>()
  const changes = new EventEmitter().setMaxListeners(0)
  subscriber.on('message', (_, incident: string) => changes.emit('change', incident))
  // What was missed while it was not subscribed is found by the tick.
  const subscribe = () => void subscriber.subscribe(CHANGED).catch(() => {})
  subscribe()
  subscriber.on('ready', subscribe)

  const remember = (incident: Incident) => {
    cache.delete(incident.id)
    cache.set(incident.id, incident)
    if (cache.size > CACHED) cache.delete(cache.keys().next().value!)
    return incident
  }

  const entriesFrom = async (incident: string, from: number) =>
    (await redis.lrange(incidentKey(incident, 'journal'), from, -1)).map((line) => Entry.parse(JSON.parse(line)))

  /** Reads what is new since the cached state; if the last cached entry is not there any more, reads all. */
  async function load(incident: string): Promise<Incident | null> {
    const known = cache.get(incident)
    const tail = await entriesFrom(incident, known ? known.version - 1 : 0)
    if (known && tail[0]?.hash === known.head) return remember(tail.slice(1).reduce(evolve, known))
    cache.delete(incident)
    if (known) missed(incident)
    const all = known ? await entriesFrom(incident, 0) : tail
    return all.length === 0 ? null : remember(all.reduce<Incident | null>(evolve, null)!)
  }

  return {
    load,
    async append(incident, version, op, events) {
      const { tag, n } = parseIncidentId(incident)
      const known =
        version === 0 ? null : cache.get(incident)?.version === version ? cache.get(incident)! : await load(incident)
      if (known && known.version !== version) return { ok: false, reason: 'conflict' }
      const at = new Date(clock()).toISOString()
      let prev = known?.head ?? genesis(incident)
      const entries = events.map((event, i) => {
        const entry = seal({ incident, seq: version + 1 + i, at, op, event: Happening.parse(event), prev })
        prev = entry.hash
        return entry
      })
      // First on the lists, then in the journal: a crash between leaves a name too many, never a lost incident.
      await Promise.all([redis.sadd(ACTIVE, incident), ...(version === 0 ? [redis.sadd(ALL, incident)] : [])])
      const result = await scripted.keyturnAppend(
        incidentKey(incident, 'journal'),
        incidentKey(incident, 'meta'),
        currentKey(tag),
        version,
        known?.head ?? '',
        op,
        n,
        CHANGED,
        incident,
        prev,
        ...entries.map((e) => JSON.stringify(e)),
      )
      if (result !== 'ok') return { ok: false, reason: result }
      // Once more, for it may have been retired in between.
      if (version > 0) await redis.sadd(ACTIVE, incident)
      return { ok: true, incident: remember(entries.reduce<Incident | null>(evolve, known)!) }
    },
    async current(group) {
      const n = await redis.get(currentKey(tag(group)))
      return n === null ? null : incidentId(group, Number(n))
    },
    active: () => redis.smembers(ACTIVE),
    async retire(incident) {
      await redis.srem(ACTIVE, incident)
      const now = await load(incident)
      if (now && !isQuiet(now)) await redis.sadd(ACTIVE, incident)
    },
    async entries(incident) {
      return (await redis.lrange(incidentKey(incident, 'journal'), 0, -1)).map((line) => JSON.parse(line))
    },
    all: () => redis.smembers(ALL),
    watch(listener) {
      changes.on('change', listener)
      return () => changes.off('change', listener)
    },
    forget: () => cache.clear(),
    close: () => changes.removeAllListeners(),
  }
}
