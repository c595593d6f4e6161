import type { Node } from './resources.ts'
import { conditionsOf, type Meaning, type Part, type Stand, standOf, UNTOLD } from './stands.ts'

const stand = (level: Stand['level'], says: string): Stand => ({ level, says })

/** https://kubernetes.io/docs/reference/node/node-status/#condition. */
const CONDITIONS: Readonly<Record<string, Meaning>> = {
  Ready: { bad: 'False', level: 'wrong', says: 'not ready' },
  MemoryPressure: { bad: 'True', level: 'wrong', says: 'short of memory: pods are evicted' },
  DiskPressure: { bad: 'True', level: 'wrong', says: 'short of disk: pods are evicted' },
  PIDPressure: { bad: 'True', level: 'wrong', says: 'too many processes' },
  NetworkUnavailable: { bad: 'True', level: 'wrong', says: 'its network is not set up' },
}
/** Agents of clusters add some of their own: by their names, good ones end with Ready, and bad ones name the trouble. */
function meaningOf(type: string): Meaning | undefined {
  const known = CONDITIONS[type]
  if (known) return known
  if (/Ready$/.test(type)) return { bad: 'False', level: 'wrong', says: `not ${type}` }
  if (/Pressure$|Problem$|Deadlock$|Unavailable$|^Readonly|^Corrupt|^Frequent/.test(type))
    return { bad: 'True', level: 'wrong', says: type }
  return undefined
}

/** Which taints a node has, as kubectl writes them. */
export const taintsOf = ({ spec }: Node): string =>
  (spec?.taints ?? []).map(({ key, value, effect }) => `${key}${value ? `=${value}` : ''}:${effect}`).join(', ')

/** Its Ready condition as it is told. */
export function readyOf({ status }: Node): string {
  const ready = (status.conditions ?? []).find(({ type }) => type === 'Ready')?.status
  return ready === 'True' ? 'yes' : ready === 'False' ? 'no' : 'unknown'
}

/** A node whose kubelet no longer reports has the status Unknown, and is as bad as one that is not ready. */
export function ofNode(part: Part<Node | null>): Stand {
  if (part.why !== null) return stand('unknown', UNTOLD)
  if (part.got === null) return stand('wrong', 'is gone, and pods are still held to be on it')
  const node = part.got
  const conditions = node.status.conditions ?? []
  const ready = conditions.find(({ type }) => type === 'Ready')
  const isSilent = ready?.status === 'Unknown'
  const found = conditionsOf(isSilent ? conditions.filter(({ status }) => status !== 'Unknown') : conditions, meaningOf)
  if (isSilent) found.push(stand('wrong', `does not answer${ready.reason ? ` (${ready.reason})` : ''}`))
  if (!ready) found.push(stand('unknown', 'whether it is ready is not told'))
  if (node.metadata.deletionTimestamp) found.push(stand('open', 'is being deleted'))
  if (node.spec?.unschedulable) found.push(stand('open', 'cordoned: it takes no new pods'))
  return standOf(found, 'ready')
}
