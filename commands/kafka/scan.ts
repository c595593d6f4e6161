import type { ReadContext, RunContext } from '../../src/domain/command.ts'
import type { KafkaClient, KafkaSettings } from './connection.ts'
import { patientlyAll } from './patience.ts'
import { plainly, sentenceOf } from './plain.ts'
import type { Rec } from './record.ts'

/** Offsets `from` up to, and without, `to`. */
export type Range = Readonly<{ partition: number; from: number; to: number }>

type Ctx = Pick<ReadContext, 'signal'> & Partial<Pick<RunContext, 'progress'>>

/**
 * Reads ranges of one topic, record by record; `visit` answers true when it needs no more of that partition. Gives the
 * offset up to which each partition was read: less than `to` when it gave nothing for too long, or could not be read, which
 * `failed` is told. Throws when none of them could be.
 */
export async function scan(
  client: KafkaClient,
  settings: KafkaSettings,
  topic: string,
  ranges: readonly Range[],
  visit: (record: Rec) => boolean,
  ctx: Ctx,
  failed: (partition: number, why: string) => void = () => {},
): Promise<Map<number, number>> {
  const next = new Map(ranges.map(({ partition, from }) => [partition, from]))
  const open = new Map(ranges.flatMap(({ partition, from, to }) => (from < to ? [[partition, to] as const] : [])))
  const errors = new Map<number, Error>()
  const wanted = open.size
  let last = performance.now()
  const fail = (partition: number, error: Error) => {
    errors.set(partition, error)
    open.delete(partition)
  }
  while (open.size > 0 && performance.now() - last < settings.idleSeconds * 1000) {
    ctx.signal.throwIfAborted()
    const parts = await patientlyAll(client, settings, ctx, () =>
      client.wire.fetch(topic, new Map([...open.keys()].map((partition) => [partition, next.get(partition)!]))),
    )
    for (const part of parts) {
      const { partition } = part
      const end = open.get(partition)
      if (end === undefined) continue
      if ('error' in part) {
        fail(partition, part.error)
        continue
      }
      // Offsets without a record, of a transaction's end or of what was compacted, are read as well.
      let at = Math.min(part.next, end)
      for (const record of part.records) {
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
  const [first] = errors.values()
  if (first && errors.size === wanted) await plainly(() => Promise.reject(first))
  for (const [partition, error] of errors) failed(partition, sentenceOf(error) ?? error.message)
  return next
}
