import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { duration } from '../postgres/text.ts'
import { drawTree, roots, waitersOf } from '../postgres/tree.ts'
import { redshift } from './connection.ts'
import { readLockers } from './locks.ts'

const MOST_ROWS = 20

/** Who blocks whom: a tree, and a table of the sessions that hold the locks at its roots. */
export const lockTree = defineRead({
  id: 'redshift.lock-tree',
  summary: 'Show which sessions of Redshift wait for which, as a tree',
  effect: 'read',
  params: z.object({ connection: z.string().describe('Redshift connection') }),
  async read({ connection }, ctx) {
    const { client } = await ctx.connect(redshift, connection)
    const sessions = await readLockers(await client.sql(), ctx.now())
    const waiting = sessions.filter((s) => s.blockedBy.length > 0)
    const open = sessions.filter((s) => s.state === 'idle in transaction' && s.protectedBecause === '').length
    const idle = `${open} of ${sessions.length} sessions have a transaction open and run nothing.`
    if (waiting.length === 0) return { summary: `No session on ${connection} waits for a lock. ${idle}`, blocks: [] }
    const tops = roots(sessions)
    const names = tops.slice(0, 5).map((s) => `${s.pid} (${s.user || '?'}, ${s.state})`)
    const more = tops.length > names.length ? ` and ${tops.length - names.length} more` : ''
    return {
      summary: `${waiting.length} of ${sessions.length} sessions on ${connection} wait for a lock. At the root: ${names.join(', ')}${more}.`,
      blocks: [
        { type: 'code', text: drawTree(sessions) },
        {
          type: 'table',
          columns: [
            'root pid',
            'blocks',
            'user',
            'state',
            'session began',
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
              s.state,
              s.backendStart,
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
