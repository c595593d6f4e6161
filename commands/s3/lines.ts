import type { Readable } from 'node:stream'
import { addAbortSignal, PassThrough } from 'node:stream'
import { createGunzip } from 'node:zlib'

/** A longer line is not held in memory and cannot be judged. */
export const MAX_LINE_BYTES = 8 * 1024 * 1024

/** `number` counts from 1. `bytes` is null for a line over the limit; `ended` is false for a last line without \n. */
export type Line = Readonly<{ number: number; bytes: Buffer | null; ended: boolean }>

/** The stored bytes are not a whole gzip stream. */
export class NotGzip extends Error {
  override name = 'NotGzip'
}

/** The connection broke before the end of an object. */
export class CutShort extends Error {
  override name = 'CutShort'
}

/** Is an object's content compressed? Its name says so, as COPY and the parsers take it. */
export const isGzip = (key: string): boolean => key.endsWith('.gz')

/**
 * Gunzips a stream (unless it is `plain`) and yields its lines, those of one chunk at a time; holds one chunk and one
 * line. Throws NotGzip for bytes that do not decompress, and the signal's reason on abort. Destroys the stream when the
 * caller stops.
 */
export async function* readLines(body: Readable, signal: AbortSignal, plain = false): AsyncGenerator<Line[]> {
  const gunzip = addAbortSignal(signal, plain ? new PassThrough() : createGunzip())
  let broken: unknown
  body.once('error', (error) => {
    broken = error
    gunzip.destroy(error)
  })
  body.pipe(gunzip)
  let number = 0
  let held: Buffer[] = []
  let size = 0
  const hold = (piece: Buffer) => {
    size += piece.length
    if (size <= MAX_LINE_BYTES) held.push(piece)
    else held = []
  }
  const finish = (ended: boolean): Line => {
    const bytes = size > MAX_LINE_BYTES ? null : held.length === 1 ? held[0]! : Buffer.concat(held)
    held = []
    size = 0
    number += 1
    return { number, bytes, ended }
  }
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      const batch: Line[] = []
      let from = 0
      for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
        hold(chunk.subarray(from, end))
        batch.push(finish(true))
        from = end + 1
      }
      if (from < chunk.length) hold(chunk.subarray(from))
      if (batch.length > 0) yield batch
    }
    if (size > 0) yield [finish(false)]
  } catch (error) {
    signal.throwIfAborted()
    if (broken) throw new CutShort('the object could not be read to its end', { cause: broken })
    const code = (error as { code?: unknown }).code
    if (typeof code === 'string' && code.startsWith('Z_'))
      throw new NotGzip(`not a whole gzip file: ${(error as Error).message}`, { cause: error })
    throw error
  } finally {
    body.destroy()
    gunzip.destroy()
  }
}
