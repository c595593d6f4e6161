// Parts of kafkajs 2.2.4 that it does not export: its consumer reads in a group only, and to form one takes seconds; its records
// lose the order of headers, and those without a value.

declare module 'kafkajs/src/cluster/index.js' {
  import type { KafkaConfig } from 'kafkajs'
  import type Encoder from 'kafkajs/src/protocol/encoder.js'

  type Sent<T> = Readonly<{
    request: { apiKey: number; apiVersion: number; apiName: string; encode(): Promise<Encoder> }
    response: { decode(bytes: Buffer): Promise<T>; parse(decoded: T): Promise<T> }
  }>
  export type Broker = {
    /** By API; null before it connects. */
    versions: Readonly<Record<number, Readonly<{ minVersion: number; maxVersion: number }>>> | null
    connectionPool: { send<T extends { clientSideThrottleTime: number }>(sent: Sent<T>): Promise<T> }
    describeGroups(request: { groupIds: readonly string[] }): Promise<{
      groups: { errorCode: number; groupId: string; state: string; members: unknown[] }[]
    }>
    offsetFetch(request: {
      groupId: string
      topics: readonly { topic: string; partitions: readonly { partition: number }[] }[]
    }): Promise<{
      responses: { topic: string; partitions: { partition: number; offset: string; errorCode: number }[] }[]
    }>
    /** Without a member (`-1`, `''`) a broker takes it for a group that nobody is in. */
    offsetCommit(request: {
      groupId: string
      groupGenerationId: number
      memberId: string
      retentionTime: number
      topics: readonly { topic: string; partitions: readonly { partition: number; offset: string }[] }[]
    }): Promise<unknown>
  }
  export default class Cluster {
    constructor(
      config: Omit<KafkaConfig, 'brokers' | 'logLevel' | 'logCreator'> & {
        brokers: readonly string[]
        logger: object
        metadataMaxAge: number
        allowAutoTopicCreation: boolean
      },
    )
    connect(): Promise<void>
    disconnect(): Promise<void>
    refreshMetadata(): Promise<void>
    addTargetTopic(topic: string): Promise<void>
    findTopicPartitionMetadata(topic: string): { partitionId: number; leader: number; partitionErrorCode: number }[]
    findLeaderForPartitions(topic: string, partitions: readonly number[]): Record<string, number[]>
    findBroker(node: { nodeId: string }): Promise<Broker>
    findGroupCoordinator(group: { groupId: string }): Promise<Broker>
  }
}

declare module 'kafkajs/src/protocol/encoder.js' {
  export default class Encoder {
    writeBuffer(bytes: Buffer): this
  }
}

declare module 'kafkajs/src/protocol/error.js' {
  import type { KafkaJSProtocolError } from 'kafkajs'

  export const errorCodes: readonly Readonly<{ type: string; code: number; message: string }>[]
  export function createErrorFromCode(code: number): KafkaJSProtocolError
}

declare module 'kafkajs/src/network/socketFactory.js' {
  import type { ISocketFactory } from 'kafkajs'

  export default function socketFactory(): ISocketFactory
}
