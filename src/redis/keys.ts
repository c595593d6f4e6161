import { createHash } from 'node:crypto'

/** All keys of one incident share its group's hash tag, so that one script can hold them in a Redis Cluster. */
export const tag = (group: string): string => createHash('sha256').update(group).digest('hex').slice(0, 12)

/** The id of a group's n-th incident: `<tag>-<n>`. */
export const incidentId = (group: string, n: number): string => `${tag(group)}-${n}`

/** Splits an incident id; throws on anything else, since ids come from buttons and jobs too. */
export function parseIncidentId(id: string): { tag: string; n: number } {
  const match = /^([0-9a-f]{12})-([1-9][0-9]{0,8})$/.exec(id)
  if (!match) throw new TypeError(`not an incident id: ${JSON.stringify(id.slice(0, 40))}`)
  return { tag: match[1]!, n: Number(match[2]) }
}

/** The key of one part of an incident. */
export function incidentKey(id: string, part: string): string {
  const { tag, n } = parseIncidentId(id)
  return `keyturn:{${tag}}:${n}:${part}`
}

/** The number of a group's latest incident. */
export const currentKey = (groupTag: string): string => `keyturn:{${groupTag}}:current`

/** Ids of incidents that need attention, and of all. */
export const ACTIVE = 'keyturn:active'
export const ALL = 'keyturn:all'

/** Names of sources to when a bot last had them in its configuration. */
export const SOURCES = 'keyturn:sources'

/** The counter of one process that watches whether Redis keeps what it confirmed. */
export const witnessKey = (process: string): string => `keyturn:witness:${process}`

/** Carries the id of every incident that changed. */
export const CHANGED = 'keyturn:changed'
