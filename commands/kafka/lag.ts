import { z } from 'zod'
import type { EvidenceBlock } from '../../src/domain/command.ts'
import { defineRead } from '../../src/domain/command.ts'
import { kafka } from './connection.ts'
import { lagOf, listed, type Position, positions, stateOf } from './position.ts'

/** What `lost` and partitions that were not asked look like beside a table. */
export function said(
  all: readonly Position[],
  unasked: readonly Readonly<{ partition: number; why: string }>[],
): EvidenceBlock[] {
  const lines = [
    ...all.flatMap(({ lost }) => (lost === null ? [] : [`${lost[0]!.toUpperCase()}${lost.slice(1)}.`])),
    ...unasked.map(({ partition, why }) => `Partition ${partition} could not be asked: ${why}`),
  ]
  return lines.length > 0 ? [{ type: 'text', text: lines.join('\n') }] : []
}

/** One sentence to begin a summary with, about positions that the group cannot go on from; empty without any. */
export function lostOf(all: readonly Position[]): string {
  const lost = all.filter((position) => position.lost !== null)
  if (lost.length === 0) return ''
  const first = lost[0]!.lost!
  return `Beware: ${first}${lost.length > 1 ? `; and so in ${lost.length - 1} more partitions` : ''}. `
}

/** Shows, partition by partition, where a group stands in a topic and how many records wait for it. */
export const lag = defineRead({
  id: 'kafka.lag',
  summary: 'Show the committed offsets of a consumer group and how many records wait',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Kafka connection'),
    topic: z.string().describe('Topic'),
    group: z.string().min(1).describe('Consumer group'),
  }),
  async read({ connection, topic, group }, ctx) {
    const { client, settings } = await ctx.connect(kafka, connection)
    listed(settings, connection, topic)
    const [{ all, unasked }, { state }] = await Promise.all([
      positions(client, settings, topic, group, ctx),
      stateOf(client, settings, group, ctx),
    ])
    const total = all.reduce((sum, position) => sum + lagOf(position), 0)
    const behind = all.filter((position) => lagOf(position) > 0).length
    const isOdd = state === 'Dead' && all.some(({ committed }) => committed !== null)
    const of = isOdd
      ? 'Kafka calls the group dead although it has committed offsets: it is of a kind that cannot be asked for here.'
      : state
        ? `The group is ${state}.`
        : 'This cluster does not say whether the group has consumers.'
    const partly = unasked.length > 0 ? ` ${unasked.length} more could not be asked.` : ''
    return {
      summary: `${lostOf(all)}${total} records of ${topic} wait for ${group}, in ${behind} of ${all.length} partitions.${partly} ${of}`,
      blocks: [
        {
          type: 'table',
          columns: ['Partition', 'Committed', 'First kept', 'End', 'Lag'],
          rows: all.map((p) => [p.partition, p.committed ?? 'none', p.low, p.high, lagOf(p)].map(String)),
          omitted: 0,
        },
        ...said(all, unasked),
      ],
    }
  },
})
