import type { Claim, StorageClass } from './resources.ts'
import { conditionsOf, type Meaning, type Part, type Stand, standOf } from './stands.ts'

const stand = (level: Stand['level'], says: string): Stand => ({ level, says })

const CONDITIONS: Readonly<Record<string, Meaning>> = {
  Resizing: { bad: 'True', level: 'open', says: 'its volume is being enlarged' },
  FileSystemResizePending: {
    bad: 'True',
    level: 'open',
    says: 'its volume is enlarged, its file system not yet: that happens in a running pod, with some drivers only when the pod is started anew',
  },
  ControllerResizeError: { bad: 'True', level: 'wrong', says: 'its volume could not be enlarged' },
  NodeResizeError: { bad: 'True', level: 'wrong', says: 'its file system could not be enlarged' },
  ModifyingVolume: { bad: 'True', level: 'open', says: 'its volume is being changed' },
  ModifyVolumeError: { bad: 'True', level: 'wrong', says: 'its volume could not be changed' },
  // Whether a pod uses it; either is in order: https://kubernetes.io/docs/concepts/storage/persistent-volumes/.
  Unused: null,
}
const STEPS: Readonly<Record<string, Stand>> = {
  ControllerResizeInProgress: stand('open', 'its volume is being enlarged'),
  ControllerResizeInfeasible: stand('wrong', 'its volume cannot be enlarged to that size'),
  ControllerResizeFailed: stand('wrong', 'its volume could not be enlarged'),
  NodeResizePending: stand('open', 'its file system waits to be enlarged'),
  NodeResizeInProgress: stand('open', 'its file system is being enlarged'),
  NodeResizeInfeasible: stand('wrong', 'its file system cannot be enlarged to that size'),
  NodeResizeFailed: stand('wrong', 'its file system could not be enlarged'),
}

const BINARY = 'KMGTPE'
const DECIMAL = 'kMGTPE'
/** Bytes of a quantity; null for what is none: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/. */
export function bytesOf(quantity: string | number | null | undefined): number | null {
  const found = /^(\d+(?:\.\d*)?)(?:([KMGTPE])i|([kMGTPE])|[eE](\d+))?$/.exec(String(quantity ?? ''))
  if (!found) return null
  const [, digits, binary, decimal, exponent] = found
  if (binary) return Number(digits) * 1024 ** (BINARY.indexOf(binary) + 1)
  if (decimal) return Number(digits) * 1000 ** (DECIMAL.indexOf(decimal) + 1)
  return Number(digits) * 10 ** Number(exponent ?? 0)
}

export const askedOf = ({ spec }: Claim): string => String(spec.resources?.requests?.storage ?? 'unknown')
export const givenOf = ({ status }: Claim): string => String(status.capacity?.storage ?? 'unknown')

/** `users` are the pods that use it; null where they could not be looked at. */
export function ofClaim(claim: Claim, kind: Part<StorageClass | null> | null, users: number | null): Stand {
  const { metadata, spec, status } = claim
  const found: Stand[] = conditionsOf(status.conditions, (type) => CONDITIONS[type])
  const step = status.allocatedResourceStatuses?.storage
  if (step) found.push(STEPS[step] ?? stand('unknown', `unknown step of a resize: ${step}`))
  if (metadata.deletionTimestamp) found.push(stand('wrong', 'is being deleted, as soon as no pod uses it'))
  if (status.phase === 'Lost') found.push(stand('wrong', 'lost: the volume that it was bound to is gone'))
  else if (status.phase === 'Pending') {
    const waits = kind?.got?.volumeBindingMode === 'WaitForFirstConsumer'
    if (waits && users === 0) found.push(stand('open', 'gets its volume when the first pod uses it'))
    else if (kind && kind.why === null && kind.got === null)
      found.push(stand('wrong', `has no volume: there is no StorageClass ${spec.storageClassName}`))
    else found.push(stand('wrong', `has no volume${waits ? ': it waits until a pod that uses it has a node' : ''}`))
  } else if (status.phase !== 'Bound') found.push(stand('unknown', `unknown phase: ${status.phase ?? 'none is told'}`))
  else {
    const [asked, given] = [bytesOf(spec.resources?.requests?.storage), bytesOf(status.capacity?.storage)]
    if (asked === null || given === null) found.push(stand('unknown', 'its size is unknown'))
    else if (given < asked)
      found.push(
        kind?.got && !kind.got.allowVolumeExpansion
          ? stand('wrong', 'smaller than asked for, and its StorageClass lets it not grow')
          : stand('open', 'smaller than asked for'),
      )
  }
  return standOf(found, 'bound')
}
