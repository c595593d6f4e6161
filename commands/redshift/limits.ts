import type { Sql } from '../postgres/session.ts'
import { clean } from '../postgres/text.ts'
import { partsOf } from './names.ts'
import { unlessHidden } from './views.ts'

/**
 * "ALTER TABLE" of the developer guide, ALTER COLUMN … TYPE: encodings whose columns are not altered, besides those with a
 * default value and those of a UNIQUE, PRIMARY KEY or FOREIGN KEY.
 */
const ENCODINGS = ['bytedict', 'runlength', 'text255', 'text32k']

const KINDS: Readonly<Record<string, string>> = { p: 'PRIMARY KEY', u: 'UNIQUE', f: 'FOREIGN KEY' }

/** Why columns of a table cannot be widened, by name; `unknown` says what could not be looked at. */
export type Limits = Readonly<{
  why: ReadonlyMap<string, string>
  sortKeys: readonly string[]
  unknown: string | null
}>

/** Looks at what Redshift refuses to widen, so that a plan says it and not the run. */
export async function readLimits(sql: Sql, table: string): Promise<Limits> {
  const { schema, name } = partsOf(table)
  const why = new Map<string, string>()
  const add = (column: string, reason: string) => why.set(column.toLowerCase(), why.get(column.toLowerCase()) ?? reason)
  const columns = await unlessHidden(() =>
    sql.query<{ name: string; encoding: string | null; given: string | null; sortkey: number | null }>(
      `select rtrim(column_name) as name, rtrim(encoding) as encoding, rtrim(column_default) as given, sortkey
       from svv_redshift_columns where database_name = $3 and schema_name = $1 and table_name = $2`,
      [schema, name, sql.database],
    ),
  )
  for (const row of columns?.rows ?? []) {
    if (ENCODINGS.includes((row.encoding ?? '').toLowerCase()))
      add(row.name, `its encoding is ${row.encoding?.toUpperCase()}: change that first (ALTER COLUMN … ENCODE zstd)`)
    if (row.given) add(row.name, `it has a default value (${clean(row.given, 60)})`)
  }
  const { rows: keys } = await sql.query<{ kind: string; name: string }>(
    `select k.contype as kind, a.attname as name from pg_constraint k
     join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
     join pg_attribute a on a.attrelid = c.oid and a.attnum = any(k.conkey)
     where n.nspname = $1 and c.relname = $2 and k.contype in ('p', 'u', 'f')`,
    [schema, name],
  )
  for (const row of keys) add(row.name, `it is part of a ${KINDS[row.kind]}: drop that constraint first`)
  const { rows: views } = await sql.query<{ name: string; view: string }>(
    `select distinct a.attname as name, v.relname as view from pg_depend d
     join pg_rewrite r on r.oid = d.objid join pg_class v on v.oid = r.ev_class
     join pg_class c on c.oid = d.refobjid join pg_namespace n on n.oid = c.relnamespace
     join pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid
     where n.nspname = $1 and c.relname = $2 and v.oid <> c.oid`,
    [schema, name],
  )
  for (const row of views)
    add(row.name, `the view ${clean(row.view, 60)} uses it: drop that, and make it again afterwards`)
  return {
    why,
    sortKeys: (columns?.rows ?? [])
      .filter((row) => Number(row.sortkey ?? 0) !== 0)
      .map((row) => row.name.toLowerCase()),
    unknown:
      columns && columns.rows.length > 0
        ? null
        : 'Encodings and default values could not be looked at (svv_redshift_columns): Redshift itself refuses to widen a column with a default value or one of the encodings BYTEDICT, RUNLENGTH, TEXT255 and TEXT32K.',
  }
}
