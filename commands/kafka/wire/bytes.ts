/** What comes over the wire ends before it should, or says a length that cannot be. */
export class BadBytes extends Error {
  override name = 'BadBytes'
}

/**
 * Reads Kafka's types one after another: https://kafka.apache.org/protocol#protocol_types. Offsets are numbers: they would have
 * to pass 2^53 not to be exact, and int64 throws above that.
 */
export function createCursor(bytes: Buffer) {
  let at = 0
  const take = (size: number): number => {
    if (size < 0 || at + size > bytes.length) throw new BadBytes(`${size} bytes wanted at ${at} of ${bytes.length}`)
    at += size
    return at - size
  }
  const slice = (size: number): Buffer => bytes.subarray(take(size), at)
  const uvarint = (): number => {
    let value = 0
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[take(1)]!
      value += (byte & 0x7f) * shift
      if (byte < 0x80) return value
      if (shift > 2 ** 49) throw new BadBytes('a number of too many bytes')
    }
  }
  const int32 = () => bytes.readInt32BE(take(4))
  const int64 = (): bigint => bytes.readBigInt64BE(take(8))
  return {
    left: () => bytes.length - at,
    slice,
    uvarint,
    int32,
    int64,
    int8: () => bytes.readInt8(take(1)),
    int16: () => bytes.readInt16BE(take(2)),
    uint32: () => bytes.readUInt32BE(take(4)),
    offset(): number {
      const value = int64()
      if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new BadBytes(`the offset ${value} is too large to be exact`)
      return Number(value)
    },
    /** Zigzag, as records have it. */
    varint(): number {
      const value = uvarint()
      return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    },
    varbytes(): Buffer | null {
      const value = uvarint()
      return value % 2 === 1 ? null : slice(value / 2)
    },
    string(): string | null {
      const size = bytes.readInt16BE(take(2))
      return size < 0 ? null : slice(size).toString('utf8')
    },
    compactString(): string | null {
      const size = uvarint()
      return size === 0 ? null : slice(size - 1).toString('utf8')
    },
    array<T>(one: () => T): T[] {
      const size = int32()
      if (size > bytes.length) throw new BadBytes(`an array of ${size}`)
      return Array.from({ length: Math.max(0, size) }, one)
    },
    /** Fields that a later version added. */
    tags(): void {
      for (let left = uvarint(); left > 0; left--) {
        uvarint()
        slice(uvarint())
      }
    },
  }
}

const fixed = (size: number, write: (buffer: Buffer) => void): Buffer => {
  const buffer = Buffer.alloc(size)
  write(buffer)
  return buffer
}
export const int8 = (value: number): Buffer => fixed(1, (b) => b.writeInt8(value))
export const int16 = (value: number): Buffer => fixed(2, (b) => b.writeInt16BE(value))
export const int32 = (value: number): Buffer => fixed(4, (b) => b.writeInt32BE(value))
export const uint32 = (value: number): Buffer => fixed(4, (b) => b.writeUInt32BE(value))
export const int64 = (value: number | bigint): Buffer => fixed(8, (b) => b.writeBigInt64BE(BigInt(value)))
export const uvarint = (value: number | bigint): Buffer => {
  const out: number[] = []
  let left = BigInt(value)
  for (; left > 0x7fn; left >>= 7n) out.push(Number(left & 0x7fn) | 0x80)
  return Buffer.from([...out, Number(left)])
}
/** Zigzag, as records have it. */
export const varint = (value: number | bigint): Buffer => {
  const big = BigInt(value)
  return uvarint(big >= 0n ? big * 2n : -big * 2n - 1n)
}
export const varbytes = (value: Buffer | null): Buffer =>
  value === null ? varint(-1) : Buffer.concat([varint(value.length), value])
export const string = (value: string | null): Buffer =>
  value === null ? int16(-1) : Buffer.concat([int16(Buffer.byteLength(value)), Buffer.from(value)])
export const compactString = (value: string): Buffer =>
  Buffer.concat([uvarint(Buffer.byteLength(value) + 1), Buffer.from(value)])
export const array = (items: readonly Buffer[]): Buffer => Buffer.concat([int32(items.length), ...items])

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc >>> 0
})
/** CRC-32C (Castagnoli), which each batch of records carries. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}
