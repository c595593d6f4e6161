import type { Client } from 'pg'
import { clean } from '../postgres/text.ts'
import { partsOf } from './names.ts'

/** One row of stl_load_errors. Texts are untrusted; `rawLine` is as Redshift has it, cut at 1,024 bytes. */
export type LoadError = Readonly<{
  query: number
  at: string
  file: string
  line: number
  column: string
  type: string
  length: string
  value: string
  /** Of the value, as far as Redshift keeps it. */
  bytes: number
  rawLine: string
  code: number
  reason: string
}>

type Row = {
  query: string
  at: string
  file: string
  line: string
  column: string
  type: string
  length: string
  value: string
  raw_line: string
  code: number
  reason: string
}

/** Redshift keeps these for some days: "STL views for logging" in the developer guide. */
const ERRORS = `select query, cast(starttime as varchar) as at, rtrim(filename) as file, line_number as line,
  rtrim(colname) as "column", rtrim(type) as type, rtrim(col_length) as length, rtrim(raw_field_value) as value,
  rtrim(raw_line) as raw_line, err_code as code, rtrim(err_reason) as reason from stl_load_errors`

/** The id that system tables know a table by; null if there is no such table. */
export async function tableId(sql: Client, table: string): Promise<string | null> {
  const { schema, name } = partsOf(table)
  const { rows } = await sql.query<{ id: string }>(
    'select c.oid as id from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2',
    [schema, name],
  )
  return rows[0] ? String(rows[0].id) : null
}

/** The query of a table's latest load that has errors; null if there is none. */
export async function latestFailure(sql: Client, table: string): Promise<number | null> {
  const id = await tableId(sql, table)
  if (id === null) return null
  const { rows } = await sql.query<{ query: string }>(
    'select query from stl_load_errors where tbl = $1 order by starttime desc, query desc limit 1',
    [id],
  )
  return rows[0] ? Number(rows[0].query) : null
}

/** The errors of one load, by file and line. */
export async function readErrors(sql: Client, query: number, limit: number): Promise<LoadError[]> {
  const { rows } = await sql.query<Row>(
    `${ERRORS} where query = $1 order by filename, line_number, colname limit ${limit}`,
    [query],
  )
  return rows.map((row) => ({
    query: Number(row.query),
    at: utc(row.at),
    file: row.file,
    line: Number(row.line),
    column: clean(row.column, 127),
    type: clean(row.type, 10),
    length: clean(row.length, 10),
    value: clean(row.value, 200),
    bytes: Buffer.byteLength(row.value),
    rawLine: row.raw_line,
    code: row.code,
    reason: clean(row.reason, 200),
  }))
}

/** What the reader of columnar files wrote about a load; untrusted, of at most 512 characters each. */
export async function readS3Log(sql: Client, query: number, limit: number): Promise<string[]> {
  const { rows } = await sql.query<{ message: string }>(
    `select rtrim(message) as message from svl_s3log where query = $1 order by eventtime, segment, step, node, slice
     limit ${limit}`,
    [query],
  )
  return rows.map((row) => row.message)
}

/** System tables keep UTC without saying so. */
export const utc = (timestamp: string): string => (timestamp === '' ? '' : `${timestamp.replace(' ', 'T')}Z`)
