import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import { changed } from '../postgres/changed.ts'
import type { Sql } from '../postgres/session.ts'
import { type Alteration, alterations, type TooLong } from './alterations.ts'
import { type Column, LONGEST, readColumns } from './columns.ts'
import { placeOf, redshift } from './connection.ts'
import { readErrors, readMessages } from './errors.ts'
import { latestFailed } from './failure.ts'
import { readFileColumns } from './files.ts'
import { readLimits } from './limits.ts'
import { type Load, loadOf } from './load.ts'
import { measure } from './measure.ts'

const Params = z.object({
  connection: z.string().describe('Redshift connection'),
  load: z.string().describe('Load, as the connection names it; its table is altered'),
  // Required, so that a playbook that leaves one out has it asked for.
  add: z.string().max(2_000).describe('Columns to add: "seen timestamp, note varchar(200)"; empty for none'),
  widen: z.string().max(2_000).describe('VARCHAR columns to widen: "note 512"; empty for none'),
  files: z
    .enum(['yes', 'no'])
    .default('yes')
    .describe('Whether to add and widen what the files need, by their columns and the latest errors of the load'),
})

type Data = Readonly<{ connection: string; table: string; changes: readonly Alteration[] }>

const stepOf = (alteration: Alteration) => `${alteration.kind}-${alteration.column}`

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
    const found = files === 'yes' ? await readFileColumns(ctx, sql, load) : null
    const tooLong = files === 'yes' ? await valuesTooLong(ctx, sql, load, columns) : []
    const limits = await readLimits(sql, load.table)
    const wish = { add, widen, files: found?.columns ?? [], tooLong }
    const changes = alterations({ table: load.table, columns, limits }, wish)
    if (changes.length === 0)
      throw new Refused(
        `Nothing to do: ${load.table} has all that ${found?.from ?? 'was asked for'}. Name columns to add or to widen.`,
      )
    return {
      summary: `Alter ${load.table}: ${changes.map((c) => `${c.kind} ${c.column}`).join(', ')}`,
      targets: [
        {
          id: `redshift:${connection}/table/${load.table.toLowerCase()}`,
          name: load.table,
          fingerprint: definition(columns),
          details: {
            ...placeOf(settings),
            database: settings.database,
            table: load.table,
            columns: String(columns.length),
            ...(found && { 'files by': found.from }),
            ...Object.fromEntries(changes.map((c) => [c.column, c.from ? `${c.from} → ${c.type}` : `new: ${c.type}`])),
          },
        },
      ],
      steps: changes.map((c) => ({
        id: stepOf(c),
        title: c.kind === 'add' ? `Add the column ${c.column}` : `Widen the column ${c.column}`,
        detail: c.sql,
      })),
      warnings: [
        'Each statement needs the table for itself for a moment: it waits for open transactions, and gives up at the time limit of the connection.',
        ...(limits.unknown && changes.some((c) => c.kind === 'widen') ? [limits.unknown] : []),
        ...changes
          .filter((c) => c.kind === 'widen' && limits.sortKeys.includes(c.column.toLowerCase()))
          .map((c) => `"${c.column}" is part of the sort key: AWS does not say whether Redshift widens such a column.`),
        ...changes
          .filter((c) => c.kind === 'add' && c.type === `character varying(${LONGEST})`)
          .map(
            (c) =>
              `"${c.column}" gets the longest VARCHAR, since nothing says how long its values are: queries take memory for that. Name a length if you know one, as "${c.column} varchar(512)".`,
          ),
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
    for (const [i, alteration] of data.changes.entries()) {
      await ctx.step(stepOf(alteration), async () => {
        if (!has(await readColumns(sql, data.table), alteration)) await changed(sql, alteration.sql)
        return null
      })
      ctx.progress(i + 1, data.changes.length)
    }
    return `Altered ${data.table}: ${data.changes.map((c) => `${c.column} is ${c.type}`).join(', ')}.`
  },

  async verify({ data }, ctx) {
    const columns = await now(data, ctx)
    return data.changes.map((alteration) => ({
      title: `${alteration.column} is ${alteration.type}`,
      ok: has(columns, alteration),
      detail: columnOf(columns, alteration)?.type ?? 'it is not there',
    }))
  },

  async probe({ data }, step, ctx) {
    const alteration = data.changes.find((c) => stepOf(c) === step)
    if (!alteration) return { landed: 'cannot_tell', detail: `The plan has no step ${step}.` }
    const column = columnOf(await now(data, ctx), alteration)
    const is = column ? `${alteration.column} is ${column.type}` : `${data.table} has no column ${alteration.column}`
    if (column?.type === alteration.type) return { landed: 'yes', detail: is }
    // Something else than before and than planned: somebody else was there.
    return { landed: (column?.type ?? '') === alteration.from ? 'no' : 'cannot_tell', detail: is }
  },
})

/** "String length exceeds DDL length": "Load error reference" of the developer guide. */
const TOO_LONG = 1204

/** What the reader of Parquet files says of it, with both lengths in bytes. */
const LONGER =
  /length of the data column (\S+) is longer than the length defined in the table\. Table: \d+, Data: (\d+)/

/** The values that the latest failed load found too long for their columns. */
async function valuesTooLong(ctx: ReadContext, sql: Sql, load: Load, columns: readonly Column[]): Promise<TooLong[]> {
  const found = await latestFailed(sql, load)
  // What went through since has room by now.
  if (found === null || found.since) return []
  const errors = (await readErrors(sql, found.one, 1_000)).filter((e) => e.code === TOO_LONG)
  const said = (await readMessages(sql, found.one.query, 1_000)).flatMap((message) => {
    const [, column, bytes] = LONGER.exec(message) ?? []
    return column === undefined ? [] : [{ column, bytes: Number(bytes), whole: true }]
  })
  const names = load.columns.length > 0 ? load.columns : columns.map((column) => column.name)
  return [...(await measure(ctx, load, names, errors, found.one.start)), ...said]
}

const definition = (columns: readonly Column[]): string =>
  columns.map((c) => `${c.name} ${c.type}${c.nullable ? '' : ' not null'}`).join(', ')

const columnOf = (columns: readonly Column[], { column }: Alteration): Column | undefined =>
  columns.find((c) => c.name.toLowerCase() === column.toLowerCase())

const has = (columns: readonly Column[], alteration: Alteration): boolean =>
  columnOf(columns, alteration)?.type === alteration.type

async function now({ connection, table }: Data, ctx: ReadContext): Promise<Column[]> {
  const { client } = await ctx.connect(redshift, connection)
  return readColumns(await client.sql(), table)
}
