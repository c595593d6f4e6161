import type { ReadContext, RunContext } from '../../src/domain/command.ts'
import type { KafkaClient, KafkaSettings } from './connection.ts'
import { patiently } from './patience.ts'
import type { Rec } from './record.ts'

/** Offsets `from` up to, and without, `to`. */
export type Range = Readonly<{ partition: number; from: number; to: number }>

/**
 * Reads ranges of one topic, record by record; `visit` answers true when it needs no more of that partition. Gives the
 * offset up to which each partition was read: less than `to` when it gave nothing for too long.
 */
export async function scan(
  client: KafkaClient,
  settings: KafkaSettings,
  topic: string,
  ranges: readonly Range[],
  visit: (record: Rec) => boolean,
  ctx: Pick<ReadContext, 'signal'> & Partial<Pick<RunContext, 'progress'>>,
): Promise<Map<number, number>> {
  const next = new Map(ranges.map(({ partition, from }) => [partition, from]))
  const open = new Map(ranges.flatMap(({ partition, from, to }) => (from < to ? [[partition, to] as const] : [])))
  let last = performance.now()
  while (open.size > 0 && performance.now() - last < settings.idleSeconds * 1000) {
    ctx.signal.throwIfAborted()
    const asked = performance.now()
    const parts = await patiently(client, settings, ctx, () =>
      client.wire.fetch(topic, new Map([...open.keys()].map((partition) => [partition, next.get(partition)!]))),
    )
    // What a broker was waited for is not the partition's silence.
    if (parts.length > 0 && performance.now() - asked > settings.idleSeconds * 1000) last = performance.now()
    for (const { partition, records, next: after } of parts) {
      const end = open.get(partition)
      if (end === undefined) continue
      // Offsets without a record, of a transaction's end or of what was compacted, are read as well.
      let at = Math.min(after, end)
      for (const record of records) {
        if (record.offset >= end) break
        if (!visit({ ...record, partition })) continue
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
