import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { simulateCore } from './core.ts'
import { reuseSignatures } from './core-signatures.ts'
import { Violation } from './violation.ts'

type Range = { from: number; below: number; step: number }
type Report = { started: number } | { seed: number; violation: string }

/** Plays so many seeds, shared among one thread a core. Gives how many runs started in them; throws the first Violation. */
export async function simulateMany(from: number, seeds: number): Promise<number> {
  const step = Math.min(availableParallelism(), seeds)
  const threads = Array.from({ length: step }, (_, i) => {
    const range: Range = { from: from + i, below: from + seeds, step }
    return new Worker(new URL(import.meta.url), { workerData: range })
  })
  try {
    const reports = threads.map(
      (thread) =>
        new Promise<number>((resolve, reject) => {
          thread.once('error', reject)
          thread.once('message', (report: Report) => {
            if ('started' in report) resolve(report.started)
            else reject(Object.assign(new Violation(report.violation), { seed: report.seed }))
          })
        }),
    )
    return (await Promise.all(reports)).reduce((sum, started) => sum + started, 0)
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()))
  }
}

function play({ from, below, step }: Range): Report {
  let started = 0
  for (let seed = from; seed < below; seed += step) {
    try {
      started += simulateCore(seed)
    } catch (error) {
      return { seed, violation: (error as Error).message }
    }
  }
  return { started }
}

if (!isMainThread) {
  reuseSignatures()
  parentPort?.postMessage(play(workerData as Range))
}
