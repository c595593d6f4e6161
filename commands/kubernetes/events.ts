import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { maskSecrets } from '../mask.ts'
import { kubernetes, Name } from './connection.ts'
import { type Cluster, look, readable } from './deployment.ts'
import type { Event } from './nouns.ts'

const SHOWN = 40

/** Shows what the cluster noted of a deployment, its revisions and its pods, warnings first. */
export const events = defineRead({
  id: 'kubernetes.events',
  summary: 'Show what the cluster noted of a deployment and its pods: kills, failed probes, images, quotas',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Kubernetes connection'),
    namespace: Name.describe('Namespace'),
    deployment: z.string().default('').describe('Deployment; empty for all of the namespace'),
  }),
  async read({ connection, namespace, deployment }, ctx) {
    const cluster: Cluster = await ctx.connect(kubernetes, connection)
    readable(cluster, namespace)
    const { items, whole } = await cluster.client.events(namespace, ctx.signal)
    const of = deployment ? await namesOf(cluster, namespace, Name.parse(deployment), ctx.signal) : null
    const mine = items.filter(({ involvedObject: it }) => of === null || of.some((is) => is(it.kind, it.name)))
    const sorted = mine.toSorted(
      (a, b) => Number(a.type === 'Normal') - Number(b.type === 'Normal') || (atOf(a) < atOf(b) ? 1 : -1),
    )
    const warnings = mine.filter((event) => event.type !== 'Normal').length
    const where = deployment ? `${namespace}/${deployment}` : namespace
    return {
      summary:
        mine.length === 0
          ? `The cluster noted nothing of ${where} lately; it forgets events after an hour.`
          : `${warnings} warnings among ${mine.length} events of ${where}.${whole ? '' : ' There are more events than are read.'}`,
      blocks:
        sorted.length === 0
          ? []
          : [
              {
                type: 'table',
                columns: ['Last', 'Times', 'Reason', 'Of', 'Message'],
                rows: sorted
                  .slice(0, SHOWN)
                  .map((event) => [
                    atOf(event),
                    String(event.series?.count ?? event.count ?? 1),
                    event.type === 'Normal' ? event.reason : `⚠ ${event.reason}`,
                    `${event.involvedObject.kind} ${event.involvedObject.name}`,
                    maskSecrets(event.message).replace(/\s+/g, ' ').slice(0, 300),
                  ]),
                omitted: Math.max(0, sorted.length - SHOWN),
              },
            ],
    }
  },
})

/** When it was last seen: newer clusters fill other fields than older ones. */
const atOf = (event: Event): string =>
  event.series?.lastObservedTime ??
  event.lastTimestamp ??
  event.eventTime ??
  event.firstTimestamp ??
  event.metadata.creationTimestamp ??
  ''

/** Whether something of that kind and name belongs to a deployment; pods that are gone already by their names. */
async function namesOf(cluster: Cluster, namespace: string, name: string, signal: AbortSignal) {
  const { sets, pods } = await look(cluster.client, { namespace, name }, signal)
  const own = new Set(sets.map((set) => set.metadata.name))
  const named = new Set(pods.map((pod) => pod.metadata.name))
  return [
    (kind: string, of: string) => kind === 'Deployment' && of === name,
    (kind: string, of: string) => kind === 'ReplicaSet' && own.has(of),
    (kind: string, of: string) => kind === 'Pod' && (named.has(of) || own.has(of.replace(/-[a-z0-9]+$/, ''))),
    (kind: string, of: string) =>
      (kind === 'HorizontalPodAutoscaler' || kind === 'ScaledObject') && (of === name || of === `keda-hpa-${name}`),
  ]
}
