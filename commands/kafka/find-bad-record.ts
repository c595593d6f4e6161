import { z } from 'zod'
import type { EvidenceBlock } from '../../src/domain/command.ts'
import { defineRead } from '../../src/domain/command.ts'
import { findBad } from './bad.ts'
import { kafka } from './connection.ts'
import { listed, positions } from './position.ts'
import { faultOf, keyOf, preview, sizeOf, timeOf } from './record.ts'

/** Finds, in each partition, the first record at or after the committed offset that is not valid JSON. */
export const findBadRecord = defineRead({
  id: 'kafka.find-bad-record',
  summary: 'Find the first record at or after the committed offset that is not valid JSON',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Kafka connection'),
    topic: z.string().describe('Topic'),
    group: z.string().min(1).describe('Consumer group that does not get past it'),
    most: z.coerce.number().int().min(1).max(100_000).default(10_000).describe('Records to read in each partition'),
  }),
  async read({ connection, topic, group, most }, ctx) {
    const { client, settings } = await ctx.connect(kafka, connection)
    listed(settings, connection, topic)
    const all = await positions(client, topic, group)
    const found = await findBad(client, settings, topic, all, most, ctx)
    const bad = found.flatMap((search) => (search.bad ? [search.bad] : []))
    const partly = found.filter(({ bad, readTo, position }) => !bad && readTo < position.high)
    const blocks: EvidenceBlock[] = []
    if (bad.length > 0)
      blocks.push({
        type: 'table',
        columns: ['Partition', 'Offset', 'Key', 'Size', 'Written', 'Fault'],
        rows: bad.map((r) => [`${r.partition}`, `${r.offset}`, keyOf(r), sizeOf(r), timeOf(r), faultOf(r) ?? '']),
        omitted: 0,
      })
    for (const record of bad)
      blocks.push({ type: 'code', text: `${record.partition}/${record.offset}: ${preview(record.value)}` })
    if (partly.length > 0)
      blocks.push({
        type: 'text',
        text: partly
          .map(
            ({ position: p, readTo }) => `Partition ${p.partition} was read up to offset ${readTo} of ${p.high} only.`,
          )
          .join('\n'),
      })
    const first = bad[0]
    const summary = first
      ? `${bad.length} of ${all.length} partitions of ${topic} hold a bad record for ${group}; the first is partition ${first.partition}, offset ${first.offset}.`
      : `No record that waits for ${group} in ${topic} is bad${partly.length > 0 ? ', as far as they were read' : ''}.`
    return { summary, blocks }
  },
})
