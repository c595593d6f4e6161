import { z } from 'zod'
import { defineRead, type EvidenceBlock, Refused } from '../../src/domain/command.ts'
import { differences, mapped, readColumns } from './columns.ts'
import { redshift } from './connection.ts'
import { misplaced, readFileColumns } from './files.ts'
import { canTolerate, loadOf } from './load.ts'

const MOST_ROWS = 60

/**
 * A table's columns against those of the files that are loaded into it. The files' side is the footer of the newest Parquet
 * file, or the external table that the load names (svv_external_columns), which a crawler takes from the files.
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
    // The table is shown also where nobody can tell what its files have.
    let untold = 'the load names no S3 connection or external table that shows it'
    const files = await readFileColumns(ctx, sql, load).catch((error: unknown) => {
      ctx.signal.throwIfAborted()
      untold = (error instanceof Error ? error.message : String(error)).replace(/\.$/, '')
      return null
    })
    const found = differences(files?.columns ?? [], columns)
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
    const order = files && !canTolerate(load) && of('missing') === 0 ? misplaced(load, files, columns) : null
    const summary = !files
      ? `${load.table} has ${columns.length} columns. What its files have is not known: ${untold}.`
      : found.length === 0
        ? `${load.table} has every column of ${files.from}, with its type.`
        : `Against ${files.from}, ${of('missing')} columns are missing in ${load.table}, ${of('too short')} are too short, ${of('differs')} have another type.`
    if (order) blocks.push({ type: 'text', text: order })
    return { summary, blocks }
  },
})
