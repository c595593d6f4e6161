import type { Sql } from '../postgres/session.ts'
import { clean } from '../postgres/text.ts'
import { partsOf } from './names.ts'
import { unlessHidden } from './views.ts'

/**
 * One rejected value of a load. Texts are untrusted. `rawLine` and `value` are what stl_load_errors keeps of it (at most
 * 1,024 bytes, each multibyte character as a period), null where it keeps nothing: Serverless, clusters in two zones, loads
 * on concurrency scaling.
 */
export type LoadError = Readonly<{
  query: string
  at: string
  file: string
  line: number
  column: string
  type: string
  length: string
  code: number
  reason: string
  rawLine: string | null
  value: string | null
}>

type Row = Record<'at' | 'file' | 'line' | 'column' | 'type' | 'length' | 'reason' | 'tbl' | 'code', string | null>
type Raw = Record<'file' | 'line' | 'column' | 'raw_line' | 'value', string | null>

const ERRORS = `select cast(start_time as varchar) as at, rtrim(file_name) as file, cast(line_number as varchar) as line,
  rtrim(column_name) as "column", rtrim(column_type) as type, rtrim(column_length) as length, rtrim(error_message) as reason,
  cast(error_code as varchar) as code, cast(table_id as varchar) as tbl from sys_load_error_detail`

/** The id that system tables know a table by; null if there is no such table. */
export async function tableId(sql: Sql, table: string): Promise<string | null> {
  const { schema, name } = partsOf(table)
  const { rows } = await sql.query<{ id: string }>(
    'select c.oid as id from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2',
    [schema, name],
  )
  return rows[0] ? String(rows[0].id) : null
}

/** The errors of one load, by file and line; `cut` when there are more than `limit`. */
export async function readErrors(
  sql: Sql,
  { query, start, end }: Readonly<{ query: string; start: string; end: string }>,
  limit: number,
): Promise<LoadError[] & { cut?: boolean }> {
  const { rows } = await sql.query<Row>(
    `${ERRORS} where query_id = $1 order by file_name, line_number, column_name limit ${limit + 1}`,
    [query],
  )
  const shown = rows.slice(0, limit)
  const raws = shown[0]?.tbl ? await readRaw(sql, shown[0].tbl, start, end) : new Map<string, Raw>()
  const errors: LoadError[] = shown.map((row) => {
    const raw = raws.get(placeOf(row))
    return {
      query,
      at: utc(row.at ?? ''),
      file: row.file ?? '',
      line: Number(row.line),
      column: clean(row.column ?? '', 127),
      type: clean(row.type ?? '', 10),
      length: clean(row.length ?? '', 10),
      code: Number(row.code),
      reason: clean(row.reason ?? 'no reason given', 200),
      rawLine: raw?.raw_line ?? null,
      value: raw?.value ?? null,
    }
  })
  return rows.length > limit ? Object.assign(errors, { cut: true }) : errors
}

const placeOf = (row: Pick<Row, 'file' | 'line' | 'column'>): string => JSON.stringify([row.file, row.line, row.column])

const plain = (iso: string): string => iso.replace('T', ' ').replace('Z', '')

/**
 * What stl_load_errors keeps of the lines of a load, by file, line and column. Its own query ids are not those of SYS views
 * (STL_QUERY in the developer guide), so it is found by table and by the time of the load.
 */
async function readRaw(sql: Sql, table: string, start: string, end: string): Promise<Map<string, Raw>> {
  const found = await unlessHidden(() =>
    sql.query<Raw>(
      `select rtrim(filename) as file, cast(line_number as varchar) as line, rtrim(colname) as "column",
         rtrim(raw_line) as raw_line, rtrim(raw_field_value) as value from stl_load_errors
       where tbl = $1 and starttime >= cast($2 as timestamp) - interval '1 minute'
         and starttime <= cast($3 as timestamp) + interval '1 minute' order by starttime`,
      [table, plain(start), plain(end || start)],
    ),
  )
  return new Map(found?.rows.map((row) => [placeOf(row), row]))
}

/**
 * What was said of a load as a whole: why its query failed, and, where SVL_S3LOG is to be had, what the reader of columnar
 * files wrote meanwhile. Untrusted.
 */
export async function readMessages(sql: Sql, query: string, limit: number): Promise<string[]> {
  const { rows } = await sql.query<{ message: string | null; pid: number; start: string; end: string | null }>(
    `select rtrim(error_message) as message, session_id as pid, cast(start_time as varchar) as start,
       cast(end_time as varchar) as "end" from sys_query_history where query_id = $1`,
    [query],
  )
  const [one] = rows
  if (!one) return []
  const log = await unlessHidden(() =>
    sql.query<{ message: string }>(
      `select rtrim(message) as message from svl_s3log where pid = $1 and eventtime >= cast($2 as timestamp)
         and eventtime <= cast($3 as timestamp) + interval '5 seconds'
       order by eventtime, segment, step, node, slice limit ${limit}`,
      [one.pid, one.start, one.end ?? '9999-12-30'],
    ),
  )
  const said = [one.message ?? '', ...(log?.rows.map((row) => row.message) ?? [])]
  return [...new Set(said.map((text) => text.trim()).filter(Boolean))]
}

/** System tables keep UTC without saying so. */
export const utc = (timestamp: string): string => (timestamp === '' ? '' : `${timestamp.replace(' ', 'T')}Z`)
