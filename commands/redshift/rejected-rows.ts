import { z } from 'zod'
import { defineRead, type EvidenceBlock } from '../../src/domain/command.ts'
import { clean } from '../postgres/text.ts'
import { isAllowed, s3 } from '../s3/connection.ts'
import { sizeOf } from '../s3/listing.ts'
import { head } from '../s3/objects.ts'
import { survey } from '../s3/survey.ts'
import { findFailure } from './failure.ts'
import { queryParam } from './names.ts'
import { judgeRejected, LineMoved } from './rejected.ts'

const MOST_FILES = 5
const MOST_LINES = 5
/** Evidence has a minute. */
const MOST_BYTES = 256 * 1024 * 1024

const movedOf = (error: LineMoved): string =>
  /keeps no copy/.test(error.message)
    ? 'cannot be told: the file was written after the load began'
    : 'no, the file was written anew'

/** Reads the files of a failed load as streams: are the rejected lines still there, and how many rows have only their key? */
export const rejectedRows = defineRead({
  id: 'redshift.rejected-rows',
  summary: 'Look into the files of a failed load: the rejected lines, and rows with nothing but their key',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Redshift connection'),
    load: z.string().describe('Load, as the connection names it; its latest failure is looked at'),
    query: queryParam('Id of the COPY instead, query_id of SYS_LOAD_HISTORY'),
  }),
  async read(params, ctx) {
    const failure = await findFailure(ctx, params)
    if (!failure || failure.files.length === 0)
      return { summary: `Redshift names no file of the load "${params.load}" with a rejected line.`, blocks: [] }
    const { client, settings } = await ctx.connect(s3, failure.s3)
    const rows: string[][] = []
    const blocks: EvidenceBlock[] = []
    let hollow = 0
    for (const rejected of failure.files.slice(0, MOST_FILES)) {
      const { file, bucket, key, errors } = rejected
      const tell = (what: string) => rows.push([file, '–', String(errors.length), what, '–'])
      if (!isAllowed(settings, bucket, key)) {
        tell(`not read: the connection "${failure.s3}" names other buckets (${settings.buckets.join(', ')})`)
        continue
      }
      try {
        const at = await head(client, { bucket, key }, ctx.signal)
        if (!at?.ETag) {
          tell('the file is gone')
          continue
        }
        if ((at.ContentLength ?? 0) > MOST_BYTES) {
          tell(`not read: ${sizeOf(at.ContentLength ?? 0)}`)
          continue
        }
        const found = await survey(
          client,
          { bucket, key, etag: at.ETag },
          ctx.signal,
          judgeRejected(failure.load, failure.columns, rejected, true, {
            written: at.LastModified,
            loaded: failure.start,
          }),
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
        ctx.signal.throwIfAborted()
        // One file that cannot be read does not hide the others.
        tell(
          error instanceof LineMoved
            ? movedOf(error)
            : `not read: ${clean(error instanceof Error ? error.message : String(error), 200)}`,
        )
      }
    }
    return {
      summary: `The load ${failure.query} rejected ${failure.cut ? 'more lines than are read at once' : 'lines'} of ${failure.files.length === 1 ? 'one file' : `${failure.files.length} files`}; ${hollow} rows are to be set aside, those with nothing but their key included.${failure.since ? ` Its files were loaded since, by query ${failure.since.query}.` : ''}`,
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
