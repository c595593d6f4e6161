import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import type { PartitionAssigner } from 'kafkajs'
import kafkajs from 'kafkajs'
import Inner from 'kafkajs/src/cluster/index.js'
import socketFactory from 'kafkajs/src/network/socketFactory.js'

const { AssignerProtocol, Kafka, logLevel, PartitionAssigners } = kafkajs

/** The mock cluster holds a fetch that finds nothing for as long as it is asked to. */
const QUICK = ['-X', 'fetch.wait.max.ms=10']

/** The format that kcat's help shows. */
export const HUMAN = ['-f', 'Topic %t [%p] at offset %o: key %k: %s\\n']

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
  const silent: object = { info() {}, error() {}, warn() {}, debug() {}, namespace: () => silent }
  const inner = new Inner({
    brokers: [broker],
    logger: silent,
    socketFactory: socketFactory(),
    metadataMaxAge: 300_000,
    allowAutoTopicCreation: false,
  })
  await Promise.all([admin.connect(), producer.connect(), inner.connect()])
  const dump = async (topic: string, options: readonly string[]) => {
    const args = ['-C', '-b', broker, '-t', topic, '-o', 'beginning', '-e', ...QUICK, ...options]
    const { stdout, stderr } = await promisify(execFile)('kcat', args, { maxBuffer: 64 * 1024 * 1024 })
    return stdout + stderr
  }
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
    /** Sets where a group stands that nobody is in, at once: to join it takes seconds. */
    async stand(groupId: string, topic: string, offsets: Readonly<Record<number, number>>): Promise<void> {
      const partitions = Object.entries(offsets).map(([partition, offset]) => ({
        partition: Number(partition),
        offset: String(offset),
      }))
      const coordinator = await inner.findGroupCoordinator({ groupId })
      const nobody = { groupGenerationId: -1, memberId: '', retentionTime: -1 }
      await coordinator.offsetCommit({ groupId, ...nobody, topics: [{ topic, partitions }] })
    },
    /** What kcat writes of a topic with these options, its remarks last. */
    dump,
    /** Every record of a topic, as kcat reads them. */
    async records(topic: string): Promise<Seen[]> {
      const text = await dump(topic, ['-J', '-q'])
      return text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Seen)
    },
    async stop() {
      await Promise.allSettled([admin.disconnect(), producer.disconnect(), inner.disconnect()])
      child.kill()
      await ended
    },
  }
}
/** `headers`: names and values in turn. */
type Seen = {
  partition: number
  offset: number
  ts: number
  key: string | null
  payload: string | null
  headers?: string[]
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
    heartbeatInterval: 300,
    sessionTimeout: 6_000,
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
