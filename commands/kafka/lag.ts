import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { kafka } from './connection.ts'
import { lagOf, listed, positions, stateOf } from './position.ts'

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
    const [all, state] = await Promise.all([positions(client, topic, group), stateOf(client, group)])
    const total = all.reduce((sum, position) => sum + lagOf(position), 0)
    const behind = all.filter((position) => lagOf(position) > 0).length
    return {
      summary: `${total} records of ${topic} wait for ${group}, in ${behind} of ${all.length} partitions. ${state ? `The group is ${state}.` : 'This cluster does not say whether the group has consumers.'}`,
      blocks: [
        {
          type: 'table',
          columns: ['Partition', 'Committed', 'First kept', 'End', 'Lag'],
          rows: all.map((p) => [p.partition, p.committed ?? 'none', p.low, p.high, lagOf(p)].map(String)),
          omitted: 0,
        },
      ],
    }
  },
})
