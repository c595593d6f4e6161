import type { Happening } from './event.ts'
import type { Reason } from './reason.ts'

/** What a rule says of an intent: the events that follow (none, if there is nothing to do), or why not. */
export type Ruling = { ok: true; events: Happening[] } | { ok: false; reason: Reason }

export const allow = (...events: Happening[]): Ruling => ({ ok: true, events })
export const refuse = (reason: Reason): Ruling => ({ ok: false, reason })
