import type { ReadContext } from '../../src/domain/command.ts'
import { isAllowed, s3 } from '../s3/connection.ts'
import { isGzip, NotGzip, readLines } from '../s3/lines.ts'
import { head, open } from '../s3/objects.ts'
import type { TooLong } from './alterations.ts'
import type { LoadError } from './errors.ts'
import { type Load, unreadable } from './load.ts'
import { bytesOf, isSameLine, valuesOf } from './records.ts'
import { byFile, isUntouched, type Rejected } from './rejected.ts'

/** A plan has a minute. */
const MOST_FILES = 10
const MOST_BYTES = 128 * 1024 * 1024

/**
 * How many bytes the values have that were too long for their columns: of their files, since what Redshift keeps of a value is
 * cut, and has one period in place of each multibyte character. `whole` is false where the file does not tell either.
 */
export async function measure(
  ctx: ReadContext,
  load: Load,
  columns: readonly string[],
  errors: readonly LoadError[],
  start: string,
): Promise<TooLong[]> {
  const found: TooLong[] = []
  const unclear: LoadError[] = []
  for (const e of errors) {
    const bytes = bytesOf(e.value)
    if (bytes === null) unclear.push(e)
    else found.push({ column: e.column, bytes, whole: true })
  }
  for (const rejected of load.s3 && !unreadable(load) ? byFile(load, unclear).slice(0, MOST_FILES) : [])
    found.push(...(await inFile(ctx, load, load.s3!, columns, rejected, start)))
  const open = unclear.filter((e) => !found.some((one) => one.column.toLowerCase() === e.column.toLowerCase()))
  return [...found, ...open.map((e) => ({ column: e.column, bytes: Number(e.length) + 1 || 1, whole: false }))]
}

async function inFile(
  ctx: ReadContext,
  load: Load,
  connection: string,
  columns: readonly string[],
  { bucket, key, errors }: Rejected,
  start: string,
): Promise<TooLong[]> {
  const { client, settings } = await ctx.connect(s3, connection)
  if (!isAllowed(settings, bucket, key)) return []
  const at = await head(client, { bucket, key }, ctx.signal)
  if (!at?.ETag || (at.ContentLength ?? 0) > MOST_BYTES) return []
  const untouched = isUntouched({ written: at.LastModified, loaded: start })
  const found: TooLong[] = []
  const last = Math.max(...errors.map((e) => e.line))
  try {
    const body = await open(client, { bucket, key, etag: at.ETag }, ctx.signal)
    for await (const batch of readLines(body, ctx.signal, !isGzip(key))) {
      for (const { number, bytes } of batch) {
        const of = bytes ? errors.filter((e) => e.line === number) : []
        const line = of.length > 0 ? bytes!.toString('utf8').replace(/\r$/, '') : ''
        for (const e of of) {
          const same = e.rawLine === null ? untouched : isSameLine(line, e.rawLine)
          const value = same ? valuesOf(load, columns, line)?.get(e.column.toLowerCase()) : undefined
          if (value !== undefined) found.push({ column: e.column, bytes: Buffer.byteLength(value), whole: true })
        }
      }
      if ((batch.at(-1)?.number ?? 0) >= last) break
    }
  } catch (error) {
    if (!(error instanceof NotGzip)) throw error
  }
  return found
}
