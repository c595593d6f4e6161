import { z } from 'zod'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { answered } from './answer.ts'
import { findBad } from './bad.ts'
import { kafka } from './connection.ts'
import type { Shown } from './dead-letter.ts'
import { copied, copy, readShown } from './dead-letter.ts'
import { alone } from './member.ts'
import { isActive, listed, positions, stateOf } from './position.ts'
import type { Rec } from './record.ts'
import { faultOf, hashOf, keyOf, preview, sizeOf, timeOf } from './record.ts'
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
const SEARCH = 10_000

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
  }),
  async plan({ connection, topic, group, partition, records }, ctx) {
    const { client, settings } = await ctx.connect(kafka, connection)
    const { groups, deadLetter } = listed(settings, connection, topic)
    if (!groups.includes(group))
      throw new Refused(
        `The connection "${connection}" does not let "${group}" be moved in ${topic}. It lists: ${groups.join(', ') || 'none'}.`,
      )
    if (!deadLetter) throw new Refused(`${topic} has no dead-letter topic in "${connection}": nothing is skipped.`)
    const state = await stateOf(client, group)
    if (isActive(state))
      throw new Refused(`The group "${group}" is ${state}: it has consumers. Scale them to 0 first, then ask again.`)
    const position = (await positions(client, topic, group)).find((p) => p.partition === partition)
    if (!position) throw new Refused(`${topic} has no partition ${partition}.`)
    if (position.committed === null)
      throw new Refused(
        `The group "${group}" has committed nothing in ${topic}/${partition}: there is no place to move it from.`,
      )
    const from = position.committed
    const [search] = await findBad(client, settings, topic, [position], SEARCH, ctx)
    if (!search?.bad)
      throw new Refused(
        `No bad record was found in ${topic}/${partition} from offset ${from} to ${search?.readTo ?? from}. Nothing to do.`,
      )
    const bad = search.bad
    const passed: Rec[] = []
    if (bad.offset > from) {
      const visit = (record: Rec) => passed.push(record) > MOST
      await scan(client, settings, topic, [{ partition, from, to: bad.offset + 1 }], visit, ctx)
    } else passed.push(bad)
    if (passed.length > records)
      throw new Refused(
        `The group stands at ${from}, the bad record at ${bad.offset}: ${bad.offset - from} offsets between them would be passed as well. Let the consumer work through them, or allow up to ${MOST} records.`,
      )
    const shown = passed.map((r): Shown => ({ topic, partition, offset: r.offset, hash: hashOf(r) }))
    const to = bad.offset + 1
    const place = `kafka:${connection}/${topic}/${partition}`
    const warnings = passed.length > 1 ? [`${passed.length - 1} valid records are passed as well; all are copied.`] : []
    if (state === null)
      warnings.push('This cluster does not say whether the group has consumers; the run finds out by joining it.')
    return {
      summary: `Move ${group} in ${topic}/${partition} from offset ${from} to ${to}, past ${passed.length === 1 ? 'one record' : `${passed.length} records`}`,
      targets: [
        {
          id: `${place}/group/${group}`,
          name: `${group} in ${topic}/${partition}`,
          fingerprint: `committed ${from}`,
          details: { Committed: `${from} → ${to}`, 'First kept': String(position.low), State: state ?? 'unknown' },
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
            Fault: faultOf(r) ?? 'none: a valid record',
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
      const now = (await positions(client, topic, group)).find((p) => p.partition === partition)?.committed ?? null
      if (now !== from)
        throw new Refused(
          `The group "${group}" stands at ${now ?? 'no offset'} in ${topic}/${partition} now, not at ${from}.`,
        )
    }
    // Held from the first look to the commit: who comes meanwhile makes the commit fail.
    await alone(client.kafka, { group, given, signal: ctx.signal }, async (consumer) => {
      await stillThere()
      await ctx.step('copy', async () => {
        const copies = await readShown(client, settings, records, ctx)
        await copy(client.kafka, deadLetter, copies, records, ctx.signal)
        return copies.length
      })
      ctx.progress(1, 2)
      await ctx.step('move', async () => {
        await stillThere()
        await answered(`to commit for ${group}`, () =>
          consumer.commitOffsets([{ topic, partition, offset: String(to) }]),
        )
        return to
      })
    })
    return `${group} goes on at ${topic}/${partition}/${to}; ${records.length === 1 ? 'the record is' : `${records.length} records are`} in ${deadLetter}.`
  },
  async verify({ data }, ctx) {
    const { client, settings } = await ctx.connect(kafka, data.connection)
    const all = await positions(client, data.topic, data.group)
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
      const all = await positions(client, data.topic, data.group)
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
