import { type ConnectionOptions, Queue, Worker } from 'bullmq'
import { Job } from '../domain/job.ts'
import type { Bell } from '../domain/ports.ts'
import type { Store } from './connect.ts'

/** A hash tag, so that BullMQ's own scripts work in a Redis Cluster. */
const PREFIX = '{keyturn}'
const READ = 'read'
const RUN = 'run'
/** Read-only work is tried this often before its failure is stored. */
export const READ_ATTEMPTS = 3

/** One name for one piece of work, so that ringing twice makes one job. BullMQ allows no colon in it. */
function jobId(job: Job): string {
  const detail = job.kind === 'evidence' ? `${job.step}-${job.requestedAt.replace(/\D/g, '')}` : job.proposal
  return `${job.kind}-${job.incident}-${detail}`
}

/** The ringing side. */
export function createBell(redis: Store): Bell & { close(): Promise<void> } {
  const connection = redis as unknown as ConnectionOptions
  const read = new Queue<Job>(READ, { connection, prefix: PREFIX })
  const run = new Queue<Job>(RUN, { connection, prefix: PREFIX })
  for (const queue of [read, run]) queue.on('error', () => {})
  const once = { removeOnComplete: true, removeOnFail: true }
  return {
    async ring(jobs) {
      const reads = jobs.filter((j) => j.kind !== 'run')
      const runs = jobs.filter((j) => j.kind === 'run')
      const retried = { ...once, attempts: READ_ATTEMPTS, backoff: { type: 'exponential', delay: 300 } }
      if (reads.length > 0)
        await read.addBulk(reads.map((data) => ({ name: data.kind, data, opts: { ...retried, jobId: jobId(data) } })))
      if (runs.length > 0)
        await run.addBulk(
          runs.map((data) => ({ name: data.kind, data, opts: { ...once, attempts: 1, jobId: jobId(data) } })),
        )
    },
    async close() {
      await Promise.all([read.close(), run.close()])
    },
  }
}

/** The answering side. `lastTry` says that a throw will not be followed by another attempt. */
export function createWorkers(deps: {
  connect: () => Store
  onJob: (job: Job, lastTry: boolean) => Promise<void>
  onError: (error: Error) => void
  concurrency: { read: number; run: number }
  /** After so many milliseconds without a sign of its worker a job counts as stalled; BullMQ's own 30 s if not given. */
  stalledAfter?: number
}): { close(): Promise<void> } {
  const connections: Store[] = []
  const stall = deps.stalledAfter && { lockDuration: deps.stalledAfter, stalledInterval: deps.stalledAfter / 2 }
  const work = (name: string, concurrency: number, maxStalledCount: number) => {
    const connection = deps.connect()
    connections.push(connection)
    const worker = new Worker<Job>(
      name,
      (job) => deps.onJob(Job.parse(job.data), job.attemptsMade + 1 >= (job.opts.attempts ?? 1)),
      {
        connection: connection as unknown as ConnectionOptions,
        prefix: PREFIX,
        concurrency,
        maxStalledCount,
        ...stall,
      },
    )
    worker.on('error', deps.onError)
    return worker
  }
  const workers = [work(READ, deps.concurrency.read, 3), work(RUN, deps.concurrency.run, 0)]
  return {
    async close() {
      await Promise.all(workers.map((w) => w.close()))
      for (const c of connections) c.disconnect()
    },
  }
}
