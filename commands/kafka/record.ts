import { createHash } from 'node:crypto'
import type { KafkaMessage } from 'kafkajs'

/** One record as the broker keeps it. `timestamp` is in milliseconds since 1970. */
export type Rec = Readonly<{
  partition: number
  offset: number
  key: Buffer | null
  value: Buffer | null
  timestamp: string
  /** A header may come more than once: one pair each. */
  headers: readonly (readonly [name: string, value: Buffer])[]
}>

const PREVIEW = 200
const utf8 = new TextDecoder('utf-8', { fatal: true })

export function toRec(partition: number, message: KafkaMessage): Rec {
  const headers = Object.entries(message.headers ?? {}).flatMap(([name, values]) =>
    [values ?? ''].flat().map((value) => [name, Buffer.from(value)] as const),
  )
  const { key, value, timestamp } = message
  return { partition, offset: Number(message.offset), key, value, timestamp, headers }
}

/** Why the value is not JSON; null when it is, or when there is none (a tombstone). */
export function faultOf({ value }: Pick<Rec, 'value'>): string | null {
  if (value === null) return null
  try {
    JSON.parse(utf8.decode(value))
    return null
  } catch (error) {
    // The parser's message quotes the text; only its own words are kept.
    return error instanceof SyntaxError ? error.message.replace(/, ?(\.\.\.)?".*/s, '') : 'not valid UTF-8'
  }
}

/** SHA-256 over all that a record carries. */
export function hashOf({ key, value, timestamp, headers }: Rec): string {
  const hash = createHash('sha256')
  const part = (bytes: Buffer | null) => hash.update(bytes === null ? '-;' : `${bytes.length};`).update(bytes ?? '')
  part(key)
  part(value)
  hash.update(`${timestamp};`)
  for (const [name, bytes] of headers) {
    part(Buffer.from(name))
    part(bytes)
  }
  return hash.digest('hex')
}

/** Bytes as one line of text without control characters, cut to 200 characters. */
export function preview(bytes: Buffer | null): string {
  if (bytes === null) return '(none)'
  if (bytes.length === 0) return '(empty)'
  const text = [
    ...bytes
      .subarray(0, PREVIEW * 4)
      .toString('utf8')
      .replace(/[\s\p{Cc}]+/gu, ' '),
  ]
  return text.length <= PREVIEW && bytes.length <= PREVIEW * 4 ? text.join('') : `${text.slice(0, PREVIEW).join('')}…`
}

export const keyOf = ({ key }: Rec): string => preview(key)
export const sizeOf = ({ value }: Rec): string => (value === null ? 'no value' : `${value.length} bytes`)
export const timeOf = ({ timestamp }: Rec): string =>
  /^\d{1,15}$/.test(timestamp) ? new Date(Number(timestamp)).toISOString() : 'none'
