import type { Sql } from '../postgres/session.ts'
import { clean } from '../postgres/text.ts'
import { utc } from './errors.ts'
import { partsOf } from './names.ts'
import { unlessHidden } from './views.ts'

/**
 * One COPY as sys_load_history keeps it, for seven days. Ids and counts are text, since they may be above 2^53. `status` is
 * running, completed or aborted; of a completed one `committed` says what became of its transaction, where that can be seen.
 */
export type Loaded = Readonly<{
  query: string
  transaction: string
  status: string
  committed: 'yes' | 'no' | 'unknown'
  table: string
  source: string
  start: string
  end: string
  rows: string
  files: string
  errors: string
}>

type Row = Record<
  'query' | 'transaction' | 'status' | 'table' | 'source' | 'start' | 'end' | 'rows' | 'files' | 'errors',
  string | null
>

const HISTORY = `select cast(query_id as varchar) as query, cast(transaction_id as varchar) as transaction, rtrim(status) as status,
  rtrim(table_name) as "table", rtrim(data_source) as source, cast(start_time as varchar) as start,
  cast(end_time as varchar) as "end", cast(loaded_rows as varchar) as rows, cast(source_file_count as varchar) as files,
  cast(error_count as varchar) as errors from sys_load_history`

const DAY = 24 * 3600 * 1000
/** Of a table, the latest; a guard asks for its own location, so that what is left out is older than what it looks for. */
const MOST = 1_000

type Wish = Readonly<{
  /** Only those that began on this day (UTC). */
  day?: string | null
  /** Only those whose location holds files of this one, or is below it: COPY takes a location as a prefix. */
  source?: string
}>

/** The loads of a table, the latest first; `cut` when there are more. Redshift names neither schema nor owner. */
export async function readLoads(
  sql: Sql,
  table: string,
  { day = null, source }: Wish = {},
): Promise<Loaded[] & { cut?: boolean }> {
  const from = day ?? '1970-01-01'
  const to = day ? new Date(Date.parse(day) + DAY).toISOString().slice(0, 10) : '9999-12-31'
  const { rows } = await sql.query<Row>(
    `${HISTORY} where rtrim(table_name) = $1 and rtrim(database_name) = $4 and start_time >= cast($2 as timestamp) and start_time < cast($3 as timestamp)
       ${source === undefined ? '' : 'and (strpos(rtrim(data_source), cast($5 as varchar)) = 1 or strpos(cast($5 as varchar), rtrim(data_source)) = 1)'}
     order by start_time desc, query_id desc limit ${MOST + 1}`,
    // Functions of the leader node, such as current_database(), are not called over SYS views.
    [partsOf(table).name, from, to, sql.database, ...(source === undefined ? [] : [source])],
  )
  const loads = await withFate(sql, rows.slice(0, MOST))
  return rows.length > MOST ? Object.assign(loads, { cut: true }) : loads
}

/** One COPY by its query id, as SYS views have it; null if Redshift does not know it (any more), or it is another user's. */
export async function readLoad(sql: Sql, query: string): Promise<Loaded | null> {
  const { rows } = await sql.query<Row>(`${HISTORY} where query_id = $1`, [query])
  return (await withFate(sql, rows))[0] ?? null
}

/** Did this load put rows into the table that are there now, as far as can be known? */
export const isIn = (one: Loaded): boolean => one.status === 'completed' && one.committed !== 'no'

/** As a person reads it. */
export const stateOf = (one: Loaded): string =>
  one.status === 'completed' && one.committed === 'no'
    ? 'rolled back'
    : ['running', 'completed', 'aborted'].includes(one.status)
      ? one.status
      : `unknown: ${clean(one.status, 40)}`

/**
 * A COPY that completed is undone by the ROLLBACK of its transaction, which sys_load_history does not say. It is in
 * sys_transaction_history, which is for superusers: without it nobody knows.
 */
async function withFate(sql: Sql, rows: readonly Row[]): Promise<Loaded[]> {
  const ids = [...new Set(rows.filter((row) => row.status === 'completed').map((row) => row.transaction ?? ''))]
    .filter((id) => /^\d+$/.test(id))
    .slice(0, 500)
  const found =
    ids.length === 0
      ? null
      : await unlessHidden(() =>
          sql.query<{ id: string; status: string }>(
            `select cast(transaction_id as varchar) as id, rtrim(status) as status from sys_transaction_history
             where transaction_id in (${ids.map((_, i) => `$${i + 1}`).join(', ')})`,
            ids,
          ),
        )
  const fates = new Map(found?.rows.map((row) => [row.id, row.status]))
  return rows.map((row) => {
    const fate = fates.get(row.transaction ?? '')
    return {
      query: row.query ?? '',
      transaction: row.transaction ?? '',
      status: row.status ?? '',
      committed: fate === 'committed' ? 'yes' : fate === 'rolledback' ? 'no' : 'unknown',
      table: clean(row.table ?? '', 127),
      source: row.source ?? '',
      start: utc(row.start ?? ''),
      end: utc(row.end ?? ''),
      rows: row.rows ?? '0',
      files: row.files ?? '0',
      errors: row.errors ?? '0',
    }
  })
}
