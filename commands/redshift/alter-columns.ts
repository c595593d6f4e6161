import type { Client } from 'pg'
import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import { type Alteration, alterations, type TooLong } from './alterations.ts'
import { type Column, readColumns, readExternal } from './columns.ts'
import { redshift } from './connection.ts'
import { latestFailure, readErrors } from './errors.ts'
import { loadOf } from './load.ts'

const Params = z.object({
  connection: z.string().describe('Redshift connection'),
  load: z.string().describe('Load, as the connection names it; its table is altered'),
  // Required, so that a playbook that leaves one out has it asked for.
  add: z.string().max(2_000).describe('Columns to add: "seen timestamp, note varchar(200)"; empty for none'),
  widen: z.string().max(2_000).describe('VARCHAR columns to widen: "note 512"; empty for none'),
  files: z
    .enum(['yes', 'no'])
    .default('yes')
    .describe('Whether to add and widen what the files need, by the external table and the latest errors of the load'),
})

type Data = Readonly<{ connection: string; table: string; changes: readonly Alteration[] }>

const stepOf = (change: Alteration) => `${change.kind}-${change.column}`

/** Adds columns and widens VARCHARs of a load's table, one statement each, since Redshift takes no more. Narrows nothing. */
export const alterColumns = defineChange<typeof Params, Data>({
  id: 'redshift.alter-columns',
  summary: 'Add columns to a table and widen VARCHARs, as its files need them',
  effect: 'idempotent',
  risk: 'medium',
  params: Params,

  async plan({ connection, load: name, add, widen, files }, ctx) {
    const { client, settings } = await ctx.connect(redshift, connection)
    const load = loadOf(settings.loads, name)
    const sql = await client.sql()
    const columns = await readColumns(sql, load.table)
    if (columns.length === 0)
      throw new Refused(`There is no table ${load.table} in ${settings.database}, or no right to see it.`)
    const external = files === 'yes' && load.external ? await readExternal(sql, load.external) : []
    const tooLong = files === 'yes' ? await valuesTooLong(sql, load.table) : []
    const changes = alterations(load.table, columns, { add, widen, files: external, tooLong })
    if (changes.length === 0)
      throw new Refused(
        `Nothing to do: ${load.table} has all that ${external.length > 0 ? load.external : 'was asked for'}. Name columns to add or to widen.`,
      )
    return {
      summary: `Alter ${load.table}: ${changes.map((c) => `${c.kind} ${c.column}`).join(', ')}`,
      targets: [
        {
          id: `redshift:${connection}/table/${load.table.toLowerCase()}`,
          name: load.table,
          fingerprint: definition(columns),
          details: {
            cluster: settings.cluster,
            database: settings.database,
            table: load.table,
            columns: String(columns.length),
            ...(external.length > 0 && { 'files by': load.external! }),
            ...Object.fromEntries(changes.map((c) => [c.column, c.from ? `${c.from} → ${c.type}` : `new: ${c.type}`])),
          },
        },
      ],
      steps: changes.map((change) => ({
        id: stepOf(change),
        title: change.kind === 'add' ? `Add the column ${change.column}` : `Widen the column ${change.column}`,
        detail: change.sql,
      })),
      warnings: [
        'Each statement needs the table for itself for a moment: it waits for open transactions, and gives up at the time limit of the connection.',
        ...(changes.some((c) => c.kind === 'add')
          ? [
              'Rows that are there already have nothing in a new column. A column can be dropped again, a widened one stays wide.',
            ]
          : []),
      ],
      data: { connection, table: load.table, changes },
    }
  },

  async run({ data }, ctx) {
    const { client } = await ctx.connect(redshift, data.connection)
    const sql = await client.sql()
    for (const [i, change] of data.changes.entries()) {
      await ctx.step(stepOf(change), async () => {
        if (!has(await readColumns(sql, data.table), change)) await sql.query(change.sql)
        return null
      })
      ctx.progress(i + 1, data.changes.length)
    }
    return `Altered ${data.table}: ${data.changes.map((c) => `${c.column} is ${c.type}`).join(', ')}.`
  },

  async verify({ data }, ctx) {
    const columns = await now(data, ctx)
    return data.changes.map((change) => ({
      title: `${change.column} is ${change.type}`,
      ok: has(columns, change),
      detail: columns.find((c) => c.name.toLowerCase() === change.column.toLowerCase())?.type ?? 'it is not there',
    }))
  },

  async probe({ data }, step, ctx) {
    const change = data.changes.find((c) => stepOf(c) === step)
    if (!change) return { landed: 'cannot_tell', detail: `The plan has no step ${step}.` }
    const column = (await now(data, ctx)).find((c) => c.name.toLowerCase() === change.column.toLowerCase())
    const is = column ? `${change.column} is ${column.type}` : `${data.table} has no column ${change.column}`
    if (column?.type === change.type) return { landed: 'yes', detail: is }
    // Something else than before and than planned: somebody else was there.
    return { landed: (column?.type ?? '') === change.from ? 'no' : 'cannot_tell', detail: is }
  },
})

/** "String length exceeds DDL length": "Load error reference" of the developer guide. */
const TOO_LONG = 1204

/** The values that the latest failed load found too long for their columns. */
async function valuesTooLong(sql: Client, table: string): Promise<TooLong[]> {
  const query = await latestFailure(sql, table)
  const errors = query === null ? [] : await readErrors(sql, query, 1_000)
  return errors.filter((e) => e.code === TOO_LONG).map((e) => ({ column: e.column, bytes: e.bytes }))
}

const definition = (columns: readonly Column[]): string =>
  columns.map((c) => `${c.name} ${c.type}${c.nullable ? '' : ' not null'}`).join(', ')

const has = (columns: readonly Column[], change: Alteration): boolean =>
  columns.some((c) => c.name.toLowerCase() === change.column.toLowerCase() && c.type === change.type)

async function now({ connection, table }: Data, ctx: ReadContext): Promise<Column[]> {
  const { client } = await ctx.connect(redshift, connection)
  return readColumns(await client.sql(), table)
}
