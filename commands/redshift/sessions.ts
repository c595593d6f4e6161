import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { clean, duration } from '../postgres/text.ts'
import { redshift } from './connection.ts'
import { type Locker, readLockers } from './locks.ts'

const MOST_ROWS = 30
const MOST_LOCKS = 5

/** Redshift's own catalogue, which every session reads. */
const CATALOGUE = /^\w+ on (pg_\w+|information_schema)\./

/** What each session does, and which tables it holds or waits for; those that hold most come first. */
export const sessions = defineRead({
  id: 'redshift.sessions',
  summary: 'Show the sessions of Redshift with the locks that they hold or wait for',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Redshift connection'),
    schema: z
      .string()
      .regex(/^[\w$]*$/, 'the name of a schema')
      .default('')
      .describe('Only sessions that hold or wait for a table of this schema; empty for all'),
  }),
  async read({ connection, schema }, ctx) {
    const { client } = await ctx.connect(redshift, connection)
    const all = await readLockers(await client.sql(), ctx.now())
    const locksOf = (s: Locker) => s.holds.filter((lock) => !CATALOGUE.test(lock))
    const touches = (s: Locker) => [...locksOf(s), s.waitsFor].some((lock) => lock.includes(` on ${schema}.`))
    const found = all
      .filter((s) => schema === '' || touches(s))
      .sort((a, b) => locksOf(b).length - locksOf(a).length || b.ageSeconds - a.ageSeconds || a.pid - b.pid)
    const holding = found.filter((s) => locksOf(s).length > 0)
    const show = (locks: readonly string[]) =>
      locks.length > MOST_LOCKS
        ? [...locks.slice(0, MOST_LOCKS), `and ${locks.length - MOST_LOCKS} more`].join(', ')
        : locks.join(', ')
    return {
      summary: `${holding.length} of ${all.length} sessions on ${connection} hold locks${schema ? ` and have to do with ${schema}` : ' on tables'}; ${found.filter((s) => s.waitsFor).length} wait for one.`,
      blocks: [
        {
          type: 'table',
          columns: ['pid', 'user', 'state', 'session began', 'transaction began', 'age', 'holds', 'waits for', 'query'],
          rows: found
            .slice(0, MOST_ROWS)
            .map((s) => [
              String(s.pid),
              s.user,
              s.state,
              s.backendStart,
              s.transactionStart || '–',
              duration(s.ageSeconds),
              show(locksOf(s)) || '–',
              s.waitsFor || '–',
              clean(s.query, 100),
            ]),
          omitted: Math.max(0, found.length - MOST_ROWS),
        },
      ],
    }
  },
})
