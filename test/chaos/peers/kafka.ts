import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCluster } from '../../commands/kafka/cluster.ts'
import { type Asked, startTcp } from '../taps.ts'

const TOPICS = { orders: { groups: ['loader'], deadLetter: 'orders-dead' }, clicks: { maxPerSecond: 1000 } }
/** Each time that a bad record is skipped, the next one is bad as well. */
const BAD_RECORDS = 2_000

/**
 * Real brokers (librdkafka's mock cluster) behind a wire on which each request is written down: what it is, and the group and
 * the topics that it names. The dumps lie in a folder; one of the same name lies outside of it.
 */
export async function startKafkaTap() {
  const cluster = await startCluster()
  const outside = await mkdtemp(join(tmpdir(), 'keyturn-executors-'))
  const dumps = join(outside, 'dumps')
  await mkdir(dumps)
  await writeFile(join(outside, 'month'), '{"id":"outside"}\n')
  const messages = Array.from({ length: BAD_RECORDS }, () => ({ partition: 0, value: '{"id":' }))
  await cluster.producer.send({ topic: 'orders', messages })
  await cluster.admin.fetchTopicMetadata({ topics: ['orders-dead', 'clicks'] })
  await cluster.stand('loader', 'orders', { 0: 0 })
  const asked: Asked[] = []
  const brokerPort = Number(cluster.broker.split(':')[1])
  const wire = await startTcp((near) => {
    const far = connect(brokerPort, '127.0.0.1')
    near.on(
      'data',
      framed((frame) => {
        asked.push({ shape: shapeOf(frame), host: '', url: '' })
        far.write(frame)
      }),
    )
    far.on(
      'data',
      framed((frame) => near.write(moved(frame, brokerPort, wire.port))),
    )
    far.on('error', () => {}).on('close', () => near.destroy())
    near.on('close', () => far.destroy())
  })
  return {
    asked,
    ports: [wire.port, brokerPort],
    settings: { brokers: [`127.0.0.1:${wire.port}`], topics: TOPICS, dumps, idleSeconds: 1 },
    /** Makes the dump one that was not replayed yet. */
    async renew(): Promise<void> {
      for (const file of await readdir(dumps)) await rm(join(dumps, file))
      await writeFile(join(dumps, 'month'), '{"id":"a"}\n{"id":"b"}\n')
    },
    async stop(): Promise<void> {
      await wire.stop()
      await cluster.stop()
      await rm(outside, { recursive: true })
    },
  }
}

/** Cuts what comes into frames: four bytes of length, and so many bytes. */
function framed(take: (frame: Buffer) => void): (part: Buffer) => void {
  let waiting = Buffer.alloc(0)
  return (part) => {
    waiting = Buffer.concat([waiting, part])
    while (waiting.length >= 4 && waiting.length >= 4 + waiting.readInt32BE(0)) {
      const length = 4 + waiting.readInt32BE(0)
      take(waiting.subarray(0, length))
      waiting = waiting.subarray(length)
    }
  }
}

/** The frame with the address of the wire where the broker says its own. */
function moved(frame: Buffer, from: number, to: number): Buffer {
  const address = (port: number) => {
    const bytes = Buffer.from('127.0.0.1....')
    bytes.writeInt32BE(port, bytes.length - 4)
    return bytes.toString('latin1')
  }
  return Buffer.from(frame.toString('latin1').replaceAll(address(from), address(to)), 'latin1')
}

/** Requests that change nothing and name a group, by the number of their API. */
const OF_GROUP: Readonly<Record<number, string>> = {
  ...{ 9: 'OffsetFetch', 10: 'FindCoordinator', 11: 'JoinGroup', 12: 'Heartbeat', 13: 'LeaveGroup', 14: 'SyncGroup' },
}

/** What a request is, and the group and topics that it names: https://kafka.apache.org/protocol. */
function shapeOf(frame: Buffer): string {
  let at = 4
  const skip = (bytes: number) => {
    at += bytes
    return at - bytes
  }
  const int16 = () => frame.readInt16BE(skip(2))
  const int32 = () => frame.readInt32BE(skip(4))
  const text = () => {
    const length = Math.max(0, int16())
    skip(length)
    return frame.toString('utf8', at - length, at)
  }
  const each = <T>(one: () => T): T[] => Array.from({ length: Math.max(0, int32()) }, one)
  const topics = (partition: () => void) =>
    each(() => {
      const name = text()
      each(partition)
      return name
    })
  const [api, version] = [int16(), int16()]
  skip(4)
  text()
  if (api === 0) {
    text()
    skip(6)
    const names = topics(() => {
      skip(4)
      skip(int32())
    })
    return `Produce ${names}`
  }
  if (api === 8) {
    const group = text()
    skip(4)
    text()
    if (version < 5) skip(8)
    const names = topics(() => {
      skip(version < 6 ? 12 : 16)
      text()
    })
    return `OffsetCommit ${group} ${names}`
  }
  if (api === 3) return `Metadata ${each(text)}`
  const group = OF_GROUP[api]
  return group ? `${group} ${text()}` : `API ${api}`
}
