import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { postgres } from './connection.ts'
import { readBlocking } from './sessions.ts'
import { drawBlocking } from './tree.ts'

/** Who blocks whom: a tree, and a table of the sessions at its roots. */
export const blockingSessions = defineRead({
  id: 'postgres.blocking-sessions',
  summary: 'Show which sessions block which, as a tree',
  effect: 'read',
  params: z.object({ connection: z.string().describe('Postgres connection') }),
  async read({ connection }, ctx) {
    const { client } = await ctx.connect(postgres, connection)
    const sessions = await readBlocking(client)
    const waiting = sessions.filter((s) => s.blockedBy.length > 0).length
    if (waiting === 0) return { summary: `No session on ${connection} waits for another one.`, blocks: [] }
    const { atTheRoot, blocks } = drawBlocking(sessions, {
      application: (s) => s.application,
      client: (s) => s.client,
      state: (s) => s.state,
    })
    const who = waiting === 1 ? `1 session on ${connection} waits` : `${waiting} sessions on ${connection} wait`
    return { summary: `${who} for a lock. ${atTheRoot}`, blocks }
  },
})
