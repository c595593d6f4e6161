import { z } from 'zod'
import { text } from '../http/shape.ts'

/** The API leaves zeros out, and may say null. */
export const count = z
  .number()
  .int()
  .nullish()
  .transform((value) => value ?? 0)
export const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false)
const texts = z.record(z.string(), z.string()).nullish()
/** Who set which fields, newest wins: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management. */
const ManagedFields = z
  .array(
    z.object({
      manager: text,
      subresource: z.string().nullish(),
      time: z.string().nullish(),
      fieldsV1: z.record(z.string(), z.unknown()).nullish(),
    }),
  )
  .nullish()
const metadata = z.object({
  name: z.string(),
  uid: z.string(),
  creationTimestamp: text,
  labels: texts,
  annotations: texts,
  managedFields: ManagedFields,
})
/** A pod template as the API gives it: kept whole, also what this project does not know of. */
const Template = z.looseObject({
  metadata: z.looseObject({ labels: texts, annotations: texts }).nullish(),
  spec: z.looseObject({ containers: z.array(z.looseObject({ name: z.string(), image: z.string().nullish() })) }),
})
export type Template = z.infer<typeof Template>

export const Deployment = z.object({
  metadata: metadata.extend({ generation: count, resourceVersion: z.string() }),
  spec: z.looseObject({
    replicas: z
      .number()
      .int()
      .nullish()
      .transform((value) => value ?? 1),
    paused: flag,
    selector: z.object({
      matchLabels: texts,
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
      conditions: z
        .array(z.object({ type: text, status: text, reason: z.string().nullish(), message: z.string().nullish() }))
        .nullish(),
    })
    .nullish()
    .transform(
      (status) =>
        status ?? { observedGeneration: 0, replicas: 0, updatedReplicas: 0, availableReplicas: 0, conditions: null },
    ),
})
export type Deployment = z.infer<typeof Deployment>

export const Owned = metadata.extend({
  ownerReferences: z
    .array(
      z.object({
        uid: z.string(),
        kind: z.string().nullish(),
        name: z.string().nullish(),
        controller: z.boolean().nullish(),
      }),
    )
    .nullish(),
})

export const ReplicaSet = z.object({ metadata: Owned, spec: z.object({ template: Template }) })
export type ReplicaSet = z.infer<typeof ReplicaSet>

const ended = z.object({
  exitCode: z
    .number()
    .int()
    .nullish()
    .transform((code) => code ?? -1),
  signal: z.number().int().nullish(),
  reason: z.string().nullish(),
  message: z.string().nullish(),
  finishedAt: z.string().nullish(),
})
const ContainerStatus = z.object({
  name: z.string(),
  ready: flag,
  restartCount: count,
  state: z
    .object({
      waiting: z.object({ reason: z.string().nullish(), message: z.string().nullish() }).nullish(),
      running: z.object({ startedAt: z.string().nullish() }).nullish(),
      terminated: ended.nullish(),
    })
    .nullish(),
  lastState: z.object({ terminated: ended.nullish() }).nullish(),
})
export type ContainerStatus = z.infer<typeof ContainerStatus>

const EnvVar = z.object({ name: z.string(), value: z.string().nullish() })
const Container = z.object({
  name: z.string(),
  image: z.string().nullish(),
  env: z.array(EnvVar).nullish(),
  /** Of an init container, `Always` makes it a sidecar: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/. */
  restartPolicy: z.string().nullish(),
  resources: z.object({ limits: z.record(z.string(), z.union([z.string(), z.number()])).nullish() }).nullish(),
})

export const Pod = z.object({
  metadata: Owned.extend({ deletionTimestamp: z.string().nullish() }),
  spec: z.object({
    nodeName: z.string().nullish(),
    volumes: z
      .array(
        z.object({
          name: text,
          persistentVolumeClaim: z.object({ claimName: text }).nullish(),
          ephemeral: z.object({}).nullish(),
        }),
      )
      .nullish(),
    containers: z.array(Container),
    initContainers: z.array(Container).nullish(),
  }),
  status: z
    .object({
      phase: z.string().nullish(),
      reason: z.string().nullish(),
      message: z.string().nullish(),
      conditions: z
        .array(z.object({ type: text, status: text, reason: z.string().nullish(), message: z.string().nullish() }))
        .nullish(),
      initContainerStatuses: z.array(ContainerStatus).nullish(),
      containerStatuses: z.array(ContainerStatus).nullish(),
    })
    .nullish()
    .transform((status) => status ?? {}),
})
export type Pod = z.infer<typeof Pod>

/** autoscaling/v2. `minReplicas` is 1 where it is not said. */
export const Hpa = z.object({
  metadata: Owned,
  spec: z.object({
    minReplicas: z
      .number()
      .int()
      .nullish()
      .transform((min) => min ?? 1),
    maxReplicas: z.number().int(),
    scaleTargetRef: z.object({ kind: z.string(), name: z.string() }),
  }),
})
export type Hpa = z.infer<typeof Hpa>

/** keda.sh/v1alpha1: https://keda.sh/docs/2.16/reference/scaledobject-spec/. */
export const ScaledObject = z.object({
  metadata: metadata.extend({ resourceVersion: z.string() }),
  spec: z.object({
    scaleTargetRef: z.object({ kind: z.string().nullish(), name: z.string() }),
    minReplicaCount: z
      .number()
      .int()
      .nullish()
      .transform((min) => min ?? 0),
    maxReplicaCount: z
      .number()
      .int()
      .nullish()
      .transform((max) => max ?? 100),
  }),
})
export type ScaledObject = z.infer<typeof ScaledObject>

/** core/v1. Older clusters count in `count`, newer ones in `series`. */
export const Event = z.object({
  metadata: z.object({ creationTimestamp: z.string().nullish() }),
  type: text,
  reason: text,
  message: text,
  count: z.number().int().nullish(),
  series: z.object({ count: z.number().int().nullish(), lastObservedTime: z.string().nullish() }).nullish(),
  firstTimestamp: z.string().nullish(),
  lastTimestamp: z.string().nullish(),
  eventTime: z.string().nullish(),
  involvedObject: z.object({ kind: text, name: text, uid: z.string().nullish(), fieldPath: z.string().nullish() }),
})
export type Event = z.infer<typeof Event>

/** An application of Argo CD: https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/. */
export const Application = z.object({
  spec: z.object({
    syncPolicy: z
      .object({
        automated: z.object({ selfHeal: flag, enabled: z.boolean().nullish() }).nullish(),
      })
      .nullish(),
  }),
})

/** A Kustomization or HelmRelease of Flux. */
export const Reconciled = z.object({
  spec: z.object({ suspend: flag, driftDetection: z.object({ mode: z.string().nullish() }).nullish() }),
})

/** Whether a pod, replica set or other thing belongs to the one with this uid. */
export const isOwnedBy = (thing: { metadata: z.infer<typeof Owned> }, uid: string): boolean =>
  (thing.metadata.ownerReferences ?? []).some((owner) => owner.uid === uid && owner.controller !== false)

/** The revision that a deployment is at, or that a replica set stands for; 0 while the cluster has given none. */
export const revisionOf = ({
  metadata: { annotations },
}: {
  metadata: { annotations?: Record<string, string> | null | undefined }
}): number => Number(annotations?.['deployment.kubernetes.io/revision'] ?? 0)

/** What kubectl writes as well into the pod template: another value makes the cluster replace every pod. */
export const RESTARTED = 'kubectl.kubernetes.io/restartedAt'
