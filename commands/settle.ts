import { setTimeout as pause } from 'node:timers/promises'

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
