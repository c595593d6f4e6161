import { BadBytes } from './bytes.ts'
import { repeat } from './snappy.ts'

const MAGIC = 0x184d2204
/** Bytes of a block at most, by the number in the frame's descriptor. */
const BLOCK_SIZES: Readonly<Record<number, number>> = { 4: 65_536, 5: 262_144, 6: 1_048_576, 7: 4_194_304 }
/** Blocks that are not independent reach so far back. */
const WINDOW = 65_536

/**
 * Takes LZ4 frames off: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md. Checksums are passed over: each batch has
 * its own.
 */
export function unlz4(bytes: Buffer, most: number): Buffer {
  const parts: Buffer[] = []
  let size = 0
  let at = 0
  const need = (count: number): number => {
    if (at + count > bytes.length) throw new BadBytes('LZ4 ends too early')
    at += count
    return at - count
  }
  while (at < bytes.length) {
    const magic = bytes.readUInt32LE(need(4))
    if ((magic & 0xfffffff0) >>> 0 === 0x184d2a50) {
      need(bytes.readUInt32LE(need(4)))
      continue
    }
    if (magic !== MAGIC) throw new BadBytes('not an LZ4 frame')
    const flags = bytes[need(1)]!
    const block = BLOCK_SIZES[(bytes[need(1)]! >> 4) & 7]
    if (flags >> 6 !== 1 || block === undefined) throw new BadBytes('an LZ4 frame of another version')
    if (flags & 8) need(8)
    if (flags & 1) throw new BadBytes('an LZ4 frame with a dictionary')
    need(1)
    let before: Buffer = Buffer.alloc(0)
    for (;;) {
      const word = bytes.readUInt32LE(need(4))
      if (word === 0) break
      const length = word & 0x7fffffff
      const body = bytes.subarray(need(length), at)
      const part = word >= 0x80000000 ? body : inflate(body, before, block)
      if (flags & 16) need(4)
      size += part.length
      if (size > most) throw new BadBytes(`LZ4 of more than ${most} bytes`)
      parts.push(part)
      if (!(flags & 32)) before = Buffer.concat([before, part]).subarray(-WINDOW)
    }
    if (flags & 4) need(4)
  }
  return Buffer.concat(parts)
}

/** One block: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md */
function inflate(bytes: Buffer, before: Buffer, most: number): Buffer {
  const size = before.length + most
  const out = Buffer.allocUnsafe(size)
  before.copy(out)
  let end = before.length
  let at = 0
  const byte = (): number => {
    if (at >= bytes.length) throw new BadBytes('LZ4 ends within a block')
    return bytes[at++]!
  }
  const long = (short: number): number => {
    let length = short
    if (short === 15)
      for (let more = 255; more === 255; ) {
        more = byte()
        length += more
      }
    return length
  }
  while (at < bytes.length) {
    const token = byte()
    const literal = long(token >> 4)
    if (at + literal > bytes.length || end + literal > size) throw new BadBytes('LZ4 has a wrong literal')
    end += bytes.copy(out, end, at, at + literal)
    at += literal
    if (at === bytes.length) break
    const back = byte() + byte() * 256
    end = repeat(out, end, back, long(token & 15) + 4, size)
  }
  return out.subarray(before.length, end)
}
