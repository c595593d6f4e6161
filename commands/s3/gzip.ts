import { pipeline } from 'node:stream/promises'
import { crc32, createGunzip, createGzip } from 'node:zlib'

/** The stored bytes don't hold a whole archive: what is missing can't be made again from them. */
export class BrokenArchive extends Error {
  override name = 'BrokenArchive'
}

/** It may all be there, but it is not packed again: it would be dangerous, too large, or not the same afterwards. */
export class UnfitArchive extends BrokenArchive {
  override name = 'UnfitArchive'
}

/** What strict readers stumble over though all of the content is there, as ends of the sentence "The archive …". */
export type Oddities = Set<string>

type Bytes = AsyncIterable<Buffer>

/**
 * Takes the compression off a stream: once, twice or not at all, as it finds it; holds a chunk. Throws BrokenArchive for
 * bytes that do not decompress to their end.
 */
export async function* unpack(source: Bytes, odd: Oddities, signal: AbortSignal, layer = 0): AsyncGenerator<Buffer> {
  const chunks = source[Symbol.asyncIterator]()
  let start = Buffer.alloc(0)
  while (start.length < 4) {
    const next = await chunks.next()
    if (next.done) break
    start = Buffer.concat([start, next.value])
  }
  const whole = async function* () {
    yield start
    yield* { [Symbol.asyncIterator]: () => chunks }
  }
  if (start.length < 2 || start.readUInt16BE(0) !== 0x1f8b) {
    if (layer === 0) odd.add('is not compressed')
    yield* whole()
  } else if (layer === 2) throw new UnfitArchive('it is compressed more than twice')
  else {
    if (layer === 1) odd.add('is compressed twice')
    // Any of RFC 1952's flags but FNAME.
    if ((start[3] ?? 0) & ~8) odd.add('has extra fields in its gzip header')
    yield* unpack(gunzip(whole(), odd, signal), odd, signal, layer + 1)
  }
}

async function* gunzip(source: Bytes, odd: Oddities, signal: AbortSignal): AsyncGenerator<Buffer> {
  let trailer = Buffer.alloc(0)
  let crc = 0
  let length = 0
  const stream = createGunzip()
  const fed = pipeline(
    async function* () {
      for await (const chunk of source) {
        trailer = Buffer.concat([trailer, chunk.subarray(-8)]).subarray(-8)
        yield chunk
      }
    },
    stream,
    { signal },
  ).catch(() => undefined)
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      crc = crc32(chunk, crc)
      length += chunk.length
      yield chunk
    }
  } catch (error) {
    signal.throwIfAborted()
    const code = (error as { code?: unknown }).code
    if (typeof code !== 'string' || !code.startsWith('Z_')) throw error
    throw new BrokenArchive(`gzip: ${(error as Error).message} after ${length} unpacked bytes`, { cause: error })
  } finally {
    stream.destroy()
    await fed
  }
  // RFC 1952: a member ends with the CRC-32 and the length, modulo 2^32, of what it holds.
  if (trailer.length < 8 || trailer.readUInt32LE(0) !== crc || trailer.readUInt32LE(4) !== length % 2 ** 32)
    odd.add('has several gzip members or bytes after its end')
}

/** Compresses a stream; the same bytes give the same bytes. */
export async function* gzip(source: Bytes, signal: AbortSignal): AsyncGenerator<Buffer> {
  const stream = createGzip()
  // What breaks the source breaks the stream, and is thrown where that is read.
  const fed = pipeline(source, stream, { signal }).catch(() => undefined)
  try {
    yield* stream as AsyncIterable<Buffer>
  } finally {
    stream.destroy()
    await fed
  }
}
