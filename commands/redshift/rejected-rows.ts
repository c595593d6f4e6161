import { z } from 'zod'
import { defineRead, type EvidenceBlock, Refused } from '../../src/domain/command.ts'
import { clean } from '../postgres/text.ts'
import { isAllowed, s3 } from '../s3/connection.ts'
import { sizeOf } from '../s3/listing.ts'
import { head } from '../s3/objects.ts'
import { survey } from '../s3/survey.ts'
import { findFailure } from './failure.ts'
import { judgeRejected, LineMoved } from './rejected.ts'

const MOST_FILES = 5
const MOST_LINES = 5
/** Evidence has a minute. */
const MOST_BYTES = 256 * 1024 * 1024

/** Reads the files of a failed load as streams: are the rejected lines still there, and how many rows have only their key? */
export const rejectedRows = defineRead({
  id: 'redshift.rejected-rows',
  summary: 'Look into the files of a failed load: the rejected lines, and rows with nothing but their key',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Redshift connection'),
    load: z.string().describe('Load, as the connection names it; its latest failure is looked at'),
    query: z.coerce.number().int().positive().optional().describe('Id of the COPY instead'),
  }),
  async read(params, ctx) {
    const failure = await findFailure(ctx, params)
    if (!failure || failure.files.length === 0)
      return { summary: `stl_load_errors names no file of the load "${params.load}".`, blocks: [] }
    const { client, settings } = await ctx.connect(s3, failure.s3)
    const rows: string[][] = []
    const blocks: EvidenceBlock[] = []
    let hollow = 0
    for (const rejected of failure.files.slice(0, MOST_FILES)) {
      const { file, bucket, key, errors } = rejected
      if (!isAllowed(settings, bucket, key))
        throw new Refused(
          `The connection "${failure.s3}" may not read ${file}. Allowed: ${settings.buckets.join(', ')}.`,
        )
      const at = await head(client, { bucket, key }, ctx.signal)
      if (!at?.ETag) {
        rows.push([file, '–', String(errors.length), 'the file is gone', '–'])
        continue
      }
      if ((at.ContentLength ?? 0) > MOST_BYTES) {
        rows.push([file, '–', String(errors.length), `not read: ${sizeOf(at.ContentLength ?? 0)}`, '–'])
        continue
      }
      try {
        const found = await survey(
          client,
          { bucket, key, etag: at.ETag },
          ctx.signal,
          judgeRejected(failure.load, failure.columns, rejected, true),
        )
        const lines = new Set(errors.map((e) => e.line))
        const empty = found.bad.filter((line) => !lines.has(line.number)).length
        hollow += found.bad.length
        rows.push([
          file,
          String(found.total),
          String(lines.size),
          found.bad.length - empty === lines.size ? 'yes' : 'in part',
          failure.load.keys.length > 0 ? String(empty) : 'not counted: the load names no keys',
        ])
        const shown = found.bad
          .slice(0, MOST_LINES)
          .map((line) => `line ${line.number}: ${line.reason}: ${line.preview}`)
        if (shown.length > 0) blocks.push({ type: 'code', text: `${clean(file, 256)}\n${shown.join('\n')}` })
      } catch (error) {
        if (!(error instanceof LineMoved)) throw error
        rows.push([file, '–', String(errors.length), 'no, the file was written anew', '–'])
      }
    }
    return {
      summary: `The load ${failure.query} rejected lines of ${failure.files.length === 1 ? 'one file' : `${failure.files.length} files`}; ${hollow} rows are to be set aside, those with nothing but their key included.`,
      blocks: [
        {
          type: 'table',
          columns: ['file', 'lines', 'rejected', 'still there', 'more rows with only their key'],
          rows,
          omitted: Math.max(0, failure.files.length - MOST_FILES),
        },
        ...blocks,
      ],
    }
  },
})
