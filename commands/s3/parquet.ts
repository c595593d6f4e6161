import type { S3Client } from '@aws-sdk/client-s3'
import { GetObjectCommand } from '@aws-sdk/client-s3'
import { Refused } from '../../src/domain/command.ts'
import type { Listed } from './listing.ts'

/** A column of a Parquet file; `type` is as exports name it, or what kind of nested or raw one it is. */
export type ParquetColumn = Readonly<{ name: string; type: string }>

/** A footer holds a few hundred bytes for each column and row group. */
const MAX_FOOTER = 16 * 1024 * 1024
const MAGIC = 'PAR1'

/**
 * The columns of a Parquet file, from its footer alone: two ranged requests, whatever its size. Refused if it is no Parquet
 * file. The format: https://github.com/apache/parquet-format, parquet.thrift, in Thrift's compact protocol.
 */
export async function readParquetColumns(
  client: S3Client,
  bucket: string,
  { key, etag, size }: Pick<Listed, 'key' | 'etag' | 'size'>,
  signal: AbortSignal,
): Promise<ParquetColumn[]> {
  const no = (why: string) => new Refused(`s3://${bucket}/${key} is not a Parquet file that can be read: ${why}.`)
  const range = async (from: number, to: number) => {
    const got = await client.send(
      new GetObjectCommand({ Bucket: bucket, Key: key, IfMatch: etag, Range: `bytes=${from}-${to - 1}` }),
      { abortSignal: signal },
    )
    return Buffer.from((await got.Body?.transformToByteArray()) ?? [])
  }
  if (size < 12) throw no(`it has ${size} bytes`)
  const tail = await range(size - 8, size)
  if (tail.length !== 8 || tail.toString('latin1', 4) !== MAGIC) throw no(`it does not end in ${MAGIC}`)
  const length = tail.readUInt32LE(0)
  if (length > Math.min(MAX_FOOTER, size - 12)) throw no(`its footer is said to have ${length} bytes`)
  try {
    return columnsOf(await range(size - 8 - length, size - 8))
  } catch (error) {
    if (error instanceof RangeError) throw no('its footer is cut off')
    throw error
  }
}

/** What Thrift's compact protocol holds here: numbers, bytes, lists, and structs by field number. */
type Value = bigint | boolean | Buffer | Value[] | Map<number, Value>

/** Reads one struct. Throws RangeError where the bytes end too early or hold what cannot be. */
function createReader(bytes: Buffer) {
  let at = 0
  const byte = (): number => {
    if (at >= bytes.length) throw new RangeError('the bytes end too early')
    return bytes[at++]!
  }
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const next = byte()
      value |= BigInt(next & 0x7f) << shift
      if (next < 0x80) return value
    }
    throw new RangeError('a number of more than 64 bits')
  }
  const zigzag = (): bigint => {
    const value = varint()
    return (value >> 1n) ^ -(value & 1n)
  }
  const take = (length: number): Buffer => {
    if (length > bytes.length - at) throw new RangeError('the bytes end too early')
    at += length
    return bytes.subarray(at - length, at)
  }
  const element = (type: number, depth: number): Value => {
    if (depth > 16) throw new RangeError('nested too deep')
    if (type === 1 || type === 2) return byte() === 1
    if (type === 3) return BigInt(byte())
    if (type === 4 || type === 5 || type === 6) return zigzag()
    if (type === 7) return take(8)
    if (type === 8) return take(Number(varint()))
    if (type === 9 || type === 10) return list(depth + 1)
    if (type === 12) return struct(depth + 1)
    throw new RangeError(`a type ${type}`)
  }
  const list = (depth: number): Value[] => {
    const head = byte()
    const size = head >> 4 === 15 ? Number(varint()) : head >> 4
    // Each element takes a byte at least, so a size that is too large ends with the bytes.
    return Array.from({ length: size }, () => element(head & 15, depth))
  }
  const struct = (depth: number): Map<number, Value> => {
    const fields = new Map<number, Value>()
    for (let id = 0; ; ) {
      const head = byte()
      if (head === 0) return fields
      id = head >> 4 === 0 ? Number(zigzag()) : id + (head >> 4)
      const type = head & 15
      // A field's boolean is in its type.
      fields.set(id, type === 1 ? true : type === 2 ? false : element(type, depth))
    }
  }
  return struct
}

/** `Type` of parquet.thrift. INT96 is an old way to write a time. */
const PHYSICAL = ['bool', 'int32', 'int64', 'timestamp', 'float', 'double', 'binary', 'binary']
/** `ConvertedType`, where it says more than the physical type. */
const CONVERTED: Readonly<Record<number, string>> = {
  0: 'string',
  4: 'string',
  5: 'decimal',
  6: 'date',
  7: 'time',
  8: 'time',
  9: 'timestamp',
  10: 'timestamp',
  15: 'int16',
  16: 'int16',
  19: 'json',
}
/** `LogicalType`, which newer writers use alone. */
const LOGICAL: Readonly<Record<number, string>> = {
  ...{ 1: 'string', 4: 'string', 5: 'decimal', 6: 'date', 7: 'time' },
  8: 'timestamp',
  12: 'json',
}

function columnsOf(footer: Buffer): ParquetColumn[] {
  const schema = createReader(footer)(0).get(2)
  if (!Array.isArray(schema)) throw new RangeError('no schema')
  const elements = schema.map((one) => (one instanceof Map ? one : new Map<number, Value>()))
  const number = (fields: Map<number, Value>, id: number): number | null => {
    const value = fields.get(id)
    return typeof value === 'bigint' ? Number(value) : null
  }
  const columns: ParquetColumn[] = []
  /** The index after the element and all that is below it. */
  const after = (index: number): number => {
    const children = number(elements[index] ?? new Map(), 5) ?? 0
    let next = index + 1
    for (let i = 0; i < children && next < elements.length; i += 1) next = after(next)
    return next
  }
  // The first element is the root; its children are the columns.
  for (let at = 1; at < elements.length; at = after(at)) {
    const fields = elements[at]!
    const name = fields.get(4)
    columns.push({ name: Buffer.isBuffer(name) ? name.toString('utf8') : '', type: typeOf(fields, number) })
  }
  return columns
}

function typeOf(fields: Map<number, Value>, number: (fields: Map<number, Value>, id: number) => number | null): string {
  if ((number(fields, 5) ?? 0) > 0) return 'nested'
  const logical = fields.get(10)
  const said =
    (logical instanceof Map ? LOGICAL[[...logical.keys()][0] ?? -1] : undefined) ?? CONVERTED[number(fields, 6) ?? -1]
  if (said === 'decimal') return `decimal(${number(fields, 8)},${number(fields, 7) ?? 0})`
  return said ?? PHYSICAL[number(fields, 1) ?? -1] ?? 'unknown'
}
