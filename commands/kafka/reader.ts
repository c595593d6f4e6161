import type { KafkaConfig, KafkaMessage } from 'kafkajs'
import Cluster from 'kafkajs/src/cluster/index.js'
import Batch from 'kafkajs/src/consumer/batch.js'
import socketFactory from 'kafkajs/src/network/socketFactory.js'

/** Messages of one partition, and the offset to go on at. */
export type Part = Readonly<{ partition: number; messages: readonly KafkaMessage[]; next: number }>

const MAX_WAIT_MS = 500
const MAX_BYTES = 10 * 1024 * 1024
const MAX_BYTES_PER_PARTITION = 1024 * 1024
const READ_COMMITTED = 1

const silent: object = { info() {}, error() {}, warn() {}, debug() {}, namespace: () => silent }

/**
 * Reads partitions by their offsets, in no group: nothing is joined, committed, or left behind in the cluster. Connects
 * when it is first used.
 */
export function createReader(config: Omit<KafkaConfig, 'brokers'> & { brokers: string[] }) {
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

  return {
    /** One look at each partition, from its offset on; waits half a second for the first message. */
    async fetch(topic: string, offsets: ReadonlyMap<number, number>): Promise<Part[]> {
      connected ??= cluster.connect()
      await connected
      await cluster.addTargetTopic(topic)
      const leaders = Object.entries(cluster.findLeaderForPartitions(topic, [...offsets.keys()]))
      const fromNode = async ([nodeId, partitions]: [string, number[]]): Promise<Part[]> => {
        const broker = await cluster.findBroker({ nodeId })
        const wanted = partitions.map((partition) => ({
          partition,
          fetchOffset: String(offsets.get(partition)),
          maxBytes: MAX_BYTES_PER_PARTITION,
        }))
        const { responses } = await broker.fetch({
          isolationLevel: READ_COMMITTED,
          maxWaitTime: MAX_WAIT_MS,
          maxBytes: MAX_BYTES,
          topics: [{ topic, partitions: wanted }],
        })
        return responses
          .flatMap((response) => response.partitions)
          .map((data) => {
            const from = offsets.get(data.partition)!
            const batch = new Batch(topic, String(from), data)
            const next = batch.rawMessages.length > 0 ? Math.max(from, Number(batch.lastOffset()) + 1) : from
            return { partition: data.partition, messages: batch.messages, next }
          })
      }
      return (await Promise.all(leaders.map(fromNode))).flat()
    },
    /** Asks anew who leads which partition. */
    refresh: (): Promise<void> => cluster.refreshMetadata(),
    async close(): Promise<void> {
      await connected?.catch(() => {})
      if (connected) await cluster.disconnect()
    },
  }
}
export type Reader = ReturnType<typeof createReader>
