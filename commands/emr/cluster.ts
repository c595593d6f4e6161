import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { emr } from './connection.ts'
import { ClusterId, findCluster, stateOf } from './look.ts'
import { listPools, managedScaling } from './pools.ts'

/** Shows a cluster's state and, by instance group or fleet, how many machines or units it has and wants. */
export const emrCluster = defineRead({
  id: 'emr.cluster',
  summary: 'Show the state and size of an EMR cluster',
  effect: 'read',
  params: z.object({ connection: z.string().describe('EMR connection'), cluster: ClusterId }),
  async read({ connection, cluster: id }, ctx) {
    const { client, environment, settings } = await ctx.connect(emr, connection)
    const cluster = await findCluster(client.reads, id, ctx.signal)
    const pools = await listPools(client.reads, cluster, ctx.signal)
    const scaling = await managedScaling(client.reads, id, ctx.signal)
    const missing = pools.reduce((sum, pool) => sum + Math.max(0, pool.wants - pool.runs), 0)
    const what = pools.some((pool) => pool.kind === 'fleet') ? 'units of capacity' : 'machines'
    const lack = missing > 0 ? `; ${missing} ${what} that it asked for are missing` : ''
    return {
      summary: `The cluster "${cluster.Name ?? id}" (${environment}, ${settings.region}) is ${stateOf(cluster)}${lack}.`,
      blocks: [
        {
          type: 'text',
          text: `Created ${cluster.Status?.Timeline?.CreationDateTime?.toISOString() ?? 'unknown'}, ${cluster.ReleaseLabel ?? 'unknown release'}, ${cluster.StepConcurrencyLevel ?? 1} step at a time. ${cluster.Status?.StateChangeReason?.Message ?? ''}`.trim(),
        },
        ...(scaling ? [{ type: 'text' as const, text: scaling }] : []),
        {
          type: 'table',
          columns: [pools[0]?.kind === 'fleet' ? 'Fleet' : 'Group', 'Role', 'Type', 'Market', 'Runs', 'Wants', 'State'],
          rows: pools.map((pool) => [
            ...[pool.id, pool.role, pool.type, pool.market, String(pool.runs), String(pool.wants)],
            pool.policy && pool.policy !== 'DETACHED' ? `${pool.state}, scaled by a policy of its own` : pool.state,
          ]),
          omitted: 0,
        },
      ],
    }
  },
})
