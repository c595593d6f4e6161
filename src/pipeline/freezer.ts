import { FREEZE_GROUP, type Freeze, freeze, freezeOf, lastFreezeOf, thaw } from '../domain/freeze.ts'
import type { Incident } from '../domain/incident.ts'
import type { Person, Policy } from '../domain/policy.ts'
import type { Answer, Clock, Journal, Witness } from '../domain/ports.ts'
import type { Ruling } from '../domain/rule.ts'
import type { Ids } from './transact.ts'

/** What a person does before lifting a freeze that a loss has brought. */
const RECONCILE =
  'What was approved before cannot run. Compare the heads in the threads with `keyturn journal verify --head`, look at what was under way, then lift the freeze.'

/** Who freezes or lifts, and why; `person` is null at a terminal. */
export type FreezeIntent = Readonly<{ by: string; reason: string; person: Person | null }>

/**
 * The kill switch: `state` says whether a freeze stands. Every process reads it from the journal, whenever it matters.
 * Where the journal itself has lost something, `state` freezes: a person has to look before anything starts.
 */
export type Freezer = Readonly<{
  state(): Promise<Freeze | null>
  /** The same as it is stored, for drawing: asks no witness, which would write to Redis for each message that is drawn. */
  stored(): Promise<Freeze | null>
  /** The last one, also when it was lifted. */
  last(): Promise<Freeze | null>
  freeze(intent: FreezeIntent): Promise<Answer>
  thaw(intent: FreezeIntent): Promise<Answer>
}>

export function createFreezer(deps: {
  journal: Journal
  clock: Clock
  ids: Ids
  policy: Policy
  /** Makes the id of a group's n-th incident. */
  incidentId: (group: string, n: number) => string
  ordinal: (incident: string) => number
  witness?: Pick<Witness, 'look' | 'accept'>
}): Freezer {
  const { journal, witness } = deps
  async function latest(): Promise<Incident | null> {
    const id = await journal.current(FREEZE_GROUP)
    return id === null ? null : journal.load(id)
  }
  async function act(rule: (latest: Incident | null) => Ruling): Promise<Answer> {
    const op = deps.ids()
    for (;;) {
      const known = await latest()
      const ruling = rule(known)
      if (!ruling.ok) return ruling
      const next =
        known && freezeOf(known) ? null : deps.incidentId(FREEZE_GROUP, known ? deps.ordinal(known.id) + 1 : 1)
      const stored = await journal.append(next ?? known!.id, next ? 0 : known!.version, op, ruling.events)
      if (stored.ok || stored.reason === 'duplicate') return { ok: true }
    }
  }
  const at = () => new Date(deps.clock()).toISOString()
  const stop = (intent: FreezeIntent) => act((known) => freeze(known, { ...intent, at: at() }))
  async function look(): Promise<Incident | null> {
    const lost = await witness?.look()
    if (lost) {
      await stop({ by: 'Keyturn', reason: `${lost}. ${RECONCILE}`, person: null })
      witness?.accept()
      journal.forget()
    }
    return latest()
  }
  return {
    state: async () => freezeOf(await look()),
    stored: async () => freezeOf(await latest()),
    last: async () => lastFreezeOf(await look()),
    freeze: stop,
    thaw: (intent) => act((known) => thaw(known, { ...intent, at: at() }, deps.policy)),
  }
}
