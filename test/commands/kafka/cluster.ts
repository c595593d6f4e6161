import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { PartitionAssigner } from 'kafkajs'
import kafkajs from 'kafkajs'

const { AssignerProtocol, Kafka, logLevel, PartitionAssigners } = kafkajs

/** librdkafka's own mock cluster, which kcat carries: the real protocol, 4 partitions a topic, one broker. */
export async function startCluster() {
  const args = ['-C', '-t', 'warm', '-b', 'localhost:1', '-X', 'test.mock.num.brokers=1', '-d', 'mock', '-q']
  const child = spawn('kcat', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(child, 'exit')
  const broker = await new Promise<string>((resolve, reject) => {
    let text = ''
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`kcat ended: ${text}`)))
    child.stderr.on('data', (bytes: Buffer) => {
      text = `${text}${bytes}`.slice(-10_000)
      const found = /bootstrap\.servers=(127\.0\.0\.1:\d+)/.exec(text)
      if (found) resolve(found[1]!)
    })
  })
  const kafka = new Kafka({ clientId: 'test', brokers: [broker], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  const producer = kafka.producer()
  await Promise.all([admin.connect(), producer.connect()])
  return {
    broker,
    kafka,
    admin,
    producer,
    /** What a consumer of this group would read next, by partition. */
    async committed(group: string, topic: string): Promise<number[]> {
      const [all] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
      return all!.partitions.sort((a, b) => a.partition - b.partition).map((p) => Number(p.offset))
    },
    async stop() {
      await Promise.allSettled([admin.disconnect(), producer.disconnect()])
      child.kill()
      await ended
    },
  }
}
export type Cluster = Awaited<ReturnType<typeof startCluster>>

const assigner: PartitionAssigner = (config) => ({
  ...PartitionAssigners.roundRobin(config),
  name: 'keyturn',
  protocol: ({ topics }) => ({
    name: 'keyturn',
    metadata: AssignerProtocol.MemberMetadata.encode({ version: 0, topics, userData: Buffer.alloc(0) }),
  }),
})

/**
 * A consumer of a group; `stop` leaves it. Resolves when it has joined. It speaks our protocol: a broker refuses a
 * member with another one, but the mock cluster ends when it meets two.
 */
export async function consume(cluster: Cluster, groupId: string, topic: string) {
  const consumer = cluster.kafka.consumer({
    groupId,
    partitionAssigners: [assigner],
    heartbeatInterval: 500,
    sessionTimeout: 10_000,
    maxWaitTimeInMs: 200,
  })
  const joined = Promise.withResolvers<void>()
  consumer.on('consumer.group_join', () => joined.resolve())
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ autoCommit: false, eachMessage: async () => {} })
  await joined.promise
  return {
    commit: (partition: number, offset: number) =>
      consumer.commitOffsets([{ topic, partition, offset: String(offset) }]),
    stop: () => consumer.disconnect(),
  }
}
