import type { KafkaConfig } from 'kafkajs'
import Cluster, { type Broker } from 'kafkajs/src/cluster/index.js'
import socketFactory from 'kafkajs/src/network/socketFactory.js'
import { createErrorFromCode } from 'kafkajs/src/protocol/error.js'
import { encodeBatch, type WireRecord } from './batch.ts'
import { BadBytes } from './bytes.ts'
import { fetch, type NotFetched } from './fetch.ts'
import { type Committed, type ConsumerGroup, describeConsumerGroup, offsetFetch } from './group.ts'
import { type EpochEnd, epochEnd, listOffsets } from './offsets.ts'
import { type PartRecord, partOf } from './part.ts'
import { produce } from './produce.ts'

/** Records of one partition, and the offset to go on at. */
export type Part = Readonly<{ partition: number; records: readonly PartRecord[]; next: number }>
/** A `timestamp` of null is now. */
export type NewRecord = Pick<WireRecord, 'key' | 'value' | 'headers'> & Readonly<{ timestamp: bigint | null }>

export type Ends = Readonly<{ partition: number; low: number; high: number }>

const DESCRIBE_GROUPS = 15
const LEADER_NOT_AVAILABLE = 5
const MAX_WAIT_MS = 500
const MAX_BYTES = 10 * 1024 * 1024
const MAX_BYTES_PER_PARTITION = 1024 * 1024
const PRODUCE_MS = 30_000

const silent: object = { info() {}, error() {}, warn() {}, debug() {}, namespace: () => silent }

/**
 * Speaks to brokers without a group, on kafkajs's connections: nothing is joined, committed, or left behind in the cluster.
 * Connects when it is first used.
 */
export function createWire(config: Omit<KafkaConfig, 'brokers'> & { brokers: string[] }) {
  const { logLevel: _, logCreator: __, ...rest } = config
  const cluster = new Cluster({
    ...rest,
    socketFactory: socketFactory(),
    enforceRequestTimeout: true,
    logger: silent,
    metadataMaxAge: 300_000,
    allowAutoTopicCreation: false,
  })
  let connected: Promise<void> | null = null

  const connect = async () => {
    connected ??= cluster.connect()
    await connected.catch((error: unknown) => {
      connected = null
      throw error
    })
  }
  const know = async (topic: string) => {
    await connect()
    await cluster.addTargetTopic(topic)
  }
  const leaderOf = async (topic: string, partition: number): Promise<Broker> => {
    await know(topic)
    const [nodeId] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]))
    if (nodeId === undefined) throw new Error(`${topic} has no partition ${partition}`)
    return cluster.findBroker({ nodeId })
  }
  /** Asks the leaders of some partitions; what one of them does not answer is told as that of each of its partitions. */
  const byLeader = async <T extends { partition: number }>(
    topic: string,
    partitions: readonly number[],
    ask: (broker: Broker, partitions: number[]) => Promise<(T | NotFetched)[]>,
  ): Promise<(T | NotFetched)[]> => {
    await know(topic)
    const fromNode = async ([nodeId, of]: [string, number[]]): Promise<(T | NotFetched)[]> => {
      const not = (error: unknown) => of.map((partition) => ({ partition, error: error as Error }))
      if (Number(nodeId) < 0) return not(createErrorFromCode(LEADER_NOT_AVAILABLE))
      try {
        return await ask(await cluster.findBroker({ nodeId }), of)
      } catch (error) {
        return not(error)
      }
    }
    return (await Promise.all(Object.entries(cluster.findLeaderForPartitions(topic, partitions)).map(fromNode))).flat()
  }
  const coordinatorOf = async (groupId: string): Promise<Broker> => {
    await connect()
    return cluster.findGroupCoordinator({ groupId })
  }

  return {
    /**
     * One look at each partition, from its offset on; waits half a second for the first record. A partition that its broker
     * does not give is told as that beside the others.
     */
    async fetch(topic: string, offsets: ReadonlyMap<number, number>): Promise<(Part | NotFetched)[]> {
      const limits = { waitMs: MAX_WAIT_MS, bytes: MAX_BYTES, partitionBytes: MAX_BYTES_PER_PARTITION }
      return byLeader(topic, [...offsets.keys()], async (broker, partitions) => {
        const wanted = partitions.map((partition) => ({ partition, offset: offsets.get(partition)! }))
        const parts = await fetch(broker, topic, wanted, limits)
        return parts.map((part) =>
          'error' in part ? part : { partition: part.partition, ...partOf(part, offsets.get(part.partition)!) },
        )
      })
    },
    /** Numbers of the partitions of a topic, in their order. */
    async partitions(topic: string): Promise<number[]> {
      await know(topic)
      return cluster
        .findTopicPartitionMetadata(topic)
        .map(({ partitionId }) => partitionId)
        .sort((a, b) => a - b)
    },
    /** The first offset that is kept, and the end, of each partition; an error for one that cannot be asked. */
    async ends(topic: string): Promise<(Ends | NotFetched)[]> {
      await know(topic)
      const all = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId)
      const ends = await byLeader(topic, all, async (broker, partitions) => {
        const high = new Map((await listOffsets(broker, topic, partitions, -1)).map((p) => [p.partition, p.offset]))
        const low = new Map((await listOffsets(broker, topic, partitions, -2)).map((p) => [p.partition, p.offset]))
        return partitions.map((partition): Ends | NotFetched => {
          const [from, to] = [low.get(partition), high.get(partition)]
          if (typeof from === 'number' && typeof to === 'number') return { partition, low: from, high: to }
          const error =
            [from, to].find((one) => one instanceof Error) ?? new BadBytes('the broker leaves a partition out')
          return { partition, error: error as Error }
        })
      })
      return ends.sort((a, b) => a.partition - b.partition)
    },
    /** What a group has committed in these partitions. */
    async committed(group: string, topic: string, partitions: readonly number[]): Promise<Committed[]> {
      return offsetFetch(await coordinatorOf(group), group, topic, partitions)
    },
    /** A group as brokers before KIP-848 know it; null where they do not describe any. */
    async classicGroup(group: string): Promise<string | null> {
      const coordinator = await coordinatorOf(group)
      if (!coordinator.versions?.[DESCRIBE_GROUPS]) return null
      const { groups } = await coordinator.describeGroups({ groupIds: [group] })
      const found = groups[0]
      if (found && found.groupId !== group) throw new BadBytes('the answer to DescribeGroups is of another group')
      return found?.state ?? null
    },
    /** Appends records to a partition as one batch, once; resolves with the offset of the first when all replicas in sync have them. */
    async append(topic: string, partition: number, records: readonly NewRecord[], now: Date): Promise<number> {
      const leader = await leaderOf(topic, partition)
      return produce(leader, topic, partition, encodeBatch(records, BigInt(now.getTime())), PRODUCE_MS)
    },
    /** A group of KIP-848, if it is one. */
    async consumerGroup(group: string): Promise<ConsumerGroup | 'none' | 'unasked'> {
      return describeConsumerGroup(await coordinatorOf(group), group)
    },
    /** Where the epoch ended that a group committed in. */
    async epochEnd(topic: string, partition: number, epoch: number): Promise<EpochEnd | null> {
      return epochEnd(await leaderOf(topic, partition), topic, partition, epoch)
    },
    /** Asks anew who leads which partition. */
    refresh: (): Promise<void> => cluster.refreshMetadata(),
    async close(): Promise<void> {
      await connected?.catch(() => {})
      if (connected) await cluster.disconnect()
    },
  }
}
export type Wire = ReturnType<typeof createWire>
