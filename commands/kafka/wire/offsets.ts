import type { Broker } from 'kafkajs/src/cluster/index.js'
import { array, int8, int32, int64, string } from './bytes.ts'
import { API, call, failed, must, versionOf } from './call.ts'

/** The end of each partition (`-1`), or its first offset that is kept (`-2`); an error for one that does not say. */
export async function listOffsets(
  broker: Broker,
  topic: string,
  partitions: readonly number[],
  of: -1 | -2,
): Promise<{ partition: number; offset: number | Error }[]> {
  // Versions from 4 on are left out: librdkafka's mock cluster writes the epoch in them with eight bytes instead of four.
  const version = must(broker, 'ListOffsets', API.listOffsets, 1, 3)
  const asked = partitions.map((partition) => Buffer.concat([int32(partition), int64(of)]))
  const body = Buffer.concat([
    int32(-1),
    ...(version >= 2 ? [int8(0)] : []),
    array([Buffer.concat([string(topic), array(asked)])]),
  ])
  return call(broker, {
    ...{ key: API.listOffsets, name: 'ListOffsets', version, body },
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
  const version = versionOf(leader, API.leaderEpoch, 2, 3)
  if (version === null) return null
  const asked = Buffer.concat([int32(partition), int32(-1), int32(epoch)])
  const body = Buffer.concat([
    ...(version >= 3 ? [int32(-1)] : []),
    array([Buffer.concat([string(topic), array([asked])])]),
  ])
  return call(leader, {
    ...{ key: API.leaderEpoch, name: 'OffsetForLeaderEpoch', version, body },
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
