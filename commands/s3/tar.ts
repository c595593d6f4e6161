import { BLOCK, blocks } from './blocks.ts'
import { BrokenArchive, type Oddities, UnfitArchive } from './gzip.ts'
import type { Entry } from './tar-header.ts'

const TYPES: Readonly<Record<string, Entry['type']>> = { '0': 'file', '\0': 'file', '5': 'folder', '2': 'link' }
/** Headers of a pax or GNU archive that say more about the next entry. */
const EXTENSION_BYTES = 64 * 1024

/**
 * Reads a tar (POSIX.1-2017, "pax": ustar, with the extensions of pax and GNU) as a stream; the caller takes each body
 * before the next entry. Throws BrokenArchive where the content is not all there.
 */
export async function* readTar(
  source: AsyncIterable<Buffer>,
  odd: Oddities,
): AsyncGenerator<{ entry: Entry; body: AsyncGenerator<Buffer> }> {
  const input = blocks(source)
  let more: Record<string, string> = {}
  try {
    for (;;) {
      const header = await input.block('a header')
      if (!header || header.every((byte) => byte === 0)) {
        if (!header || !(await input.block('its end'))) odd.add('ends without its two empty blocks')
        return await input.onlyZeros()
      }
      const where = `entry at byte ${input.at - BLOCK}`
      const text = (from: number, length: number) => textOf(header.subarray(from, from + length))
      const number = (from: number, length: number) => numberOf(header.subarray(from, from + length), where, odd)
      const sum = header.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0)
      if (number(148, 8) !== sum) throw new BrokenArchive(`the header of the ${where} has a wrong checksum`)
      const type = String.fromCharCode(header[156]!)
      const ustar = header.subarray(257, 263).toString('latin1')
      if (ustar !== 'ustar\0') odd.add(ustar === 'ustar ' ? 'is in the format of GNU tar' : 'is in an old format')
      const size = Number(more.size ?? number(124, 12))
      const skip = (BLOCK - (size % BLOCK)) % BLOCK
      if ('xgLK'.includes(type)) {
        if (size > EXTENSION_BYTES) throw new BrokenArchive(`the ${where} has ${size} bytes of names`)
        const body = (await input.all(size + skip, where)).subarray(0, size)
        odd.add(type === 'g' ? 'has a header for all of its entries' : 'has long names or extended headers')
        if (type === 'x') more = { ...more, ...paxOf(body) }
        if (type === 'L') more = { ...more, path: textOf(body) }
        if (type === 'K') more = { ...more, linkpath: textOf(body) }
        continue
      }
      const folder = ustar === 'ustar\0' ? text(345, 155) : ''
      const name = more.path ?? (folder ? `${folder}/${text(0, 100)}` : text(0, 100))
      const kind = type === '0' && name.endsWith('/') ? 'folder' : TYPES[type]
      if (!kind)
        throw new UnfitArchive(
          `"${name}" is of the type ${JSON.stringify(type)}, which is neither file, folder nor link`,
        )
      const meta = { mode: number(100, 8), uid: number(108, 8), gid: number(116, 8), modified: number(136, 12) }
      const entry: Entry = {
        name,
        type: kind,
        size: kind === 'file' ? size : 0,
        ...meta,
        link: more.linkpath ?? text(157, 100),
      }
      more = {}
      const body = input.bytes(entry.size, `"${name}"`)
      yield { entry, body }
      for await (const _ of body);
      for await (const _ of input.bytes(kind === 'file' ? skip : 0, `"${name}"`));
    }
  } finally {
    await input.stop()
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Up to the first NUL. Other encodings are refused: written again, such a name would be another one. */
function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return decode(bytes.subarray(0, end < 0 ? undefined : end))
}

function decode(bytes: Buffer): string {
  try {
    return decoder.decode(bytes)
  } catch (error) {
    throw new UnfitArchive('it has a name that is not UTF-8', { cause: error })
  }
}

/** Octal text, or for large numbers GNU's 256-based form. */
function numberOf(bytes: Buffer, where: string, odd: Oddities): number {
  if (bytes[0] === 0x80) {
    odd.add('is in the format of GNU tar')
    const value = bytes.subarray(1).reduce((total, byte) => total * 256 + byte, 0)
    if (Number.isSafeInteger(value)) return value
  }
  const text = bytes.toString('latin1').replace(/\0.*/s, '').trim()
  if (!/^[0-7]*$/.test(text)) throw new BrokenArchive(`the header of the ${where} is not one of a tar`)
  return text === '' ? 0 : Number.parseInt(text, 8)
}

/** The records `<length> <name>=<value>\n` of a pax header. */
function paxOf(body: Buffer): Record<string, string> {
  const found: Record<string, string> = Object.create(null)
  for (let at = 0; at < body.length; ) {
    const length = Number.parseInt(body.subarray(at, at + 10).toString('latin1'), 10)
    const record = decode(body.subarray(at, at + length))
    const [, name, value] = /^\d+ ([^=]+)=([\s\S]*)\n$/.exec(record) ?? []
    if (name === undefined || value === undefined) throw new BrokenArchive('an extended header is not whole')
    if (name === 'size' && !/^\d{1,15}$/.test(value)) throw new BrokenArchive('an extended header has a wrong size')
    found[name] = value
    at += length
  }
  return found
}
