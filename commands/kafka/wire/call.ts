import type { Broker } from 'kafkajs/src/cluster/index.js'
import Encoder from 'kafkajs/src/protocol/encoder.js'
import { createErrorFromCode } from 'kafkajs/src/protocol/error.js'
import { BadBytes, createCursor } from './bytes.ts'

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

/** Numbers of requests. Bodies are by the message definitions of Kafka 4.1: clients/src/main/resources/common/message of apache/kafka. */
export const API = {
  produce: 0,
  fetch: 1,
  listOffsets: 2,
  offsetFetch: 9,
  leaderEpoch: 23,
  consumerGroupDescribe: 69,
} as const

/** Sends over kafkajs's own connection to a broker, which authenticates, times out, and waits where it is told to. */
export async function call<T>(broker: Broker, { key, name, version, body, answer }: Call<T>): Promise<T> {
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
export function versionOf(broker: Broker, key: number, least: number, most: number): number | null {
  const offered = broker.versions?.[key]
  if (!offered) return null
  const version = Math.min(most, offered.maxVersion)
  return version < Math.max(least, offered.minVersion) ? null : version
}

export function must(broker: Broker, name: string, key: number, least: number, most: number): number {
  const version = versionOf(broker, key, least, most)
  if (version === null)
    throw new BadBytes(`the brokers speak no version of ${name} that is spoken here: too old or too new`)
  return version
}

export const failed = (code: number): Error | null => (code === 0 ? null : createErrorFromCode(code))
