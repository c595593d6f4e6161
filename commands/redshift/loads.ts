import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { clean } from '../postgres/text.ts'
import { redshift } from './connection.ts'
import { readLoads } from './history.ts'
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
    const found = await readLoads(await client.sql(), table, day || null)
    const when = day ? ` on ${day} (UTC)` : ''
    const done = found.filter((one) => one.status === 'completed')
    const rows = done.reduce((sum, one) => sum + one.rows, 0)
    if (found.length === 0)
      return { summary: `No load of ${table} began${when}, as far back as Redshift remembers.`, blocks: [] }
    return {
      summary: `${done.length} of ${found.length} loads of ${table}${when} completed, with ${rows} rows. The latest, ${found[0]!.query}, is ${found[0]!.status}.`,
      blocks: [
        {
          type: 'table',
          columns: ['query', 'status', 'began', 'ended', 'rows', 'files', 'errors', 'from'],
          rows: found
            .slice(0, MOST_ROWS)
            .map((one) => [
              String(one.query),
              one.status,
              one.start,
              one.end || '–',
              String(one.rows),
              String(one.files),
              String(one.errors),
              clean(one.source, 200),
            ]),
          omitted: Math.max(0, found.length - MOST_ROWS),
        },
      ],
    }
  },
})
