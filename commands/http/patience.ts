import { setTimeout as pause } from 'node:timers/promises'
import { Unanswered } from '../../src/domain/command.ts'
import type { Answer } from './exchange.ts'

/** Answers that pass by themselves: RFC 6585, section 4, and RFC 9110, sections 15.6.3 to 15.6.5. */
const PASSING = new Set([429, 502, 503, 504])
const FIRST_MS = 200
const TRIES = 4
/** A look that would have to wait longer says so instead. */
const MOST_MS = 15_000

/**
 * How long a service asks to be left alone, in milliseconds; null if it does not say. RFC 9110, section 10.2.3, and the seconds of
 * `ratelimit-reset` (https://support.pagerduty.com/main/docs/rest-api-rate-limits).
 */
export function retryAfterMs({ headers }: Pick<Answer, 'headers'>, now = Date.now()): number | null {
  const text = (headers['retry-after'] ?? String(headers['ratelimit-reset'] ?? '')).trim()
  if (!text) return null
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const at = Date.parse(text)
  return Number.isNaN(at) ? null : Math.max(0, at - now)
}

/**
 * Asks again while the answer is one that passes, or the connection breaks; gives the last answer. For what changes nothing,
 * and, with `only429`, for a change too: a service that says 429 has not done it.
 */
export async function patiently(
  ask: () => Promise<Answer>,
  signal: AbortSignal,
  { only429 = false, told = (_: string) => {} } = {},
): Promise<Answer> {
  for (let tries = 1; ; tries++) {
    const usual = FIRST_MS * 2 ** (tries - 1)
    let wait = usual
    try {
      const answer = await ask()
      const passes = only429 ? answer.status === 429 : PASSING.has(answer.status)
      wait = retryAfterMs(answer) ?? usual
      if (!passes || tries === TRIES || wait > MOST_MS || signal.aborted) return answer
      told(`answered ${answer.status}`)
    } catch (error) {
      const broke = error instanceof Unanswered && !(error.cause as Error | undefined)?.name?.includes('Abort')
      if (only429 || !broke || tries === TRIES || signal.aborted) throw error
      told('the connection broke')
    }
    await pause(wait, undefined, { signal })
  }
}
