import { createHash } from 'node:crypto'
import type { S3Client } from '@aws-sdk/client-s3'
import { BrokenArchive, gzip, type Oddities, UnfitArchive, unpack } from './gzip.ts'
import { sizeOf } from './listing.ts'
import type { ObjectRef } from './objects.ts'
import { open } from './objects.ts'
import { readTar } from './tar.ts'
import { END, type Entry, headerOf, paddingOf } from './tar-header.ts'

/** A plan and a check have a minute: what can be fetched, unpacked and hashed in it. */
export const MAX_PACKED = 256 * 1024 ** 2
const MAX_UNPACKED = 2 * 1024 ** 3
const MAX_ENTRIES = 10_000

export type Listing = Readonly<{ entry: Entry; sha256: string }>

/** One archive, read to its end or to its fault. `sha256` and `md5` are those of the stored bytes, null if not all were read. */
export type Tested = Readonly<{
  entries: readonly Listing[]
  bytes: number
  odd: readonly string[]
  fault: string | null
  /** Whether the fault is that content is missing. */
  isCut: boolean
  checksums: Readonly<{ sha256: string; md5: string }> | null
  /** Over type, name, link and content of every entry, in their order. */
  content: string
}>

/** Reads an object as a .tar.gz, as a stream, and says what is in it and where it breaks. */
export async function testArchive(client: S3Client, ref: ObjectRef, signal: AbortSignal): Promise<Tested> {
  const body = await open(client, ref, signal)
  try {
    return await testStream(body, signal)
  } finally {
    body.destroy()
  }
}

/** SHA-256 of the stored bytes, as they are. */
export async function storedSha256(client: S3Client, ref: ObjectRef, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of await open(client, ref, signal)) hash.update(chunk)
  return hash.digest('hex')
}

async function testStream(packed: AsyncIterable<Buffer>, signal: AbortSignal): Promise<Tested> {
  const stored = { sha256: createHash('sha256'), md5: createHash('md5') }
  const content = createHash('sha256')
  const entries: Listing[] = []
  const odd: Oddities = new Set()
  let bytes = 0
  let fault: string | null = null
  let isCut = false
  // By hand: a gzip stream that ends before its object ends would stop a loop, and the rest counts too.
  const chunks = packed[Symbol.asyncIterator]()
  const source = async function* () {
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
      stored.sha256.update(next.value)
      stored.md5.update(next.value)
      yield next.value
    }
  }
  try {
    for await (const { entry, body: own } of readTar(bounded(unpack(source(), odd, signal)), odd)) {
      refuseOdd(entry, entries.length)
      const hash = createHash('sha256')
      for await (const chunk of own) hash.update(chunk)
      const sha256 = hash.digest('hex')
      bytes += entry.size
      content.update(`${JSON.stringify([entry.type, entry.name, entry.link, sha256])}\n`)
      entries.push({ entry, sha256 })
    }
    if (entries.length === 0) throw new BrokenArchive('it has no entry')
    for await (const _ of source());
  } catch (error) {
    if (!(error instanceof BrokenArchive)) throw error
    fault = error.message
    isCut = !(error instanceof UnfitArchive)
  } finally {
    await chunks.return?.()
  }
  const checksums = fault ? null : { sha256: stored.sha256.digest('hex'), md5: stored.md5.digest('hex') }
  return { entries, bytes, odd: [...odd].sort(), fault, isCut, checksums, content: `sha256:${content.digest('hex')}` }
}

/** The same entries as a plain tar: ustar headers only, two empty blocks at the end. */
export async function* repacked(
  client: S3Client,
  ref: ObjectRef,
  signal: AbortSignal,
  onBytes: (done: number) => void,
): AsyncGenerator<Buffer> {
  const body = await open(client, ref, signal)
  const odd: Oddities = new Set()
  let done = 0
  let count = 0
  try {
    for await (const { entry, body: own } of readTar(
      bounded(unpack(body as AsyncIterable<Buffer>, odd, signal)),
      odd,
    )) {
      refuseOdd(entry, count++)
      yield headerOf(entry)
      for await (const chunk of own) {
        done += chunk.length
        yield chunk
      }
      yield paddingOf(entry.size)
      onBytes(done)
    }
    yield END
  } finally {
    body.destroy()
  }
}

/** Packs the entries and reads the result to its end, without storing it. */
export function testRepacked(client: S3Client, ref: ObjectRef, signal: AbortSignal): Promise<Tested> {
  return testStream(
    gzip(
      repacked(client, ref, signal, () => {}),
      signal,
    ),
    signal,
  )
}

async function* bounded(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const chunk of source) {
    bytes += chunk.length
    if (bytes > MAX_UNPACKED) throw new UnfitArchive(`it unpacks to more than ${sizeOf(MAX_UNPACKED)}`)
    yield chunk
  }
}

/** What no reader should unpack, and what would not fit into a plain archive. */
function refuseOdd(entry: Entry, before: number): void {
  const outside = (path: string) => path.startsWith('/') || path.split('/').includes('..')
  if (outside(entry.name) || (entry.type === 'link' && outside(entry.link)))
    throw new UnfitArchive(`"${entry.name}" leads out of the folder that it is unpacked in`)
  if (before >= MAX_ENTRIES) throw new UnfitArchive(`it has more than ${MAX_ENTRIES} entries`)
  headerOf(entry)
}
