import { type ReadContext, Refused, type RunContext } from '../../src/domain/command.ts'
import { answered } from './answer.ts'
import type { KafkaClient, KafkaSettings } from './connection.ts'
import { patiently, patientlyAll } from './patience.ts'
import type { Rec } from './record.ts'
import { hashOf } from './record.ts'
import { scan } from './scan.ts'
import { partitionOf } from './wire/partitioners.ts'

/** Added to a copy behind its own headers: where it came from. */
const SOURCE = 'keyturn-source'
/** The newest records of a dead-letter partition that are looked through for a copy. */
const NEWEST = 1_000

/** A record that was shown, by place and content. */
export type Shown = Readonly<{ topic: string; partition: number; offset: number; hash: string }>

const sourceOf = ({ topic, partition, offset, hash }: Shown) => `${topic}/${partition}/${offset}/${hash}`

/** Reads exactly these records again, in their order. Refuses when one is gone or another one. */
export async function readShown(
  client: KafkaClient,
  settings: KafkaSettings,
  shown: readonly Shown[],
  ctx: Pick<ReadContext, 'now' | 'signal'>,
): Promise<Rec[]> {
  const { topic, partition, offset: from } = shown[0]!
  const found = new Map<number, Rec>()
  const visit = (record: Rec) => {
    found.set(record.offset, record)
    return false
  }
  const range = { partition, from, to: shown.at(-1)!.offset + 1 }
  await scan(client, settings, topic, [range], visit, ctx)
  return shown.map(({ offset, hash }) => {
    const record = found.get(offset)
    if (!record || hashOf(record) !== hash)
      throw new Refused(
        `The record at ${topic}/${partition}/${offset} is ${record ? 'not the one that was shown' : 'gone'}.`,
      )
    return record
  })
}

/** Copies records byte for byte with key, value, headers and timestamp; resolves when all replicas in sync have them. */
export async function copy(
  client: KafkaClient,
  settings: KafkaSettings,
  to: string,
  records: readonly Rec[],
  shown: readonly Shown[],
  ctx: Pick<RunContext, 'now' | 'signal' | 'progress'>,
): Promise<void> {
  const { wire } = client
  const partitions = await patiently(client, settings, ctx, () => wire.partitions(to))
  const { partitioner = 'murmur2' } = settings.topics[to] ?? {}
  for (const [i, { key, value, timestamp, headers }] of records.entries()) {
    ctx.signal.throwIfAborted()
    // Records of one key stay together; those without stay with their partition.
    const place = partitionOf(partitioner, key, partitions.length) ?? shown[i]!.partition % partitions.length
    const copy = {
      key,
      value,
      timestamp,
      headers: [...headers, [SOURCE, Buffer.from(sourceOf(shown[i]!))] as const],
    }
    await patiently(
      client,
      settings,
      ctx,
      () => answered(`to produce to ${to}`, () => wire.append(to, partitions[place]!, [copy], ctx.now())),
      true,
    )
  }
}

/** Which of these records have a copy among the newest of the dead-letter topic, and whether all of it was seen. */
export async function copied(
  client: KafkaClient,
  settings: KafkaSettings,
  deadLetter: string,
  shown: readonly Shown[],
  ctx: Pick<ReadContext, 'now' | 'signal'>,
): Promise<{ found: Set<number>; sawAll: boolean }> {
  const ends = await patientlyAll(client, settings, ctx, () => client.wire.ends(deadLetter))
  const ranges = ends.flatMap((end) =>
    'error' in end
      ? []
      : [
          {
            partition: end.partition,
            from: Math.max(end.low, end.high - NEWEST),
            to: end.high,
            isWhole: end.high - end.low <= NEWEST,
          },
        ],
  )
  const found = new Set<number>()
  const wanted = new Map(shown.map((s) => [sourceOf(s), s.offset]))
  const visit = ({ headers }: Rec) => {
    for (const [name, value] of headers)
      if (name === SOURCE && value !== null && wanted.has(value.toString())) found.add(wanted.get(value.toString())!)
    return false
  }
  const next = await scan(client, settings, deadLetter, ranges, visit, ctx)
  const sawAll = ranges.length === ends.length && ranges.every((r) => r.isWhole && next.get(r.partition) === r.to)
  return { found, sawAll }
}
