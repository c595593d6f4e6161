import { type Connected, Refused } from '../../src/domain/command.ts'
import type { Kubernetes, Place } from './client.ts'
import type { Settings } from './connection.ts'
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
  const own = sets.filter((set) => isOwnedBy(set, deployment.metadata.uid))
  return { deployment, sets: own, pods: pods.filter((pod) => own.some((set) => isOwnedBy(pod, set.metadata.uid))) }
}

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

/** The first container of the current revision that cannot start or has been started again `most` times. */
export function broken(seen: Seen, most = 1): string | null {
  const set = newest(seen)
  for (const pod of seen.pods) {
    if (!set || !isOwnedBy(pod, set.metadata.uid)) continue
    for (const { name, restartCount, state, lastState } of containersOf(pod)) {
      const where = `${pod.metadata.name}, container ${name}`
      if (NO_START.has(state?.waiting?.reason ?? '')) return `${where}: ${state?.waiting?.reason}`
      const end = lastState?.terminated ?? state?.terminated
      if (restartCount >= most)
        return `${where}: started again ${restartCount} times${end ? `, last ended with ${end.reason ?? 'exit'} (${end.exitCode})` : ''}`
    }
  }
  return null
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
  const left =
    status.updatedReplicas < spec.replicas
      ? `${status.updatedReplicas} of ${spec.replicas} pods are of the new revision`
      : status.replicas > status.updatedReplicas
        ? `${status.replicas - status.updatedReplicas} pods of an old revision are left`
        : status.availableReplicas < status.updatedReplicas
          ? `${status.availableReplicas} of ${status.updatedReplicas} pods are available`
          : null
  if (left === null) return state('ready', `${status.availableReplicas} of ${spec.replicas} pods are available`)
  if (progress === 'NewReplicaSetAvailable')
    return state(status.replicas === spec.replicas ? 'unready' : 'scaling', left)
  if (progress === 'ProgressDeadlineExceeded' || broken(seen)) return state('stuck', left)
  return state('moving', left)
}

/** What a plan shows of a deployment: nothing that changes while its pods come and go. */
export function targetOf(cluster: Cluster, place: Place, { deployment }: Seen, more: Record<string, string> = {}) {
  const { metadata, spec } = deployment
  return {
    id: `kubernetes:${cluster.name}/${place.namespace}/deployment/${place.name}`,
    name: `${place.namespace}/${place.name}`,
    fingerprint: fingerprintOf(deployment),
    details: {
      Cluster: cluster.client.server,
      Environment: cluster.environment,
      Image: spec.template.spec.containers.map((container) => container.image).join(', '),
      Replicas: String(spec.replicas),
      Revision: String(revisionOf(deployment)),
      Created: metadata.creationTimestamp,
      ...more,
    },
  }
}

/** The very deployment, and its wish as of now; its state may change under it. */
export const fingerprintOf = ({ metadata }: Deployment): string => `${metadata.uid} generation ${metadata.generation}`

/** Refuses beside a rollout that goes on, and a paused deployment; gives the warnings for a plan. */
export function refuseBeside({ namespace, name }: Place, seen: Seen, scale: boolean): string[] {
  const { state, why } = rolloutOf(seen)
  if (state === 'moving' || (state === 'scaling' && !scale))
    throw new Refused(`A rollout of ${namespace}/${name} is going on: ${why}. Wait until it has ended.`)
  if (seen.deployment.spec.paused && !scale)
    throw new Refused(`${namespace}/${name} is paused: nothing is rolled out until somebody resumes it.`)
  return state === 'stuck' ? [`The last rollout of ${name} does not come to its end: its pods do not start.`] : []
}
