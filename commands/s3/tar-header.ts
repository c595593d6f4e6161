import { BLOCK } from './blocks.ts'
import { UnfitArchive } from './gzip.ts'

/** One entry. `mode`, `uid`, `gid` and `modified` (seconds since the epoch) are numbers; `link` is where a link points. */
export type Entry = Readonly<{
  name: string
  type: 'file' | 'folder' | 'link'
  size: number
  mode: number
  uid: number
  gid: number
  modified: number
  link: string
}>

/** A ustar header. Throws UnfitArchive for a name or number that has no place in it. */
export function headerOf({ name, type, size, mode, uid, gid, modified, link }: Entry): Buffer {
  const header = Buffer.alloc(BLOCK)
  const put = (text: string, at: number, length: number) => {
    if (Buffer.byteLength(text) > length)
      throw new UnfitArchive(`"${name}" has a name or number too long for a plain tar`)
    header.write(text, at)
  }
  const octal = (value: number, at: number, length: number) =>
    put(`${value.toString(8).padStart(length - 1, '0')}\0`, at, length)
  // A long name is cut at a slash: the front has room for 155 bytes, the rest for 100.
  let cut = -1
  if (Buffer.byteLength(name) > 100)
    do cut = name.indexOf('/', cut + 1)
    while (cut >= 0 && Buffer.byteLength(name.slice(cut + 1)) > 100)
  put(name.slice(cut + 1), 0, 100)
  if (cut > 0) put(name.slice(0, cut), 345, 155)
  octal(mode & 0o7777, 100, 8)
  octal(uid, 108, 8)
  octal(gid, 116, 8)
  octal(size, 124, 12)
  octal(Math.max(0, Math.floor(modified)), 136, 12)
  header.write({ file: '0', folder: '5', link: '2' }[type], 156)
  put(link, 157, 100)
  header.write('ustar\x0000', 257)
  header.fill(' ', 148, 156)
  header.write(
    `${header
      .reduce((a, b) => a + b, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  )
  return header
}

/** What fills the last block of a body, and what ends an archive. */
export const paddingOf = (size: number): Buffer => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK)
export const END = Buffer.alloc(2 * BLOCK)
