import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { kubernetes, Name } from './connection.ts'
import { type Cluster, containersOf, look, readable, restartsOf, rolloutOf } from './deployment.ts'
import type { ContainerStatus, Pod } from './nouns.ts'

const SHOWN = 40

/** Deployments named in one parameter, separated by commas; in the order given. */
export const Deployments = z
  .string()
  .transform((text) => [...new Set(text.split(',').map((name) => name.trim()))].filter(Boolean))
  .pipe(z.array(Name).max(5))

/** Shows the pods of a namespace or of one deployment: the worst first. */
export const pods = defineRead({
  id: 'kubernetes.pods',
  summary: 'Show the pods of a deployment or a namespace: state, restarts, and how they last ended',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Kubernetes connection'),
    namespace: Name.describe('Namespace'),
    deployments: Deployments.prefault('').describe('Deployments, separated by commas; empty for all pods'),
  }),
  async read({ connection, namespace, deployments }, ctx) {
    const cluster: Cluster = await ctx.connect(kubernetes, connection)
    readable(cluster, namespace)
    const stand: string[] = []
    const all: Pod[] = []
    if (deployments.length === 0) all.push(...(await cluster.client.pods(namespace, '', ctx.signal)))
    else
      for (const name of deployments) {
        const seen = await look(cluster.client, { namespace, name }, ctx.signal)
        all.push(...seen.pods)
        const { state, why } = rolloutOf(seen)
        stand.push(`${name}: ${state === 'ready' ? why : `${state}, ${why}`}.`)
      }
    const worst = all.toSorted(
      (a, b) =>
        Number(isWell(a)) - Number(isWell(b)) ||
        restartsOf([b]) - restartsOf([a]) ||
        (a.metadata.name < b.metadata.name ? -1 : 1),
    )
    const ill = worst.filter((pod) => !isWell(pod)).length
    const rows = worst.slice(0, SHOWN)
    return {
      summary: [`${ill} of ${all.length} pods in ${namespace} (${cluster.environment}) are not well.`, ...stand].join(
        ' ',
      ),
      blocks:
        rows.length === 0
          ? []
          : [
              {
                type: 'table',
                columns: ['Pod', 'Ready', 'State', 'Restarts', 'Last ended', 'Created'],
                rows: rows.map((pod) => [
                  pod.metadata.name,
                  `${mine(pod).filter((c) => c.ready).length}/${pod.spec.containers.length}`,
                  stateOf(pod),
                  String(restartsOf([pod])),
                  lastEnd(pod),
                  pod.metadata.creationTimestamp,
                ]),
                omitted: all.length - rows.length,
              },
            ],
    }
  },
})

const mine = (pod: Pod) => pod.status.containerStatuses ?? []

/** Ready, or ended as it should. */
export const isWell = (pod: Pod): boolean =>
  pod.status.phase === 'Succeeded' ||
  (pod.status.phase === 'Running' && mine(pod).length > 0 && mine(pod).every((container) => container.ready))

/** As `kubectl get pods` says it: why a container waits or has ended, before the phase. */
function stateOf(pod: Pod): string {
  if (pod.metadata.deletionTimestamp) return 'Terminating'
  const why = containersOf(pod)
    .filter((container) => !container.ready)
    .map(({ state }) => state?.waiting?.reason ?? (state?.terminated && endOf(state.terminated)))
    .find(Boolean)
  return why ?? pod.status.reason ?? pod.status.phase ?? 'unknown'
}

type End = NonNullable<NonNullable<ContainerStatus['lastState']>['terminated']>
const endOf = (end: End): string => `${end.reason ?? 'exit'} (${end.signal ? `signal ${end.signal}` : end.exitCode})`

/** The newest end of any of its containers. */
function lastEnd(pod: Pod): string {
  const ends = containersOf(pod)
    .flatMap(({ name, state, lastState }) => {
      const end = lastState?.terminated ?? state?.terminated
      return end ? [{ name, end, at: end.finishedAt ?? '' }] : []
    })
    .sort((a, b) => (a.at < b.at ? 1 : -1))
  const last = ends[0]
  return last ? `${last.name}: ${endOf(last.end)}${last.at && ` at ${last.at}`}` : ''
}
