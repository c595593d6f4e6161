import type { Logger as Log } from 'pino'

/** What keeps Keyturn from working with Slack as it should, each in a sentence with what to do, by what it is about. */
export type Troubles = Readonly<{
  /** Says it in the log the first time, where `logged` may be more exact, and in the Home tab until it is over. */
  report(about: string, sentence: string, detail?: object, logged?: string): void
  /** It works again; nothing is said about what was no trouble. */
  over(about: string): void
  /** Sentences, the oldest first. */
  all(): readonly string[]
}>

/** Remembers in this process only: another bot finds out for itself. */
export function createTroubles(log: Log): Troubles {
  const known = new Map<string, string>()
  return {
    report(about, sentence, detail = {}, logged = sentence) {
      if (known.get(about) === sentence) return
      known.set(about, sentence)
      log.error({ about, ...detail }, logged)
    },
    over(about) {
      const sentence = known.get(about)
      if (sentence === undefined) return
      known.delete(about)
      log.info({ about }, `over: ${sentence}`)
    },
    all: () => [...new Set(known.values())],
  }
}
