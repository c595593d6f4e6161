import type { WireRecord } from './batch.ts'
import type { Fetched } from './fetch.ts'

/** `aborted`: of a transaction that was aborted; a consumer that reads what is committed does not see it. */
export type PartRecord = WireRecord & Readonly<{ aborted: boolean }>

/**
 * The records of one fetch from an offset on, and the offset to go on at. Offsets without a record, of a transaction's end or of
 * what was compacted, are passed over.
 */
export function partOf({ batches, aborted }: Fetched, from: number): { records: PartRecord[]; next: number } {
  const waiting = [...aborted].sort((a, b) => a.first - b.first)
  const under = new Set<bigint>()
  const records: PartRecord[] = []
  let next = from
  for (const batch of batches) {
    while (waiting.length > 0 && waiting[0]!.first <= batch.last) under.add(waiting.shift()!.producer)
    if (batch.marker !== null) under.delete(batch.producer)
    const isAborted = batch.transactional && under.has(batch.producer)
    // A batch holds what stands before the offset as well.
    for (const record of batch.records) if (record.offset >= from) records.push({ ...record, aborted: isAborted })
    next = Math.max(next, batch.last + 1)
  }
  return { records, next }
}
