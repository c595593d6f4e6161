/** Time as the sandbox sees it: `now` in milliseconds since 1970, `after` runs once and returns its cancel. */
export interface Clock {
  now(): number
  after(ms: number, run: () => void): () => void
}

/** The machine's own clock; its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** A clock for tests: time stands still until `advance(ms)`, which runs what fell due, in order. */
export function createFakeClock(start = 1_763_700_000_000): Clock & { advance(ms: number): void } {
  let time = start
  let pending: { at: number; run: () => void }[] = []
  return {
    now: () => time,
    after(ms, run) {
      const timer = { at: time + ms, run }
      pending.push(timer)
      return () => {
        pending = pending.filter((one) => one !== timer)
      }
    },
    advance(ms) {
      const end = time + ms
      for (;;) {
        const next = pending.filter((one) => one.at <= end).sort((a, b) => a.at - b.at)[0]
        if (next === undefined) break
        pending = pending.filter((one) => one !== next)
        time = next.at
        next.run()
      }
      time = end
    },
  }
}
