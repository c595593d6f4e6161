import { Readable } from 'node:stream'
import { constants, gunzipSync } from 'node:zlib'
import type { S3Client } from '@aws-sdk/client-s3'
import { CutShort, NotGzip } from './lines.ts'
import { get, type ObjectRef, Unreadable } from './objects.ts'

/** What is stored, as it is, and whether it is gzip: its bytes say so, not its name. */
export type Content = Readonly<{ body: Readable; gzip: boolean }>

/** How files begin that hold no lines, or lines that are not unpacked here. */
const MAGIC: readonly (readonly [string, string])[] = [
  ['28b52ffd', 'it is compressed with zstd, which is not supported'],
  ['425a68', 'it is compressed with bzip2, which is not supported'],
  ['fd377a585a00', 'it is compressed with xz, which is not supported'],
  ['04224d18', 'it is compressed with lz4, which is not supported'],
  ['ff060000734e61507059', 'it is compressed with snappy, which is not supported'],
  ['504b0304', 'it is a zip archive, no file of lines'],
  ['50415231', 'it is a Parquet file, no file of lines'],
  ['4f626a01', 'it is an Avro file, no file of lines'],
  ['4f5243', 'it is an ORC file, no file of lines'],
]
/** Content codings of RFC 9110 and IANA's list beside gzip. What else uploaders write there, as `utf-8`, packs nothing. */
const CODINGS = new Set(['br', 'compress', 'x-compress', 'deflate', 'zstd', 'dcb', 'dcz', 'exi'])
const LONGEST = 10
const GZIP = '1f8b'

/**
 * Opens exactly the object that `ref` names as lines: `Content-Encoding` and the first bytes decide whether it is gzip. Throws
 * ObjectChanged, Unreadable for what is no file of lines or packed as is not supported, and NotGzip for what is named gzip
 * and is not.
 */
export async function openLines(client: S3Client, ref: ObjectRef, signal: AbortSignal): Promise<Content> {
  const { body, encoding } = await get(client, ref, signal)
  try {
    // `aws-chunked` is how it was sent, not how it is stored.
    const encodings = encoding
      .toLowerCase()
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== '' && one !== 'aws-chunked' && one !== 'identity')
    const strange = encodings.find((one) => CODINGS.has(one))
    if (strange) throw new Unreadable(ref, `its Content-Encoding is ${strange}, which is not supported`)
    const { start, whole } = await begin(body)
    // Nothing is stored: no line, whatever it is called.
    if (start.length === 0) return { body: whole, gzip: false }
    const gzip = start.toString('hex', 0, 2) === GZIP
    if (!gzip && encodings.some((one) => one === 'gzip' || one === 'x-gzip'))
      throw new NotGzip('not a whole gzip file: its Content-Encoding says gzip, its first bytes do not')
    if (!gzip && /\.gz(ip)?$/i.test(ref.key)) throw new NotGzip('not a whole gzip file: incorrect header check')
    const inside = gzip ? first(start) : start
    if (gzip && inside.toString('hex', 0, 2) === GZIP)
      throw new Unreadable(ref, 'it is compressed twice, which is not supported for lines')
    const [, why] = MAGIC.find(([magic]) => inside.toString('hex', 0, LONGEST).startsWith(magic)) ?? []
    if (why) throw new Unreadable(ref, why)
    return { body: whole, gzip }
  } catch (error) {
    body.destroy()
    throw error
  }
}

/** The first bytes of a stream, and a stream of all of it. */
async function begin(body: Readable): Promise<{ start: Buffer; whole: Readable }> {
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let start = Buffer.alloc(0)
  while (start.length < LONGEST) {
    const next = await chunks.next().catch((cause: unknown) => {
      throw new CutShort('the object could not be read to its end', { cause })
    })
    if (next.done) break
    start = Buffer.concat([start, next.value])
  }
  const all = async function* () {
    try {
      if (start.length > 0) yield start
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value
    } finally {
      body.destroy()
    }
  }
  return { start, whole: Readable.from(all(), { objectMode: false }) }
}

/** What the first bytes of a gzip stream unpack to, as far as they do. */
function first(start: Buffer): Buffer {
  try {
    return gunzipSync(start.subarray(0, 16 * 1024), { finishFlush: constants.Z_SYNC_FLUSH })
  } catch {
    return Buffer.alloc(0)
  }
}
