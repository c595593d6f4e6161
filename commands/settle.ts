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

/** Pauses for about so many seconds, a fifth more or less: many that wait must not ask at the same moment. */
export const rest = (seconds: number, signal: AbortSignal): Promise<void> =>
  pause(seconds * (800 + 400 * Math.random()), undefined, { signal })
