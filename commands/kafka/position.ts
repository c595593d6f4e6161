import { Refused } from '../../src/domain/command.ts'
import type { KafkaClient, KafkaSettings } from './connection.ts'

/** Where a group stands in one partition. `committed` is the next offset it will read; null when it has none. */
export type Position = Readonly<{
  partition: number
  committed: number | null
  low: number
  high: number
}>

/** How many records wait; for a group that has committed nothing, all that are kept. */
export const lagOf = ({ committed, low, high }: Position): number => Math.max(0, high - Math.max(committed ?? low, low))

/** The settings of a topic; refuses one that the connection does not list. */
export function listed(settings: KafkaSettings, connection: string, topic: string): KafkaSettings['topics'][string] {
  const found = Object.hasOwn(settings.topics, topic) ? settings.topics[topic] : undefined
  if (found) return found
  const names = Object.keys(settings.topics).sort().join(', ') || 'none'
  throw new Refused(`The connection "${connection}" does not list the topic "${topic}". It lists: ${names}.`)
}

/** The positions of a group in each partition of a topic, in their order. */
export async function positions({ admin }: KafkaClient, topic: string, group: string): Promise<Position[]> {
  const [ends, [offsets]] = await Promise.all([
    admin.fetchTopicOffsets(topic),
    admin.fetchOffsets({ groupId: group, topics: [topic] }),
  ])
  return ends
    .map(({ partition, low, high }) => {
      const committed = Number(offsets?.partitions.find((p) => p.partition === partition)?.offset ?? -1)
      return { partition, committed: committed < 0 ? null : committed, low: Number(low), high: Number(high) }
    })
    .sort((a, b) => a.partition - b.partition)
}

/** The state that the cluster gives for a group, such as `Stable` or `Empty`; null where it cannot say. */
export async function stateOf({ admin }: KafkaClient, group: string): Promise<string | null> {
  try {
    const { groups } = await admin.describeGroups([group])
    return groups[0]?.state ?? null
  } catch (error) {
    if (error instanceof Error && /requested API version/.test(error.message)) return null
    throw error
  }
}

/** Whether a group in this state has consumers: its offsets must not be moved under them. */
export const isActive = (state: string | null): boolean => state !== null && state !== 'Empty' && state !== 'Dead'
