import type { Broker } from 'kafkajs/src/cluster/index.js'
import { array, BadBytes, int16, int32, string } from './bytes.ts'
import { API, call, failed, must } from './call.ts'

const ACKS_OF_ALL = -1

/** Appends one batch to a partition; resolves with its first offset when all replicas in sync have it. */
export async function produce(
  broker: Broker,
  topic: string,
  partition: number,
  batch: Buffer,
  timeoutMs: number,
): Promise<number> {
  const version = must(broker, 'Produce', API.produce, 3, 7)
  const body = Buffer.concat([
    string(null),
    int16(ACKS_OF_ALL),
    int32(timeoutMs),
    array([Buffer.concat([string(topic), array([Buffer.concat([int32(partition), int32(batch.length), batch])])])]),
  ])
  return call(broker, {
    ...{ key: API.produce, name: 'Produce', version, body },
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
