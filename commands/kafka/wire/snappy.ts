import { BadBytes } from './bytes.ts'

const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEAD = 16

/** Takes snappy off, raw (librdkafka, Go) or in the frames of xerial's snappy-java (Java producers), at most `most` bytes. */
export function unsnappy(bytes: Buffer, most: number): Buffer {
  if (!bytes.subarray(0, XERIAL.length).equals(XERIAL)) return raw(bytes, most)
  const parts: Buffer[] = []
  let size = 0
  for (let at = XERIAL_HEAD; at < bytes.length; ) {
    if (at + 4 > bytes.length) throw new BadBytes('snappy ends within a block')
    const length = bytes.readUInt32BE(at)
    if (at + 4 + length > bytes.length) throw new BadBytes('snappy ends within a block')
    const part = raw(bytes.subarray(at + 4, at + 4 + length), most - size)
    parts.push(part)
    size += part.length
    at += 4 + length
  }
  return Buffer.concat(parts)
}

/** One block: https://github.com/google/snappy/blob/main/format_description.txt */
function raw(bytes: Buffer, most: number): Buffer {
  let at = 0
  const byte = (): number => {
    if (at >= bytes.length) throw new BadBytes('snappy ends too early')
    return bytes[at++]!
  }
  const little = (count: number): number => {
    let value = 0
    for (let i = 0; i < count; i++) value += byte() * 256 ** i
    return value
  }
  let size = 0
  for (let shift = 1, more = true; more; shift *= 128) {
    const next = byte()
    size += (next & 0x7f) * shift
    more = next >= 0x80
    if (size > most) throw new BadBytes(`snappy of more than ${most} bytes`)
  }
  const out = Buffer.allocUnsafe(size)
  let end = 0
  while (at < bytes.length) {
    const tag = byte()
    const kind = tag & 3
    if (kind === 0) {
      const short = tag >> 2
      const length = (short < 60 ? short : little(short - 59)) + 1
      if (at + length > bytes.length || end + length > size) throw new BadBytes('snappy has a wrong literal')
      end += bytes.copy(out, end, at, at + length)
      at += length
      continue
    }
    const length = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
    const back = kind === 1 ? ((tag >> 5) << 8) + byte() : little(kind === 2 ? 2 : 4)
    end = repeat(out, end, back, length, size)
  }
  if (end !== size) throw new BadBytes('snappy ends too early')
  return out
}

/** Copies what was written `back` bytes ago, which may reach into what is being written. Gives the new end. */
export function repeat(out: Buffer, end: number, back: number, length: number, size: number): number {
  if (back === 0 || back > end || end + length > size) throw new BadBytes('a compressed copy points out of its block')
  for (let i = 0; i < length; i++) out[end + i] = out[end + i - back]!
  return end + length
}
