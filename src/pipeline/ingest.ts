import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Alert, alertKey, type Batch, groupKey, valueIn } from '../domain/alert.ts'
import { type Incident, isOver } from '../domain/incident.ts'
import { endedWith, type Message, notice, type Opening } from '../domain/notice.ts'
import { matchPlaybook, type Playbook, type RegexTest } from '../domain/playbook.ts'
import type { Bell, Clock, Journal } from '../domain/ports.ts'
import { pendingWork } from '../domain/work.ts'
import { type Ids, transact } from './transact.ts'
import { createWhereabouts } from './whereabouts.ts'

/** Firing again this soon after the resolve goes on in the same thread, in milliseconds. */
export const REOPEN_WITHIN = 30 * 60_000

/** Which incident an alert belongs to, and how that incident would open. */
export function place(alert: Alert, playbooks: readonly Playbook[], regex: RegexTest): Opening {
  const playbook = matchPlaybook(playbooks, alert.labels, regex)
  const alertname = valueIn(alert.labels, 'alertname')
  const by = playbook ? playbook.groupBy : ['alertname']
  const values = by.map((label) => [label, valueIn(alert.labels, label) ?? ''])
  // Without a playbook and without a name, nothing says that two alerts belong together.
  const apart = playbook || alertname ? '' : alert.fingerprint
  return {
    group: JSON.stringify([playbook?.id ?? alert.source, values, apart]),
    title: playbook?.title ?? alertname ?? alert.fingerprint,
    severity: valueIn(alert.labels, 'severity') ?? playbook?.severity ?? 'unknown',
    channel: playbook?.channel ?? 'default',
    playbook,
  }
}

/** Alerts that are placed, and groups that are stored, before others have their turn. */
const TURN = 50
const LANES = 16
/** Characters of alerts that one append carries, more or less: what it computes keeps everything else waiting. */
const PORTION = 100_000

const weight = (alert: Alert): number =>
  [alert.labels, alert.annotations].reduce(
    (sum, record) => Object.entries(record).reduce((n, [name, value]) => n + name.length + value.length + 6, sum),
    300,
  )

/**
 * The alerts in portions, those that fire first: the incident must not seem resolved, or its proposals are withdrawn,
 * while the rest of its alerts is still to be stored. The words about one alert keep their order.
 */
export function portions(alerts: readonly Alert[]): Alert[][] {
  const total = alerts.reduce((sum, alert) => sum + weight(alert), 0)
  if (total <= PORTION) return [[...alerts]]
  const last = new Map(alerts.map((alert) => [alertKey(alert), alert.status]))
  const fires = (alert: Alert) => last.get(alertKey(alert)) === 'firing'
  const all: Alert[][] = [[]]
  let size = 0
  for (const alert of [...alerts.filter(fires), ...alerts.filter((a) => !fires(a))]) {
    size += weight(alert)
    if (size > PORTION) {
      all.push([])
      size = weight(alert)
    }
    all.at(-1)!.push(alert)
  }
  return all
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
  const whereabouts = createWhereabouts({ journal, clock })

  const changed = async (incident: Incident) => {
    whereabouts.note(incident)
    // The alerts are stored; a bell that does not ring now is rung by the tick.
    await bell.ring(pendingWork(incident)).catch(deps.onError)
  }

  /** Stores what came for one group of alerts; the id of its incident, null if it needs none. */
  async function store(opening: Opening, alerts: Alert[], truncated: number, message: Message): Promise<string | null> {
    const op = ids()
    for (;;) {
      const latest = await journal.current(opening.group)
      const known = latest === null ? null : await journal.load(latest)
      // Ids hold 48 bits of a group's hash: labels can be chosen so that two groups have the same.
      if (known && known.group !== opening.group)
        return store({ ...opening, group: `${opening.group}'` }, alerts, truncated, message)
      const cold =
        known !== null &&
        known.resolvedAt !== null &&
        clock() - Date.parse(known.resolvedAt) > REOPEN_WITHIN &&
        known.proposals.every(isOver)
      const firing = alerts.some((a) => a.status === 'firing')
      const incident = cold && firing ? null : known
      const ruling = notice(incident, alerts, truncated, opening, message)
      if (!ruling.ok) throw new Error(`ingest: refused with ${ruling.reason}`)
      if (ruling.events.length === 0) return incident?.id ?? null
      const id = incident?.id ?? deps.incidentId(opening.group, latest === null ? 1 : deps.ordinal(latest) + 1)
      const stored = await journal.append(id, incident?.version ?? 0, op, ruling.events)
      if (!stored.ok && stored.reason === 'conflict') continue
      if (stored.ok) await changed(stored.incident)
      return id
    }
  }

  /** Tells an incident of what else the request means for it: `ended` says which of its alerts have ended. */
  async function tell(id: string, ended: (incident: Incident) => Alert[], batch?: Batch): Promise<void> {
    const told = await transact(deps, id, (incident) =>
      notice(incident, ended(incident), batch?.truncated ?? 0, incident, batch && messageOf(batch)),
    )
    if (told.ok) await changed(told.incident)
  }

  return async function ingest(batch: Batch): Promise<void> {
    const groups = new Map<string, { opening: Opening; alerts: Alert[] }>()
    for (const [i, alert] of batch.alerts.entries()) {
      if (i % TURN === TURN - 1) await nextTurn()
      const opening = place(alert, deps.playbooks, deps.regex)
      const group = groups.get(opening.group) ?? { opening, alerts: [] }
      group.alerts.push(alert)
      groups.set(opening.group, group)
    }
    const waiting = [...groups.values()]
    const own = new Set<string | null>()
    const message = messageOf(batch)
    const lane = async () => {
      for (let g = waiting.shift(); g; g = waiting.shift())
        for (const alerts of portions(g.alerts)) own.add(await store(g.opening, alerts, batch.truncated, message))
    }
    await Promise.all(Array.from({ length: LANES }, lane))
    // An alert may fire elsewhere than where it belongs now: the playbooks were changed meanwhile, or its labels.
    const last = new Map(batch.alerts.map((alert) => [alertKey(alert), alert]))
    for (const alert of last.values())
      if (alert.status === 'resolved') for (const id of await whereabouts.of(alert)) await tell(id, () => [alert])
    const { group, truncated } = batch
    if (!group) return
    const complete = truncated === 0
    // Another bot may have stored a moment ago what this message leaves out.
    if (group.over) await whereabouts.look(!complete)
    for (const id of whereabouts.ofGroup(group))
      if (group.over || !own.has(id))
        await tell(id, (incident) => endedWith(incident, group, batch.alerts, complete), batch)
  }
}

/** What the request says of itself. */
function messageOf({ group, alerts, unread = [] }: Batch): Message {
  const source = group?.source ?? alerts[0]?.source
  return source === undefined ? { unread } : { from: groupKey(source, group?.key), unread }
}
