import type { Alert, Batch } from '../domain/alert.ts'
import { isOver } from '../domain/incident.ts'
import { notice, type Opening } from '../domain/notice.ts'
import { matchPlaybook, type Playbook, type RegexTest } from '../domain/playbook.ts'
import type { Bell, Clock, Journal } from '../domain/ports.ts'
import { pendingWork } from '../domain/work.ts'
import type { Ids } from './transact.ts'

/** Firing again this soon after the resolve goes on in the same thread, in milliseconds. */
export const REOPEN_WITHIN = 30 * 60_000

/** Which incident an alert belongs to, and how that incident would open. */
export function place(alert: Alert, playbooks: readonly Playbook[], regex: RegexTest): Opening {
  const playbook = matchPlaybook(playbooks, alert.labels, regex)
  const name = alert.labels.alertname ?? alert.fingerprint
  const by = playbook ? playbook.groupBy : ['alertname']
  const values = by.map((label) => [label, Object.hasOwn(alert.labels, label) ? alert.labels[label] : ''])
  // Without a playbook and without a name, nothing says that two alerts belong together.
  const apart = playbook || alert.labels.alertname ? '' : alert.fingerprint
  return {
    group: JSON.stringify([playbook?.id ?? alert.source, values, apart]),
    title: playbook?.title ?? name,
    severity: alert.labels.severity ?? playbook?.severity ?? 'unknown',
    channel: playbook?.channel ?? 'default',
    playbook,
  }
}

/** Stores a batch: resolves when every alert of it is in a journal, throws when that cannot be. */
export function createIngest(deps: {
  journal: Journal
  bell: Bell
  clock: Clock
  ids: Ids
  playbooks: readonly Playbook[]
  regex: RegexTest
  onError: (error: unknown) => void
  /** Makes the id of a group's n-th incident. */
  incidentId: (group: string, n: number) => string
  ordinal: (incident: string) => number
}) {
  const { journal, bell, clock, ids } = deps

  async function store(opening: Opening, alerts: Alert[], truncated: number): Promise<void> {
    const op = ids()
    for (;;) {
      const latest = await journal.current(opening.group)
      const known = latest === null ? null : await journal.load(latest)
      const cold =
        known !== null &&
        known.resolvedAt !== null &&
        clock() - Date.parse(known.resolvedAt) > REOPEN_WITHIN &&
        known.proposals.every(isOver)
      const firing = alerts.some((a) => a.status === 'firing')
      const incident = cold && firing ? null : known
      const ruling = notice(incident, alerts, truncated, opening)
      if (!ruling.ok) throw new Error(`ingest: refused with ${ruling.reason}`)
      if (ruling.events.length === 0) return
      const id = incident?.id ?? deps.incidentId(opening.group, latest === null ? 1 : deps.ordinal(latest) + 1)
      const stored = await journal.append(id, incident?.version ?? 0, op, ruling.events)
      if (!stored.ok && stored.reason === 'conflict') continue
      // The alerts are stored; a bell that does not ring now is rung by the tick.
      if (stored.ok) await bell.ring(pendingWork(stored.incident)).catch(deps.onError)
      return
    }
  }

  return async function ingest(batch: Batch): Promise<void> {
    const groups = new Map<string, { opening: Opening; alerts: Alert[] }>()
    for (const alert of batch.alerts) {
      const opening = place(alert, deps.playbooks, deps.regex)
      const group = groups.get(opening.group) ?? { opening, alerts: [] }
      group.alerts.push(alert)
      groups.set(opening.group, group)
    }
    await Promise.all([...groups.values()].map((g) => store(g.opening, g.alerts, batch.truncated)))
  }
}
