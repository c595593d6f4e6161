import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { emr } from './connection.ts'
import { ClusterId, createdOf, findCluster, listSteps, stateOf } from './look.ts'

const SHOWN = 30

/** Shows the steps of a cluster that run or wait, oldest first. */
export const emrSteps = defineRead({
  id: 'emr.steps',
  summary: 'Show running and waiting steps of an EMR cluster',
  effect: 'read',
  params: z.object({ connection: z.string().describe('EMR connection'), cluster: ClusterId }),
  async read({ connection, cluster: id }, ctx) {
    const { client } = await ctx.connect(emr, connection)
    const cluster = await findCluster(client.reads, id, ctx.signal)
    const steps = await listSteps(client.reads, id, ['PENDING', 'RUNNING', 'CANCEL_PENDING'], ctx.signal)
    const pending = steps.filter((step) => stateOf(step) === 'PENDING').length
    const known = ['PENDING', 'RUNNING', 'CANCEL_PENDING']
    const strange = steps.filter((step) => !known.includes(stateOf(step))).length
    const said = strange === 0 ? '' : `; the state of ${strange} is not known`
    return {
      summary: `${pending} of ${steps.length} open steps of "${cluster.Name ?? id}" wait${said}.`,
      blocks: [
        {
          type: 'table',
          columns: ['Step', 'Name', 'State', 'Created', 'Started'],
          rows: steps
            .slice(0, SHOWN)
            .map((step) => [
              step.Id ?? '',
              step.Name ?? '',
              stateOf(step),
              createdOf(step),
              step.Status?.Timeline?.StartDateTime?.toISOString() ?? 'not yet',
            ]),
          omitted: Math.max(0, steps.length - SHOWN),
        },
      ],
    }
  },
})
