import { type Connected, Refused } from '../../src/domain/command.ts'
import { digest } from '../../src/domain/plan.ts'
import type { Kubernetes, Place } from './client.ts'
import type { Settings } from './connection.ts'
import { autoscalerOf, isScaled, type Keepers } from './keepers.ts'
import type { ContainerStatus, Deployment, Pod, ReplicaSet } from './nouns.ts'
import { isOwnedBy, revisionOf } from './nouns.ts'

export type Cluster = Pick<Connected<Settings, Kubernetes>, 'name' | 'client' | 'settings' | 'environment'>

/** A deployment with its own replica sets and pods. */
export type Seen = Readonly<{ deployment: Deployment; sets: readonly ReplicaSet[]; pods: readonly Pod[] }>

/** Refuses a namespace that the connection does not list. */
export function readable({ name, settings }: Cluster, namespace: string): Settings['namespaces'][string] {
  const found = Object.hasOwn(settings.namespaces, namespace) ? settings.namespaces[namespace] : undefined
  if (found) return found
  const names = Object.keys(settings.namespaces).sort().join(', ') || 'none'
  throw new Refused(`The connection "${name}" does not list the namespace "${namespace}". It lists: ${names}.`)
}

/** Refuses a deployment that the connection does not list; gives how far it may be scaled. */
export function changeable(cluster: Cluster, { namespace, name }: Place): { min: number; max: number } | null {
  const { deployments } = readable(cluster, namespace)
  if (Object.hasOwn(deployments, name)) return deployments[name]!.replicas ?? null
  const names = Object.keys(deployments).sort().join(', ') || 'none'
  throw new Refused(
    `The connection "${cluster.name}" does not let the deployment "${name}" in ${namespace} be changed. It lists: ${names}.`,
  )
}

const notThere = ({ namespace, name }: Place) =>
  new Refused(`There is no deployment "${name}" in the namespace ${namespace}.`)

/** Looks at a deployment and what belongs to it. Refuses when it is not there. */
export async function look(client: Kubernetes, place: Place, signal: AbortSignal): Promise<Seen> {
  const deployment = await client.deployment(place, signal)
  if (!deployment) throw notThere(place)
  const selector = selectorOf(deployment)
  const [sets, pods] = await Promise.all([
    client.replicaSets(place.namespace, selector, signal),
    client.pods(place.namespace, selector, signal),
  ])
  // Half of them could pass for all: that none is left, that all are ready.
  if (!sets.whole || !pods.whole)
    throw new Refused(`${place.namespace}/${place.name} has more pods or revisions than are read. Use kubectl for it.`)
  const own = sets.items.filter((set) => isOwnedBy(set, deployment.metadata.uid))
  const mine = pods.items.filter((pod) => own.some((set) => isOwnedBy(pod, set.metadata.uid)))
  return { deployment, sets: own, pods: mine }
}

/**
 * Ended for good: evicted, shut down with its node, or done. Its controller has long made another one, and it stays in the list
 * until it is cleaned up: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase.
 */
export const isOver = ({ status: { phase } }: Pod): boolean => phase === 'Failed' || phase === 'Succeeded'

/** Those that run or are to run, those that are ending included. */
export const living = (pods: readonly Pod[]): Pod[] => pods.filter((pod) => !isOver(pod))

/** Those that are to stay. */
export const staying = (pods: readonly Pod[]): Pod[] => living(pods).filter((pod) => !pod.metadata.deletionTimestamp)

/** The selector of its pods as the API takes it in a query. */
export function selectorOf({ spec: { selector } }: Deployment): string {
  const words = { In: 'in', NotIn: 'notin' } as Record<string, string>
  return [
    ...Object.entries(selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`),
    ...(selector.matchExpressions ?? []).map(({ key, operator, values }) =>
      operator === 'Exists' ? key : operator === 'DoesNotExist' ? `!${key}` : `${key} ${words[operator]} (${values})`,
    ),
  ].join(',')
}

/** Of its current revision. */
const newest = ({ deployment, sets }: Seen): ReplicaSet | undefined =>
  sets.find((set) => revisionOf(set) === revisionOf(deployment))

/** A container waits for one of these until somebody changes something. */
const NO_START = new Set([
  'ImagePullBackOff',
  'ErrImagePull',
  'InvalidImageName',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
])
export const containersOf = ({ status }: Pod): ContainerStatus[] => [
  ...(status.initContainerStatuses ?? []),
  ...(status.containerStatuses ?? []),
]
export const restartsOf = (pods: readonly Pod[]): number =>
  pods.flatMap(containersOf).reduce((sum, container) => sum + container.restartCount, 0)

/** How often each container had been started again, by the uid of its pod and its name. */
export type Restarts = Readonly<Record<string, number>>
export const restartsIn = (pods: readonly Pod[]): Restarts =>
  Object.fromEntries(
    pods.flatMap((pod) => containersOf(pod).map((c) => [`${pod.metadata.uid}/${c.name}`, c.restartCount] as const)),
  )

/** Whether any container was started again since. */
export const restartedSince = (before: Restarts, pods: readonly Pod[]): boolean =>
  Object.entries(restartsIn(pods)).some(([key, count]) => count > (before[key] ?? 0))

/** How a container ended: `OOMKilled (137)`, `Error (1)`, `Error (signal 9)`. */
export const endOf = ({ reason, signal, exitCode }: End): string =>
  `${reason ?? 'exit'} (${signal ? `signal ${signal}` : exitCode})`
export type End = NonNullable<NonNullable<ContainerStatus['lastState']>['terminated']>

/**
 * The first container of the current revision that cannot start, or that was started again `most` times since `before`. A count
 * is from a pod's birth on, so that without a before only one that is down right now says anything.
 */
export function broken(seen: Seen, before: Restarts | null, most = 1): string | null {
  const set = newest(seen)
  for (const pod of staying(seen.pods)) {
    if (!set || !isOwnedBy(pod, set.metadata.uid)) continue
    for (const { name, restartCount, ready, state, lastState } of containersOf(pod)) {
      const where = `${pod.metadata.name}, container ${name}`
      const waits = state?.waiting?.reason ?? ''
      if (NO_START.has(waits)) {
        const says = state?.waiting?.message?.replace(/\s+/g, ' ').slice(0, 150)
        return `${where}: ${waits}${says ? `: ${says}` : ''}`
      }
      const since = restartCount - (before?.[`${pod.metadata.uid}/${name}`] ?? 0)
      const isDown =
        before !== null || (!ready && (waits === 'CrashLoopBackOff' || Boolean(state?.terminated?.exitCode)))
      const end = lastState?.terminated ?? state?.terminated
      if (isDown && since >= most)
        return `${where}: started again ${since} times${end ? `, last ended with ${endOf(end)}` : ''}`
    }
  }
  return null
}

/** Why no node takes a pod, as the scheduler says it: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions. */
export function unscheduled({ status }: Pod): string | null {
  const found = (status.conditions ?? []).find((one) => one.type === 'PodScheduled' && one.status === 'False')
  if (!found || status.phase !== 'Pending') return null
  return (found.message || found.reason || 'no reason is given').replace(/\s+/g, ' ').slice(0, 200)
}

type State = 'moving' | 'stuck' | 'scaling' | 'unready' | 'ready'

/**
 * Where the last rollout stands, by the rules of `kubectl rollout status`. `moving`: it goes on. `stuck`: its pods do
 * not start, or the cluster gave it up. `scaling`, `unready`: it had ended well, and now pods come or go, or are not
 * available. `ready`: all are.
 */
export function rolloutOf(seen: Seen): Readonly<{ state: State; why: string }> {
  const { metadata, spec, status } = seen.deployment
  const progress = (status.conditions ?? []).find((condition) => condition.type === 'Progressing')?.reason
  const state = (is: State, why: string) => ({ state: is, why })
  if (status.observedGeneration < metadata.generation)
    return state('moving', 'the cluster has not seen the last change')
  let left =
    status.updatedReplicas < spec.replicas
      ? `${status.updatedReplicas} of ${spec.replicas} pods are of the new revision`
      : status.replicas > status.updatedReplicas
        ? `${status.replicas - status.updatedReplicas} pods of an old revision are left`
        : status.availableReplicas < status.updatedReplicas
          ? `${status.availableReplicas} of ${status.updatedReplicas} pods are available`
          : null
  const refused = (status.conditions ?? []).find((one) => one.type === 'ReplicaFailure' && one.status === 'True')
  if (left && refused?.message)
    left = `${left}; pods are not created: ${refused.message.replace(/\s+/g, ' ').slice(0, 200)}`
  const homeless = left === null ? undefined : staying(seen.pods).find((pod) => unscheduled(pod) !== null)
  if (homeless) left = `${left}; no node takes ${homeless.metadata.name}: ${unscheduled(homeless)}`
  if (left === null) return state('ready', `${status.availableReplicas} of ${spec.replicas} pods are available`)
  if (progress === 'NewReplicaSetAvailable')
    return state(status.replicas === spec.replicas ? 'unready' : 'scaling', left)
  if (progress === 'ProgressDeadlineExceeded' || broken(seen, null)) return state('stuck', left)
  return state('moving', left)
}

/** What a plan shows of a deployment: nothing that changes while its pods come and go. */
export function targetOf(
  cluster: Cluster,
  place: Place,
  { deployment }: Seen,
  keepers: Keepers,
  { fingerprint, more = {} }: { fingerprint: string; more?: Record<string, string> },
) {
  const { metadata, spec } = deployment
  const autoscaler = autoscalerOf(keepers)
  return {
    id: `kubernetes:${cluster.name}/${place.namespace}/deployment/${place.name}`,
    name: `${place.namespace}/${place.name}`,
    fingerprint,
    details: {
      Cluster: cluster.client.server,
      Environment: cluster.environment,
      Image: spec.template.spec.containers.map((container) => container.image ?? 'none').join(', '),
      Replicas: isScaled(keepers) ? 'as its autoscaler sets them' : String(spec.replicas),
      Revision: String(revisionOf(deployment)),
      Created: metadata.creationTimestamp,
      ...(autoscaler && { Autoscaler: autoscaler }),
      ...more,
    },
  }
}

/** The very deployment, and its wish as of now but for the number of its pods, which an autoscaler sets. */
export function fingerprintOf({ metadata, spec }: Deployment): string {
  const { replicas: _, ...rest } = spec
  return `${metadata.uid} ${digest(rest).slice('sha256:'.length, 'sha256:'.length + 16)}`
}

/** The same with that number. */
export const wishOf = (deployment: Deployment): string => `${fingerprintOf(deployment)} × ${deployment.spec.replicas}`

/** Who wrote the wish of a deployment last, as the cluster has it: `kubectl at 2026-11-28T02:00:00Z`. */
export function writerOf({ metadata: { managedFields } }: Deployment): string {
  const writers = (managedFields ?? []).filter((field) => field.subresource !== 'status' && field.manager)
  const last = writers.toSorted((a, b) => ((a.time ?? '') < (b.time ?? '') ? 1 : -1))[0]
  return last ? `${last.manager}${last.time ? ` at ${last.time}` : ''}` : ''
}

/** Refuses beside a rollout that goes on, and a paused deployment; gives the warnings for a plan. */
export function refuseBeside({ namespace, name }: Place, seen: Seen, scale: boolean): string[] {
  const { state, why } = rolloutOf(seen)
  if (state === 'moving')
    throw new Refused(`A rollout of ${namespace}/${name} is going on: ${why}. Wait until it has ended.`)
  if (state === 'scaling' && !scale)
    throw new Refused(`${namespace}/${name} is being scaled: ${why}. Wait until that has ended.`)
  if (seen.deployment.spec.paused && !scale)
    throw new Refused(`${namespace}/${name} is paused: nothing is rolled out until somebody resumes it.`)
  return state === 'stuck' ? [`The last rollout of ${name} does not come to its end: its pods do not start.`] : []
}
