import { type ReadContext, Refused } from '../../src/domain/command.ts'
import type { KafkaClient, KafkaSettings } from './connection.ts'
import type { Rec } from './record.ts'
import { scan } from './scan.ts'

/** The record at an offset that somebody names, such as the one in the consumer's own log. Refuses an offset without one. */
export async function recordAt(
  client: KafkaClient,
  settings: KafkaSettings,
  topic: string,
  at: Readonly<{ partition: number; offset: number; low: number; high: number }>,
  ctx: Pick<ReadContext, 'signal'>,
): Promise<Rec> {
  const { partition, offset, low, high } = at
  const place = `${topic}/${partition}`
  if (offset < low) throw new Refused(`Offset ${offset} of ${place} is deleted: the first that is kept is ${low}.`)
  if (offset >= high) throw new Refused(`${place} has no offset ${offset} yet: it ends at ${high}.`)
  let found: Rec | null = null
  const visit = (record: Rec) => {
    if (record.offset === offset) found = record
    return true
  }
  const read = await scan(client, settings, topic, [{ partition, from: offset, to: offset + 1 }], visit, ctx)
  if (found) return found
  throw new Refused(
    read.get(partition) === offset
      ? `The record at ${place}/${offset} could not be read: the broker gave nothing for ${settings.idleSeconds} seconds. A transaction may be open.`
      : `No record stands at ${place}/${offset}: it was compacted, or ended a transaction. A consumer passes over it by itself.`,
  )
}
