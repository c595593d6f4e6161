import { type ReadContext, Refused } from '../../src/domain/command.ts'
import { doubtOf, findBad, HOW_TO_TELL } from './bad.ts'
import type { KafkaClient, KafkaSettings } from './connection.ts'
import { faultIn, judgeIn, notJudged, type TopicFormat } from './format.ts'
import { recordAt } from './named.ts'
import type { Position } from './position.ts'
import type { Rec } from './record.ts'

/** More records are not looked through for a bad one: a plan ends after a minute. */
const SEARCH = 10_000

/** The first record that the consumer cannot read. Refuses where there is none, or where it cannot be told. */
export async function judgedBad(
  client: KafkaClient,
  settings: KafkaSettings,
  topic: string,
  all: readonly Position[],
  position: Position,
  ctx: ReadContext,
): Promise<Rec> {
  const { format } = settings.topics[topic]!
  if (format === 'avro' || format === 'protobuf' || format === 'bytes') throw new Refused(notJudged(topic, format))
  const { partition, committed } = position
  const [search] = await findBad(client, settings, topic, [position], SEARCH, ctx)
  if (!search?.bad) {
    const readTo = search?.readTo ?? committed!
    throw new Refused(
      `No bad record was found in ${topic}/${partition} from offset ${committed} to ${readTo}. ${
        readTo < position.high
          ? `It goes on to ${position.high}, which was not read: give the offset that the consumer's own log names.`
          : 'Nothing to do.'
      }`,
    )
  }
  const doubt = await doubtOf(client, settings, topic, all, search.bad, ctx)
  if (doubt) throw new Refused(`${doubt.what} Nothing is passed. ${HOW_TO_TELL}`)
  return search.bad
}

/** The record that a consumer's log names. Refuses one that the group is past. */
export async function namedBad(
  client: KafkaClient,
  settings: KafkaSettings,
  topic: string,
  { partition, committed, low, high }: Position,
  offset: number,
  ctx: ReadContext,
): Promise<Rec> {
  if (offset < committed!)
    throw new Refused(
      `The group is past offset ${offset} of ${topic}/${partition}: it stands at ${committed}. Nothing to do.`,
    )
  return recordAt(client, settings, topic, { partition, offset, low, high }, ctx)
}

/** What the plan says of a record that would be passed. */
export function faultOfShown(format: TopicFormat | undefined, record: Rec, named: number | undefined): string {
  const fault = faultIn(format, record)
  const byLog = record.offset === named ? "; the consumer's log names it" : ''
  if (fault !== null) return `${fault}${byLog}`
  if (record.value === null) return `none: a tombstone${byLog}`
  return `${judgeIn(format, record) === null ? `not judged: ${format}` : 'none: a valid record'}${byLog}`
}
