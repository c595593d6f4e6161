import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { postgres } from './connection.ts'
import { readBlocking } from './sessions.ts'
import { duration } from './text.ts'
import { drawTree, roots, waitersOf } from './tree.ts'

const MOST_ROWS = 20

/** Who blocks whom: a tree, and a table of the sessions at its roots. */
export const blockingSessions = defineRead({
  id: 'postgres.blocking-sessions',
  summary: 'Show which sessions block which, as a tree',
  effect: 'read',
  params: z.object({ connection: z.string().describe('Postgres connection') }),
  async read({ connection }, ctx) {
    const { client } = await ctx.connect(postgres, connection)
    const sessions = await readBlocking(client)
    const waiting = sessions.filter((s) => s.blockedBy.length > 0)
    if (waiting.length === 0) return { summary: `No session on ${connection} waits for another one.`, blocks: [] }
    const tops = roots(sessions)
    const names = tops.slice(0, 5).map((s) => `${s.pid} (${s.user || '?'}, ${s.state || '?'})`)
    const more = tops.length > names.length ? ` and ${tops.length - names.length} more` : ''
    return {
      summary:
        `${waiting.length} session${waiting.length === 1 ? '' : 's'} on ${connection} wait${waiting.length === 1 ? 's' : ''} for a lock. ` +
        (tops.length > 0
          ? `At the root: ${names.join(', ')}${more}.`
          : 'No session is at the root: a prepared transaction holds the lock.'),
      blocks: [
        { type: 'code', text: drawTree(sessions) },
        {
          type: 'table',
          columns: [
            'root pid',
            'blocks',
            'user',
            'application',
            'client',
            'state',
            'transaction began',
            'age',
            'query',
            'never ended',
          ],
          rows: tops
            .slice(0, MOST_ROWS)
            .map((s) => [
              String(s.pid),
              String(waitersOf(s.pid, sessions).length),
              s.user,
              s.application,
              s.client,
              s.state,
              s.transactionStart,
              duration(s.ageSeconds),
              s.query,
              s.protectedBecause,
            ]),
          omitted: Math.max(0, tops.length - MOST_ROWS),
        },
      ],
    }
  },
})
