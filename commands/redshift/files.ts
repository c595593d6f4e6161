import { type ReadContext, Refused } from '../../src/domain/command.ts'
import type { Sql } from '../postgres/session.ts'
import { isAllowed, s3 } from '../s3/connection.ts'
import { type Listed, listUnder } from '../s3/listing.ts'
import { readParquetColumns } from '../s3/parquet.ts'
import { type Column, mapped, readExternal, type Wanted } from './columns.ts'
import { readLoads } from './history.ts'
import type { Load } from './load.ts'

/** Evidence has a minute: so many keys are looked through for the newest file, a thousand a request. */
const MOST_KEYS = 20_000

/** The columns of a load's files, in their order, and where that is from. */
export type FileColumns = Readonly<{ from: string; columns: readonly Wanted[] }>

/**
 * What columns the files of a load have: of the newest Parquet file itself where an S3 connection sees it, and else of the
 * external table over the files. Null where nobody can tell. `source` is where they lie; without it, where the latest load
 * looked.
 */
export async function readFileColumns(
  ctx: ReadContext,
  sql: Sql,
  load: Load,
  source?: string,
): Promise<FileColumns | null> {
  const found =
    load.s3 && load.format === 'parquet'
      ? await newest(ctx, sql, load, load.s3, source).catch((error) => {
          if (error instanceof ManyFiles && load.external) return null
          throw error
        })
      : null
  if (found || !load.external) return found
  const columns = await readExternal(sql, load.external)
  return columns.length > 0 ? { from: load.external, columns } : null
}

/** There are more files than are looked through: none of them is taken for the newest. */
export class ManyFiles extends Refused {
  override name = 'ManyFiles'
}

async function newest(
  ctx: ReadContext,
  sql: Sql,
  load: Load,
  name: string,
  asked?: string,
): Promise<FileColumns | null> {
  const { client, settings } = await ctx.connect(s3, name)
  const [latest] = asked ? [] : await readLoads(sql, load.table, { source: load.from })
  const source = asked ?? (latest?.source.startsWith(load.from) ? latest.source : load.from)
  const [bucket = '', ...path] = source.slice('s3://'.length).split('/')
  const prefix = path.join('/')
  if (!isAllowed(settings, bucket, prefix))
    throw new Refused(`The connection "${name}" may not read ${source}. Allowed: ${settings.buckets.join(', ')}.`)
  let found: Listed | null = null
  let seen = 0
  for await (const object of listUnder(client, bucket, prefix, ctx.signal)) {
    if (object.key.endsWith('.parquet') && (!found || object.modified >= found.modified)) found = object
    seen += 1
    if (seen > MOST_KEYS)
      throw new ManyFiles(
        `More than ${MOST_KEYS} keys lie below ${source}: which file is the newest cannot be told. Name an external table of the load ("external"), or a location with fewer files.`,
      )
  }
  if (!found) return null
  const columns = await readParquetColumns(client, bucket, found, ctx.signal)
  return {
    from: `s3://${bucket}/${found.key}`,
    columns: columns.map(({ name: column, type }) => ({ name: column, source: type, type: mapped(type) })),
  }
}

/** COPY of columnar files goes by position. Why it would put values into the wrong columns; null if it would not. */
export function misplaced(load: Load, files: FileColumns, columns: readonly Column[]): string | null {
  const into = load.columns.length > 0 ? load.columns : columns.map((column) => column.name)
  if (files.columns.length !== into.length)
    return `${files.from} has ${files.columns.length} columns and ${load.table} takes ${into.length}: add what is missing first.`
  const at = files.columns.findIndex((column, i) => column.name.toLowerCase() !== into[i]!.toLowerCase())
  if (at === -1) return null
  return `COPY of ${load.format} goes by position: column ${at + 1} is "${files.columns[at]!.name}" in ${files.from} and "${into[at]}" in ${load.table}. Name the columns in the order of the files under "columns" of the load.`
}
