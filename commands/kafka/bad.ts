import type { ReadContext } from '../../src/domain/command.ts'
import type { KafkaClient, KafkaSettings } from './connection.ts'
import type { Position } from './position.ts'
import type { Rec } from './record.ts'
import { faultOf } from './record.ts'
import { scan } from './scan.ts'

/** In one partition: the first record that is not JSON, if any, and how far it was looked for. */
export type Search = Readonly<{ position: Position; bad: Rec | null; readTo: number }>

/** Looks for the first bad record at or after each committed offset, through at most `most` records a partition. */
export async function findBad(
  client: KafkaClient,
  settings: KafkaSettings,
  topic: string,
  all: readonly Position[],
  most: number,
  ctx: Pick<ReadContext, 'now' | 'signal'>,
): Promise<Search[]> {
  const bad = new Map<number, Rec>()
  const ranges = all.map(({ partition, committed, low, high }) => {
    const from = Math.max(committed ?? low, low)
    return { partition, from, to: Math.min(high, from + most) }
  })
  const visit = (record: Rec) => {
    if (faultOf(record) === null) return false
    bad.set(record.partition, record)
    return true
  }
  const next = await scan(client, settings, topic, ranges, visit, ctx)
  return all.map((position) => ({
    position,
    bad: bad.get(position.partition) ?? null,
    readTo: next.get(position.partition) ?? position.low,
  }))
}
