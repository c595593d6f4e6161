import { setTimeout as pause } from 'node:timers/promises'
import type { ReadContext } from '../../src/domain/command.ts'
import type { KafkaClient, KafkaSettings } from './connection.ts'
import type { Rec } from './record.ts'
import { toRec } from './record.ts'

/** Offsets `from` up to, and without, `to`. */
export type Range = Readonly<{ partition: number; from: number; to: number }>

const AGAIN_MS = 250

/**
 * Reads ranges of one topic, record by record; `visit` answers true when it needs no more of that partition. Gives the
 * offset up to which each partition was read: less than `to` when it gave nothing for too long.
 */
export async function scan(
  { reader }: KafkaClient,
  settings: KafkaSettings,
  topic: string,
  ranges: readonly Range[],
  visit: (record: Rec) => boolean,
  ctx: Pick<ReadContext, 'signal'>,
): Promise<Map<number, number>> {
  const next = new Map(ranges.map(({ partition, from }) => [partition, from]))
  const open = new Map(ranges.flatMap(({ partition, from, to }) => (from < to ? [[partition, to] as const] : [])))
  let last = performance.now()
  while (open.size > 0 && performance.now() - last < settings.idleSeconds * 1000) {
    ctx.signal.throwIfAborted()
    const offsets = new Map([...open.keys()].map((partition) => [partition, next.get(partition)!]))
    const parts = await reader.fetch(topic, offsets).catch(async (error: unknown) => {
      // A partition that has moved to another broker is there again soon.
      if ((error as { retriable?: unknown }).retriable !== true) throw error
      await pause(AGAIN_MS, undefined, { signal: ctx.signal })
      await reader.refresh()
      return []
    })
    for (const { partition, messages, next: after } of parts) {
      const end = open.get(partition)!
      // Offsets without a record, of a transaction's end or of what was compacted, are read as well.
      let at = Math.min(after, end)
      for (const message of messages) {
        const record = toRec(partition, message)
        if (record.offset >= end) break
        if (!visit(record)) continue
        at = record.offset + 1
        open.delete(partition)
        break
      }
      if (at > next.get(partition)!) last = performance.now()
      next.set(partition, at)
      if (at >= end) open.delete(partition)
    }
  }
  return next
}
