import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { kubernetes, Name } from './connection.ts'
import {
  type Cluster,
  containersOf,
  endOf,
  isOver,
  look,
  readable,
  restartsOf,
  rolloutOf,
  unscheduled,
} from './deployment.ts'
import type { Pod } from './nouns.ts'

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
    if (deployments.length === 0) {
      const { items, whole } = await cluster.client.pods(namespace, '', ctx.signal)
      all.push(...items)
      if (!whole) stand.push('There are more pods than are read.')
    } else
      for (const name of deployments) {
        const seen = await look(cluster.client, { namespace, name }, ctx.signal)
        all.push(...seen.pods)
        const { state, why } = rolloutOf(seen)
        stand.push(`${name}: ${state === 'ready' ? why : `${state}, ${why}`}.`)
      }
    const worst = all.toSorted(
      (a, b) =>
        Number(isLeftOver(a)) - Number(isLeftOver(b)) ||
        Number(isWell(a)) - Number(isWell(b)) ||
        restartsOf([b]) - restartsOf([a]) ||
        (a.metadata.name < b.metadata.name ? -1 : 1),
    )
    const left = worst.filter(isLeftOver).length
    const ill = worst.filter((pod) => !isWell(pod) && !isLeftOver(pod)).length
    const of = all.length - left
    const rows = worst.slice(0, SHOWN)
    return {
      summary: [
        `${ill} of ${of} pods in ${namespace} (${cluster.environment}) are not well.`,
        ...(left > 0 ? [`${left} more ended for good and ${left === 1 ? 'was' : 'were'} replaced.`] : []),
        ...stand,
        ...new Set(worst.flatMap(meaningOf)),
      ].join(' '),
      blocks:
        rows.length === 0
          ? []
          : [
              {
                type: 'table',
                columns: ['Pod', 'Ready', 'State', 'Restarts', 'Last ended', 'Created'],
                rows: rows.map((pod) => [
                  pod.metadata.name,
                  `${mine(pod).filter((c) => c.ready).length}/${pod.spec.containers.length + sidecarsOf(pod).length}`,
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

/** Init containers that go on beside the others: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/. */
const sidecarsOf = ({ spec }: Pod) => (spec.initContainers ?? []).filter((one) => one.restartPolicy === 'Always')

/** Those that shall run all the time. */
const mine = (pod: Pod) => {
  const sidecars = sidecarsOf(pod).map((one) => one.name)
  const { containerStatuses, initContainerStatuses } = pod.status
  return [...(containerStatuses ?? []), ...(initContainerStatuses ?? []).filter(({ name }) => sidecars.includes(name))]
}

/** Ready, or ended as it should. */
export const isWell = (pod: Pod): boolean =>
  pod.status.phase === 'Succeeded' ||
  (pod.status.phase === 'Running' && mine(pod).length > 0 && mine(pod).every((container) => container.ready))

const REPLACES = new Set(['ReplicaSet', 'StatefulSet', 'DaemonSet', 'ReplicationController'])
/** Evicted or shut down, and replaced by whoever made it: it is no pod of now. One of a Job, or of nobody, has failed. */
const isLeftOver = (pod: Pod): boolean =>
  isOver(pod) && (pod.metadata.ownerReferences ?? []).some((owner) => REPLACES.has(owner.kind ?? ''))

const MEANINGS: Readonly<Record<string, string>> = {
  OOMKilled: 'OOMKilled: it took more memory than its limit',
  CreateContainerConfigError: 'CreateContainerConfigError: a ConfigMap, a Secret or a key of one is missing',
  ImagePullBackOff: 'ImagePullBackOff: the image or its tag is not there, or the pull secret is wrong',
  ErrImagePull: 'ErrImagePull: the image or its tag is not there, or the pull secret is wrong',
  Evicted: 'Evicted: its node ran out of memory or disk',
}
/** Exit codes of 128 and a signal: https://tldp.org/LDP/abs/html/exitcodes.html. */
const CODES: Readonly<Record<number, string>> = {
  127: 'exit code 127: its command is not in the image',
  126: 'exit code 126: its command cannot be executed',
  137: 'exit code 137: killed from outside, by a probe that failed, by the memory of the node, or at the end of its grace period',
  139: 'exit code 139: it crashed (segmentation fault)',
  143: 'exit code 143: it was asked to end',
}

/** What its state stands for, in a sentence each; nothing for what says so itself, and for what is well. */
function meaningOf(pod: Pod): string[] {
  if (isWell(pod) && !isLeftOver(pod)) return []
  const words = containersOf(pod).flatMap(({ ready, state, lastState }) => {
    if (ready) return []
    const end = state?.terminated ?? lastState?.terminated
    const says = [state?.waiting?.reason, end?.reason].map((reason) => MEANINGS[reason ?? '']).filter(Boolean)
    const code = end && end.reason !== 'OOMKilled' && end.reason !== 'Completed' ? CODES[end.exitCode] : undefined
    const message = MEANINGS[state?.waiting?.reason ?? ''] ? (state?.waiting?.message ?? '') : ''
    return [...says, code]
      .filter((one) => one !== undefined)
      .map((one, i) => `${one}${i === 0 && message ? ` (${message.replace(/\s+/g, ' ').slice(0, 120)})` : ''}.`)
  })
  const evicted = MEANINGS[pod.status.reason ?? '']
  const homeless = unscheduled(pod)
  return [...words, ...(evicted ? [`${evicted}.`] : []), ...(homeless ? [`No node takes a pod: ${homeless}.`] : [])]
}

/** As `kubectl get pods` says it: why a container waits or has ended, before the phase. */
function stateOf(pod: Pod): string {
  if (pod.metadata.deletionTimestamp) return 'Terminating'
  const why = containersOf(pod)
    .filter((container) => !container.ready)
    .map(({ state }) => state?.waiting?.reason ?? (state?.terminated && endOf(state.terminated)))
    .find(Boolean)
  return why ?? pod.status.reason ?? (unscheduled(pod) ? 'Unschedulable' : (pod.status.phase ?? 'unknown'))
}

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
