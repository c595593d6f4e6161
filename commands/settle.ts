import { setTimeout as pause } from 'node:timers/promises'
import { Refused } from '../src/domain/command.ts'

const LOOKS = 10
const PAUSE_MS = 250

/** Looks until `good` or for 2.5 s, and gives the last look. Rejects when `signal` aborts. */
export async function settled<T>(look: () => Promise<T>, good: (seen: T) => boolean, signal: AbortSignal): Promise<T> {
  let seen = await look()
  for (let i = 0; i < LOOKS && !good(seen); i++) {
    await pause(PAUSE_MS, undefined, { signal })
    seen = await look()
  }
  return seen
}

/** A wait that changes nothing: when it is stopped, nothing of it is under way, and its end is known. */
export async function waiting<T>(signal: AbortSignal, wait: () => Promise<T>): Promise<T> {
  try {
    return await wait()
  } catch (error) {
    if (signal.aborted) throw new Refused('It was stopped while it waited')
    throw error
  }
}

/** How a wait looks again: about every so many seconds. `note` says in the thread why it takes longer. */
export type Pace = Readonly<{ everySeconds: number; signal: AbortSignal; note?: (text: string) => void }>

/** Pauses for about so many seconds, a fifth more or less: many that wait must not ask at the same moment. */
export const rest = (seconds: number, signal: AbortSignal): Promise<void> =>
  pause(seconds * (800 + 400 * Math.random()), undefined, { signal })

/** Failures in a row that a wait outlives: at 5 s between two looks, some 25 minutes. */
const OUTLIVED = 30
/** The longest pause after a failure, in pauses between two looks. */
const LONGEST = 12

const PASSING_NAMES =
  /throttl|toomanyrequests|requestlimitexceeded|slowdown|bandwidthlimitexceeded|serviceunavailable|internal(server|service)?(error|failure)|requesttimeout|timeouterror|expiredtoken|requestexpired|transactioninprogress/i
const PASSING_CODES = new Set([
  ...['ECONNRESET', 'ECONNREFUSED', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'ENETUNREACH', 'EHOSTUNREACH'],
  ...['UND_ERR_SOCKET', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'],
])

/** Does this error pass by itself: too many requests, a service that is away, a dropped connection, an expired token? */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof Refused) return false
  const { code, $metadata } = error as { code?: unknown; $metadata?: { httpStatusCode?: number } }
  const status = $metadata?.httpStatusCode ?? 0
  if (status === 429 || status >= 500) return true
  if (PASSING_NAMES.test(error.name) || (typeof code === 'string' && PASSING_CODES.has(code))) return true
  return isPassing(error.cause)
}

/**
 * Looks, and looks again for as long as the only answer is an error that passes by itself, with longer and longer pauses.
 * For reads only: what changes something is never sent twice. Any other error is thrown as it is.
 */
export async function outliving<T>(look: () => Promise<T>, { everySeconds, signal, note }: Pace): Promise<T> {
  for (let failed = 1; ; failed++) {
    try {
      return await look()
    } catch (error) {
      if (signal.aborted || !isPassing(error)) throw error
      const said = error instanceof Error ? error.name : 'no answer'
      if (failed > OUTLIVED)
        throw new Error(`the service did not answer ${failed} times in a row (${said}); look at it by hand`, {
          cause: error,
        })
      note?.(`the service does not answer now (${said}); it is asked again`)
      await rest(everySeconds * Math.min(LONGEST, 2 ** (failed - 1)), signal)
    }
  }
}
