import type { ReadContext } from '../../src/domain/command.ts'
import type { KafkaClient, KafkaSettings } from './connection.ts'
import { binaryOf, faultIn, judgeIn } from './format.ts'
import type { Position } from './position.ts'
import type { Rec } from './record.ts'
import { scan } from './scan.ts'

/** In one partition: the first record that is bad, if any, how far it was looked for, and what else is odd on the way. */
export type Search = Readonly<{
  position: Position
  bad: Rec | null
  readTo: number
  /** Why the partition could not be read; null if it could. */
  failed: string | null
  /** Records that a consumer takes, or does not see, and that other readers stumble over: at most a few. */
  odd: readonly Readonly<{ record: Rec; why: string }>[]
}>

const MOST_ODD = 5
type Ctx = Pick<ReadContext, 'signal'>

/** Looks for the first bad record at or after each committed offset, through at most `most` offsets a partition. */
export async function findBad(
  client: KafkaClient,
  settings: KafkaSettings,
  topic: string,
  all: readonly Position[],
  most: number,
  ctx: Ctx,
): Promise<Search[]> {
  const format = settings.topics[topic]?.format
  const bad = new Map<number, Rec>()
  const odd = new Map<number, { record: Rec; why: string }[]>()
  const note = (record: Rec, why: string) => {
    const list = odd.get(record.partition) ?? []
    if (list.length < MOST_ODD) odd.set(record.partition, [...list, { record, why }])
  }
  const ranges = all
    .filter(({ committed, high }) => (committed ?? 0) <= high)
    .map(({ partition, committed, low, high }) => {
      const from = Math.max(committed ?? low, low)
      return { partition, from, to: Math.min(high, from + most) }
    })
  const visit = (record: Rec) => {
    const judged = judgeIn(format, record)
    if (judged?.remark) note(record, `valid, with bytes in a string that are ${judged.remark}`)
    if (!judged?.fault) return false
    if (record.aborted) {
      note(record, 'bad, but of an aborted transaction: a consumer with isolation.level=read_committed does not see it')
      return false
    }
    bad.set(record.partition, record)
    return true
  }
  const failed = new Map<number, string>()
  const next = await scan(client, settings, topic, ranges, visit, ctx, (partition, why) => failed.set(partition, why))
  return all.map((position) => ({
    position,
    bad: bad.get(position.partition) ?? null,
    readTo: next.get(position.partition) ?? position.low,
    failed: failed.get(position.partition) ?? null,
    odd: odd.get(position.partition) ?? [],
  }))
}

/** Records before and behind a bad one that are looked at. */
const AROUND = 20
/** Of each other partition, when the bad one's own does not tell. */
const OTHERS = 5

/** Why the records around a bad one do not let it be called bad; null when they do. */
export type Doubt = Readonly<{ what: string; rows: readonly (readonly string[])[] }>

/**
 * Is a topic one of JSON, by the records around a bad one? Where the connection says so, only another format that these records
 * say of themselves is a doubt; where it says nothing, most of them must be JSON.
 */
export async function doubtOf(
  client: KafkaClient,
  settings: KafkaSettings,
  topic: string,
  all: readonly Position[],
  bad: Rec,
  ctx: Ctx,
): Promise<Doubt | null> {
  const format = settings.topics[topic]?.format
  if (format === 'json-schema') return null
  const own = all.find((position) => position.partition === bad.partition)!
  const near: Rec[] = []
  const look = async (ranges: Parameters<typeof scan>[3]) => {
    const visit = (record: Rec) => {
      const isIt = record.partition === bad.partition && record.offset === bad.offset
      // An empty value says nothing.
      if (!isIt && !record.aborted && record.value !== null && record.value.length > 0) near.push(record)
      return false
    }
    await scan(client, settings, topic, ranges, visit, ctx)
  }
  const from = Math.max(own.low, bad.offset - AROUND)
  await look([{ partition: bad.partition, from, to: Math.min(own.high, bad.offset + 1 + AROUND) }])
  const good = () => near.filter((record) => judgeIn(format, record)?.fault === null || looksJson(record.value!)).length
  if (good() === 0)
    await look(
      all
        .filter(({ partition }) => partition !== bad.partition)
        .map(({ partition, low, high }) => ({ partition, from: Math.max(low, high - OTHERS), to: high })),
    )
  const kinds = Map.groupBy(
    near.filter((record) => judgeIn(format, record)?.fault !== null),
    (record) => binaryOf(record.value!),
  )
  const binary = [...kinds].filter(([kind]) => kind !== null).reduce((sum, [, list]) => sum + list.length, 0)
  const none = near.length === 0
  const told = format === 'json' ? binary * 2 > near.length : none ? !looksJson(bad.value!) : good() * 2 < near.length
  if (!told) return null
  const words = binaryOf(bad.value!)
  const shown = [bad, ...near].sort((a, b) => a.partition - b.partition || a.offset - b.offset)
  return {
    what: none
      ? `${topic}/${bad.partition}/${bad.offset} is not JSON${words ? ` (${words})` : ''}, and there is no other record to tell whether ${topic} is a topic of JSON.`
      : `${topic} does not look like a topic of JSON: of ${near.length} records around ${topic}/${bad.partition}/${bad.offset}, ${near.length - good()} are not JSON either${words ? `. This one is ${words}` : ''}.`,
    rows: shown
      .slice(0, AROUND)
      .map((record) => [
        String(record.partition),
        String(record.offset),
        faultIn(format, record) === null ? 'JSON' : (binaryOf(record.value ?? Buffer.alloc(0)) ?? 'not JSON'),
      ]),
  }
}

/** Is a value meant to be JSON, though it may be cut or damaged? Lines of CSV or of a log are not, nor is what is binary. */
export const looksJson = (value: Buffer): boolean =>
  /^\ufeff?[ \t\r\n]*(\{[ \t\r\n]*(["}]|$)|\[[ \t\r\n]*([[{"\]]|$))/.test(value.subarray(0, 256).toString('utf8'))

/** What to do where records are not judged, or not called bad. */
export const HOW_TO_TELL = `If it is one of JSON, set "format: json" for it in the connection; if not, set avro, protobuf, json-schema or bytes. What the consumer could not read stands in its own log, with partition and offset: give these.`
