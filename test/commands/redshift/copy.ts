import { gunzipSync } from 'node:zlib'
import type pg from 'pg'

/** A file that a COPY reads, by its whole location. */
export type File = Readonly<{ location: string; bytes: Buffer }>
export type Files = (location: string) => Promise<readonly File[]>
export type Ended = Readonly<{ query: number; error: string | null }>

const COPY =
  /^COPY "(\w+)"\."(\w+)"(?: \((.*?)\))?\nFROM '([^']+)'\nIAM_ROLE '([^']+)'\n((?:MANIFEST\n)?(?:REGION AS '[a-z0-9-]+'\n)?)(FORMAT AS CSV|FORMAT AS JSON '[^']+'|FORMAT AS PARQUET|DELIMITER AS '.')((?:\n.*)*)$/

/** STL_LOAD_ERRORS keeps a period in place of each multibyte character. */
const kept = (text: string): string => text.replace(/\P{ASCII}/gu, '.').slice(0, 1_024)

type Column = { name: string; type: string; length: number | null; nullable: boolean }
type Fault = { column: Column | null; value: string; code: number; reason: string }

/** Why a value does not go into a column, as the reference of load errors has it; null if it does. */
function judge(column: Column, value: string | null): Fault | null {
  if (value === null)
    return column.nullable ? null : { column, value: '', code: 1213, reason: 'Missing data for not-null field' }
  if (column.type === 'integer' && (!/^-?\d+$/.test(value) || Math.abs(Number(value)) > 2_147_483_647))
    return { column, value, code: 1207, reason: `Invalid digit, Value '${value.at(-1)}', Type: Integer` }
  if (column.length !== null && Buffer.byteLength(value) > column.length)
    return { column, value, code: 1204, reason: 'String length exceeds DDL length' }
  if (column.type.startsWith('timestamp') && Number.isNaN(Date.parse(value)))
    return { column, value, code: 1206, reason: 'Invalid timestamp format or value' }
  return null
}

/**
 * Does what COPY does with text, CSV and JSON lines: all or nothing, errors counted against MAXERROR and kept in
 * stl_load_errors, each load in sys_load_history. A file that is said to be Parquet holds JSON lines here; what it is refused
 * for is that its columns are not those of the table.
 */
export async function copyInto(
  sql: pg.Client,
  role: string,
  text: string,
  query: number,
  files: Files,
  /** Whether it ran on a main cluster, of which alone the STL views know. */
  main = true,
): Promise<Ended> {
  const [, schema, table, , source = '', given, from = '', format = '', rest = ''] = COPY.exec(text) ?? []
  if (!schema) return { query, error: 'ERROR: syntax error in COPY' }
  if (given !== role) return { query, error: `ERROR: User is not authorized to assume IAM Role ${given}` }
  const most = Math.max(1, Number(/MAXERROR AS (\d+)/.exec(rest)?.[1] ?? 0))
  if (format.endsWith('PARQUET') && most > 1)
    return { query, error: 'ERROR: MAXERROR argument is not supported for PARQUET based COPY' }
  const { rows: columns } = await sql.query<Column>(
    `select column_name as name, data_type as type, character_maximum_length as length, is_nullable = 'YES' as nullable
     from information_schema.columns where table_schema = $1 and table_name = $2 order by ordinal_position`,
    [schema, table],
  )
  if (columns.length === 0) return { query, error: `ERROR: relation "${table}" does not exist` }
  const now = new Date().toISOString().replace('Z', '')
  const { rows: ids } = await sql.query<{ id: number }>('select to_regclass($1)::oid::int as id', [
    `${schema}.${table}`,
  ])
  const found = from.includes('MANIFEST') ? await listed(source, files) : await files(source)
  // STL tables have ids of their own.
  const stl = 7_000_000 - query
  const transaction = 50_000 + query
  const faults: (Fault & { file: string; line: number; raw: string })[] = []
  let loaded = 0
  let refusal = found.length === 0 ? `ERROR: The specified S3 prefix '${source}' does not exist` : null
  await sql.query('begin')
  for (const { location, bytes } of found) {
    const body = (/\nGZIP/.test(rest) ? gunzipSync(bytes) : bytes).toString()
    for (const [i, raw] of body.split('\n').entries()) {
      if (raw === '' || i < Number(/IGNOREHEADER AS (\d+)/.exec(rest)?.[1] ?? 0)) continue
      let values: (string | null)[]
      if (/JSON|PARQUET/.test(format)) {
        const record = JSON.parse(raw) as Record<string, unknown>
        if (format.endsWith('PARQUET') && Object.keys(record).length !== columns.length) {
          refusal = `ERROR: Spectrum Scan Error. Unmatched number of columns between table and file. Table columns: ${columns.length}, Data columns: ${Object.keys(record).length}`
          break
        }
        values = columns.map((c) =>
          record[c.name] === undefined || record[c.name] === null ? null : String(record[c.name]),
        )
      } else {
        const delimiter = /DELIMITER AS '(.)'/.exec(format + rest)?.[1] ?? ','
        values = raw.split(delimiter).map((v) => (v === '' ? null : v.replace(/^"(.*)"$/, '$1')))
      }
      const fault =
        values.length !== columns.length
          ? { column: null, value: '', code: 1202, reason: 'Extra or missing columns' }
          : (columns.map((c, n) => judge(c, values[n]!)).find((one) => one !== null) ?? null)
      // Of columnar files, the reader says it, and not the table of errors.
      if (fault && format.endsWith('PARQUET'))
        refusal = `ERROR: Spectrum Scan Error. ${fault.code === 1204 ? `The length of the data column ${fault.column?.name} is longer than the length defined in the table. Table: ${fault.column?.length}, Data: ${Buffer.byteLength(fault.value)}` : `${fault.reason}`}, File name: ${location}`
      else if (fault) faults.push({ ...fault, file: location, line: i + 1, raw })
      else {
        loaded += 1
        await sql.query(
          `insert into "${schema}"."${table}" values (${values.map((_, n) => `$${n + 1}`).join(', ')})`,
          values,
        )
      }
    }
  }
  if (faults.length >= most)
    refusal ??= `ERROR: Load into table '${table}' failed.  Check 'stl_load_errors' system table for details.`
  await sql.query(refusal ? 'rollback' : 'commit')
  if (main && refusal?.includes('Spectrum'))
    await sql.query('insert into svl_s3log (pid, query, eventtime, message) values (1, $1, $2, $3)', [
      stl,
      now,
      refusal,
    ])
  await sql.query(`insert into sys_query_log values ($1, $2, 1, $3, $4, $4, $5, $6)`, [
    query,
    transaction,
    refusal ? 'failed' : 'success',
    now,
    text,
    refusal,
  ])
  await sql.query('insert into sys_transaction_history (transaction_id, status) values ($1, $2)', [
    transaction,
    refusal ? 'rolledback' : 'committed',
  ])
  for (const f of faults) {
    const type = (f.column?.type ?? '').slice(0, 10)
    const at = [f.file, f.line, f.column?.name ?? '', type, f.column?.length ?? '']
    await sql.query(
      `insert into sys_load_error_detail (table_id, start_time, query_id, file_name, line_number, column_name, column_type,
       column_length, error_code, error_message) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
      [ids[0]!.id, now, query, ...at, f.code, f.reason],
    )
    if (main)
      await sql.query(
        `insert into stl_load_errors (tbl, starttime, session, query, filename, line_number, colname, type, col_length, position,
         raw_line, raw_field_value, err_code, err_reason) values ($1, $2, 1, $3, $4, $5, $6, $7, $8, 0, $9, $10, $11, $12)`,
        [ids[0]!.id, now, stl, ...at, kept(f.raw), kept(f.value), f.code, f.reason],
      )
  }
  await sql.query(
    `insert into sys_load_history (query_id, transaction_id, status, table_name, start_time, end_time, data_source, loaded_rows, source_file_count,
     error_count) values ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9)`,
    [
      query,
      transaction,
      refusal ? 'aborted' : 'completed',
      table,
      now,
      source,
      refusal ? 0 : loaded,
      found.length,
      faults.length,
    ],
  )
  return { query, error: refusal }
}

/** The files that a manifest lists; a mandatory one that is not there ends the load. */
async function listed(manifest: string, files: Files) {
  const [file] = await files(manifest)
  if (file?.location !== manifest) return []
  const { entries } = JSON.parse(file.bytes.toString()) as { entries: { url: string }[] }
  return (await Promise.all(entries.map(({ url }) => files(url)))).flat()
}
