import { setTimeout as pause } from 'node:timers/promises'
import type { ReadContext, RunContext } from '../../src/domain/command.ts'
import { NoToken } from './auth.ts'
import type { KafkaClient, KafkaSettings } from './connection.ts'
import { chainOf, plainly, wordOf } from './plain.ts'

const FIRST_MS = 100
const MOST_MS = 2_000
/** A look ends after a minute, whatever the connection allows. */
const LOOK_MS = 20_000
/** For one partition of many, a look waits no longer. */
const ODD_MS = 5_000
/** A topic that was just made is known everywhere after that; one that is not there is not waited for longer. */
const NEW_TOPIC_MS = 2_000

/** Words of a broker that did nothing with a request, and soon will: it does not lead, does not coordinate, or is not ready. */
const UNTOUCHED: Readonly<Record<string, string>> = {
  LEADER_NOT_AVAILABLE: 'a partition has no leader',
  NOT_LEADER_FOR_PARTITION: 'a partition has moved to another broker',
  REPLICA_NOT_AVAILABLE: 'a replica is not available',
  BROKER_NOT_AVAILABLE: 'a broker is not available',
  GROUP_LOAD_IN_PROGRESS: 'the coordinator loads the group',
  GROUP_COORDINATOR_NOT_AVAILABLE: 'the group has no coordinator',
  NOT_COORDINATOR_FOR_GROUP: 'the group has moved to another coordinator',
  UNKNOWN_TOPIC_OR_PARTITION: 'the topic is not known',
  UNKNOWN_LEADER_EPOCH: 'the brokers do not agree who leads',
  FENCED_LEADER_EPOCH: 'the brokers do not agree who leads',
  THROTTLING_QUOTA_EXCEEDED: 'a quota is used up',
  NOT_ENOUGH_REPLICAS: 'too few replicas are in sync',
  KAFKA_STORAGE_ERROR: 'a disk of a broker fails',
  OFFSET_NOT_AVAILABLE: 'a new leader is not ready',
  UNSTABLE_OFFSET_COMMIT: 'a transaction of the group is open',
}

/** Why it is worth to ask again; null if it is not. `sent`: a request may have been acted on although the connection broke. */
export function passing(error: unknown, sent = false): string | null {
  const word = wordOf(error)
  if (word !== null) return sent && word === 'KAFKA_STORAGE_ERROR' ? null : (UNTOUCHED[word] ?? null)
  for (const e of chainOf(error)) {
    // Nothing was sent yet.
    if (e instanceof NoToken) return e.passing ? 'the identity provider gives no token' : null
    if (
      e.name === 'KafkaJSSASLAuthenticationError' ||
      /certificate|SELF_SIGNED/i.test(`${e.message} ${String(e.code)}`)
    )
      return null
    // Never got as far as to send.
    if (e.code === 'ECONNREFUSED' || e.name === 'KafkaJSBrokerNotFound') return 'a broker is not reached'
    if (sent) continue
    if (
      /^KafkaJS(Connection|ConnectionClosed|RequestTimeout|LockTimeout|GroupCoordinatorNotFound|NoBrokerAvailable|MetadataNotLoaded|TopicMetadataNotLoaded)/.test(
        e.name,
      )
    )
      return 'a broker is not reached'
  }
  return null
}

type Ctx = Pick<ReadContext, 'signal'> & Partial<Pick<RunContext, 'progress'>>

/**
 * Does `work`, again as long as a broker moves, restarts, loads or throttles; a run says in its progress what it waits for. `sends`:
 * it changes something, so it is done again only where the broker certainly did nothing. Throws with a sentence.
 */
export async function patiently<T>(
  { wire }: Pick<KafkaClient, 'wire'>,
  { patienceSeconds }: Pick<KafkaSettings, 'patienceSeconds'>,
  ctx: Ctx,
  work: () => Promise<T>,
  sends = false,
): Promise<T> {
  const began = performance.now()
  const most = Math.min(patienceSeconds * 1000, ctx.progress ? Number.POSITIVE_INFINITY : LOOK_MS)
  return plainly(async () => {
    for (let wait = FIRST_MS; ; wait = Math.min(wait * 2, MOST_MS)) {
      ctx.signal.throwIfAborted()
      try {
        return await work()
      } catch (error) {
        const why = passing(error, sends)
        const limit = wordOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION' ? Math.min(most, NEW_TOPIC_MS) : most
        if (why === null || performance.now() - began + wait > limit) throw error
        ctx.progress?.(0, 1, `waits: ${why}`)
      }
      await pause(wait, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted())
      await wire.refresh().catch(() => {})
    }
  })
}

/**
 * Asks for many things of which each may fail by itself; again as long as what fails passes, for a look a few seconds. What fails
 * still is left in the answer.
 */
export async function patientlyAll<T extends object>(
  client: Pick<KafkaClient, 'wire'>,
  settings: Pick<KafkaSettings, 'patienceSeconds'>,
  ctx: Ctx,
  work: () => Promise<T[]>,
): Promise<T[]> {
  const until =
    performance.now() + Math.min(settings.patienceSeconds * 1000, ctx.progress ? Number.POSITIVE_INFINITY : ODD_MS)
  for (let wait = FIRST_MS; ; wait = Math.min(wait * 2, MOST_MS)) {
    const all = await patiently(client, settings, ctx, work)
    const why = all.map((one) => ('error' in one ? passing(one.error) : null)).find((one) => one !== null)
    if (!why || performance.now() + wait > until) return all
    ctx.progress?.(0, 1, `waits: ${why}`)
    await pause(wait, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted())
    await client.wire.refresh().catch(() => {})
  }
}
