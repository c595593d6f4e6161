import { z } from 'zod'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { clean } from '../postgres/text.ts'
import { settled } from '../settle.ts'
import { readColumns } from './columns.ts'
import { redshift } from './connection.ts'
import { tableId } from './errors.ts'
import { misplaced, readFileColumns } from './files.ts'
import { type Loaded, readLoad, readLoads } from './history.ts'
import { canTolerate, copyText, loadOf, within } from './load.ts'
import { execute, find, type Statement, statement } from './statement.ts'

const Params = z.object({
  connection: z.string().describe('Redshift connection'),
  load: z.string().describe('Load, as the connection names it'),
  source: z
    .string()
    .max(1_024)
    .default('')
    .describe('S3 location at or below that of the load; empty for that of its latest failure'),
  maxErrors: z.coerce.number().int().min(0).describe('Errors to pass over, at most as many as the load allows'),
})

type Data = Readonly<{ connection: string; statement: Statement; tolerated: number }>

/** Do two locations hold files of each other? COPY takes a location as a prefix. */
const overlap = (a: string, b: string): boolean => a.startsWith(b) || b.startsWith(a)

/** Throws unless the latest load of these files failed: loaded twice, their rows are there twice. */
function refuseUnlessFailed(history: readonly Loaded[], source: string): Loaded | null {
  const [latest] = history
  if (latest?.status === 'running')
    throw new Refused(
      `${source} is being loaded now, by query ${latest.query} since ${latest.start}. Wait for its end.`,
    )
  if (latest?.status === 'completed')
    throw new Refused(
      `${clean(latest.source, 300)} was loaded by query ${latest.query} at ${latest.start}: ${latest.rows} rows. Loading it again would double them.`,
    )
  return latest ?? null
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

  async plan({ connection, load: name, source: asked, maxErrors }, ctx) {
    const { client, settings, environment } = await ctx.connect(redshift, connection)
    const load = loadOf(settings.loads, name)
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
    const history = (await readLoads(sql, load.table, null)).filter((one) => one.source.startsWith(load.from))
    const failed = history.find((one) => one.status === 'aborted')
    if (asked === '' && !failed)
      throw new Refused(`No load of ${load.table} from ${load.from} has failed. Say which location is to be loaded.`)
    const source = within(load, asked || failed!.source)
    const same = history.filter((one) => overlap(one.source, source))
    const before = refuseUnlessFailed(same, source)
    const files = canTolerate(load) ? null : await readFileColumns(ctx, sql, load, source)
    const wrong = files && misplaced(load, files, await readColumns(sql, load.table))
    if (wrong) throw new Refused(wrong)
    const older = same.find((one) => one.status === 'completed')
    const it = statement(settings, copyText(load, source, maxErrors), ctx.requestedAt)
    return {
      summary: `Load ${source} into ${load.table}${maxErrors > 0 ? `, passing over at most ${maxErrors} errors` : ''}`,
      targets: [
        {
          id: `redshift:${connection}/table/${load.table.toLowerCase()}`,
          name: load.table,
          fingerprint: `${id} ${before ? `${before.query} ${before.status}` : 'never loaded'}`,
          details: {
            cluster: settings.cluster,
            region: settings.region,
            environment,
            database: settings.database,
            table: load.table,
            from: source,
            role: load.iamRole,
            'latest load': before ? `${before.query}, ${before.status}, began at ${before.start}` : 'none',
            tolerance: `${maxErrors} errors (ceiling ${load.maxErrors})`,
          },
        },
      ],
      steps: [{ id: 'copy', title: `Load into ${load.table}`, detail: it.sql }],
      warnings: [
        ...(maxErrors > 0
          ? [
              `Up to ${maxErrors} rows are left out of the table; stl_load_errors names them for some days, then nobody can.`,
            ]
          : []),
        ...(older
          ? [
              `These files were loaded before, by query ${older.query} at ${older.start}. If the table was not emptied since, their rows will be there twice.`,
            ]
          : []),
      ],
      data: { connection, statement: it, tolerated: maxErrors },
    }
  },

  async run({ data }, ctx) {
    const { client, settings } = await ctx.connect(redshift, data.connection)
    const found = await ctx.step('copy', async () => {
      const { Status, Error: error, RedshiftQueryId } = await execute(client.data, settings, data.statement, ctx.signal)
      // Known to have failed, and then to have loaded nothing.
      if (Status !== 'FINISHED') throw new Refused(`The load is ${Status}: ${clean(error ?? 'no reason given', 300)}`)
      return RedshiftQueryId ?? null
    })
    return `The load finished as query ${found ?? '?'}.`
  },

  async verify({ data }, ctx) {
    const { client, settings } = await ctx.connect(redshift, data.connection)
    const found = await find(client.data, settings, data.statement, ctx.signal)
    const sql = await client.sql()
    const query = found?.RedshiftQueryId
    const loaded = query
      ? await settled(
          () => readLoad(sql, query),
          (seen) => seen?.status === 'completed',
          ctx.signal,
        )
      : null
    return [
      {
        title: 'The load completed',
        ok: found?.Status === 'FINISHED' && loaded?.status === 'completed',
        detail: loaded?.status ?? found?.Status ?? 'not found',
      },
      {
        title: 'Rows were loaded',
        ok: (loaded?.rows ?? 0) > 0,
        detail: loaded ? `${loaded.rows} rows of ${loaded.files} files` : '',
      },
      {
        title: data.tolerated > 0 ? `At most ${data.tolerated} errors were passed over` : 'No error was passed over',
        ok: loaded !== null && loaded.errors <= data.tolerated,
        detail: loaded ? `${loaded.errors} errors` : '',
      },
    ]
  },

  async probe({ data }, _step, ctx) {
    const { client, settings } = await ctx.connect(redshift, data.connection)
    const found = await find(client.data, settings, data.statement, ctx.signal)
    if (!found) return { landed: 'no', detail: `The Data API knows no statement ${data.statement.name}.` }
    const detail = `${data.statement.name} is ${found.Status}${found.Error ? `: ${clean(found.Error, 200)}` : ''}`
    if (found.Status === 'FINISHED') return { landed: 'yes', detail }
    if (found.Status === 'FAILED' || found.Status === 'ABORTED') return { landed: 'no', detail }
    return { landed: 'cannot_tell', detail: `${detail}; it may still come to its end` }
  },
})
