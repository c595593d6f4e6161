import { createHash } from 'node:crypto'
import { EventEmitter, once } from 'node:events'

type Meta = {
  name: string
  namespace: string
  uid: string
  resourceVersion: string
  creationTimestamp: string
  generation?: number
  deletionTimestamp?: string
  labels: Record<string, string>
  annotations: Record<string, string>
  ownerReferences?: { apiVersion: string; kind: string; name: string; uid: string; controller: boolean }[]
  managedFields?: { manager: string; operation: string; subresource?: string; time: string; fieldsV1: object }[]
}
export type PodTemplate = {
  metadata: { labels: Record<string, string>; annotations?: Record<string, string> }
  spec: {
    containers: { name: string; image: string; env?: { name: string; value?: string }[] }[]
    [more: string]: unknown
  }
}
export type DeploymentObject = {
  metadata: Meta
  spec: { replicas: number; paused?: boolean; selector: { matchLabels: Record<string, string> }; template: PodTemplate }
  status: {
    observedGeneration: number
    replicas?: number
    updatedReplicas?: number
    availableReplicas?: number
    conditions: { type: string; status: string; reason: string }[]
  }
}
type SetObject = { metadata: Meta; spec: { replicas: number; template: PodTemplate } }
type StatusOfContainer = {
  name: string
  ready: boolean
  restartCount: number
  state: Record<string, unknown>
  lastState: Record<string, unknown>
}
export type PodObject = {
  metadata: Meta
  spec: PodTemplate['spec']
  status: {
    phase: string
    reason?: string
    initContainerStatuses?: StatusOfContainer[]
    containerStatuses: StatusOfContainer[]
  }
}
export type HpaObject = {
  metadata: Meta
  spec: {
    minReplicas?: number
    maxReplicas: number
    scaleTargetRef: { apiVersion: string; kind: string; name: string }
  }
}
export type ScaledObjectObject = {
  metadata: Meta
  spec: { scaleTargetRef: { name: string }; minReplicaCount?: number; maxReplicaCount?: number }
}
type Other = { metadata: Meta; [more: string]: unknown }
type Objects = {
  deployments: DeploymentObject[]
  replicasets: SetObject[]
  statefulsets: Other[]
  daemonsets: Other[]
  jobs: Other[]
  cronjobs: Other[]
  persistentvolumeclaims: Other[]
  storageclasses: Other[]
  nodes: Other[]
  pods: PodObject[]
  events: Other[]
  horizontalpodautoscalers: HpaObject[]
  scaledobjects: ScaledObjectObject[]
  applications: Other[]
  kustomizations: Other[]
  helmreleases: Other[]
}
export type Kind = keyof Objects

const REVISION = 'deployment.kubernetes.io/revision'
const HASH = 'pod-template-hash'
const text = JSON.stringify

/** What a cluster holds, and the controllers of Deployments: they move one thing at a time towards what is asked for. */
export function createState() {
  const objects: Objects = {
    deployments: [],
    replicasets: [],
    statefulsets: [],
    daemonsets: [],
    jobs: [],
    cronjobs: [],
    persistentvolumeclaims: [],
    storageclasses: [],
    nodes: [],
    pods: [],
    events: [],
    horizontalpodautoscalers: [],
    scaledobjects: [],
    applications: [],
    kustomizations: [],
    helmreleases: [],
  }
  const changes = new EventEmitter().setMaxListeners(0)
  let version = 100
  let count = 0
  let running = false
  const state = {
    objects,
    changes,
    /** The controllers do nothing while this is true: what was asked for stays asked for. */
    held: false,
    /** Of a template: whether its containers come up, never start, or crash soon after they came up. */
    fate: (template: PodTemplate): 'runs' | 'crashes' | 'no image' =>
      /bad/.test(text(template)) ? 'crashes' : /gone/.test(text(template)) ? 'no image' : 'runs',

    touch(kind: Kind, type: 'ADDED' | 'MODIFIED' | 'DELETED', object: { metadata: Meta }) {
      object.metadata.resourceVersion = String(++version)
      changes.emit('change', kind, type, structuredClone(object))
    },
    /** A deployment at its first revision with all of its pods; settles when the controllers run. */
    async deploy(
      namespace: string,
      name: string,
      image: string,
      replicas: number,
      env: PodTemplate['spec']['containers'][0]['env'] = [],
    ) {
      const labels = { app: name }
      const template = {
        metadata: { labels: { ...labels } },
        // A field that no client of today knows of.
        spec: { containers: [{ name: 'app', image, env }], restartPolicy: 'Always', futureField: { keep: 'me' } },
      }
      const metadata = { ...meta(namespace, name), generation: 1 }
      const deployment: DeploymentObject = {
        metadata,
        spec: { replicas, selector: { matchLabels: labels }, template },
        status: { observedGeneration: 0, conditions: [] },
      }
      objects.deployments.push(deployment)
      state.touch('deployments', 'ADDED', deployment)
      await state.settle()
      return deployment
    },
    /** What KEDA's triggers ask for now, by the ScaledObject's name. */
    demand: new Map<string, number>(),
    /** Something else that lies in a namespace. */
    add<K extends Kind>(
      kind: K,
      namespace: string,
      name: string,
      rest: Omit<Objects[K][number], 'metadata'>,
      more: Partial<Meta> = {},
    ): Objects[K][number] {
      const object = { metadata: { ...meta(namespace, name), ...more }, ...rest } as unknown as Objects[K][number]
      ;(objects[kind] as unknown[]).push(object)
      state.touch(kind, 'ADDED', object)
      return object
    },
    /** As a change of the wish does: the generation goes up, and the controllers begin. */
    wish(deployment: DeploymentObject, change: (spec: DeploymentObject['spec']) => void, manager = 'kubectl-edit') {
      const before = text(deployment.spec)
      change(deployment.spec)
      if (text(deployment.spec) === before) return
      const time = '2026-03-14T02:05:00Z'
      const others = (deployment.metadata.managedFields ?? []).filter((field) => field.manager !== manager)
      deployment.metadata.managedFields = [...others, { manager, operation: 'Update', time, fieldsV1: {} }]
      deployment.metadata.generation = (deployment.metadata.generation ?? 0) + 1
      state.touch('deployments', 'MODIFIED', deployment)
      void state.settle()
    },
    find: (namespace: string, name: string): DeploymentObject =>
      objects.deployments.find((d) => d.metadata.namespace === namespace && d.metadata.name === name)!,
    podsOf: (name: string): PodObject[] => objects.pods.filter((pod) => pod.metadata.labels.app === name),

    /** Lets the controllers work, a turn of the event loop a move, until they have nothing to do. */
    async settle() {
      if (running) return
      running = true
      while (!state.held && objects.deployments.some(move)) await new Promise((next) => setImmediate(next))
      running = false
      changes.emit('settled')
    },
    /** Resolves when the controllers have nothing to do. */
    async quiet() {
      if (running) await once(changes, 'settled')
    },
  }

  const meta = (namespace: string, name: string): Meta => ({
    name,
    namespace,
    uid: `uid-${++count}`,
    resourceVersion: '0',
    creationTimestamp: new Date(1_770_000_000_000 + count * 1000).toISOString().replace('.000Z', 'Z'),
    labels: {},
    annotations: {},
  })
  const owner = (kind: string, of: { metadata: Meta }) => [
    { apiVersion: 'apps/v1', kind, name: of.metadata.name, uid: of.metadata.uid, controller: true },
  ]
  const isOf = (thing: { metadata: Meta }, of: { metadata: Meta }) =>
    thing.metadata.ownerReferences?.[0]?.uid === of.metadata.uid
  const bare = (template: PodTemplate) => {
    const { [HASH]: _, ...labels } = template.metadata.labels
    return text({ ...template, metadata: { ...template.metadata, labels } })
  }
  const isUp = (pod: PodObject) => pod.status.containerStatuses.every((c) => c.ready)

  /** What an autoscaler makes of the number; true if it set another one. */
  function autoscale(deployment: DeploymentObject): boolean {
    const { metadata, spec } = deployment
    const mine = <T extends { metadata: Meta; spec: { scaleTargetRef: { name: string } } }>(all: T[]) =>
      all.find((one) => one.metadata.namespace === metadata.namespace && one.spec.scaleTargetRef.name === metadata.name)
    const keda = mine(objects.scaledobjects)
    const hpa = keda ? undefined : mine(objects.horizontalpodautoscalers)
    const set = (replicas: number, manager: string) => {
      if (spec.replicas === replicas) return false
      state.wish(deployment, (wish) => Object.assign(wish, { replicas }), manager)
      return true
    }
    if (keda) {
      const { annotations } = keda.metadata
      const at = annotations['autoscaling.keda.sh/paused-replicas']
      if (at !== undefined) return set(Number(at), 'keda')
      if ((annotations['autoscaling.keda.sh/paused'] ?? 'false') !== 'false') return false
      return set(state.demand.get(keda.metadata.name) ?? spec.replicas, 'keda')
    }
    // At 0 it is switched off.
    if (!hpa || spec.replicas === 0) return false
    const { minReplicas = 1, maxReplicas } = hpa.spec
    const wanted = state.demand.get(hpa.metadata.name) ?? spec.replicas
    return set(Math.min(maxReplicas, Math.max(minReplicas, wanted)), 'kube-controller-manager')
  }

  /** One move of the controllers for a deployment; false if there is none to make. */
  function move(deployment: DeploymentObject): boolean {
    if (autoscale(deployment)) return true
    const { metadata, spec, status } = deployment
    const sets = objects.replicasets.filter((set) => isOf(set, deployment))
    const top = Math.max(0, ...sets.map((set) => Number(set.metadata.annotations[REVISION])))
    let set = sets.find((one) => bare(one.spec.template) === bare(spec.template))
    if (!spec.paused && (!set || Number(set.metadata.annotations[REVISION]) !== top)) {
      const known = set !== undefined
      if (!set) {
        const hash = createHash('sha256').update(bare(spec.template)).digest('hex').slice(0, 10)
        const template = structuredClone(spec.template)
        template.metadata.labels[HASH] = hash
        set = { metadata: meta(metadata.namespace, `${metadata.name}-${hash}`), spec: { replicas: 0, template } }
        set.metadata.labels = { ...template.metadata.labels }
        set.metadata.ownerReferences = owner('Deployment', deployment)
        objects.replicasets.push(set)
      }
      set.metadata.annotations[REVISION] = String(top + 1)
      state.touch('replicasets', known ? 'MODIFIED' : 'ADDED', set)
      metadata.annotations[REVISION] = String(top + 1)
      status.conditions = [{ type: 'Progressing', status: 'True', reason: 'ReplicaSetUpdated' }]
      tell(deployment, set)
      return true
    }
    if (!set) return false
    // Pods that have ended, and those that are ending, are not counted by the controllers.
    const owned = objects.pods.filter((pod) => sets.some((one) => isOf(pod, one)))
    const pods = owned.filter((pod) => !/Failed|Succeeded/.test(pod.status.phase) && !stuckOf(pod))
    const leaving = pods.find((pod) => pod.metadata.deletionTimestamp)
    if (leaving) {
      objects.pods.splice(objects.pods.indexOf(leaving), 1)
      state.touch('pods', 'DELETED', leaving)
      return true
    }
    const fresh = pods.filter((pod) => isOf(pod, set))
    const old = pods.filter((pod) => !isOf(pod, set))
    const starting = fresh.find((pod) => advance(pod, set.spec.template))
    if (starting) state.touch('pods', 'MODIFIED', starting)
    else if (fresh.length > spec.replicas) leave(fresh.at(-1)!)
    else if (old.length > 0 && (fresh.filter(isUp).length > spec.replicas - old.length || spec.replicas === 0))
      leave(old[0]!)
    else if (fresh.length < spec.replicas && fresh.every(isUp)) begin(set)
    else return tell(deployment, set)
    tell(deployment, set)
    return true
  }

  /** Its node does not answer, so that it never ends. */
  const stuckOf = (pod: PodObject) => pod.metadata.annotations.stuck === 'yes'

  function begin(set: SetObject) {
    const pod: PodObject = {
      metadata: { ...meta(set.metadata.namespace, `${set.metadata.name}-${(count + 1).toString(36)}`) },
      spec: structuredClone(set.spec.template.spec),
      status: {
        phase: 'Pending',
        containerStatuses: set.spec.template.spec.containers.map(({ name }) => ({
          name,
          ready: false,
          restartCount: 0,
          state: { waiting: { reason: 'ContainerCreating' } },
          lastState: {},
        })),
      },
    }
    pod.metadata.labels = { ...set.spec.template.metadata.labels }
    pod.metadata.ownerReferences = owner('ReplicaSet', set)
    objects.pods.push(pod)
    state.touch('pods', 'ADDED', pod)
  }
  function leave(pod: PodObject) {
    pod.metadata.deletionTimestamp = new Date(1_770_000_000_000).toISOString()
    state.touch('pods', 'MODIFIED', pod)
  }
  /** The kubelet's part: a pod comes up, or crashes five times and then waits. */
  function advance(pod: PodObject, template: PodTemplate): boolean {
    const status = pod.status.containerStatuses[0]!
    const fate = state.fate(template)
    const waiting = (status.state.waiting as { reason: string } | undefined)?.reason
    if (fate === 'no image') {
      if (waiting === 'ImagePullBackOff') return false
      status.state = { waiting: { reason: 'ImagePullBackOff' } }
      return true
    }
    if (fate === 'runs') {
      if (status.ready) return false
      Object.assign(status, { ready: true, state: { running: { startedAt: pod.metadata.creationTimestamp } } })
      pod.status.phase = 'Running'
      return true
    }
    if (status.restartCount >= 5) return false
    pod.status.phase = 'Running'
    const end = { exitCode: 1, reason: 'Error', finishedAt: '2026-03-14T02:00:00Z' }
    Object.assign(status, { ready: false, restartCount: status.restartCount + 1, lastState: { terminated: end } })
    status.state = { waiting: { reason: 'CrashLoopBackOff' } }
    return true
  }
  /** Writes the status if it differs. */
  function tell(deployment: DeploymentObject, set: SetObject): boolean {
    const pods = objects.pods.filter(
      (pod) => !pod.metadata.deletionTimestamp && !/Failed|Succeeded/.test(pod.status.phase),
    )
    const mine = pods.filter((pod) => pod.metadata.labels.app === deployment.metadata.name)
    const updated = mine.filter((pod) => isOf(pod, set))
    const [condition] = deployment.status.conditions
    const done = updated.length === deployment.spec.replicas && mine.length === updated.length && mine.every(isUp)
    const next: DeploymentObject['status'] = {
      observedGeneration: deployment.metadata.generation ?? 0,
      // The API leaves zeros out.
      ...(mine.length > 0 && { replicas: mine.length }),
      ...(updated.length > 0 && { updatedReplicas: updated.length }),
      ...(mine.some(isUp) && { availableReplicas: mine.filter(isUp).length }),
      conditions: condition ? [{ ...condition, reason: done ? 'NewReplicaSetAvailable' : condition.reason }] : [],
    }
    if (text(next) === text(deployment.status)) return false
    deployment.status = next
    state.touch('deployments', 'MODIFIED', deployment)
    return true
  }
  return state
}
export type State = ReturnType<typeof createState>
