import { z } from 'zod'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { answered } from './answer.ts'
import { faultOfShown, judgedBad, namedBad } from './bad-one.ts'
import { kafka } from './connection.ts'
import type { Shown } from './dead-letter.ts'
import { copied, copy, readShown } from './dead-letter.ts'
import { faultIn, judgeIn } from './format.ts'
import { alone } from './member.ts'
import { patiently } from './patience.ts'
import { wordOf } from './plain.ts'
import { listed, mustBeIdle, positions, stateOf } from './position.ts'
import type { Rec } from './record.ts'
import { hashOf, keyOf, preview, sizeOf, timeOf } from './record.ts'
import { scan } from './scan.ts'

type Data = Readonly<{
  connection: string
  topic: string
  group: string
  partition: number
  deadLetter: string
  from: number
  to: number
  records: readonly Shown[]
}>

/** More records than a person reads before a decision. */
const MOST = 20

/** Moves a group past one bad record, after that record was copied to the dead-letter topic. */
export const skipRecord = defineChange({
  id: 'kafka.skip-record',
  summary: 'Copy a bad record to the dead-letter topic, then move the consumer group past it',
  effect: 'once',
  risk: 'medium',
  params: z.object({
    connection: z.string().describe('Kafka connection'),
    topic: z.string().describe('Topic'),
    group: z.string().min(1).describe('Consumer group'),
    partition: z.coerce.number().int().min(0).describe('Partition'),
    records: z.coerce
      .number()
      .int()
      .min(1)
      .max(MOST)
      .default(1)
      .describe('Records that may be passed, the bad one last'),
    offset: z.coerce.number().int().min(0).optional().describe("Offset that the consumer's own log names as bad"),
  }),
  async plan({ connection, topic, group, partition, records, offset }, ctx) {
    const { client, settings } = await ctx.connect(kafka, connection)
    const { groups, deadLetter, format } = listed(settings, connection, topic)
    if (!groups.includes(group))
      throw new Refused(
        `The connection "${connection}" does not let "${group}" be moved in ${topic}. It lists: ${groups.join(', ') || 'none'}.`,
      )
    if (!deadLetter) throw new Refused(`${topic} has no dead-letter topic in "${connection}": nothing is skipped.`)
    const state = await stateOf(client, settings, group, ctx)
    const { all, unasked } = await positions(client, settings, topic, group, ctx)
    mustBeIdle(
      group,
      state,
      all.some((p) => p.committed !== null),
    )
    const position = all.find((p) => p.partition === partition)
    const why = unasked.find((one) => one.partition === partition)?.why
    if (why !== undefined) throw new Refused(`${topic}/${partition} could not be asked: ${why}`)
    if (!position) throw new Refused(`${topic} has no partition ${partition}.`)
    if (position.committed === null)
      throw new Refused(
        `The group "${group}" has committed nothing in ${topic}/${partition}: there is no place to move it from.`,
      )
    if (position.lost !== null) throw new Refused(`Nothing is passed: ${position.lost}.`)
    const aside = await patiently(client, settings, ctx, () => client.wire.partitions(deadLetter)).catch(
      (error: unknown) => {
        if (wordOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION') return []
        throw error
      },
    )
    if (aside.length === 0)
      throw new Refused(
        `The dead-letter topic ${deadLetter} does not exist, or this user may not see it: nothing is passed without a copy.`,
      )
    const from = position.committed
    const bad =
      offset === undefined
        ? await judgedBad(client, settings, topic, all, position, ctx)
        : await namedBad(client, settings, topic, position, offset, ctx)
    const passed: Rec[] = []
    const visit = (record: Rec) => {
      if (!record.aborted || record.offset === bad.offset) passed.push(record)
      return passed.length > MOST
    }
    await scan(client, settings, topic, [{ partition, from, to: bad.offset + 1 }], visit, ctx)
    if (passed.length > records)
      throw new Refused(
        `The group stands at ${from}, the bad record at ${bad.offset}: ${passed.length > MOST ? `more than ${MOST - 1}` : passed.length - 1} records between them would be passed as well. Let the consumer work through them, or allow up to ${MOST} records.`,
      )
    if (passed.at(-1)?.offset !== bad.offset)
      throw new Refused(
        `The records from ${from} to ${bad.offset} of ${topic}/${partition} could not all be read again.`,
      )
    const shown = passed.map((r): Shown => ({ topic, partition, offset: r.offset, hash: hashOf(r) }))
    const to = bad.offset + 1
    const place = `kafka:${connection}/${topic}/${partition}`
    const warnings = passed.length > 1 ? [`${passed.length - 1} valid records are passed as well; all are copied.`] : []
    if (offset !== undefined)
      warnings.push(
        `The record is passed on the word of the consumer's log: here it ${faultIn(format, bad) === null ? (judgeIn(format, bad) === null ? `is not judged (${format})` : 'is valid') : 'is not JSON'}. Look at that line: partition ${partition}, offset ${offset}.`,
      )
    if (bad.value !== null && judgeIn(format, bad)?.remark)
      warnings.push('It holds bytes that are not UTF-8 inside a string.')
    if (state.state === null)
      warnings.push('This cluster does not say whether the group has consumers; the run finds out by joining it.')
    return {
      summary: `Move ${group} in ${topic}/${partition} from offset ${from} to ${to}, past ${passed.length === 1 ? 'one record' : `${passed.length} records`}`,
      targets: [
        {
          id: `${place}/group/${group}`,
          name: `${group} in ${topic}/${partition}`,
          fingerprint: `committed ${from}`,
          details: {
            Committed: `${from} → ${to}`,
            'First kept': String(position.low),
            State: state.state ?? 'unknown',
          },
        },
        ...passed.map((r, i) => ({
          id: `${place}/offset/${r.offset}`,
          name: `${topic}/${partition}/${r.offset}`,
          fingerprint: `${r.offset} ${shown[i]!.hash}`,
          details: {
            Key: keyOf(r),
            Size: sizeOf(r),
            Written: timeOf(r),
            Headers: r.headers.map(([name]) => preview(Buffer.from(name))).join(', ') || 'none',
            Fault: faultOfShown(format, r, offset),
            Value: preview(r.value),
          },
        })),
      ],
      steps: [
        {
          id: 'copy',
          title: `Copy to ${deadLetter}`,
          detail: `produce to ${deadLetter}: offset ${shown.map((s) => s.offset).join(', ')} with key, value, headers and timestamp`,
        },
        {
          id: 'move',
          title: `Move the group to offset ${to}`,
          detail: `join ${group} as its only member, commit ${topic}/${partition} = ${to}, leave`,
        },
      ],
      warnings,
      data: { connection, topic, group, partition, deadLetter, from, to, records: shown } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const { client, settings } = await ctx.connect(kafka, data.connection)
    const { topic, group, partition, deadLetter, from, to, records } = data
    const given = { topic, partitions: [] }
    const stillThere = async () => {
      const { all } = await positions(client, settings, topic, group, ctx)
      const now = all.find((p) => p.partition === partition)
      if (now?.committed !== from)
        throw new Refused(
          `The group "${group}" stands at ${now?.committed ?? 'no offset'} in ${topic}/${partition} now, not at ${from}.`,
        )
      if (now.lost !== null) throw new Refused(`Nothing is passed: ${now.lost}.`)
    }
    // To join a group that is in use has all of its consumers stop for a moment: it is asked for before.
    mustBeIdle(group, await stateOf(client, settings, group, ctx), true)
    // Held from the first look to the commit: who comes meanwhile makes the commit fail.
    await alone(client, settings, { group, given }, ctx, async (consumer) => {
      await stillThere()
      await ctx.step('copy', async () => {
        const copies = await readShown(client, settings, records, ctx)
        await copy(client, settings, deadLetter, copies, records, ctx)
        return copies.length
      })
      ctx.progress(1, 2)
      await ctx.step('move', async () => {
        await stillThere()
        const commit = () => consumer.commitOffsets([{ topic, partition, offset: String(to) }])
        await patiently(client, settings, ctx, () => answered(`to commit for ${group}`, commit), true)
        return to
      })
    })
    return `${group} goes on at ${topic}/${partition}/${to}; ${records.length === 1 ? 'the record is' : `${records.length} records are`} in ${deadLetter}.`
  },
  async verify({ data }, ctx) {
    const { client, settings } = await ctx.connect(kafka, data.connection)
    const { all } = await positions(client, settings, data.topic, data.group, ctx)
    const now = all.find((p) => p.partition === data.partition)?.committed ?? null
    const { found } = await copied(client, settings, data.deadLetter, data.records, ctx)
    return [
      { title: 'The group is past the record', ok: now !== null && now >= data.to, detail: `at ${now ?? 'no offset'}` },
      {
        title: 'The dead-letter topic holds the copy',
        ok: found.size === data.records.length,
        detail: `${found.size} of ${data.records.length}`,
      },
    ]
  },
  async probe({ data }, step, ctx) {
    const { client, settings } = await ctx.connect(kafka, data.connection)
    if (step === 'move') {
      const { all } = await positions(client, settings, data.topic, data.group, ctx)
      const now = all.find((p) => p.partition === data.partition)?.committed ?? null
      const landed = now === data.from ? 'no' : now !== null && now >= data.to ? 'yes' : 'cannot_tell'
      return { landed, detail: `${data.group} stands at ${now ?? 'no offset'}` }
    }
    const { found, sawAll } = await copied(client, settings, data.deadLetter, data.records, ctx)
    const detail = `${found.size} of ${data.records.length} copies are in ${data.deadLetter}`
    if (found.size === data.records.length) return { landed: 'yes', detail }
    return { landed: found.size === 0 && sawAll ? 'no' : 'cannot_tell', detail }
  },
})
