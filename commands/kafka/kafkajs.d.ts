// Parts of kafkajs 2.2.4 that it does not export: its consumer reads in a group only, and to form one takes seconds.

declare module 'kafkajs/src/cluster/index.js' {
  import type { KafkaConfig } from 'kafkajs'

  type Partition = Readonly<{ partition: number; fetchOffset: string; maxBytes: number }>
  type Broker = {
    fetch(request: {
      isolationLevel: 0 | 1
      maxWaitTime: number
      maxBytes: number
      topics: readonly { topic: string; partitions: readonly Partition[] }[]
    }): Promise<{ responses: { topicName: string; partitions: import('kafkajs/src/consumer/batch.js').Fetched[] }[] }>
  }
  type Coordinator = {
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
    findLeaderForPartitions(topic: string, partitions: readonly number[]): Record<string, number[]>
    findBroker(node: { nodeId: string }): Promise<Broker>
    findGroupCoordinator(group: { groupId: string }): Promise<Coordinator>
  }
}

declare module 'kafkajs/src/consumer/batch.js' {
  import type { KafkaMessage } from 'kafkajs'

  export type Fetched = { partition: number; highWatermark: string; messages: KafkaMessage[] }
  /** Without the messages before the fetched offset, those of aborted transactions, and control records. */
  export default class Batch {
    constructor(topic: string, fetchedOffset: string, data: Fetched)
    partition: number
    rawMessages: KafkaMessage[]
    messages: KafkaMessage[]
    lastOffset(): string
  }
}

declare module 'kafkajs/src/network/socketFactory.js' {
  import type { ISocketFactory } from 'kafkajs'

  export default function socketFactory(): ISocketFactory
}
