import type { Sql } from '../postgres/session.ts'
import { clean } from '../postgres/text.ts'
import { partsOf } from './names.ts'

/** A column with its type as Redshift writes it in a definition: `character varying(64)`. */
export type Column = Readonly<{ name: string; type: string; length: number | null; nullable: boolean }>

type Row = {
  name: string
  type: string
  length: string | number | null
  precision: number | null
  scale: number | null
  nullable: string
}

/** The longest VARCHAR, in bytes: "Character types" in the Redshift developer guide. */
export const LONGEST = 65_535

/** The columns of a table in their order; none if there is no such table, or nobody may see it. */
export async function readColumns(sql: Sql, table: string): Promise<Column[]> {
  const { schema, name } = partsOf(table)
  const { rows } = await sql.query<Row>(
    `select rtrim(column_name) as name, rtrim(data_type) as type, character_maximum_length as length,
       numeric_precision as precision, numeric_scale as scale, rtrim(is_nullable) as nullable
     from svv_columns where table_schema = $1 and table_name = $2 order by ordinal_position`,
    [schema, name],
  )
  return rows.map((row) => {
    const length = row.length === null ? null : Number(row.length)
    const type = clean(row.type, 60)
    return {
      name: row.name,
      type:
        length !== null && type.startsWith('char')
          ? `${type}(${length})`
          : type === 'numeric'
            ? `numeric(${row.precision},${row.scale})`
            : type,
      length,
      nullable: row.nullable.toUpperCase() !== 'NO',
    }
  })
}

/** A column that files have, and what it is in Redshift; `type` is null where there is no plain one. */
export type Wanted = Readonly<{ name: string; source: string; type: string | null }>

/** Types of the catalogue of external tables (Hive's) and of exports, to Redshift's. */
const TYPES: Readonly<Record<string, string>> = {
  timestamp: 'timestamp without time zone',
  date: 'date',
  smallint: 'smallint',
  int16: 'smallint',
  int: 'integer',
  integer: 'integer',
  int32: 'integer',
  bigint: 'bigint',
  int64: 'bigint',
  // A FLOAT of Parquet has 32 bits; COPY refuses another width.
  float: 'real',
  double: 'double precision',
  bool: 'boolean',
  boolean: 'boolean',
  string: `character varying(${LONGEST})`,
  varchar: `character varying(${LONGEST})`,
  // COPY of a Parquet string goes into VARCHAR; json_parse reads it.
  json: `character varying(${LONGEST})`,
}

/** What a type of a file is in Redshift; null for nested ones, binary, and others that need a person's thought. */
export function mapped(source: string): string | null {
  const type = source.trim().toLowerCase()
  const sized = /^(varchar|char|character varying)\((\d{1,5})\)$/.exec(type)
  if (sized) {
    const length = Number(sized[2])
    return length >= 1 && length <= LONGEST ? `character varying(${length})` : null
  }
  const decimal = /^decimal\((\d{1,2}),(\d{1,2})\)$/.exec(type)
  if (decimal) return `numeric(${decimal[1]},${decimal[2]})`
  return Object.hasOwn(TYPES, type) ? TYPES[type]! : null
}

/** The columns of an external table, which a crawler keeps in step with the files; partition keys are left out. */
export async function readExternal(sql: Sql, table: string): Promise<Wanted[]> {
  const { schema, name } = partsOf(table)
  const { rows } = await sql.query<{ name: string; source: string }>(
    `select rtrim(columnname) as name, rtrim(external_type) as source from svv_external_columns
     where schemaname = $1 and tablename = $2 and part_key = 0 order by columnnum`,
    [schema, name],
  )
  return rows.map(({ name, source }) => ({ name, source: clean(source, 80), type: mapped(source) }))
}

export type Difference = Readonly<{
  column: string
  file: string
  table: string
  what: 'missing' | 'too short' | 'differs'
}>

/** How the columns of files differ from those of their table. Names are compared without case, as Redshift does. */
export function differences(wanted: readonly Wanted[], columns: readonly Column[]): Difference[] {
  return wanted.flatMap((w): Difference[] => {
    const column = columns.find((c) => c.name.toLowerCase() === w.name.toLowerCase())
    const base = { column: w.name, file: w.source, table: column?.type ?? '' }
    if (!column) return [{ ...base, what: 'missing' }]
    const length = lengthOf(w.type)
    if (length !== null && column.length !== null)
      return sized(w.source) && length > column.length ? [{ ...base, what: 'too short' }] : []
    return w.type === column.type ? [] : [{ ...base, what: 'differs' }]
  })
}

/** Does a type of a file say how long its values are? */
const sized = (source: string): boolean => /\(\d+\)$/.test(source.trim())

export const lengthOf = (type: string | null): number | null => {
  const [, length] = /^character(?: varying)?\((\d+)\)$/.exec(type ?? '') ?? []
  return length === undefined ? null : Number(length)
}
