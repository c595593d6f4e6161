import { z } from 'zod'
import { listOf, text } from '../http/shape.ts'
import { count, flag, Owned } from './nouns.ts'

const word = z.string().nullish()
const number = z.number().int().nullish()

export const Condition = z.object({ type: text, status: text, reason: word, message: word, lastTransitionTime: word })
export type Condition = z.infer<typeof Condition>
const conditions = z.array(Condition).nullish()
const metadata = Owned.extend({ generation: count, deletionTimestamp: word })
/** What an object has no status yet of, is as if all of it were left out. */
const status = <T extends z.ZodRawShape>(shape: T) => z.preprocess((value) => value ?? {}, z.object(shape))

/** apps/v1. */
export const StatefulSet = z.object({
  metadata,
  spec: z.object({
    replicas: number,
    updateStrategy: z.object({ type: word, rollingUpdate: z.object({ partition: count }).nullish() }).nullish(),
  }),
  status: status({
    observedGeneration: count,
    replicas: count,
    readyReplicas: count,
    updatedReplicas: count,
    currentRevision: text,
    updateRevision: text,
    conditions,
  }),
})
export type StatefulSet = z.infer<typeof StatefulSet>

/** apps/v1. The numbers that the API always names are not guessed where they are missing. */
export const DaemonSet = z.object({
  metadata,
  spec: z.object({ updateStrategy: z.object({ type: word }).nullish() }),
  status: status({
    observedGeneration: count,
    desiredNumberScheduled: number,
    numberMisscheduled: count,
    numberAvailable: count,
    updatedNumberScheduled: count,
    conditions,
  }),
})
export type DaemonSet = z.infer<typeof DaemonSet>

/** batch/v1. */
export const Job = z.object({
  metadata,
  spec: z.object({ suspend: flag, completions: number, backoffLimit: number }),
  status: status({
    startTime: word,
    completionTime: word,
    active: count,
    ready: number,
    succeeded: count,
    failed: count,
    conditions,
  }),
})
export type Job = z.infer<typeof Job>

/** batch/v1. */
export const CronJob = z.object({
  metadata,
  spec: z.object({ schedule: text, timeZone: word, suspend: flag }),
  status: status({ active: listOf(z.unknown()), lastScheduleTime: word, lastSuccessfulTime: word }),
})
export type CronJob = z.infer<typeof CronJob>

const sizes = z.object({ storage: z.union([z.string(), z.number()]).nullish() }).nullish()

/** core/v1: a PersistentVolumeClaim. */
export const Claim = z.object({
  metadata,
  spec: z.object({ storageClassName: word, volumeName: word, resources: z.object({ requests: sizes }).nullish() }),
  status: status({
    phase: word,
    capacity: sizes,
    allocatedResourceStatuses: z.object({ storage: word }).nullish(),
    conditions,
  }),
})
export type Claim = z.infer<typeof Claim>

/** storage.k8s.io/v1. */
export const StorageClass = z.object({ allowVolumeExpansion: flag, volumeBindingMode: word })
export type StorageClass = z.infer<typeof StorageClass>

/** core/v1. */
export const Node = z.object({
  metadata: z.object({ name: z.string(), deletionTimestamp: word }),
  spec: z
    .object({
      unschedulable: flag,
      taints: listOf(z.object({ key: text, value: word, effect: text })),
    })
    .nullish(),
  status: status({ conditions, nodeInfo: z.object({ kubeletVersion: word }).nullish() }),
})
export type Node = z.infer<typeof Node>
