import type { Client } from 'pg'
import { type ReadContext, Refused } from '../../src/domain/command.ts'
import { readColumns } from './columns.ts'
import { redshift } from './connection.ts'
import { latestFailure, readErrors } from './errors.ts'
import { readLoads } from './history.ts'
import { canTolerate, type Load, loadOf } from './load.ts'
import { byFile, type Rejected } from './rejected.ts'

/** A failed load, with what is needed to look at its files. */
export type Failure = Readonly<{
  load: Load
  s3: string
  query: number
  files: readonly Rejected[]
  /** The columns that a line of its files has. */
  columns: readonly string[]
}>

/** The latest failure of a load, or the one of that query; null if there is none. Refused where its files can't be read. */
export async function findFailure(
  ctx: ReadContext,
  at: Readonly<{ connection: string; load: string; query?: number | undefined }>,
): Promise<Failure | null> {
  const { client, settings } = await ctx.connect(redshift, at.connection)
  const load = loadOf(settings.loads, at.load)
  if (!load.s3) throw new Refused(`The load "${at.load}" names no S3 connection that sees its files. Set "s3".`)
  if (!canTolerate(load))
    throw new Refused(`Files in ${load.format} have no lines: mend the table, or have the producer write them again.`)
  const sql = await client.sql()
  const query = at.query ?? (await latestFailure(sql, load.table))
  if (query === null) return null
  const files = byFile(load, await readErrors(sql, query, 1_000))
  const columns =
    load.columns.length > 0 ? load.columns : (await readColumns(sql, load.table)).map((column) => column.name)
  return { load, s3: load.s3, query, files, columns }
}

/** The query of a load's latest failure, also one of columnar files, of which stl_load_errors has nothing; null for none. */
export async function latestFailed(sql: Client, load: Load): Promise<number | null> {
  const history = await readLoads(sql, load.table, null)
  const aborted = history.find((one) => one.status === 'aborted' && one.source.startsWith(load.from))
  const query = Math.max(aborted?.query ?? 0, (await latestFailure(sql, load.table)) ?? 0)
  return query === 0 ? null : query
}
