import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { drawBlocking } from '../postgres/tree.ts'
import { redshift } from './connection.ts'
import { readLockers } from './locks.ts'

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
    const { atTheRoot, blocks } = drawBlocking(sessions, {
      state: (s) => s.state,
      'session began': (s) => s.backendStart,
    })
    return {
      summary: `${waiting.length} of ${sessions.length} sessions on ${connection} wait for a lock. ${atTheRoot}`,
      blocks,
    }
  },
})
