import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Alert, Batch } from './domain/alert.ts'
import type { Handlers } from './domain/ports.ts'
import type { Secrets } from './secrets.ts'

type Strike = Secrets['strike']
/** Alerts that are gone through before others have their turn. */
const TURN = 25

/** A JSON value without known secrets in any of its texts and names. */
export function strikeAll<T>(strike: Strike, value: T): T {
  const walk = (v: unknown): unknown => {
    if (typeof v === 'string') return strike(v)
    if (typeof v !== 'object' || v === null) return v
    if (Array.isArray(v)) return v.map(walk)
    return Object.fromEntries(Object.entries(v).map(([name, inner]) => [strike(name), walk(inner)]))
  }
  return walk(value) as T
}

/** What comes from a source, without known secrets: somebody may have put one into a label or an address. */
export async function strikeBatch(strike: Strike, batch: Batch): Promise<Batch> {
  const alerts: Alert[] = []
  for (const [i, alert] of batch.alerts.entries()) {
    if (i % TURN === TURN - 1) await nextTurn()
    // Most hold none, and one look at all of its text tells.
    const text = JSON.stringify(alert)
    alerts.push(strike(text) === text ? alert : strikeAll(strike, alert))
  }
  const { group, unread } = batch
  return {
    ...batch,
    alerts,
    ...(group && { group: strikeAll(strike, group) }),
    ...(unread && { unread: unread.map(strike) }),
  }
}

/** What people type, without known secrets. */
export function strikeIntents(strike: Strike, handlers: Handlers): Handlers {
  const reasoned = <I extends { reason: string }>(intent: I): I => ({ ...intent, reason: strike(intent.reason) })
  return {
    ...handlers,
    decide: (intent) => handlers.decide(reasoned(intent)),
    settle: (intent) => handlers.settle(reasoned(intent)),
    freeze: (intent) => handlers.freeze(reasoned(intent)),
    thaw: (intent) => handlers.thaw(reasoned(intent)),
    request: (intent) => handlers.request({ ...intent, params: strikeAll(strike, intent.params) }),
  }
}
