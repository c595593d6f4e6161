import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { clean } from '../postgres/text.ts'
import { redshift } from './connection.ts'
import { isIn, readLoads, stateOf } from './history.ts'
import { loadOf } from './load.ts'

const MOST_ROWS = 30

/** What was loaded into a table, and when: the COPYs that sys_load_history keeps. */
export const loads = defineRead({
  id: 'redshift.loads',
  summary: 'Show which loads of a table ran, by day, with their rows and errors',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Redshift connection'),
    load: z.string().describe('Load, as the connection names it'),
    day: z
      .union([z.literal(''), z.iso.date()])
      .default('')
      .describe('Day on which it began (UTC), as 2026-11-20; empty for the latest'),
  }),
  async read({ connection, load: name, day }, ctx) {
    const { client, settings } = await ctx.connect(redshift, connection)
    const { table } = loadOf(settings.loads, name)
    const found = await readLoads(await client.sql(), table, { day: day || null })
    const when = day ? ` on ${day} (UTC)` : ''
    const done = found.filter(isIn)
    const rows = done.reduce((sum, one) => sum + BigInt(one.rows), 0n)
    if (found.length === 0)
      return {
        summary: `No load of ${table} began${when} in the seven days that Redshift remembers, as far as ${settings.user} may see (without the role sys:monitor: its own loads).`,
        blocks: [],
      }
    const unsure = done.some((one) => one.committed === 'unknown')
      ? ' Whether a transaction was rolled back after its load is for superusers to see (sys_transaction_history).'
      : ''
    const many = found.cut ? `more than ${found.length}` : String(found.length)
    return {
      summary: `${done.length} of ${many} loads of ${table}${when} completed, with ${rows} rows. The latest, ${found[0]!.query}, is ${stateOf(found[0]!)}.${unsure}`,
      blocks: [
        {
          type: 'table',
          columns: ['query', 'status', 'began', 'ended', 'rows', 'files', 'errors', 'from'],
          rows: found
            .slice(0, MOST_ROWS)
            .map((one) => [
              one.query,
              stateOf(one),
              one.start,
              one.end || '–',
              one.rows,
              one.files,
              one.errors,
              clean(one.source, 200),
            ]),
          omitted: Math.max(0, found.length - MOST_ROWS),
        },
      ],
    }
  },
})
