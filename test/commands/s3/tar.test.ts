import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { BrokenArchive } from '../../../commands/s3/gzip.ts'
import { readTar } from '../../../commands/s3/tar.ts'
import type { Entry } from '../../../commands/s3/tar-header.ts'
import { END, headerOf, paddingOf } from '../../../commands/s3/tar-header.ts'

/** The bytes in pieces of the given sizes, over and over. */
async function* pieces(bytes: Buffer, sizes: readonly number[]) {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!
    yield bytes.subarray(at, at + size)
    at += size
  }
}

async function read(bytes: Buffer, sizes: readonly number[]) {
  const found: { entry: Entry; body: string }[] = []
  const odd = new Set<string>()
  for await (const { entry, body } of readTar(pieces(bytes, sizes), odd)) {
    const parts: Buffer[] = []
    for await (const part of body) parts.push(part)
    found.push({ entry, body: Buffer.concat(parts).toString('hex') })
  }
  return { found, odd: [...odd] }
}

const segment = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .map((text) => text.replace(/[/\0]|^\.+$/gu, 'x'))
const name = fc.array(segment, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('/'))
const number = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 })
const meta = { name, mode: number(12), uid: number(21), gid: number(21), modified: number(31) }
const file = fc.record({ ...meta, body: fc.uint8Array({ maxLength: 1500 }) })
const archive = (files: readonly { body: Uint8Array; name: string }[]) => {
  const entries = files.map(({ body, ...rest }) => ({
    entry: { ...rest, type: 'file', size: body.length, link: '' } as Entry,
    body: Buffer.from(body),
  }))
  const bytes = Buffer.concat([...entries.flatMap((e) => [headerOf(e.entry), e.body, paddingOf(e.body.length)]), END])
  return { entries, bytes }
}
const sizes = fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 4 })

describe('tar', () => {
  it('reads what it has written, however the stream is cut', async () => {
    const fits = (files: readonly { name: string }[]) => files.every((f) => Buffer.byteLength(f.name) <= 100)
    await fc.assert(
      fc.asyncProperty(fc.array(file, { maxLength: 4 }).filter(fits), sizes, async (files, cuts) => {
        const { entries, bytes } = archive(files)
        expect(await read(bytes, cuts)).toEqual({
          found: entries.map(({ entry, body }) => ({ entry, body: body.toString('hex') })),
          odd: [],
        })
      }),
      { numRuns: 60 },
    )
  })

  it('cuts a long name at a slash, and refuses one that has no place', () => {
    const entry: Entry = { name: '', type: 'file', size: 0, mode: 0, uid: 0, gid: 0, modified: 0, link: '' }
    const written = (text: string) => headerOf({ ...entry, name: text })
    expect(written(`${'a'.repeat(150)}/${'b'.repeat(100)}`).toString('latin1', 345, 500)).toBe(
      `${'a'.repeat(150)}\0\0\0\0\0`,
    )
    expect(() => written(`${'a'.repeat(156)}/b`)).toThrow(BrokenArchive)
    expect(() => written('b'.repeat(101))).toThrow(BrokenArchive)
    expect(() => headerOf({ ...entry, size: 8 ** 11 })).toThrow(BrokenArchive)
  })

  it('ends with what it found or with BrokenArchive, whatever the bytes are', async () => {
    const damage = fc.array(fc.tuple(fc.nat(), number(8)), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(fc.array(file, { maxLength: 2 }), damage, fc.nat(), sizes, async (files, damages, cut, cuts) => {
        const usable = files.filter((f) => Buffer.byteLength(f.name) <= 100)
        const { bytes } = archive(usable)
        for (const [at, value] of damages) bytes[at % bytes.length] = value
        const end = await read(bytes.subarray(0, bytes.length - (cut % bytes.length)), cuts).catch((e: unknown) => e)
        if (end instanceof Error) expect(end).toBeInstanceOf(BrokenArchive)
      }),
      { numRuns: 200 },
    )
  })

  it('refuses a name that is not UTF-8, which it would write as another one', async () => {
    const { bytes } = archive([{ name: 'a', body: new Uint8Array(), mode: 0, uid: 0, gid: 0, modified: 0 } as never])
    bytes[0] = 0xe9
    bytes.write(
      bytes
        .subarray(0, 512)
        .reduce((a, b, i) => a + (i >= 148 && i < 156 ? 32 : b), 0)
        .toString(8)
        .padStart(6, '0'),
      148,
    )
    await expect(read(bytes, [512])).rejects.toThrow('not UTF-8')
  })
})
