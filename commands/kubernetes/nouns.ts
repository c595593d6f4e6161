import { z } from 'zod'

const count = z.number().int().default(0)
const metadata = z.object({
  name: z.string(),
  uid: z.string(),
  creationTimestamp: z.string(),
  annotations: z.record(z.string(), z.string()).nullish(),
})
/** A pod template as the API gives it: kept whole, also what this project does not know of. */
const Template = z.looseObject({
  metadata: z
    .looseObject({
      labels: z.record(z.string(), z.string()).nullish(),
      annotations: z.record(z.string(), z.string()).nullish(),
    })
    .nullish(),
  spec: z.looseObject({ containers: z.array(z.looseObject({ name: z.string(), image: z.string() })) }),
})
export type Template = z.infer<typeof Template>

export const Deployment = z.object({
  metadata: metadata.extend({ generation: z.number().int(), resourceVersion: z.string() }),
  spec: z.object({
    replicas: z.number().int().default(1),
    paused: z.boolean().default(false),
    selector: z.object({
      matchLabels: z.record(z.string(), z.string()).nullish(),
      matchExpressions: z
        .array(z.object({ key: z.string(), operator: z.string(), values: z.array(z.string()).nullish() }))
        .nullish(),
    }),
    template: Template,
  }),
  status: z
    .object({
      observedGeneration: count,
      replicas: count,
      updatedReplicas: count,
      availableReplicas: count,
      conditions: z.array(z.object({ type: z.string(), status: z.string(), reason: z.string().nullish() })).nullish(),
    })
    .prefault({}),
})
export type Deployment = z.infer<typeof Deployment>

const owned = metadata.extend({
  ownerReferences: z.array(z.object({ uid: z.string(), controller: z.boolean().nullish() })).nullish(),
})

export const ReplicaSet = z.object({ metadata: owned, spec: z.object({ template: Template }) })
export type ReplicaSet = z.infer<typeof ReplicaSet>

const ended = z.object({
  exitCode: z.number().int(),
  signal: z.number().int().nullish(),
  reason: z.string().nullish(),
  finishedAt: z.string().nullish(),
})
const ContainerStatus = z.object({
  name: z.string(),
  ready: z.boolean(),
  restartCount: z.number().int(),
  state: z
    .object({
      waiting: z.object({ reason: z.string().nullish() }).nullish(),
      running: z.object({ startedAt: z.string().nullish() }).nullish(),
      terminated: ended.nullish(),
    })
    .nullish(),
  lastState: z.object({ terminated: ended.nullish() }).nullish(),
})
export type ContainerStatus = z.infer<typeof ContainerStatus>

const EnvVar = z.object({ name: z.string(), value: z.string().nullish() })

export const Pod = z.object({
  metadata: owned.extend({ deletionTimestamp: z.string().nullish() }),
  spec: z.object({ containers: z.array(z.object({ name: z.string(), env: z.array(EnvVar).nullish() })) }),
  status: z
    .object({
      phase: z.string().nullish(),
      reason: z.string().nullish(),
      initContainerStatuses: z.array(ContainerStatus).nullish(),
      containerStatuses: z.array(ContainerStatus).nullish(),
    })
    .prefault({}),
})
export type Pod = z.infer<typeof Pod>

/** Whether a pod, replica set or other thing belongs to the one with this uid. */
export const isOwnedBy = (thing: { metadata: z.infer<typeof owned> }, uid: string): boolean =>
  (thing.metadata.ownerReferences ?? []).some((owner) => owner.uid === uid && owner.controller !== false)

/** The revision that a deployment is at, or that a replica set stands for; 0 while the cluster has given none. */
export const revisionOf = ({ metadata: { annotations } }: { metadata: z.infer<typeof metadata> }): number =>
  Number(annotations?.['deployment.kubernetes.io/revision'] ?? 0)

/** What kubectl writes as well into the pod template: another value makes the cluster replace every pod. */
export const RESTARTED = 'kubectl.kubernetes.io/restartedAt'
