import { setTimeout as pause } from 'node:timers/promises'
import { ClusterNotFoundFault, InvalidClusterStateFault, RebootClusterCommand } from '@aws-sdk/client-redshift'
import type { Client } from 'pg'
import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import { answered } from '../aws/answered.ts'
import { findCluster, rebootedSince } from './cluster.ts'
import { redshift } from './connection.ts'
import { utc } from './errors.ts'

const Params = z.object({ connection: z.string().describe('Redshift connection; its cluster is rebooted') })

/** `asked` is when the plan was asked for, in ISO 8601: a reboot before it is another one. */
type Data = Readonly<{ connection: string; cluster: string; asked: string }>

/** Reboots the cluster of the connection: every session ends, and nobody gets in for some minutes. */
export const rebootCluster = defineChange<typeof Params, Data>({
  id: 'redshift.reboot-cluster',
  summary: 'Reboot a Redshift cluster',
  effect: 'once',
  risk: 'high',
  params: Params,

  async plan({ connection }, ctx) {
    const { client, settings, environment } = await ctx.connect(redshift, connection)
    if (!settings.reboot)
      throw new Refused(`The connection "${connection}" may not reboot its cluster. Set "reboot" to true if it shall.`)
    const cluster = await findCluster(client.reads, settings.cluster, ctx.signal)
    if (cluster.ClusterStatus !== 'available')
      throw new Refused(
        `The cluster ${settings.cluster} is ${cluster.ClusterStatus}; only an available one is rebooted.`,
      )
    const waiting = Object.entries(cluster.PendingModifiedValues ?? {}).filter(([, value]) => value !== undefined)
    return {
      summary: `Reboot the cluster ${settings.cluster}`,
      targets: [
        {
          id: `redshift:${connection}/cluster/${settings.cluster}`,
          name: settings.cluster,
          fingerprint: [
            cluster.ClusterNamespaceArn ?? '',
            cluster.ClusterStatus,
            cluster.NodeType,
            cluster.NumberOfNodes,
          ].join(' '),
          details: {
            cluster: settings.cluster,
            account: cluster.ClusterNamespaceArn?.split(':')[4] ?? 'unknown',
            region: settings.region,
            environment,
            status: cluster.ClusterStatus,
            nodes: `${cluster.NumberOfNodes ?? '?'} × ${cluster.NodeType ?? '?'}`,
            version: cluster.ClusterVersion ?? 'unknown',
            created: cluster.ClusterCreateTime?.toISOString() ?? 'unknown',
            maintenance: cluster.PreferredMaintenanceWindow ?? 'unknown',
          },
        },
      ],
      steps: [{ id: 'reboot', title: 'Reboot the cluster', detail: `RebootCluster ${settings.cluster}` }],
      warnings: [
        'Every session ends and what it has not committed is rolled back. Nobody gets in for some minutes.',
        ...(waiting.length > 0
          ? [
              `Changes that wait for a reboot are made with it: ${waiting
                .map(([name]) => name)
                .sort()
                .join(', ')}.`,
            ]
          : []),
      ],
      data: { connection, cluster: settings.cluster, asked: ctx.requestedAt.toISOString() },
    }
  },

  async run({ data }, ctx) {
    const { client, settings } = await ctx.connect(redshift, data.connection)
    await ctx.step('reboot', async () => {
      try {
        await answered(`RebootCluster ${data.cluster}`, ctx.signal, () =>
          client.writes.send(new RebootClusterCommand({ ClusterIdentifier: data.cluster }), {
            abortSignal: ctx.signal,
          }),
        )
      } catch (error) {
        if (!(error instanceof InvalidClusterStateFault || error instanceof ClusterNotFoundFault)) throw error
        throw new Refused(`AWS does not reboot ${data.cluster} now: ${error.message}`)
      }
      return null
    })
    let away = false
    for (let looks = 0; ; looks += 1) {
      const { ClusterStatus } = await findCluster(client.reads, data.cluster, ctx.signal)
      away ||= ClusterStatus !== 'available'
      if (ClusterStatus === 'available' && (away || (await eventOf(data, ctx)))) break
      ctx.progress(looks, looks + 1, `the cluster is ${ClusterStatus}`)
      await pause(settings.pollSeconds * 1000, undefined, { signal: ctx.signal })
    }
    return `The cluster ${data.cluster} was rebooted and is available.`
  },

  async verify({ data }, ctx) {
    const { client } = await ctx.connect(redshift, data.connection)
    const { ClusterStatus } = await findCluster(client.reads, data.cluster, ctx.signal)
    const at = await eventOf(data, ctx)
    const oldest = await client.sql().then(oldestSession, () => null)
    return [
      { title: 'The cluster is available', ok: ClusterStatus === 'available', detail: ClusterStatus ?? '' },
      { title: 'It answers a query', ok: oldest !== null, detail: oldest === null ? 'no session could be opened' : '' },
      {
        title: 'It was rebooted: no session is older',
        ok: oldest !== null && Date.parse(oldest) >= Date.parse(data.asked),
        detail: [oldest && `the oldest session began at ${oldest}`, at && `AWS says that it was rebooted at ${at}`]
          .filter(Boolean)
          .join('; '),
      },
    ]
  },

  async probe({ data }, _step, ctx) {
    const { client } = await ctx.connect(redshift, data.connection)
    const { ClusterStatus } = await findCluster(client.reads, data.cluster, ctx.signal)
    const at = await eventOf(data, ctx)
    if (at) return { landed: 'yes', detail: `AWS says that ${data.cluster} was rebooted at ${at}` }
    if (ClusterStatus === 'rebooting') return { landed: 'yes', detail: `${data.cluster} is rebooting` }
    // The event comes when the reboot is over, and a request on its way shows in nothing.
    return {
      landed: 'cannot_tell',
      detail: `${data.cluster} is ${ClusterStatus}, and no event says that it was rebooted`,
    }
  },
})

async function eventOf({ connection, cluster, asked }: Data, ctx: ReadContext): Promise<string | null> {
  const { client } = await ctx.connect(redshift, connection)
  return rebootedSince(client.reads, cluster, new Date(asked), ctx.signal)
}

async function oldestSession(sql: Client): Promise<string> {
  const { rows } = await sql.query<{ began: string }>(
    'select cast(min(starttime) as varchar) as began from stv_sessions',
  )
  return utc(rows[0]?.began ?? '')
}
