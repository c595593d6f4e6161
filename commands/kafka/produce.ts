import { createReadStream } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import type { RunContext } from '../../src/domain/command.ts'
import { readLines } from '../s3/lines.ts'
import { answered } from './answer.ts'
import type { KafkaClient, KafkaSettings } from './connection.ts'
import type { Dump } from './dump.ts'
import { patiently } from './patience.ts'
import { fileOf, type Progress, readProgress, writeProgress } from './progress.ts'
import type { Rec } from './record.ts'
import { scan } from './scan.ts'
import type { NewRecord } from './wire/client.ts'
import { partitionOf } from './wire/partitioners.ts'

/** Added to each record: which replay it is of, and its line in the dump. */
const REPLAY = 'keyturn-replay'
const MOST_RECORDS = 500
const MOST_BYTES = 512 * 1024

/** One line of the cleaned copy. */
export const Clean = z.object({
  line: z.number().int(),
  key: z.string().nullable(),
  value: z.string().nullable(),
  timestamp: z.number().nullable(),
  headers: z.array(z.tuple([z.string(), z.string().nullable()])),
})
export type Clean = z.infer<typeof Clean>

export type Replay = Readonly<{ dump: Pick<Dump, 'path' | 'name'>; topic: string; token: string; perSecond: number }>
type Look = Pick<RunContext, 'signal'> & Partial<Pick<RunContext, 'progress'>>

/** The line of the dump that a record of this replay came from; null if it is none. */
function lineIn(headers: Rec['headers'], token: string): number | null {
  for (const [name, value] of headers)
    if (name === REPLAY && value?.toString().startsWith(`${token}/`))
      return Number(value.toString().slice(token.length + 1))
  return null
}

/** The end of each partition. Throws a sentence when one of them cannot be asked: a key may belong there. */
export async function endsOf(
  client: KafkaClient,
  settings: KafkaSettings,
  topic: string,
  ctx: Look,
): Promise<Record<string, number>> {
  const all = await patiently(client, settings, ctx, async () => {
    const ends = await client.wire.ends(topic)
    for (const end of ends) if ('error' in end) throw end.error
    return ends.flatMap((end) => ('error' in end ? [] : [end]))
  })
  return Object.fromEntries(all.map(({ partition, high }) => [String(partition), high]))
}

/** Lines of this replay that are in the topic although its progress does not say so: a crash came between. */
export async function landedAfter(
  client: KafkaClient,
  settings: KafkaSettings,
  { topic, token }: Replay,
  { ends, line }: Progress,
  ctx: Look,
): Promise<Set<number>> {
  const found = new Set<number>()
  if (!ends) return found
  const now = await endsOf(client, settings, topic, ctx)
  const ranges = Object.entries(now).map(([partition, to]) => ({
    partition: Number(partition),
    from: ends[partition] ?? 0,
    to,
  }))
  const readTo = await scan(
    client,
    settings,
    topic,
    ranges,
    ({ headers }) => {
      const of = lineIn(headers, token)
      if (of !== null && of > line) found.add(of)
      return false
    },
    ctx,
  )
  const unread = ranges.find((range) => readTo.get(range.partition)! < range.to)
  if (unread)
    throw new Error(`${topic}/${unread.partition} could be read up to offset ${readTo.get(unread.partition)} only`)
  return found
}

/** Whether the newest record of this replay stands where its progress says. */
export async function lastIsThere(
  client: KafkaClient,
  settings: KafkaSettings,
  { topic, token }: Replay,
  { last }: Progress,
  ctx: Look,
): Promise<boolean> {
  if (!last) return false
  let there = false
  const range = { partition: last.partition, from: last.offset, to: last.offset + 1 }
  const visit = ({ headers }: Rec) => {
    there = lineIn(headers, token) !== null
    return true
  }
  await scan(client, settings, topic, [range], visit, ctx)
  return there
}

/**
 * Produces the rest of the cleaned copy, at most `perSecond` records a second. After each batch that all replicas in
 * sync have, the byte to go on at is on the disk; what a crash left behind it is looked up and not produced again.
 */
export async function produceRest(
  client: KafkaClient,
  settings: KafkaSettings,
  replay: Replay,
  ctx: Pick<RunContext, 'signal' | 'progress' | 'now'>,
): Promise<Progress> {
  const { dump, topic, token, perSecond } = replay
  let progress = (await readProgress(dump))!
  const there = await landedAfter(client, settings, replay, progress, ctx)
  const ends = { ...(progress.ends ?? (await endsOf(client, settings, topic, ctx))) }
  // From now on what lies behind these offsets may be of this replay.
  if (!progress.ends) {
    progress = { ...progress, ends: { ...ends } }
    await writeProgress(dump, progress)
  }
  const partitions = await patiently(client, settings, ctx, () => client.wire.partitions(topic))
  const { partitioner } = settings.topics[topic]!
  let keyless = 0
  const most = Math.max(1, Math.min(MOST_RECORDS, Math.ceil(perSecond / 5)))
  const began = performance.now()
  let sent = 0
  let batch: { record: Clean; end: number; size: number }[] = []

  const byPartition = (missing: typeof batch): Map<number, NewRecord[]> => {
    const parts = new Map<number, NewRecord[]>()
    for (const { record } of missing) {
      const key = record.key === null ? null : Buffer.from(record.key)
      const place = partitionOf(partitioner, key, partitions.length) ?? keyless++ % partitions.length
      const list = parts.get(partitions[place]!) ?? []
      list.push({
        key,
        value: record.value === null ? null : Buffer.from(record.value),
        timestamp: record.timestamp === null ? null : BigInt(Math.trunc(record.timestamp)),
        headers: [
          ...record.headers.map(([name, text]) => [name, text === null ? null : Buffer.from(text)] as const),
          [REPLAY, Buffer.from(`${token}/${record.line}`)],
        ],
      })
      parts.set(partitions[place]!, list)
    }
    return parts
  }

  const flush = async () => {
    if (batch.length === 0) return
    ctx.signal.throwIfAborted()
    const missing = batch.filter(({ record }) => !there.has(record.line))
    let last = progress.last
    for (const [partition, records] of byPartition(missing)) {
      const first = await patiently(
        client,
        settings,
        ctx,
        () => answered(`to produce to ${topic}`, () => client.wire.append(topic, partition, records, ctx.now())),
        true,
      )
      ends[String(partition)] = Math.max(ends[String(partition)] ?? 0, first + 1)
      last = { partition, offset: first }
    }
    progress = {
      ...progress,
      byte: batch.at(-1)!.end,
      produced: progress.produced + batch.length,
      line: batch.at(-1)!.record.line,
      ends: { ...ends },
      last,
      at: ctx.now().toISOString(),
    }
    await writeProgress(dump, progress)
    sent += missing.length
    batch = []
    ctx.progress(progress.produced, progress.total, `records of ${dump.name} produced to ${topic}`)
    const early = (sent / perSecond) * 1000 - (performance.now() - began)
    if (early > 0) await pause(early, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted())
  }

  let byte = progress.byte
  const rest = createReadStream(fileOf(dump, 'clean'), { start: byte })
  for await (const lines of readLines(rest, ctx.signal, true))
    for (const { bytes, ended } of lines) {
      if (!bytes || !ended) throw new Error(`${dump.name}.clean ends within a line after byte ${byte}`)
      byte += bytes.length + 1
      const size = bytes.length
      if (batch.reduce((sum, one) => sum + one.size, size) > MOST_BYTES) await flush()
      batch.push({ record: Clean.parse(JSON.parse(bytes.toString('utf8'))), end: byte, size })
      if (batch.length >= most) await flush()
    }
  await flush()
  return progress
}
