import type { ChildProcess } from 'node:child_process'
import type { World } from '../e2e/world.ts'
import type { Point } from './crash-points.ts'
import type { Random } from './scheduler.ts'
import { Violation } from './violation.ts'

/** Restarts what dies, and arms each new process for its next point; with `once`, for the first time that it passes there. */
export function createSupervisor(
  points: readonly Point[],
  random: Random,
  once: boolean,
  onError: (error: unknown) => void,
) {
  const waiting = {
    bot: points.filter((p) => p.process === 'bot'),
    worker: points.filter((p) => p.process === 'worker'),
  }
  const alive: Partial<Record<Point['process'], ChildProcess>> = {}
  const starting = new Set<Promise<unknown>>()
  let restart: World['startProcess'] | null = null
  return {
    /** The points that nobody has died at yet. */
    left: () => [...waiting.bot, ...waiting.worker],
    /** Why a worker that is armed for it dies when the target has landed its effect. */
    landed() {
      if (waiting.worker[0]?.seam === 'during send POST') alive.worker?.kill('SIGKILL')
    },
    /** Told of each process as soon as there is one. */
    spawned(role: Point['process'], child: ChildProcess) {
      alive[role] = child
      const next = waiting[role][0]
      if (next) child.send({ seam: next.seam, times: once || !next.often ? 1 : 1 + random.below(3) })
      child.once('exit', (code, signal) => {
        if (!restart) return
        if (signal !== 'SIGKILL') onError(new Violation(`the ${role} ended by itself with ${code ?? signal}`))
        waiting[role].shift()
        const started = restart(role).catch(() => {})
        starting.add(started)
      })
    },
    /** From now on what dies is restarted. */
    supervise(start: World['startProcess']) {
      restart = start
    },
    async stop() {
      restart = null
      await Promise.all(starting)
    },
  }
}
