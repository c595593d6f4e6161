import { z } from 'zod'
import { defineRead, type EvidenceBlock, Refused } from '../../src/domain/command.ts'
import { clean } from '../postgres/text.ts'
import { redshift } from './connection.ts'
import { readErrors, readMessages } from './errors.ts'
import { latestFailed, named } from './failure.ts'
import { stateOf } from './history.ts'
import { loadOf } from './load.ts'
import { queryParam } from './names.ts'

const MOST_ROWS = 20
const MOST_LINES = 3
const MOST_ERRORS = 200

/** Why a load failed: what sys_load_error_detail has of one COPY, and what was said of it as a whole. */
export const loadErrors = defineRead({
  id: 'redshift.load-errors',
  summary: 'Show why a load failed: file, line, column, value and reason',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Redshift connection'),
    load: z.string().default('').describe('Load, as the connection names it; its latest failure is shown'),
    query: queryParam('Id of the COPY instead, query_id of SYS_LOAD_HISTORY'),
    s3log: z
      .enum(['no', 'yes'])
      .default('no')
      .describe('Whether all that the reader of Parquet and ORC wrote is shown (SVL_S3LOG)'),
  }),
  async read({ connection, load: name, query: asked, s3log }, ctx) {
    const { client, settings } = await ctx.connect(redshift, connection)
    const sql = await client.sql()
    const load = name === '' ? null : loadOf(settings.loads, name)
    if (asked === undefined && load === null) throw new Refused('Say which load or which query.')
    const found = asked === undefined ? await latestFailed(sql, load!) : await named(sql, load, asked)
    if (found === null)
      return {
        summary: `No load of ${load?.table} from ${load?.from} failed or passed over errors in the seven days that Redshift remembers, as far as ${settings.user} may see (without the role sys:monitor: its own loads).`,
        blocks: [],
      }
    const { one, since } = found
    const errors = await readErrors(sql, one, MOST_ERRORS)
    const messages = await readMessages(sql, one.query, MOST_ROWS)
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
            e.value === null ? 'not kept' : clean(e.value, 200),
            `${e.reason} (${e.code})`,
          ]),
        omitted: Math.max(0, errors.length - MOST_ROWS),
      })
    for (const e of errors.slice(0, MOST_LINES))
      if (e.rawLine !== null)
        blocks.push({ type: 'code', text: `line ${e.line} of ${clean(e.file, 256)}\n${clean(e.rawLine, 400)}` })
    if (first && errors.slice(0, MOST_LINES).some((e) => e.rawLine === null))
      blocks.push({
        type: 'text',
        text: 'Redshift keeps no copy of these lines (Serverless, two zones or concurrency scaling): look into their files.',
      })
    const said = (s3log === 'yes' ? messages : messages.slice(0, 1)).map((message) => clean(message, 512))
    if (said.length > 0) blocks.push({ type: 'code', text: `what Redshift said\n${said.join('\n')}` })
    const many = errors.cut
      ? `More than ${errors.length} errors`
      : errors.length === 1
        ? 'One error'
        : `${errors.length} errors`
    const why = first
      ? `${many} of the load ${one.query} at ${first.at}: ${first.reason} in column ${first.column || '?'}, line ${first.line}.`
      : said[0]
        ? `The load ${one.query} at ${one.start} is ${stateOf(one)}; no line of it was rejected. ${said[0]}`
        : `The load ${one.query} at ${one.start} is ${stateOf(one)}, and nothing says why: no line of it was rejected, as far as ${settings.user} may see.`
    const after = since ? ` Its files were loaded since, by query ${since.query} at ${since.start}.` : ''
    return { summary: `${why}${after}`, blocks }
  },
})
