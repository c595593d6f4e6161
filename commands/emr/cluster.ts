import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { emr } from './connection.ts'
import { ClusterId, findCluster, listGroups, stateOf } from './look.ts'

/** Shows a cluster's state and, by instance group, how many machines it has and wants. */
export const emrCluster = defineRead({
  id: 'emr.cluster',
  summary: 'Show the state and size of an EMR cluster',
  effect: 'read',
  params: z.object({ connection: z.string().describe('EMR connection'), cluster: ClusterId }),
  async read({ connection, cluster: id }, ctx) {
    const { client, environment, settings } = await ctx.connect(emr, connection)
    const cluster = await findCluster(client.reads, id, ctx.signal)
    const groups = await listGroups(client.reads, id, ctx.signal)
    const missing = groups.reduce(
      (sum, group) => sum + Math.max(0, (group.RequestedInstanceCount ?? 0) - (group.RunningInstanceCount ?? 0)),
      0,
    )
    const lack = missing > 0 ? `; ${missing} machines that it asked for are missing` : ''
    return {
      summary: `The cluster "${cluster.Name}" (${environment}, ${settings.region}) is ${stateOf(cluster)}${lack}.`,
      blocks: [
        {
          type: 'text',
          text: `Created ${cluster.Status?.Timeline?.CreationDateTime?.toISOString() ?? 'unknown'}, ${cluster.ReleaseLabel ?? 'unknown release'}, ${cluster.StepConcurrencyLevel ?? 1} step at a time. ${cluster.Status?.StateChangeReason?.Message ?? ''}`.trim(),
        },
        {
          type: 'table',
          columns: ['Group', 'Role', 'Type', 'Runs', 'Wants', 'State'],
          rows: groups.map((group) => [
            group.Id ?? '',
            group.InstanceGroupType ?? '',
            group.InstanceType ?? '',
            String(group.RunningInstanceCount ?? 0),
            String(group.RequestedInstanceCount ?? 0),
            stateOf(group),
          ]),
          omitted: 0,
        },
      ],
    }
  },
})
