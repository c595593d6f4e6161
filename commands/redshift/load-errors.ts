import { z } from 'zod'
import { defineRead, type EvidenceBlock, Refused } from '../../src/domain/command.ts'
import { clean } from '../postgres/text.ts'
import { redshift } from './connection.ts'
import { readErrors, readS3Log } from './errors.ts'
import { latestFailed } from './failure.ts'
import { loadOf } from './load.ts'

const MOST_ROWS = 20
const MOST_LINES = 3

/** Why a load failed: the rows of stl_load_errors of one COPY, and what the file reader wrote to SVL_S3LOG. */
export const loadErrors = defineRead({
  id: 'redshift.load-errors',
  summary: 'Show why a load failed: file, line, column, value and reason',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Redshift connection'),
    load: z.string().default('').describe('Load, as the connection names it; its latest failure is shown'),
    query: z.coerce.number().int().positive().optional().describe('Id of the COPY instead'),
    s3log: z.enum(['no', 'yes']).default('no').describe('Whether SVL_S3LOG is shown (Parquet and ORC)'),
  }),
  async read({ connection, load: name, query: asked, s3log }, ctx) {
    const { client, settings } = await ctx.connect(redshift, connection)
    const sql = await client.sql()
    const load = name === '' ? null : loadOf(settings.loads, name)
    if (asked === undefined && load === null) throw new Refused('Say which load or which query.')
    const query = asked ?? (await latestFailed(sql, load!))
    if (query === null)
      return {
        summary: `No load of ${load?.table} has failed or has errors in stl_load_errors, which reaches back some days.`,
        blocks: [],
      }
    const errors = await readErrors(sql, query, 200)
    const first = errors[0]
    const blocks: EvidenceBlock[] = []
    if (first)
      blocks.push({
        type: 'table',
        columns: ['file', 'line', 'column', 'type', 'value', 'reason'],
        rows: errors
          .slice(0, MOST_ROWS)
          .map((e) => [
            clean(e.file, 256),
            String(e.line),
            e.column,
            e.length ? `${e.type}(${e.length})` : e.type,
            e.value,
            `${e.reason} (${e.code})`,
          ]),
        omitted: Math.max(0, errors.length - MOST_ROWS),
      })
    for (const e of errors.slice(0, MOST_LINES))
      blocks.push({ type: 'code', text: `line ${e.line} of ${clean(e.file, 256)}\n${clean(e.rawLine, 400)}` })
    if (s3log === 'yes') {
      const text = (await readS3Log(sql, query, MOST_ROWS)).map((message) => clean(message, 512)).join('\n')
      blocks.push({ type: 'code', text: `SVL_S3LOG\n${text || 'nothing'}` })
    }
    const summary = first
      ? `${errors.length === 1 ? 'One error' : `${errors.length} errors`} of the load ${query} at ${first.at}: ${first.reason} in column ${first.column || '?'}, line ${first.line}.`
      : `stl_load_errors has no error of the load ${query}.`
    return { summary, blocks }
  },
})
