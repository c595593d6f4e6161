import { createReadStream } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import type { RunContext } from '../../src/domain/command.ts'
import { readLines } from '../s3/lines.ts'
import { answered } from './answer.ts'
import type { KafkaClient, KafkaSettings } from './connection.ts'
import type { Dump } from './dump.ts'
import { fileOf, type Progress, readProgress, writeProgress } from './progress.ts'
import type { Rec } from './record.ts'
import { scan } from './scan.ts'

/** Added to each record: which replay it is of, and its line in the dump. */
const REPLAY = 'keyturn-replay'
const MOST_RECORDS = 500
const MOST_BYTES = 512 * 1024

/** One line of the cleaned copy. */
export const Clean = z.object({
  line: z.number().int(),
  key: z.string().nullable(),
  value: z.string(),
  timestamp: z.number().nullable(),
  headers: z.array(z.tuple([z.string(), z.string()])),
})
export type Clean = z.infer<typeof Clean>

export type Replay = Readonly<{ dump: Pick<Dump, 'path' | 'name'>; topic: string; token: string; perSecond: number }>
type Look = Pick<RunContext, 'signal'>

/** The line of the dump that a record of this replay came from; null if it is none. */
function lineIn(headers: Rec['headers'], token: string): number | null {
  const mark = headers.find(([name, value]) => name === REPLAY && value.toString().startsWith(`${token}/`))
  return mark ? Number(mark[1].toString().slice(token.length + 1)) : null
}

/** The end of each partition. */
export async function endsOf({ admin }: KafkaClient, topic: string): Promise<Record<string, number>> {
  const all = await admin.fetchTopicOffsets(topic)
  return Object.fromEntries(all.map(({ partition, high }) => [String(partition), Number(high)]))
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
  const now = await endsOf(client, topic)
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
  const ends = { ...(progress.ends ?? (await endsOf(client, topic))) }
  // From now on what lies behind these offsets may be of this replay.
  if (!progress.ends) {
    progress = { ...progress, ends: { ...ends } }
    await writeProgress(dump, progress)
  }
  const producer = client.kafka.producer({ allowAutoTopicCreation: false, retry: { retries: 0 } })
  const most = Math.max(1, Math.min(MOST_RECORDS, Math.ceil(perSecond / 5)))
  const began = performance.now()
  let sent = 0
  let batch: { record: Clean; end: number; size: number }[] = []

  const flush = async () => {
    if (batch.length === 0) return
    ctx.signal.throwIfAborted()
    const missing = batch.filter(({ record }) => !there.has(record.line))
    const messages = missing.map(({ record: { line, key, value, timestamp, headers } }) => ({
      key,
      value,
      ...(timestamp !== null && { timestamp: String(timestamp) }),
      headers: { ...byName(headers), [REPLAY]: `${token}/${line}` },
    }))
    let last = progress.last
    if (messages.length > 0) {
      const answers = await answered(`to produce to ${topic}`, () => producer.send({ topic, acks: -1, messages }))
      for (const { partition, baseOffset } of answers) {
        if (baseOffset === undefined) continue
        ends[String(partition)] = Math.max(ends[String(partition)] ?? 0, Number(baseOffset) + 1)
        last = { partition, offset: Number(baseOffset) }
      }
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
    sent += messages.length
    batch = []
    ctx.progress(progress.produced, progress.total, `records of ${dump.name} produced to ${topic}`)
    const early = (sent / perSecond) * 1000 - (performance.now() - began)
    if (early > 0) await pause(early, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted())
  }

  try {
    await producer.connect()
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
  } finally {
    await producer.disconnect()
  }
  return progress
}

/** A name may come more than once. */
function byName(headers: Clean['headers']): Record<string, string[]> {
  const all = Map.groupBy(headers, ([name]) => name)
  return Object.fromEntries([...all].map(([name, pairs]) => [name, pairs.map(([, value]) => value)]))
}
