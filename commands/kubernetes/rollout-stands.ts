import { rolloutOf } from './deployment.ts'
import type { Deployment } from './nouns.ts'
import type { Condition, DaemonSet, StatefulSet } from './resources.ts'
import { conditionsOf, type Meaning, type Stand, standOf } from './stands.ts'

const stand = (level: Stand['level'], says: string): Stand => ({ level, says })
const UNSEEN = stand('open', 'the cluster has not seen the last change')
const LEAVING = stand('open', 'is being deleted')

const OF_DEPLOYMENT: Readonly<Record<string, Meaning>> = {
  Available: { bad: 'False', level: 'wrong', says: 'fewer pods are available than it must have' },
  Progressing: { bad: 'False', level: 'wrong', says: 'its rollout is stuck' },
  ReplicaFailure: { bad: 'True', level: 'wrong', says: 'pods cannot be made' },
}

/** By the rules of `kubectl rollout status`, and its conditions. */
export function ofDeployment(deployment: Deployment): Stand {
  const { spec, status } = deployment
  const { state, why } = rolloutOf({ deployment, sets: [], pods: [] })
  // Of a paused one the cluster says that its progress is unknown.
  const told = (status.conditions ?? []).filter(({ type }) => !(spec.paused && type === 'Progressing'))
  return standOf(
    [
      ...(state === 'ready'
        ? []
        : [
            stand(
              state === 'stuck' || state === 'unready' ? 'wrong' : 'open',
              state === 'stuck' ? `stuck: ${why}` : why,
            ),
          ]),
      ...conditionsOf(told as Condition[], (type) => OF_DEPLOYMENT[type]),
      ...(spec.paused ? [stand('open', 'paused: nothing is rolled out')] : []),
      ...(spec.replicas === 0 ? [stand('open', 'scaled to 0')] : []),
    ],
    why,
  )
}

/** By the rules of `kubectl rollout status`; what a partition or OnDelete holds back is said as that. */
export function ofStatefulSet({ metadata, spec, status }: StatefulSet): Stand {
  const wanted = spec.replicas ?? 1
  const type = spec.updateStrategy?.type ?? 'RollingUpdate'
  const partition = spec.updateStrategy?.rollingUpdate?.partition ?? 0
  const isRolling = status.updateRevision !== status.currentRevision
  const old = isRolling ? Math.max(0, wanted - status.updatedReplicas) : 0
  const held = type === 'OnDelete' ? wanted : Math.min(partition, wanted)
  const found: Stand[] = conditionsOf(status.conditions, () => undefined)
  if (metadata.deletionTimestamp) found.push(LEAVING)
  if (status.observedGeneration < metadata.generation) found.push(UNSEEN)
  if (status.readyReplicas < wanted)
    found.push(
      stand(
        'wrong',
        `${status.readyReplicas} of ${wanted} pods are ready${old > held ? `; its rollout waits for them, and ${old} are of the old revision` : ''}`,
      ),
    )
  else if (old > held) found.push(stand('open', `its rollout goes on: ${old} pods are of the old revision`))
  if (status.replicas > wanted)
    found.push(stand('open', `${status.replicas - wanted} pods more than wanted are ending`))
  if (type !== 'RollingUpdate' && type !== 'OnDelete') found.push(stand('unknown', `unknown update strategy: ${type}`))
  else if (old > 0 && type === 'OnDelete')
    found.push(stand('open', `${old} pods keep the old revision until somebody deletes them (OnDelete)`))
  else if (old > 0 && partition > 0)
    found.push(stand('open', `partition ${partition} keeps the pods below number ${partition} at the old revision`))
  if (wanted === 0) found.push(stand('open', 'scaled to 0'))
  return standOf(found, `${status.readyReplicas} of ${wanted} pods are ready`)
}

/** By the rules of `kubectl rollout status`. */
export function ofDaemonSet({ metadata, spec, status }: DaemonSet): Stand {
  const wanted = status.desiredNumberScheduled
  const type = spec.updateStrategy?.type ?? 'RollingUpdate'
  const found: Stand[] = conditionsOf(status.conditions, () => undefined)
  if (metadata.deletionTimestamp) found.push(LEAVING)
  if (status.observedGeneration < metadata.generation) found.push(UNSEEN)
  if (typeof wanted !== 'number') return standOf([...found, stand('unknown', 'how many nodes want it is unknown')], '')
  if (status.numberAvailable < wanted)
    found.push(stand('wrong', `its pod is available on ${status.numberAvailable} of ${wanted} nodes`))
  const old = wanted - status.updatedNumberScheduled
  if (type !== 'RollingUpdate' && type !== 'OnDelete') found.push(stand('unknown', `unknown update strategy: ${type}`))
  else if (old > 0)
    found.push(
      stand(
        'open',
        type === 'OnDelete'
          ? `${old} pods keep the old revision until somebody deletes them (OnDelete)`
          : `its rollout has reached ${status.updatedNumberScheduled} of ${wanted} nodes`,
      ),
    )
  if (status.numberMisscheduled > 0)
    found.push(stand('open', `runs on ${status.numberMisscheduled} nodes that do not want it`))
  if (wanted === 0) found.push(stand('open', 'no node wants it'))
  return standOf(found, `available on ${status.numberAvailable} of ${wanted} nodes`)
}
