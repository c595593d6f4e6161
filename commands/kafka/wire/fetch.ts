import type { Broker } from 'kafkajs/src/cluster/index.js'
import { type Batch, decodeBatches } from './batch.ts'
import { array, int8, int32, int64, string } from './bytes.ts'
import { API, call, failed, must } from './call.ts'

const READ_COMMITTED = 1

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
  const version = must(broker, 'Fetch', API.fetch, 4, 11)
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
    ...{ key: API.fetch, name: 'Fetch', version, body },
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
