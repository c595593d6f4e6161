/** Random numbers from a seed: mulberry32. The same seed gives the same schedule. */
export function randomOf(seed: number) {
  let a = seed >>> 0
  const next = () => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  return drawing(next)
}

/** The same from a list of bytes, so that a library can shorten what fails; after its end, what is likely happens. */
export function tapeOf(bytes: Uint8Array) {
  let at = 0
  return drawing(() => (at < bytes.length ? bytes[at++]! / 256 : 255 / 256))
}

function drawing(next: () => number) {
  const below = (n: number) => Math.floor(next() * n)
  return { next, below, pick: <T>(all: readonly T[]): T => all[below(all.length)]!, chance: (p: number) => next() < p }
}
export type Random = ReturnType<typeof drawing>

/** A process that can die at any of its calls. What it was waiting for then fails, and every later call too. */
export type Process = { readonly name: string; readonly signal: AbortSignal; die(): void; readonly dead: boolean }
class Died extends Error {
  override name = 'Died'
}

/**
 * Orders the calls of all processes by chance: a call takes effect when it is released, and its answer may be lost with
 * its process. Nothing else moves meanwhile, so that a schedule is the same each time.
 */
export function createScheduler(random: Random) {
  const waiting: { process: Process; go: () => void }[] = []
  const quiet = () => new Promise<void>((resolve) => setImmediate(resolve))

  return {
    process(name: string): Process {
      const controller = new AbortController()
      return {
        name,
        signal: controller.signal,
        get dead() {
          return controller.signal.aborted
        },
        die: () => controller.abort(new Died(`${name} is dead`)),
      }
    },
    /** A call of a process: `work` happens at once for all, at a time that chance picks. */
    async call<T>(process: Process, work: () => Promise<T> | T): Promise<T> {
      if (process.dead) throw new Died(process.name)
      await new Promise<void>((go, fail) => {
        waiting.push({ process, go })
        process.signal.addEventListener('abort', () => fail(process.signal.reason), { once: true })
      })
      if (process.dead) throw new Died(process.name)
      const result = await work()
      if (process.dead) throw new Died(process.name)
      return result
    },
    /** Releases one call; false if none waits. */
    async step(): Promise<boolean> {
      await quiet()
      for (let i = waiting.length - 1; i >= 0; i -= 1) if (waiting[i]!.process.dead) waiting.splice(i, 1)
      if (waiting.length === 0) return false
      const [next] = waiting.splice(random.below(waiting.length), 1)
      next!.go()
      await quiet()
      return true
    },
  }
}
export type Scheduler = ReturnType<typeof createScheduler>
