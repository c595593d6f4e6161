import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { array, BadBytes, crc32c, createCursor, int8, int16, int32, int64, uint32, varbytes, varint } from './bytes.ts'
import { unlz4 } from './lz4.ts'
import { unsnappy } from './snappy.ts'

/** Names may come more than once, their order is kept, and a value may be null, which is not the same as empty. */
export type Headers = readonly (readonly [name: string, value: Buffer | null])[]

/** One record as the broker keeps it. `timestamp` is in milliseconds since 1970; -1 is none. */
export type WireRecord = Readonly<{
  offset: number
  timestamp: bigint
  key: Buffer | null
  value: Buffer | null
  headers: Headers
}>

/** What one batch holds. `last` is its last offset, also where no record stands at it any more. */
export type Batch = Readonly<{
  first: number
  last: number
  producer: bigint
  transactional: boolean
  /** The end of a transaction; null for a batch of records. */
  marker: 'commit' | 'abort' | 'other' | null
  records: readonly WireRecord[]
}>

/** A batch that decompresses to more is not read: no broker takes a batch of that size by default. */
const MOST_BYTES = 256 * 1024 * 1024
const MAGIC = 2
/** Bytes before and with the length. */
const HEAD = 12
const CODECS: readonly ((bytes: Buffer) => Buffer)[] = [
  (bytes) => bytes,
  (bytes) => gunzipSync(bytes, { maxOutputLength: MOST_BYTES }),
  (bytes) => unsnappy(bytes, MOST_BYTES),
  (bytes) => unlz4(bytes, MOST_BYTES),
  (bytes) => zstdDecompressSync(bytes, { maxOutputLength: MOST_BYTES }),
]

/**
 * Takes apart what a fetch gave: whole batches of magic 2; the last one may be cut, and is then left out. Batches before one that
 * cannot be read are given, so that the next fetch begins at it; throws when it is the first.
 */
export function decodeBatches(bytes: Buffer): Batch[] {
  const batches: Batch[] = []
  for (let at = 0; at + HEAD < bytes.length; ) {
    const size = HEAD + bytes.readInt32BE(at + 8)
    if (at + size > bytes.length) break
    try {
      batches.push(decodeBatch(bytes.subarray(at, at + size)))
    } catch (error) {
      if (batches.length === 0) throw error
      break
    }
    at += size
  }
  return batches
}

/** https://kafka.apache.org/documentation/#recordbatch */
function decodeBatch(bytes: Buffer): Batch {
  const head = createCursor(bytes)
  const first = head.offset()
  head.int32()
  head.int32()
  if (head.int8() !== MAGIC)
    throw new BadBytes(`the batch at offset ${first} is of the format before Kafka 0.11, which is not read`)
  const crc = head.uint32()
  const rest = head.slice(head.left())
  if (crc32c(rest) !== crc) throw new BadBytes(`the batch at offset ${first} does not have its own checksum`)
  const body = createCursor(rest)
  const flags = body.int16()
  const last = first + body.int32()
  const [start, end] = [body.int64(), body.int64()]
  const producer = body.int64()
  body.int16()
  body.int32()
  const count = body.int32()
  const shared = { first, last, producer, transactional: (flags & 0x10) !== 0 }
  const unpack = CODECS[flags & 7]
  if (!unpack) throw new BadBytes(`the batch at offset ${first} is compressed in way ${flags & 7}, which is not known`)
  let data: Buffer
  try {
    data = unpack(body.slice(body.left()))
  } catch (cause) {
    throw new BadBytes(`the batch at offset ${first} does not decompress`, { cause })
  }
  const cursor = createCursor(data)
  const records = Array.from({ length: Math.max(0, count) }, (): WireRecord => {
    const record = createCursor(cursor.slice(cursor.varint()))
    record.int8()
    const delta = BigInt(record.varint())
    const offset = first + record.varint()
    const key = record.varbytes()
    const value = record.varbytes()
    const headers = Array.from(
      { length: record.varint() },
      () => [record.varbytes()?.toString('utf8') ?? '', record.varbytes()] as const,
    )
    return { offset, timestamp: flags & 8 ? end : start + delta, key, value, headers }
  })
  if (!(flags & 0x20)) return { ...shared, marker: null, records }
  // The key of a control record: a version, then 0 for an abort and 1 for a commit.
  const type = records[0]?.key?.length === 4 ? records[0].key.readInt16BE(2) : -1
  return { ...shared, marker: type === 0 ? 'abort' : type === 1 ? 'commit' : 'other', records: [] }
}

/** One batch of magic 2, not compressed, of no transaction. A `timestamp` of null is `now`. */
export function encodeBatch(
  records: readonly (Pick<WireRecord, 'key' | 'value' | 'headers'> & { timestamp: bigint | null })[],
  now: bigint,
): Buffer {
  const times = records.map(({ timestamp }) => timestamp ?? now)
  const start = times[0] ?? now
  const items = records.map(({ key, value, headers }, i) => {
    const body = Buffer.concat([
      int8(0),
      varint(times[i]! - start),
      varint(i),
      varbytes(key),
      varbytes(value),
      varint(headers.length),
      ...headers.flatMap(([name, bytes]) => [varbytes(Buffer.from(name)), varbytes(bytes)]),
    ])
    return Buffer.concat([varint(body.length), body])
  })
  const body = Buffer.concat([
    int16(0),
    int32(records.length - 1),
    int64(start),
    int64([start, ...times].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)).at(-1)!),
    int64(-1),
    int16(-1),
    int32(-1),
    array(items),
  ])
  const batch = Buffer.concat([int32(-1), int8(MAGIC), uint32(crc32c(body)), body])
  return Buffer.concat([int64(0), int32(batch.length), batch])
}
