import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Alert } from '../domain/alert.ts'
import { isFreeze } from '../domain/freeze.ts'
import type { Clock, Journal } from '../domain/ports.ts'

/** How long a look at the open incidents is good for, in milliseconds. */
const GOOD_FOR = 2000
/** Alerts that are gone through before others have their turn. */
const TURN = 50

const nameOf = ({ source, fingerprint }: Alert): string => JSON.stringify([source, fingerprint])

/**
 * Finds alerts that fire in an incident to which they would not come any more, since the playbooks were changed meanwhile.
 * Their end is news for that incident too: or it would seem to fire, and could be decided on, for ever.
 */
export function createStrays(deps: {
  journal: Pick<Journal, 'active' | 'load'>
  clock: Clock
  groupOf: (alert: Alert) => string
}) {
  const { journal, clock } = deps
  /** By incident: its version when it was looked at, and its strays. */
  let seen = new Map<string, { version: number; names: readonly string[] }>()
  let incidents = new Map<string, string[]>()
  let looked = Number.NEGATIVE_INFINITY

  async function look(): Promise<void> {
    const next: typeof seen = new Map()
    for (const id of await journal.active()) {
      // One that cannot be read keeps no other from being found.
      const incident = await journal.load(id).catch(() => null)
      if (!incident || isFreeze(incident)) continue
      const before = seen.get(id)
      const names: string[] = []
      const firing = Object.values(incident.alerts).filter((a) => a.status === 'firing')
      if (before?.version !== incident.version)
        for (const [i, alert] of firing.entries()) {
          if (i % TURN === TURN - 1) await nextTurn()
          if (deps.groupOf(alert) !== incident.group) names.push(nameOf(alert))
        }
      next.set(id, before?.version === incident.version ? before : { version: incident.version, names })
    }
    seen = next
    incidents = new Map()
    for (const [id, { names }] of seen)
      for (const name of names) incidents.set(name, [...(incidents.get(name) ?? []), id])
    looked = clock()
  }

  return {
    /** The incidents, beside the one where it belongs now, in which this alert fires. */
    async of(alert: Alert): Promise<readonly string[]> {
      if (clock() - looked >= GOOD_FOR) await look()
      return incidents.get(nameOf(alert)) ?? []
    },
  }
}
