import { createHash } from 'node:crypto'
import type { PartRecord } from './wire/part.ts'

/** One record as the broker keeps it, by its place. */
export type Rec = PartRecord & Readonly<{ partition: number }>

const PREVIEW = 200

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

/** Bytes as one line of text without control characters, cut to 200 characters; a byte order mark is shown. */
export function preview(bytes: Buffer | null): string {
  if (bytes === null) return '(none)'
  if (bytes.length === 0) return '(empty)'
  const text = [
    ...bytes
      .subarray(0, PREVIEW * 4)
      .toString('utf8')
      .replaceAll('\ufeff', '\\ufeff')
      .replace(/[\s\p{Cc}]+/gu, ' '),
  ]
  return text.length <= PREVIEW && bytes.length <= PREVIEW * 4 ? text.join('') : `${text.slice(0, PREVIEW).join('')}…`
}

export const keyOf = ({ key }: Rec): string => preview(key)
export const sizeOf = ({ value }: Rec): string => (value === null ? 'no value' : `${value.length} bytes`)
export const timeOf = ({ timestamp }: Rec): string =>
  timestamp >= 0n && timestamp < 8_640_000_000_000_000n ? new Date(Number(timestamp)).toISOString() : 'none'
