import { type Entry, genesis, type Happening, seal } from '../../src/domain/event.ts'
import { evolve } from '../../src/domain/evolve.ts'
import type { Incident } from '../../src/domain/incident.ts'
import type { Journal } from '../../src/domain/ports.ts'
import { ID } from '../slack/cards.ts'

const T0 = Date.parse('2026-11-21T03:00:00.000Z')

/** A journal in memory; what `write` puts there is one second apart. */
export function createMemory(clock: () => number) {
  const states = new Map<string, Incident>()
  const entries = new Map<string, Entry[]>()
  const latest = new Map<string, string>()
  const add = (id: string, events: readonly Happening[], at: (i: number) => number) => {
    const all = entries.get(id) ?? []
    for (const event of events) {
      const before = states.get(id) ?? null
      const [seq, when] = [all.length + 1, new Date(at(all.length)).toISOString()]
      const entry = seal({ incident: id, seq, at: when, op: `${id}/${seq}`, event, prev: before?.head ?? genesis(id) })
      all.push(entry)
      states.set(id, evolve(before, entry))
    }
    entries.set(id, all)
    const group = states.get(id)?.group
    if (group) latest.set(group, id)
  }
  const journal: Pick<Journal, 'load' | 'append' | 'current' | 'entries'> = {
    load: async (id) => states.get(id) ?? null,
    current: async (group) => latest.get(group) ?? null,
    entries: async (id) => entries.get(id) ?? [],
    async append(id, version, _op, events) {
      if ((states.get(id)?.version ?? 0) !== version) return { ok: false, reason: 'conflict' }
      add(id, events, clock)
      return { ok: true, incident: states.get(id)! }
    },
  }
  return {
    ...journal,
    write: (events: readonly Happening[]) => add(ID, events, (i) => T0 + i * 1000),
  } as Journal & {
    write(events: readonly Happening[]): void
  }
}
