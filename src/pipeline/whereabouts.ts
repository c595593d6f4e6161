import { type Alert, alertKey, groupKey, type SenderGroup } from '../domain/alert.ts'
import { isFreeze } from '../domain/freeze.ts'
import type { Incident } from '../domain/incident.ts'
import type { Clock, Journal } from '../domain/ports.ts'

/** How long a look at the open incidents is good for, in milliseconds; what this process stores itself is known at once. */
const GOOD_FOR = 2000

/**
 * Knows in which open incidents an alert fires, and the alerts of a sender's group. An alert's end is news for each of them:
 * one to which it would not come any more, since playbooks or its labels were changed, would seem to fire, and could be
 * decided on, for ever.
 */
export function createWhereabouts(deps: { journal: Pick<Journal, 'active' | 'load'>; clock: Clock }) {
  const { journal, clock } = deps
  /** By incident: its version when it was looked at, and the names under which it is found. */
  const seen = new Map<string, { version: number; names: ReadonlySet<string> }>()
  const places = new Map<string, Set<string>>()
  let looked = Number.NEGATIVE_INFINITY

  function forget(id: string): void {
    for (const name of seen.get(id)?.names ?? []) {
      const ids = places.get(name)
      ids?.delete(id)
      if (ids?.size === 0) places.delete(name)
    }
    seen.delete(id)
  }

  function take(incident: Incident): void {
    if (isFreeze(incident)) return
    forget(incident.id)
    const firing = Object.values(incident.alerts).filter((a) => a.status === 'firing')
    // A group's alerts without its name were stored by an earlier version: they are found by their source.
    const names = new Set(firing.flatMap((a) => [alertKey(a), inGroup(a.source, a.group)]))
    seen.set(incident.id, { version: incident.version, names })
    for (const name of names) places.set(name, (places.get(name) ?? new Set()).add(incident.id))
  }

  async function look(): Promise<void> {
    const now = clock()
    const active = new Set(await journal.active())
    for (const id of seen.keys()) if (!active.has(id)) forget(id)
    for (const id of active) {
      // One that cannot be read keeps no other from being found.
      const incident = await journal.load(id).catch(() => null)
      if (incident && seen.get(id)?.version !== incident.version) take(incident)
    }
    looked = now
  }

  let running: Promise<void> | null = null
  let next: Promise<void> | null = null
  const run = (): Promise<void> => {
    running = look().finally(() => {
      running = null
    })
    return running
  }
  /** A look that begins after this call; all who want one while another is made share it. */
  const anew = (): Promise<void> => {
    if (!running) return run()
    next ??= running
      .catch(() => {})
      .then(() => {
        next = null
        return run()
      })
    return next
  }
  const known = async () => {
    if (clock() - looked >= GOOD_FOR) await (running ?? run())
  }
  const at = (name: string): string[] => [...(places.get(name) ?? [])]

  return {
    /** Takes in what this process has just stored; what it stored at the same time may come in any order. */
    note(incident: Incident): void {
      if ((seen.get(incident.id)?.version ?? 0) < incident.version) take(incident)
    },
    /** The open incidents in which this alert fires. */
    async of(alert: Alert): Promise<readonly string[]> {
      await known()
      return at(alertKey(alert))
    },
    /** The open incidents in which alerts of this group fire, as far as it is known without a look. */
    ofGroup: ({ source, key }: SenderGroup): readonly string[] => [
      ...new Set([...at(inGroup(source, key)), ...at(inGroup(source))]),
    ],
    /** Looks, if the last time was long ago; `fresh`: also if not, since another process may have stored something just now. */
    look: (fresh: boolean): Promise<void> => (fresh ? anew() : known()),
  }
}

const inGroup = (source: string, group?: string): string => `group ${groupKey(source, group)}`
