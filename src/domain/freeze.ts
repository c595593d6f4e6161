import type { Alert } from './alert.ts'
import type { Incident } from './incident.ts'
import { notice } from './notice.ts'
import { type Person, type Policy, refusePerson, standing } from './policy.ts'
import type { Reason } from './reason.ts'
import { type Ruling, refuse } from './rule.ts'

/**
 * While it stands, nothing starts and nothing goes on. A freeze is an incident of its own, so that it has a thread that
 * everybody sees and a journal that can be verified. No source has this name.
 */
const SOURCE = 'keyturn:freeze'
/** The group of its incidents. */
export const FREEZE_GROUP = SOURCE

/** `until` is null while it stands, else when it was lifted. */
export type Freeze = Readonly<{ by: string; reason: string; since: string; until: string | null }>

export const isFreeze = (incident: Pick<Incident, 'group'>): boolean => incident.group === FREEZE_GROUP

/** The last freeze, from the latest incident of the group, whether it stands or was lifted. */
export function lastFreezeOf(latest: Incident | null): Freeze | null {
  if (!latest || !isFreeze(latest)) return null
  const { by = 'somebody', reason = '' } = Object.values(latest.alerts)[0]?.labels ?? {}
  const { openedAt: since, resolvedAt } = latest
  // Lifted by the clock of another machine, which may be behind: it was not lifted before it stood.
  return { by, reason, since, until: resolvedAt !== null && resolvedAt < since ? since : resolvedAt }
}

/** The freeze that stands; null if none does. */
export function freezeOf(latest: Incident | null): Freeze | null {
  const last = lastFreezeOf(latest)
  return last?.until === null ? last : null
}

const opening = {
  group: FREEZE_GROUP,
  title: 'Frozen: nothing starts, and nothing goes on',
  severity: 'critical',
  channel: 'default',
  playbook: null,
}

/** Somebody freezes everything, since stopping is the safe side: `person` is null at a terminal. Says why. */
export function freeze(
  latest: Incident | null,
  intent: { by: string; reason: string; at: string; person: Person | null },
): Ruling {
  const no = intent.person && refusePerson(intent.person)
  if (no) return refuse(no)
  if (intent.reason.trim() === '') return refuse('reason_required')
  if (freezeOf(latest)) return refuse('frozen')
  return notice(null, [alert(intent, 'firing')], 0, opening)
}

/** Somebody who may approve something lifts the freeze; the alert's end says who and why. */
export function thaw(
  latest: Incident | null,
  intent: { by: string; reason: string; at: string; person: Person | null },
  policy: Policy,
): Ruling {
  const no = intent.person && (refusePerson(intent.person) ?? refuseThaw(intent.person, intent.at, policy))
  if (no) return refuse(no)
  if (intent.reason.trim() === '') return refuse('reason_required')
  const known = latest && Object.values(latest.alerts)[0]
  if (!known || !freezeOf(latest)) return refuse('not_frozen')
  const end: Alert = {
    ...known,
    status: 'resolved',
    endsAt: intent.at,
    annotations: { ...known.annotations, 'thawed by': intent.by, 'thawed because': intent.reason },
  }
  return notice(latest, [end], 0, opening)
}

const refuseThaw = (person: Person, at: string, policy: Policy): Reason | null =>
  standing(policy, Object.keys(policy.approvers), person, Date.parse(at)).length === 0 ? 'not_an_approver' : null

const alert = ({ by, reason, at }: { by: string; reason: string; at: string }, status: Alert['status']): Alert => ({
  source: SOURCE,
  fingerprint: `freeze-${at}`,
  status,
  labels: { by, reason },
  annotations: { summary: `${by}: ${reason}` },
  startsAt: at,
  endsAt: null,
  links: [],
})

/** One sentence for people. */
export const freezeSentence = (f: Freeze): string => `Frozen by ${f.by}: ${f.reason}`
