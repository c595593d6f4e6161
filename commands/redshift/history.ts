import type { Client } from 'pg'
import { clean } from '../postgres/text.ts'
import { utc } from './errors.ts'
import { partsOf } from './names.ts'

/** One COPY as sys_load_history keeps it. `status` is running, completed or aborted. */
export type Loaded = Readonly<{
  query: number
  status: string
  table: string
  source: string
  start: string
  end: string
  rows: number
  files: number
  errors: number
}>

type Row = Record<
  'query' | 'status' | 'table' | 'source' | 'start' | 'end' | 'rows' | 'files' | 'errors',
  string | null
>

const HISTORY = `select query_id as query, rtrim(status) as status, rtrim(table_name) as "table", rtrim(data_source) as source,
  cast(start_time as varchar) as start, cast(end_time as varchar) as "end", loaded_rows as rows,
  source_file_count as files, error_count as errors from sys_load_history`

const DAY = 24 * 3600 * 1000

const toLoaded = (row: Row): Loaded => ({
  query: Number(row.query),
  status: row.status ?? '',
  table: clean(row.table ?? '', 127),
  source: row.source ?? '',
  start: utc(row.start ?? ''),
  end: utc(row.end ?? ''),
  rows: Number(row.rows ?? 0),
  files: Number(row.files ?? 0),
  errors: Number(row.errors ?? 0),
})

/** The loads of a table that began on a day (UTC), or at any time that Redshift remembers; the latest first. */
export async function readLoads(sql: Client, table: string, day: string | null): Promise<Loaded[]> {
  const from = day ?? '1970-01-01'
  const to = day ? new Date(Date.parse(day) + DAY).toISOString().slice(0, 10) : '9999-12-31'
  const { rows } = await sql.query<Row>(
    `${HISTORY} where rtrim(table_name) = $1 and start_time >= cast($2 as timestamp) and start_time < cast($3 as timestamp)
     order by start_time desc, query_id desc limit 200`,
    // Redshift names the table without its schema.
    [partsOf(table).name, from, to],
  )
  return rows.map(toLoaded)
}

/** One COPY by its query id; null if Redshift does not know it (any more). */
export async function readLoad(sql: Client, query: number): Promise<Loaded | null> {
  const { rows } = await sql.query<Row>(`${HISTORY} where query_id = $1`, [query])
  return rows[0] ? toLoaded(rows[0]) : null
}
