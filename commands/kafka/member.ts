import type { Assigner, Consumer, Kafka, PartitionAssigner } from 'kafkajs'
import kafkajs from 'kafkajs'
import { Refused, type RunContext } from '../../src/domain/command.ts'
import type { KafkaClient, KafkaSettings } from './connection.ts'
import { patiently } from './patience.ts'

const { AssignerProtocol } = kafkajs
/** No consumer of anybody else speaks it: a broker refuses us beside them, and them beside us. */
const PROTOCOL = 'keyturn'

type Given = Readonly<{ topic: string; partitions: readonly number[] }>

/** Gives the named partitions to the only member; to nobody when there are several. */
const only =
  ({ topic, partitions }: Given, tell: (members: number) => void): PartitionAssigner =>
  (): Assigner => ({
    name: PROTOCOL,
    version: 0,
    async assign({ members }) {
      tell(members.length)
      const assignment = members.length === 1 ? { [topic]: [...partitions] } : {}
      return members.map(({ memberId }) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: 0,
          assignment,
          userData: Buffer.alloc(0),
        }),
      }))
    },
    protocol: ({ topics }) => ({
      name: PROTOCOL,
      metadata: AssignerProtocol.MemberMetadata.encode({ version: 0, topics, userData: Buffer.alloc(0) }),
    }),
  })

type Options = Readonly<{ group: string; given: Given }>
type Ctx = Pick<RunContext, 'signal' | 'progress'>

/**
 * Joins a group as its only member, does `work`, and leaves. Nothing is committed but by `work`. Refuses when the
 * group has other members: the broker lets us in only beside those who speak our protocol. A coordinator that moves or loads
 * is waited for until `work` begins.
 */
export async function alone<T>(
  client: KafkaClient,
  settings: KafkaSettings,
  { group, given }: Options,
  ctx: Ctx,
  work: (consumer: Consumer) => Promise<T>,
): Promise<T> {
  let begun = false
  const once = async (): Promise<{ result: T } | { error: unknown }> => {
    try {
      const result = await join(client.kafka, { group, given }, ctx, (consumer) => {
        begun = true
        return work(consumer)
      })
      return { result }
    } catch (error) {
      // The work is not done twice, whatever went wrong in it.
      if (begun) return { error }
      throw error
    }
  }
  const end = await patiently(client, settings, ctx, once, true)
  if ('error' in end) throw end.error
  return end.result
}

async function join<T>(
  kafka: Kafka,
  { group, given }: Options,
  { signal }: Ctx,
  work: (consumer: Consumer) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  let members = 0
  const consumer = kafka.consumer({
    groupId: group,
    partitionAssigners: [only(given, (n) => (members = n))],
    sessionTimeout: 6_000,
    rebalanceTimeout: 10_000,
    heartbeatInterval: 1_000,
    // Leaving waits for the fetch that is under way.
    maxWaitTimeInMs: 500,
    allowAutoTopicCreation: false,
    retry: { retries: 0, restartOnFailure: async () => false },
  })
  const ended = Promise.withResolvers<never>()
  ended.promise.catch(() => {})
  const joined = Promise.withResolvers<void>()
  const abort = () => ended.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  consumer.on('consumer.group_join', () => joined.resolve())
  consumer.on('consumer.crash', ({ payload }) => ended.reject(payload.error))
  try {
    await consumer.connect()
    await consumer.subscribe({ topic: given.topic, fromBeginning: true })
    await consumer.run({ autoCommit: false, eachBatch: async () => {} })
    await Promise.race([joined.promise, ended.promise])
    if (members !== 1) throw othersIn(group)
    return await Promise.race([work(consumer), ended.promise])
  } catch (error) {
    if (isNotAlone(error)) throw othersIn(group, error)
    throw error
  } finally {
    signal.removeEventListener('abort', abort)
    await consumer.disconnect().catch(() => {})
  }
}

const othersIn = (group: string, cause?: unknown) =>
  new Refused(`The group "${group}" has consumers. Scale them to 0 first, then ask again.`, { cause })

/** INCONSISTENT_GROUP_PROTOCOL, or a rebalance that somebody else takes part in. */
function isNotAlone(error: unknown): boolean {
  for (let e: unknown = error; e instanceof Error; e = e.cause) {
    const type = (e as { type?: unknown }).type
    if (type === 'INCONSISTENT_GROUP_PROTOCOL' || type === 'REBALANCE_IN_PROGRESS') return true
    if (/group is rebalancing|group protocol/i.test(e.message)) return true
  }
  return false
}
