import type { Broker } from 'kafkajs/src/cluster/index.js'
import Encoder from 'kafkajs/src/protocol/encoder.js'
import { createErrorFromCode } from 'kafkajs/src/protocol/error.js'
import { type Batch, decodeBatches } from './batch.ts'
import { array, BadBytes, compactString, createCursor, int8, int16, int32, int64, string, uvarint } from './bytes.ts'

type Cursor = ReturnType<typeof createCursor>
type Throttle = (ms: number) => void
type Call<T> = Readonly<{
  key: number
  name: string
  version: number
  body: Buffer
  /** Tells of a throttle where the client is to wait (KIP-219). */
  answer(cursor: Cursor, throttle: Throttle): T
}>

/** Bodies by message definitions of Kafka 4.1: clients/src/main/resources/common/message of apache/kafka. */
const [PRODUCE, FETCH, LIST_OFFSETS, OFFSET_FETCH, LEADER_EPOCH, CONSUMER_GROUP_DESCRIBE] = [0, 1, 2, 9, 23, 69]
const ACKS_OF_ALL = -1
const READ_COMMITTED = 1

/** Sends over kafkajs's own connection to a broker, which authenticates, times out, and waits where it is told to. */
async function call<T>(broker: Broker, { key, name, version, body, answer }: Call<T>): Promise<T> {
  const { result } = await broker.connectionPool.send({
    request: { apiKey: key, apiVersion: version, apiName: name, encode: async () => new Encoder().writeBuffer(body) },
    response: {
      async decode(bytes) {
        let clientSideThrottleTime = 0
        const result = answer(createCursor(bytes), (ms) => (clientSideThrottleTime = ms))
        return { clientSideThrottleTime, result }
      },
      parse: async (decoded) => decoded,
    },
  })
  return result
}

/** The newest version that both sides speak; null if there is none. */
function versionOf(broker: Broker, key: number, least: number, most: number): number | null {
  const offered = broker.versions?.[key]
  if (!offered) return null
  const version = Math.min(most, offered.maxVersion)
  return version < Math.max(least, offered.minVersion) ? null : version
}

function must(broker: Broker, name: string, key: number, least: number, most: number): number {
  const version = versionOf(broker, key, least, most)
  if (version === null)
    throw new BadBytes(`the brokers speak no version of ${name} that is spoken here: too old or too new`)
  return version
}

const failed = (code: number): Error | null => (code === 0 ? null : createErrorFromCode(code))

/** One partition of a fetch. `aborted`: where each transaction begins that was aborted. */
export type Fetched = Readonly<{
  partition: number
  batches: readonly Batch[]
  aborted: readonly Readonly<{ producer: bigint; first: number }>[]
}>
/** One that the broker does not give, or whose records cannot be read. */
export type NotFetched = Readonly<{ partition: number; error: Error }>

/** Reads partitions of a topic from their offsets on. */
export async function fetch(
  broker: Broker,
  topic: string,
  offsets: readonly Readonly<{ partition: number; offset: number }>[],
  limits: Readonly<{ waitMs: number; bytes: number; partitionBytes: number }>,
): Promise<(Fetched | NotFetched)[]> {
  const version = must(broker, 'Fetch', FETCH, 4, 11)
  const partitions = offsets.map(({ partition, offset }) =>
    Buffer.concat([
      int32(partition),
      ...(version >= 9 ? [int32(-1)] : []),
      int64(offset),
      ...(version >= 5 ? [int64(-1)] : []),
      int32(limits.partitionBytes),
    ]),
  )
  const body = Buffer.concat([
    int32(-1),
    int32(limits.waitMs),
    int32(1),
    int32(limits.bytes),
    int8(READ_COMMITTED),
    ...(version >= 7 ? [int32(0), int32(-1)] : []),
    array([Buffer.concat([string(topic), array(partitions)])]),
    ...(version >= 7 ? [array([])] : []),
    ...(version >= 11 ? [string('')] : []),
  ])
  return call(broker, {
    ...{ key: FETCH, name: 'Fetch', version, body },
    answer(cursor, throttle) {
      const ms = cursor.int32()
      if (version >= 8) throttle(ms)
      if (version >= 7) {
        const error = failed(cursor.int16())
        if (error) throw error
        cursor.int32()
      }
      const topics = cursor.array(() => {
        const name = cursor.string()
        return cursor
          .array(() => {
            const partition = cursor.int32()
            const error = failed(cursor.int16())
            cursor.int64()
            cursor.int64()
            if (version >= 5) cursor.int64()
            const aborted = cursor.array(() => ({ producer: cursor.int64(), first: cursor.offset() }))
            if (version >= 11) cursor.int32()
            const bytes = cursor.slice(Math.max(0, cursor.int32()))
            return name === topic ? [error ? { partition, error } : decoded(partition, aborted, bytes)] : []
          })
          .flat()
      })
      return topics.flat()
    },
  })
}

function decoded(partition: number, aborted: Fetched['aborted'], bytes: Buffer): Fetched | NotFetched {
  try {
    return { partition, aborted, batches: decodeBatches(bytes) }
  } catch (error) {
    return { partition, error: error as Error }
  }
}

/** Appends one batch to a partition; resolves with its first offset when all replicas in sync have it. */
export async function produce(
  broker: Broker,
  topic: string,
  partition: number,
  batch: Buffer,
  timeoutMs: number,
): Promise<number> {
  const version = must(broker, 'Produce', PRODUCE, 3, 7)
  const body = Buffer.concat([
    string(null),
    int16(ACKS_OF_ALL),
    int32(timeoutMs),
    array([Buffer.concat([string(topic), array([Buffer.concat([int32(partition), int32(batch.length), batch])])])]),
  ])
  return call(broker, {
    ...{ key: PRODUCE, name: 'Produce', version, body },
    answer(cursor, throttle) {
      const [first] = cursor.array(() => {
        cursor.string()
        return cursor.array(() => {
          const of = cursor.int32()
          const code = cursor.int16()
          const base = cursor.int64()
          cursor.int64()
          if (version >= 5) cursor.int64()
          return { of, code, base: Number(base) }
        })[0]
      })
      if (first?.of !== partition)
        throw new BadBytes('the answer to Produce is not of the partition that was written to')
      if (version >= 6) throttle(cursor.int32())
      const error = failed(first.code)
      if (error) throw error
      return first.base
    },
  })
}

/** The end of each partition (`-1`), or its first offset that is kept (`-2`); an error for one that does not say. */
export async function listOffsets(
  broker: Broker,
  topic: string,
  partitions: readonly number[],
  of: -1 | -2,
): Promise<{ partition: number; offset: number | Error }[]> {
  // Versions from 4 on are left out: librdkafka's mock cluster writes the epoch in them with eight bytes instead of four.
  const version = must(broker, 'ListOffsets', LIST_OFFSETS, 1, 3)
  const asked = partitions.map((partition) => Buffer.concat([int32(partition), int64(of)]))
  const body = Buffer.concat([
    int32(-1),
    ...(version >= 2 ? [int8(0)] : []),
    array([Buffer.concat([string(topic), array(asked)])]),
  ])
  return call(broker, {
    ...{ key: LIST_OFFSETS, name: 'ListOffsets', version, body },
    answer(cursor, throttle) {
      if (version >= 2) {
        const ms = cursor.int32()
        if (version >= 3) throttle(ms)
      }
      return cursor
        .array(() => {
          const name = cursor.string()
          const found = cursor.array(() => {
            const partition = cursor.int32()
            const error = failed(cursor.int16())
            cursor.int64()
            const offset = cursor.offset()
            return { partition, offset: error ?? offset }
          })
          return name === topic ? found : []
        })
        .flat()
    },
  })
}

/** Where a group stands in a partition; -1 is nowhere. `epoch`: of the leader when it committed, -1 where that is not told. */
export type Committed = Readonly<{ partition: number; offset: number; epoch: number }>

/** What a group has committed in a topic. */
export async function offsetFetch(
  coordinator: Broker,
  group: string,
  topic: string,
  partitions: readonly number[],
): Promise<Committed[]> {
  const version = must(coordinator, 'OffsetFetch', OFFSET_FETCH, 1, 5)
  const body = Buffer.concat([string(group), array([Buffer.concat([string(topic), array(partitions.map(int32))])])])
  return call(coordinator, {
    ...{ key: OFFSET_FETCH, name: 'OffsetFetch', version, body },
    answer(cursor, throttle) {
      if (version >= 3) {
        const ms = cursor.int32()
        if (version >= 4) throttle(ms)
      }
      const found = cursor
        .array(() => {
          const name = cursor.string()
          const positions = cursor.array(() => {
            const partition = cursor.int32()
            const offset = cursor.offset()
            const epoch = version >= 5 ? cursor.int32() : -1
            cursor.string()
            const error = failed(cursor.int16())
            if (error) throw error
            return { partition, offset, epoch }
          })
          return name === topic ? positions : []
        })
        .flat()
      const error = version >= 2 ? failed(cursor.int16()) : null
      if (error) throw error
      return found
    },
  })
}

/** A group of KIP-848 as its coordinator describes it; `members` is how many it has. */
export type ConsumerGroup = Readonly<{ state: string; members: number }>

const GROUP_ID_NOT_FOUND = 69
const UNSUPPORTED_VERSION = 35

/**
 * Asks for a group of KIP-848. `none`: there is no such group of that kind; `unasked`: these brokers do not speak it, so
 * they have no such groups.
 */
export async function describeConsumerGroup(
  coordinator: Broker,
  group: string,
): Promise<ConsumerGroup | 'none' | 'unasked'> {
  const version = versionOf(coordinator, CONSUMER_GROUP_DESCRIBE, 0, 1)
  if (version === null) return 'unasked'
  const noTags = uvarint(0)
  // A flexible request has tags behind its header, and an answer in front of its body.
  const body = Buffer.concat([noTags, uvarint(2), compactString(group), int8(0), noTags])
  return call(coordinator, {
    ...{ key: CONSUMER_GROUP_DESCRIBE, name: 'ConsumerGroupDescribe', version, body },
    answer(cursor, throttle) {
      cursor.tags()
      throttle(cursor.int32())
      if (cursor.uvarint() !== 2) throw new BadBytes('the answer to ConsumerGroupDescribe is not of one group')
      const code = cursor.int16()
      cursor.compactString()
      const id = cursor.compactString()
      if (code === GROUP_ID_NOT_FOUND) return 'none'
      if (code === UNSUPPORTED_VERSION) return 'unasked'
      const error = failed(code)
      if (error) throw error
      if (id !== group) throw new BadBytes('the answer to ConsumerGroupDescribe is of another group')
      const state = cursor.compactString() ?? ''
      cursor.int32()
      cursor.int32()
      cursor.compactString()
      return { state, members: cursor.uvarint() - 1 }
    },
  })
}

/** What a leader knows of the epoch that a group committed in: its newest epoch up to that one, and where it ended. */
export type EpochEnd = Readonly<{ epoch: number; end: number }>

/**
 * Asks where an epoch ended. An end before a committed offset means that the log was cut, or that the topic is another one
 * of that name (KIP-320). Null where brokers do not speak it.
 */
export async function epochEnd(
  leader: Broker,
  topic: string,
  partition: number,
  epoch: number,
): Promise<EpochEnd | null> {
  const version = versionOf(leader, LEADER_EPOCH, 2, 3)
  if (version === null) return null
  const asked = Buffer.concat([int32(partition), int32(-1), int32(epoch)])
  const body = Buffer.concat([
    ...(version >= 3 ? [int32(-1)] : []),
    array([Buffer.concat([string(topic), array([asked])])]),
  ])
  return call(leader, {
    ...{ key: LEADER_EPOCH, name: 'OffsetForLeaderEpoch', version, body },
    answer(cursor, throttle) {
      throttle(cursor.int32())
      const [found] = cursor.array(() => {
        cursor.string()
        return cursor.array(() => ({
          code: cursor.int16(),
          partition: cursor.int32(),
          epoch: cursor.int32(),
          end: Number(cursor.int64()),
        }))[0]
      })
      // Without a right to ask, or while it moves, the other signs must do.
      return found?.code === 0 && found.partition === partition ? { epoch: found.epoch, end: found.end } : null
    },
  })
}
