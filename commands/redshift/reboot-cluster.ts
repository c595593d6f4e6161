import { setTimeout as pause } from 'node:timers/promises'
import { ClusterNotFoundFault, InvalidClusterStateFault, RebootClusterCommand } from '@aws-sdk/client-redshift'
import { z } from 'zod'
import { defineChange, type ReadContext, Refused, type Right } from '../../src/domain/command.ts'
import { answered } from '../aws/answered.ts'
import { outlive } from '../aws/outlive.ts'
import type { Sql } from '../postgres/session.ts'
import { eventsSince, findCluster, notNow } from './cluster.ts'
import { redshift } from './connection.ts'
import { utc } from './errors.ts'
import { rebooting } from './rights.ts'
import { unlessHidden } from './views.ts'

const Params = z.object({ connection: z.string().describe('Redshift connection; its cluster is rebooted') })

/** `asked` is when the plan was asked for, in ISO 8601: a reboot before it is another one. */
type Data = Readonly<{ connection: string; cluster: string; asked: string; rights: readonly Right[] }>

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
    const name = settings.cluster
    if (!name) throw new Refused(`"${connection}" is a workgroup of Redshift Serverless: there is nothing to reboot.`)
    const cluster = await findCluster(client.reads, name, ctx.signal)
    const no = notNow(name, cluster.ClusterStatus)
    if (no) throw new Refused(no)
    const waiting = Object.entries(cluster.PendingModifiedValues ?? {}).filter(([, value]) => value !== undefined)
    return {
      summary: `Reboot the cluster ${name}`,
      targets: [
        {
          id: `redshift:${connection}/cluster/${name}`,
          name: name,
          fingerprint: [
            cluster.ClusterNamespaceArn ?? '',
            cluster.ClusterStatus,
            cluster.NodeType,
            cluster.NumberOfNodes,
          ].join(' '),
          details: {
            cluster: name,
            account: cluster.ClusterNamespaceArn?.split(':')[4] ?? 'unknown',
            region: settings.region,
            environment,
            status: cluster.ClusterStatus ?? 'unknown',
            ...(/^(true|enabled)$/i.test(cluster.MultiAZ ?? '') && { zones: 'two (Multi-AZ)' }),
            nodes: `${cluster.NumberOfNodes ?? '?'} × ${cluster.NodeType ?? '?'}`,
            version: cluster.ClusterVersion ?? 'unknown',
            created: cluster.ClusterCreateTime?.toISOString() ?? 'unknown',
            maintenance: cluster.PreferredMaintenanceWindow ?? 'unknown',
          },
        },
      ],
      steps: [{ id: 'reboot', title: 'Reboot the cluster', detail: `RebootCluster ${name}` }],
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
      data: {
        connection,
        cluster: name,
        asked: ctx.requestedAt.toISOString(),
        rights: rebooting(settings, name),
      },
    }
  },

  async run({ data }, ctx) {
    const { client, settings } = await ctx.connect(redshift, data.connection, data.rights)
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
    const pauseMs = settings.pollSeconds * 1000
    const watch = {
      signal: ctx.signal,
      pauseMs,
      // So many looks without an answer as make ten minutes at five seconds each.
      minutes: 2 * settings.pollSeconds,
      onPause: (note: string) => ctx.progress(0, 1, note),
    }
    for (;;) {
      const { ClusterStatus } = await outlive(() => findCluster(client.reads, data.cluster, ctx.signal), watch)
      away ||= ClusterStatus !== 'available'
      // It may have come and gone between two looks: then no session is from before.
      if (ClusterStatus === 'available' && (away || (await isNew(data, ctx)))) break
      ctx.progress(0, 1, `the cluster is ${ClusterStatus ?? 'in a state that AWS does not name'}`)
      await pause(pauseMs, undefined, { signal: ctx.signal })
    }
    return `The cluster ${data.cluster} was rebooted and is available.`
  },

  async verify({ data }, ctx) {
    const { client } = await ctx.connect(redshift, data.connection)
    const { ClusterStatus } = await findCluster(client.reads, data.cluster, ctx.signal)
    const said = await eventsOf(data, ctx)
    const oldest = await oldestOf(data, ctx)
    return [
      { title: 'The cluster is available', ok: ClusterStatus === 'available', detail: ClusterStatus ?? '' },
      { title: 'It answers a query', ok: oldest !== null, detail: oldest === null ? 'no session could be opened' : '' },
      {
        title: 'It was rebooted: no session is older',
        ok: oldest !== null && Date.parse(oldest) >= Date.parse(data.asked),
        detail: [oldest && `the oldest session began at ${oldest}`, ...said.map((text) => `AWS wrote: ${text}`)]
          .filter(Boolean)
          .join('; '),
      },
    ]
  },

  async probe({ data }, _step, ctx) {
    const { client } = await ctx.connect(redshift, data.connection)
    const { ClusterStatus } = await findCluster(client.reads, data.cluster, ctx.signal)
    const said = await eventsOf(data, ctx)
    const wrote = said.map((text) => ` AWS wrote: ${text}.`).join('')
    if (ClusterStatus === 'rebooting') return { landed: 'yes', detail: `${data.cluster} is rebooting.${wrote}` }
    if (ClusterStatus === 'available' && (await isNew(data, ctx)))
      return { landed: 'yes', detail: `No session of ${data.cluster} is from before ${data.asked}.${wrote}` }
    // A request on its way shows in nothing.
    return {
      landed: 'cannot_tell',
      detail: `${data.cluster} is ${ClusterStatus ?? 'in a state that AWS does not name'}, and nothing shows that it was rebooted.${wrote}`,
    }
  },
})

async function eventsOf({ connection, cluster, asked }: Data, ctx: ReadContext): Promise<string[]> {
  const { client } = await ctx.connect(redshift, connection)
  // Text for people: without the right to it the rest is told all the same.
  return eventsSince(client.reads, cluster, new Date(asked), ctx.signal).catch(() => [])
}

/** When the oldest session began, Redshift's own among them; null where no session can be opened. */
async function oldestOf({ connection }: Data, ctx: ReadContext): Promise<string | null> {
  const { client } = await ctx.connect(redshift, connection)
  try {
    const sql = await client.sql()
    return (
      (await oldest(sql, 'select cast(min(starttime) as varchar) as began from stv_sessions')) ??
      (await oldest(sql, SYS))
    )
  } catch {
    ctx.signal.throwIfAborted()
    return null
  }
}

/** Without the role sys:monitor it shows our own sessions alone, which prove nothing. */
const SYS = `select cast(min(start_time) as varchar) as began from sys_session_history where rtrim(status) = 'active'
  having count(distinct user_id) > 1`

async function oldest(sql: Sql, text: string): Promise<string | null> {
  const found = await unlessHidden(() => sql.query<{ began: string | null }>(text))
  return found?.rows[0]?.began ? utc(found.rows[0].began) : null
}

/** Is no session from before the plan was asked for? */
async function isNew(data: Data, ctx: ReadContext): Promise<boolean> {
  const began = await oldestOf(data, ctx)
  return began !== null && Date.parse(began) >= Date.parse(data.asked)
}
