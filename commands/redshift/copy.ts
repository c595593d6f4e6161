import { z } from 'zod'
import { defineChange, Refused, type Right } from '../../src/domain/command.ts'
import { clean } from '../postgres/text.ts'
import { settled } from '../settle.ts'
import { readColumns } from './columns.ts'
import { placeOf, redshift } from './connection.ts'
import { tableId } from './errors.ts'
import { misplaced, readFileColumns } from './files.ts'
import { isIn, type Loaded, readLoad, readLoads, stateOf } from './history.ts'
import { canTolerate, copyText, loadOf, notOurs, within } from './load.ts'
import { loading } from './rights.ts'
import { execute, find, isForgotten, queryOf, type Statement, statement } from './statement.ts'

const Params = z.object({
  connection: z.string().describe('Redshift connection'),
  load: z.string().describe('Load, as the connection names it'),
  source: z
    .string()
    .max(1_024)
    .default('')
    .describe('S3 location at or below that of the load; empty for that of its latest failure'),
  maxErrors: z.coerce.number().int().min(0).describe('Errors to pass over, at most as many as the load allows'),
  rolledBack: z
    .enum(['no', 'yes'])
    .default('no')
    .describe('Whether somebody looked, and the transaction of an earlier load of these files was rolled back'),
})

type Data = Readonly<{
  connection: string
  table: string
  source: string
  statement: Statement
  tolerated: number
  rights: readonly Right[]
}>

/** Throws unless the latest load of these files failed: loaded twice, their rows are there twice. */
function refuseUnlessFailed(history: readonly Loaded[], source: string, rolledBack: boolean): Loaded | null {
  const [latest] = history
  if (!latest) return null
  if (latest.status === 'running')
    throw new Refused(
      `${source} is being loaded now, by query ${latest.query} since ${latest.start}. Wait for its end.`,
    )
  const loaded = `${clean(latest.source, 300)} was loaded by query ${latest.query} at ${latest.start}: ${latest.rows} rows.`
  if (isIn(latest) && latest.committed === 'yes') throw new Refused(`${loaded} Loading it again would double them.`)
  if (isIn(latest) && !rolledBack)
    throw new Refused(
      `${loaded} Loading it again would double them. Whether its transaction was rolled back is in sys_transaction_history, which this user cannot see: if somebody looked and it was, say rolledBack: yes.`,
    )
  if (latest.status !== 'aborted' && latest.status !== 'completed')
    throw new Refused(`The latest load of ${source}, query ${latest.query}, is ${stateOf(latest)}: look at it first.`)
  return latest
}

/**
 * Runs a load again by the Data API, which keeps it for a day under the name that it was given: after a crash it is looked
 * up there. A COPY loads all of its files or nothing.
 */
export const copy = defineChange<typeof Params, Data>({
  id: 'redshift.copy',
  summary: 'Run a load into Redshift again, passing over a bounded number of errors',
  effect: 'once',
  risk: 'medium',
  runMinutes: 180,
  params: Params,

  async plan({ connection, load: name, source: asked, maxErrors, rolledBack }, ctx) {
    const { client, settings, environment } = await ctx.connect(redshift, connection)
    const load = loadOf(settings.loads, name)
    const theirs = notOurs(load, name, settings.orchestrator)
    if (theirs) throw new Refused(theirs)
    if (maxErrors > load.maxErrors)
      throw new Refused(
        `${maxErrors} errors are more than the ${load.maxErrors} that the load "${name}" may pass over.`,
      )
    if (maxErrors > 0 && !canTolerate(load))
      throw new Refused(
        `COPY of ${load.format} passes over no errors. Mend the files or the table, and set maxErrors to 0.`,
      )
    const sql = await client.sql()
    const id = await tableId(sql, load.table)
    if (id === null) throw new Refused(`There is no table ${load.table} in ${settings.database}.`)
    const below = await readLoads(sql, load.table, { source: load.from })
    const failed = below.find((one) => one.status === 'aborted' && one.source.startsWith(load.from))
    if (asked === '' && !failed)
      throw new Refused(
        `No load of ${load.table} from ${load.from} has failed in the seven days that Redshift remembers, as far as ${settings.user} may see (without the role sys:monitor: its own loads). Say which location is to be loaded.`,
      )
    const source = within(load, asked || failed!.source)
    const same = await readLoads(sql, load.table, { source })
    const before = refuseUnlessFailed(same, source, rolledBack === 'yes')
    const files = canTolerate(load) ? null : await readFileColumns(ctx, sql, load, source)
    const wrong = files && misplaced(load, files, await readColumns(sql, load.table))
    if (wrong) throw new Refused(wrong)
    const older = same.find(isIn)
    const it = statement(settings, copyText(load, source, maxErrors), ctx.requestedAt)
    return {
      summary: `Load ${source} into ${load.table}${maxErrors > 0 ? `, passing over at most ${maxErrors} errors` : ''}`,
      targets: [
        {
          id: `redshift:${connection}/table/${load.table.toLowerCase()}`,
          name: load.table,
          fingerprint: `${id} ${before ? `${before.query} ${stateOf(before)}` : 'never loaded'}`,
          details: {
            ...placeOf(settings),
            region: settings.region,
            environment,
            database: settings.database,
            table: load.table,
            from: source,
            role: load.iamRole,
            'latest load': before ? `${before.query}, ${stateOf(before)}, began at ${before.start}` : 'none',
            tolerance: `${maxErrors} errors (ceiling ${load.maxErrors})`,
          },
        },
      ],
      steps: [{ id: 'copy', title: `Load into ${load.table}`, detail: it.sql }],
      warnings: [
        ...(maxErrors > 0
          ? [
              `Up to ${maxErrors} rows are left out of the table; sys_load_error_detail names them for seven days, then nobody can.`,
            ]
          : []),
        ...(older
          ? [
              `These files were loaded before, by query ${older.query} at ${older.start}. If the table was not emptied since, their rows will be there twice.`,
            ]
          : []),
      ],
      data: {
        connection,
        table: load.table,
        source,
        statement: it,
        tolerated: maxErrors,
        rights: loading(settings),
      },
    }
  },

  async run({ data }, ctx) {
    const { client, settings } = await ctx.connect(redshift, data.connection, data.rights)
    const found = await ctx.step('copy', async () => {
      const end = await execute(client.data, settings, data.statement, {
        signal: ctx.signal,
        now: ctx.now,
        onPause: (note) => ctx.progress(0, 1, note),
      })
      // Known to have failed, and then to have loaded nothing.
      if (end.Status !== 'FINISHED')
        throw new Refused(`The load is ${end.Status}: ${clean(end.Error ?? 'no reason given', 300)}`)
      return queryOf(end)
    })
    return found ? `The load finished as query ${found}.` : 'The load finished.'
  },

  async verify({ data }, ctx) {
    const { client, settings } = await ctx.connect(redshift, data.connection)
    const found = await find(client.data, settings, data.statement, ctx.signal)
    const sql = await client.sql()
    const query = queryOf(found)
    const look = async () => {
      if (query) return readLoad(sql, query)
      // Its id cannot be told: it is the one of this location that began since.
      const since = (await readLoads(sql, data.table, { source: data.source })).filter(
        (one) => one.source === data.source && Date.parse(one.start) >= Date.parse(data.statement.asked) - 1_000,
      )
      return since.length === 1 ? since[0]! : null
    }
    const loaded = found ? await settled(look, (seen) => seen !== null && seen.status !== 'running', ctx.signal) : null
    const rows = loaded && isIn(loaded) ? BigInt(loaded.rows) : 0n
    return [
      {
        title: 'The load completed',
        ok: found?.Status === 'FINISHED' && loaded !== null && isIn(loaded),
        detail: loaded ? stateOf(loaded) : (found?.Status ?? 'not found'),
      },
      {
        title: 'Rows were loaded',
        ok: rows > 0n,
        detail: loaded ? `${loaded.rows} rows of ${loaded.files} files` : '',
      },
      {
        title: data.tolerated > 0 ? `At most ${data.tolerated} errors were passed over` : 'No error was passed over',
        ok: loaded !== null && BigInt(loaded.errors) <= BigInt(data.tolerated),
        detail: loaded ? `${loaded.errors} errors` : '',
      },
    ]
  },

  async probe({ data }, _step, ctx) {
    const { client, settings } = await ctx.connect(redshift, data.connection)
    const found = await find(client.data, settings, data.statement, ctx.signal)
    if (!found && isForgotten(data.statement, ctx.now()))
      return { landed: 'cannot_tell', detail: 'The Data API forgets a statement after a day.' }
    if (!found) return { landed: 'no', detail: `The Data API knows no statement ${data.statement.name}.` }
    const detail = `${data.statement.name} is ${found.Status}${found.Error ? `: ${clean(found.Error, 200)}` : ''}`
    if (found.Status === 'FINISHED') return { landed: 'yes', detail }
    if (found.Status === 'FAILED' || found.Status === 'ABORTED') return { landed: 'no', detail }
    return { landed: 'cannot_tell', detail: `${detail}; it may still come to its end` }
  },
})
