import { z } from 'zod'
import type { EvidenceBlock } from '../../src/domain/command.ts'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { type Doubt, doubtOf, findBad, HOW_TO_TELL } from './bad.ts'
import { kafka } from './connection.ts'
import { binaryOf, faultIn, judgeIn, notJudged } from './format.ts'
import { lostOf, said } from './lag.ts'
import { recordAt } from './named.ts'
import { listed, positions } from './position.ts'
import { keyOf, preview, type Rec, sizeOf, timeOf } from './record.ts'

/** Partitions whose bad record is held against the records around it. */
const MOST_DOUBTED = 20

/** Finds, in each partition, the first record at or after the committed offset that the consumer cannot read as JSON. */
export const findBadRecord = defineRead({
  id: 'kafka.find-bad-record',
  summary: 'Find the first record at or after the committed offset that is not valid JSON',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Kafka connection'),
    topic: z.string().describe('Topic'),
    group: z.string().min(1).describe('Consumer group that does not get past it'),
    most: z.coerce.number().int().min(1).max(100_000).default(10_000).describe('Records to read in each partition'),
    partition: z.coerce.number().int().min(0).optional().describe("Partition that the consumer's own log names"),
    offset: z.coerce.number().int().min(0).optional().describe("Offset that the consumer's own log names"),
  }),
  async read({ connection, topic, group, most, partition, offset }, ctx) {
    const { client, settings } = await ctx.connect(kafka, connection)
    const { format } = listed(settings, connection, topic)
    const { all, unasked } = await positions(client, settings, topic, group, ctx)
    if (offset !== undefined) {
      const own = all.find((position) => position.partition === partition)
      if (!own)
        throw new Refused(
          partition === undefined
            ? 'An offset counts in one partition: give the partition of the log line as well.'
            : (unasked.find((one) => one.partition === partition)?.why ?? `${topic} has no partition ${partition}.`),
        )
      const record = await recordAt(client, settings, topic, { ...own, offset }, ctx)
      const stands =
        own.committed === null
          ? 'The group has committed nothing there'
          : own.committed > offset
            ? `The group is past it, at ${own.committed}`
            : `The group stands ${own.committed === offset ? 'at it' : `at ${own.committed}`}`
      return {
        summary: `${lostOf(all)}${topic}/${partition}/${offset}, which the consumer's log names, ${verdictOf(format, record)}. ${stands}.`,
        blocks: [tableOf([[record, verdictOf(format, record)]]), previewOf(record), ...said(all, unasked)],
      }
    }
    if (format === 'avro' || format === 'protobuf' || format === 'bytes')
      return { summary: `${lostOf(all)}${notJudged(topic, format)}`, blocks: said(all, unasked) }
    const found = await findBad(client, settings, topic, all, most, ctx)
    const bad: Rec[] = []
    const doubts: { record: Rec; doubt: Doubt }[] = []
    for (const search of found) {
      if (!search.bad) continue
      const doubt =
        bad.length + doubts.length < MOST_DOUBTED ? await doubtOf(client, settings, topic, all, search.bad, ctx) : null
      if (doubt) doubts.push({ record: search.bad, doubt })
      else bad.push(search.bad)
    }
    const partly = found.filter(
      ({ bad, readTo, position }) => !bad && readTo < position.high && (position.committed ?? 0) <= position.high,
    )
    const blocks: EvidenceBlock[] = []
    if (bad.length > 0) blocks.push(tableOf(bad.map((record) => [record, faultIn(format, record) ?? ''])))
    for (const record of bad) blocks.push(previewOf(record))
    for (const { doubt } of doubts)
      blocks.push({
        type: 'table',
        columns: ['Partition', 'Offset', 'Is'],
        rows: doubt.rows.map((row) => [...row]),
        omitted: 0,
      })
    if (doubts.length > 0) blocks.push({ type: 'text', text: HOW_TO_TELL })
    const odd = found.flatMap((search) => search.odd)
    if (odd.length > 0)
      blocks.push({
        type: 'text',
        text: odd.map(({ record, why }) => `${topic}/${record.partition}/${record.offset} is ${why}.`).join('\n'),
      })
    if (partly.length > 0)
      blocks.push({
        type: 'text',
        text: partly
          .map(
            ({ position: p, readTo, failed }) =>
              `Partition ${p.partition} was read up to offset ${readTo} of ${p.high} only${failed === null ? '.' : `: ${failed}`}`,
          )
          .join('\n'),
      })
    blocks.push(...said(all, unasked))
    const first = bad[0]
    const isPartly = partly.length > 0 || unasked.length > 0
    const summary = first
      ? `${bad.length} of ${all.length} partitions of ${topic} hold a bad record for ${group}; the first is partition ${first.partition}, offset ${first.offset}.`
      : doubts.length > 0
        ? `${doubts[0]!.doubt.what} No record of it is called bad.`
        : `No record that waits for ${group} in ${topic} is bad${isPartly ? ', as far as they were read' : ''}.`
    return { summary: `${lostOf(all)}${summary}`, blocks }
  },
})

/** What a record is in the eyes of the topic's format, as the end of a sentence. */
function verdictOf(format: Parameters<typeof judgeIn>[0], record: Rec): string {
  if (record.value === null) return 'is a tombstone: it has no value'
  const judged = judgeIn(format, record)
  const binary = binaryOf(record.value)
  if (judged === null) return `is not judged here (${format}${binary ? `; it says of itself: ${binary}` : ''})`
  if (judged.fault) return `is not JSON (${faultIn(format, record)})`
  return judged.remark ? `is valid JSON, with bytes in a string that are ${judged.remark}` : 'is valid JSON'
}

const tableOf = (rows: readonly (readonly [Rec, string])[]): EvidenceBlock => ({
  type: 'table',
  columns: ['Partition', 'Offset', 'Key', 'Size', 'Written', 'Fault'],
  rows: rows.map(([r, fault]) => [`${r.partition}`, `${r.offset}`, keyOf(r), sizeOf(r), timeOf(r), fault]),
  omitted: 0,
})
const previewOf = (record: Rec): EvidenceBlock => ({
  type: 'code',
  text: `${record.partition}/${record.offset}: ${preview(record.value)}`,
})
