import type { Broker } from 'kafkajs/src/cluster/index.js'
import { array, BadBytes, compactString, int8, int32, string, uvarint } from './bytes.ts'
import { API, call, failed, must, versionOf } from './call.ts'

/** Where a group stands in a partition; -1 is nowhere. `epoch`: of the leader when it committed, -1 where that is not told. */
export type Committed = Readonly<{ partition: number; offset: number; epoch: number }>

/** What a group has committed in a topic. */
export async function offsetFetch(
  coordinator: Broker,
  group: string,
  topic: string,
  partitions: readonly number[],
): Promise<Committed[]> {
  const version = must(coordinator, 'OffsetFetch', API.offsetFetch, 1, 5)
  const body = Buffer.concat([string(group), array([Buffer.concat([string(topic), array(partitions.map(int32))])])])
  return call(coordinator, {
    ...{ key: API.offsetFetch, name: 'OffsetFetch', version, body },
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
  const version = versionOf(coordinator, API.consumerGroupDescribe, 0, 1)
  if (version === null) return 'unasked'
  const noTags = uvarint(0)
  // A flexible request has tags behind its header, and an answer in front of its body.
  const body = Buffer.concat([noTags, uvarint(2), compactString(group), int8(0), noTags])
  return call(coordinator, {
    ...{ key: API.consumerGroupDescribe, name: 'ConsumerGroupDescribe', version, body },
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
