import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { emr } from './connection.ts'
import { ClusterId, findCluster } from './look.ts'
import { applications, primaryOf } from './yarn.ts'

/** Shows the applications that YARN has not ended: a step that was cancelled may have left one. */
export const emrApplications = defineRead({
  id: 'emr.applications',
  summary: 'Show the open YARN applications of an EMR cluster',
  effect: 'read',
  params: z.object({ connection: z.string().describe('EMR connection'), cluster: ClusterId }),
  async read({ connection, cluster: id }, ctx) {
    const node = await primaryOf(connection, id, ctx)
    const { client } = await ctx.connect(emr, connection)
    const { Name: name } = await findCluster(client.reads, id, ctx.signal)
    const { found, more } = await applications(connection, node, ctx)
    return {
      summary: `YARN of "${name ?? id}" has ${found.length + more} open applications.`,
      blocks: [
        {
          type: 'table',
          columns: ['Application', 'Name', 'Type', 'User', 'Queue', 'State', 'Done'],
          rows: found.map((one) => [one.id, one.name, one.type, one.user, one.queue, one.state, one.progress]),
          omitted: more,
        },
      ],
    }
  },
})
