import { type ReadContext, Refused, type RunContext } from '../../src/domain/command.ts'
import type { KafkaClient, KafkaSettings } from './connection.ts'
import { patiently, patientlyAll } from './patience.ts'
import { sentenceOf } from './plain.ts'

/** Where a group stands in one partition. `committed` is the next offset it will read; null when it has none. */
export type Position = Readonly<{
  partition: number
  committed: number | null
  low: number
  high: number
  /** Why the offset is none that the group could go on from, as a sentence about it; null when it is one. */
  lost: string | null
}>

/** The positions of a group, and the partitions that could not be asked. */
export type Positions = Readonly<{
  all: readonly Position[]
  unasked: readonly Readonly<{ partition: number; why: string }>[]
}>

type Ctx = Pick<ReadContext, 'signal'> & Partial<Pick<RunContext, 'progress'>>

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
export async function positions(
  client: KafkaClient,
  settings: KafkaSettings,
  topic: string,
  group: string,
  ctx: Ctx,
): Promise<Positions> {
  const { wire } = client
  // One after the other: what a group commits meanwhile may not lie behind the end that was read before it.
  const committed = await patiently(client, settings, ctx, async () =>
    wire.committed(group, topic, await wire.partitions(topic)),
  )
  const ends = await patientlyAll(client, settings, ctx, () => wire.ends(topic))
  const all: Position[] = []
  const unasked: { partition: number; why: string }[] = []
  for (const end of ends) {
    const { partition } = end
    if ('error' in end) {
      unasked.push({ partition, why: sentenceOf(end.error) ?? end.error.message })
      continue
    }
    const { low, high } = end
    const found = committed.find((one) => one.partition === partition)
    const offset = found && found.offset >= 0 ? found.offset : null
    const cut =
      found && offset !== null && found.epoch >= 0 && offset <= high && offset > low
        ? await wire.epochEnd(topic, partition, found.epoch).catch(() => null)
        : null
    all.push({
      partition,
      committed: offset,
      low,
      high,
      lost: lostIn(topic, partition, offset, low, high, cut?.end ?? null),
    })
  }
  return { all, unasked }
}

/** Why a committed offset is none to go on from. `epochEnd`: where the log of its leader's epoch ends; -1 or null is not known. */
function lostIn(
  topic: string,
  partition: number,
  committed: number | null,
  low: number,
  high: number,
  epochEnd: number | null,
): string | null {
  const place = `${topic}/${partition}`
  if (committed === null) return null
  if (committed > high)
    return `the group stands behind the end of ${place} (${committed} > ${high}): the topic was made anew, or its log was cut. The group reads nothing until its offset is reset`
  if (committed < low)
    return `the group stands before the beginning of ${place} (${committed} < ${low}): ${low - committed === 1 ? 'the offset between them is' : `the ${low - committed} offsets between them are`} deleted, and its auto.offset.reset decides where it goes on`
  if (epochEnd !== null && epochEnd >= 0 && epochEnd < committed)
    return `the group stands at ${committed} in ${place}, but what it had read ends at ${epochEnd}: the log was cut, or the topic was made anew, and other records stand there now`
  return null
}

/** What the cluster says of a group. `state` is its own word; null where it cannot say. `active`: it has consumers. */
export type GroupState = Readonly<{ state: string | null; active: boolean }>

/**
 * The state of a group, of either kind: `Stable`, `Empty`, and so on. `unknown` is true where the brokers describe groups but
 * not this one, although it may have consumers.
 */
export async function stateOf(
  client: KafkaClient,
  settings: KafkaSettings,
  group: string,
  ctx: Ctx,
): Promise<GroupState> {
  const classic = await patiently(client, settings, ctx, () => client.wire.classicGroup(group))
  if (classic !== 'Dead') return { state: classic, active: classic !== null && classic !== 'Empty' }
  // Brokers call a group of KIP-848 dead when they are asked for one of before.
  const found = await patiently(client, settings, ctx, () => client.wire.consumerGroup(group))
  if (found === 'none' || found === 'unasked') return { state: 'Dead', active: false }
  const { state, members } = found
  return { state: state === '' ? 'unknown' : state, active: members > 0 || (state !== 'Empty' && state !== 'Dead') }
}

/** Refuses while a group has consumers, or may have some that the cluster does not tell of. */
export function mustBeIdle(group: string, { state, active }: GroupState, hasCommitted: boolean): void {
  if (active)
    throw new Refused(`The group "${group}" is ${state}: it has consumers. Scale them to 0 first, then ask again.`)
  if (state === 'Dead' && hasCommitted)
    throw new Refused(
      `Kafka calls the group "${group}" dead although it has committed offsets: it is of a kind that cannot be asked for here, and may have consumers. Nothing is moved; use kafka-consumer-groups.sh of the cluster's own version.`,
    )
}
