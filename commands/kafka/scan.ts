import { setTimeout as pause } from 'node:timers/promises'
import type { Kafka } from 'kafkajs'
import type { ReadContext } from '../../src/domain/command.ts'
import type { KafkaSettings } from './connection.ts'
import { alone } from './member.ts'
import type { Rec } from './record.ts'
import { toRec } from './record.ts'

/** Offsets `from` up to, and without, `to`. */
export type Range = Readonly<{ partition: number; from: number; to: number }>

let scans = 0

/**
 * Reads ranges of one topic in a group of our own, record by record; `visit` answers true when it needs no more of that
 * partition. Gives the offset up to which each partition was read: less than `to` when it gave nothing for too long.
 */
export async function scan(
  kafka: Kafka,
  settings: KafkaSettings,
  topic: string,
  ranges: readonly Range[],
  visit: (record: Rec) => boolean,
  ctx: Pick<ReadContext, 'now' | 'signal'>,
): Promise<Map<number, number>> {
  const wanted = ranges.filter(({ from, to }) => from < to)
  const next = new Map(ranges.map(({ partition, from }) => [partition, from]))
  const open = new Set(wanted.map(({ partition }) => partition))
  if (open.size === 0) return next
  const ends = new Map(wanted.map(({ partition, to }) => [partition, to]))
  const done = Promise.withResolvers<void>()
  const idle = new AbortController()
  let last = performance.now()

  const eachBatch = async ({ batch }: { batch: { partition: number; messages: Parameters<typeof toRec>[1][] } }) => {
    const { partition } = batch
    for (const message of batch.messages) {
      const record = toRec(partition, message)
      if (!open.has(partition) || record.offset < next.get(partition)!) continue
      const end = ends.get(partition)!
      last = performance.now()
      next.set(partition, Math.min(record.offset + 1, end))
      if (record.offset >= end || visit(record) || record.offset + 1 >= end) open.delete(partition)
    }
    if (open.size === 0) done.resolve()
  }
  const tooLong = async () => {
    const most = settings.idleSeconds * 1000
    for (let left = most; left > 0; left = most - (performance.now() - last))
      await pause(left, undefined, { signal: idle.signal })
  }
  const group = `${settings.readGroupPrefix}read-${ctx.now().getTime()}-${++scans}`
  const given = { topic, partitions: [...open] }
  const seek = new Map(wanted.map(({ partition, from }) => [partition, from]))
  try {
    await alone(kafka, { group, given, signal: ctx.signal, eachBatch, seek }, async () => {
      last = performance.now()
      await Promise.race([done.promise, tooLong()])
    })
  } finally {
    idle.abort()
  }
  return next
}
