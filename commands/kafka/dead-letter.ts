import type { Kafka } from 'kafkajs'
import { type ReadContext, Refused } from '../../src/domain/command.ts'
import { answered } from './answer.ts'
import type { KafkaClient, KafkaSettings } from './connection.ts'
import type { Rec } from './record.ts'
import { hashOf } from './record.ts'
import { scan } from './scan.ts'

/** Added to a copy beside its own headers: where it came from. */
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

/** Copies records with key, value, headers and timestamp; resolves when all replicas in sync have them. */
export async function copy(
  kafka: Kafka,
  to: string,
  records: readonly Rec[],
  shown: readonly Shown[],
  signal: AbortSignal,
): Promise<void> {
  const producer = kafka.producer({ allowAutoTopicCreation: false, retry: { retries: 0 } })
  try {
    await producer.connect()
    for (const [i, { key, value, timestamp, headers }] of records.entries()) {
      signal.throwIfAborted()
      const kept: Record<string, Buffer[]> = {}
      for (const [name, bytes] of headers) kept[name] = [...(kept[name] ?? []), bytes]
      const message = { key, value, timestamp, headers: { ...kept, [SOURCE]: sourceOf(shown[i]!) } }
      await answered(`to produce to ${to}`, () => producer.send({ topic: to, acks: -1, messages: [message] }))
    }
  } finally {
    await producer.disconnect()
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
  const ranges = (await client.admin.fetchTopicOffsets(deadLetter)).map(({ partition, low, high }) => ({
    partition,
    from: Math.max(Number(low), Number(high) - NEWEST),
    to: Number(high),
    isWhole: Number(high) - Number(low) <= NEWEST,
  }))
  const found = new Set<number>()
  const wanted = new Map(shown.map((s) => [sourceOf(s), s.offset]))
  const visit = ({ headers }: Rec) => {
    for (const [name, value] of headers)
      if (name === SOURCE && wanted.has(value.toString())) found.add(wanted.get(value.toString())!)
    return false
  }
  const next = await scan(client, settings, deadLetter, ranges, visit, ctx)
  return { found, sawAll: ranges.every((r) => r.isWhole && next.get(r.partition) === r.to) }
}
