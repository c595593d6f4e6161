import { z } from 'zod'
import { defineRead, type EvidenceBlock, Refused } from '../../src/domain/command.ts'
import { differences, mapped, readColumns, readExternal } from './columns.ts'
import { redshift } from './connection.ts'
import { loadOf } from './load.ts'

const MOST_ROWS = 60

/**
 * A table's columns against those of the files that are loaded into it. The files' side is the external table that the load
 * names (svv_external_columns): a crawler takes it from the Parquet files themselves.
 */
export const tableColumns = defineRead({
  id: 'redshift.table-columns',
  summary: 'Compare the columns of a table with those of the files that are loaded into it',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Redshift connection'),
    load: z.string().describe('Load, as the connection names it'),
  }),
  async read({ connection, load: name }, ctx) {
    const { client, settings } = await ctx.connect(redshift, connection)
    const load = loadOf(settings.loads, name)
    const sql = await client.sql()
    const columns = await readColumns(sql, load.table)
    if (columns.length === 0)
      throw new Refused(`There is no table ${load.table} in ${settings.database}, or no right to see it.`)
    const blocks: EvidenceBlock[] = []
    const wanted = load.external ? await readExternal(sql, load.external) : []
    const found = differences(wanted, columns)
    if (found.length > 0)
      blocks.push({
        type: 'table',
        columns: ['column', 'in the files', 'in the table', 'difference', 'type to add'],
        rows: found
          .slice(0, MOST_ROWS)
          .map((d) => [
            d.column,
            d.file,
            d.table || '–',
            d.what,
            d.what === 'missing' ? (mapped(d.file) ?? 'none: add it by hand') : '',
          ]),
        omitted: Math.max(0, found.length - MOST_ROWS),
      })
    blocks.push({
      type: 'table',
      columns: ['column', 'type', 'may be empty'],
      rows: columns.slice(0, MOST_ROWS).map((c) => [c.name, c.type, c.nullable ? 'yes' : 'no']),
      omitted: Math.max(0, columns.length - MOST_ROWS),
    })
    const of = (what: string) => found.filter((d) => d.what === what).length
    const summary = !load.external
      ? `${load.table} has ${columns.length} columns. The load names no external table to compare it with.`
      : wanted.length === 0
        ? `${load.table} has ${columns.length} columns. svv_external_columns knows no table ${load.external}.`
        : found.length === 0
          ? `${load.table} has every column of ${load.external}, with its type.`
          : `Against ${load.external}, ${of('missing')} columns are missing in ${load.table}, ${of('too short')} are too short, ${of('differs')} have another type.`
    return { summary, blocks }
  },
})
