import type { Incident } from '../domain/incident.ts'
import type { Journal } from '../domain/ports.ts'
import type { Reason } from '../domain/reason.ts'
import type { Ruling } from '../domain/rule.ts'

export type Ids = () => string

/**
 * Loads an incident, asks a rule, and stores what follows. Somebody faster means: load and ask again. `incident` is
 * the state afterwards, and is there also when the rule had nothing to add.
 */
export async function transact(
  deps: { journal: Journal; ids: Ids },
  id: string,
  rule: (incident: Incident) => Ruling,
): Promise<{ ok: true; incident: Incident } | { ok: false; reason: Reason }> {
  const op = deps.ids()
  for (;;) {
    const incident = await deps.journal.load(id)
    if (!incident) return { ok: false, reason: 'no_such_incident' }
    const ruling = rule(incident)
    if (!ruling.ok) return ruling
    if (ruling.events.length === 0) return { ok: true, incident }
    const stored = await deps.journal.append(id, incident.version, op, ruling.events)
    if (stored.ok) return stored
    // Our own append, sent twice because its reply was lost.
    if (stored.reason === 'duplicate') {
      const after = await deps.journal.load(id)
      if (after) return { ok: true, incident: after }
    }
  }
}
