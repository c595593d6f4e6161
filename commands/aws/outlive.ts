import { setTimeout as wait } from 'node:timers/promises'
import { isPassing, textOf } from './refusals.ts'

type Outlive = Readonly<{
  signal: AbortSignal
  /** Between two looks, in milliseconds. */
  pauseMs: number
  /** Told why there was no answer, each time. */
  onPause(note: string): void
  /** How long there may be no answer at all. */
  minutes?: number
}>

/**
 * Looks at something that takes its time, and looks again while the service cannot answer: throttled, broken down, cut off, its
 * token over. Only for what changes nothing. Throws the last error when there was no answer for ten minutes.
 */
export async function outlive<T>(
  look: () => Promise<T>,
  { signal, pauseMs, onPause, minutes = 10 }: Outlive,
): Promise<T> {
  const began = performance.now()
  for (;;) {
    try {
      return await look()
    } catch (error) {
      if (signal.aborted || !isPassing(error) || performance.now() - began > minutes * 60_000) throw error
      onPause(`No answer for now, looking again: ${textOf(error)}`)
    }
    await wait(pauseMs, undefined, { signal })
  }
}
