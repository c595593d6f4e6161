import { type Judgement, judgeRecord } from '../record-judge.ts'
import type { FORMATS_OF_TOPICS } from './connection.ts'
import type { Rec } from './record.ts'

export type TopicFormat = (typeof FORMATS_OF_TOPICS)[number]

/** Confluent's wire format: a zero, four bytes of the schema's id, then Avro, Protobuf or JSON. */
const FRAME_BYTES = 5

/** What bytes are that are not text, as they say themselves; null if they say nothing. */
export function binaryOf(value: Buffer): string | null {
  if (value.length >= FRAME_BYTES && value[0] === 0) {
    const id = value.readUInt32BE(1)
    // Text in UTF-16 begins with a zero as well.
    if (value[1] !== 0x7b && value[1] !== 0x5b)
      return judgeRecord(value.subarray(FRAME_BYTES)).fault === null
        ? `JSON in Confluent's wire format (schema id ${id})`
        : `Confluent's wire format (schema id ${id}): Avro or Protobuf`
  }
  const starts = (...bytes: number[]) => bytes.every((byte, i) => value[i] === byte)
  if (starts(0x4f, 0x62, 0x6a, 0x01)) return 'an Avro file'
  if (starts(0xc3, 0x01)) return 'Avro of a single object'
  if (starts(0x1f, 0x8b)) return 'gzip'
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd'
  if (starts(0x50, 0x41, 0x52, 0x31)) return 'Parquet'
  return null
}

/**
 * Judges one record as the consumer of a topic of this format does. A record without a value is a tombstone: never bad. Null
 * for a format that is not judged.
 */
export function judgeIn(format: TopicFormat | undefined, { value }: Pick<Rec, 'value'>): Judgement | null {
  const good: Judgement = { fault: null, remark: null }
  if (format === undefined || format === 'json') return value === null ? good : judgeRecord(value)
  if (format !== 'json-schema') return null
  if (value === null) return good
  if (value[0] !== 0 || value.length < FRAME_BYTES) {
    const reason = "does not begin as Confluent's wire format does"
    return { fault: { at: 0, reason, says: reason }, remark: null }
  }
  return judgeRecord(value.subarray(FRAME_BYTES))
}

/** The fault of a record as a consumer's log has it, and what it is if not text; null when it is good or not judged. */
export function faultIn(format: TopicFormat | undefined, record: Pick<Rec, 'value'>): string | null {
  const fault = judgeIn(format, record)?.fault
  if (!fault) return null
  const binary = format === 'json-schema' || record.value === null ? null : binaryOf(record.value)
  return binary === null ? fault.says : `${fault.says}; it is ${binary}`
}

/** Why the format of a topic says that nothing of it is judged. */
export const notJudged = (topic: string, format: TopicFormat): string =>
  `${topic} holds ${format === 'bytes' ? 'bytes' : format === 'avro' ? 'Avro' : 'Protobuf'} by the connection's settings: its records are not judged here. What the consumer could not read stands in its own log: give that partition and offset.`
