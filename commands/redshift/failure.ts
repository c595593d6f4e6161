import { type ReadContext, Refused } from '../../src/domain/command.ts'
import type { Sql } from '../postgres/session.ts'
import { readColumns } from './columns.ts'
import { redshift } from './connection.ts'
import { readErrors } from './errors.ts'
import { isIn, type Loaded, readLoad, readLoads } from './history.ts'
import { canTolerate, type Load, loadOf, unreadable } from './load.ts'
import { byFile, type Rejected } from './rejected.ts'

/** A failed load, with what is needed to look at its files. */
export type Failure = Readonly<{
  load: Load
  s3: string
  query: string
  /** When it began, in ISO 8601. */
  start: string
  files: readonly Rejected[]
  /** Whether there are more errors than were read. */
  cut: boolean
  /** The load of the same files that went through since; null if there is none. */
  since: Loaded | null
  /** The columns that a line of its files has. */
  columns: readonly string[]
}>

/** How many errors of one load are read. */
const MOST_ERRORS = 1_000

type Latest = Readonly<{ one: Loaded; since: Loaded | null }>

/** Whether a load has anything to be looked at: it failed, passed over errors, or is in a state that nobody knows. */
const hasErrors = (one: Loaded): boolean => !['running', 'completed'].includes(one.status) || !/^0*$/.test(one.errors)

/** The latest load that failed or passed over errors, and what was loaded of the same files since; null if there is none. */
export async function latestFailed(sql: Sql, load: Load): Promise<Latest | null> {
  const history = await readLoads(sql, load.table, { source: load.from })
  const one = history.find((other) => hasErrors(other) && (other.source === '' || other.source.startsWith(load.from)))
  return one ? { one, since: sinceOf(history, one) } : null
}

const sinceOf = (history: readonly Loaded[], one: Loaded): Loaded | null =>
  one.status === 'aborted'
    ? (history
        .slice(0, Math.max(0, history.indexOf(one)))
        .find((other) => isIn(other) && (other.source.startsWith(one.source) || one.source.startsWith(other.source))) ??
      null)
    : null

/** The latest failure of a load, or the one of that query; null if there is none. Refused where its files can't be read. */
export async function findFailure(
  ctx: ReadContext,
  at: Readonly<{ connection: string; load: string; query?: string | undefined }>,
): Promise<Failure | null> {
  const { client, settings } = await ctx.connect(redshift, at.connection)
  const load = loadOf(settings.loads, at.load)
  if (!load.s3) throw new Refused(`The load "${at.load}" names no S3 connection that sees its files. Set "s3".`)
  if (!canTolerate(load))
    throw new Refused(`Files in ${load.format} have no lines: mend the table, or have the producer write them again.`)
  const packed = unreadable(load)
  if (packed) throw new Refused(`Files packed with ${packed} are not read here: only plain and gzipped ones are.`)
  const sql = await client.sql()
  const found = at.query === undefined ? await latestFailed(sql, load) : await named(sql, load, at.query)
  if (found === null) return null
  const errors = await readErrors(sql, found.one, MOST_ERRORS)
  const columns =
    load.columns.length > 0 ? load.columns : (await readColumns(sql, load.table)).map((column) => column.name)
  return {
    load,
    s3: load.s3,
    query: found.one.query,
    start: found.one.start,
    files: byFile(load, errors),
    cut: errors.cut === true,
    since: found.since,
    columns,
  }
}

/** Refused unless Redshift knows a load with this id: those of STL tables are others. */
export async function named(sql: Sql, load: Load | null, query: string): Promise<Latest> {
  const one = await readLoad(sql, query)
  if (!one)
    throw new Refused(
      `Redshift shows no load with the id ${query}. It is query_id of SYS_LOAD_HISTORY, which reaches back seven days; ids of STL tables are others, and without the role sys:monitor only the user's own loads are shown.`,
    )
  if (load && (one.table !== load.table.toLowerCase().split('.')[1] || !one.source.startsWith(load.from)))
    throw new Refused(`Query ${query} loaded ${one.source} into ${one.table}: that is not this load.`)
  const history = load ? await readLoads(sql, load.table, { source: one.source }) : []
  return { one, since: sinceOf(history, history.find((other) => other.query === query) ?? one) }
}
