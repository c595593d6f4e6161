import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { QueueEvents } from 'bullmq'
import type { Job } from '../../src/domain/job.ts'
import { incidentId } from '../../src/redis/keys.ts'
import { createBell, createWorkers } from '../../src/redis/queues.ts'
import { startRedis } from './server.ts'

let redis: Awaited<ReturnType<typeof startRedis>>
const closing: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  redis = await startRedis()
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  await redis.stop()
})

const run: Job = { kind: 'run', incident: incidentId('g', 1), proposal: 'p1' }
const plan: Job = { kind: 'plan', incident: incidentId('g', 1), proposal: 'p1' }
function bell() {
  const made = createBell(redis.connect())
  closing.push(() => made.close())
  return made
}
function workers(onJob: (job: Job, lastTry: boolean) => Promise<void>, onError: (e: Error) => void = () => {}) {
  const made = createWorkers({ connect: () => redis.connect(), onJob, onError, concurrency: { read: 2, run: 2 } })
  closing.push(() => made.close())
  return made
}

it('rung twice while it waits, a job is done once; rung again afterwards, it is looked at again', async () => {
  const b = bell()
  await b.ring([run])
  await b.ring([run, run])
  const seen: Job[] = []
  let arrived = Promise.withResolvers<void>()
  workers(async (job) => {
    seen.push(job)
    arrived.resolve()
  })
  await arrived.promise
  arrived = Promise.withResolvers<void>()
  await b.ring([{ ...run, proposal: 'p2' }])
  await arrived.promise
  expect(seen).toEqual([run, { ...run, proposal: 'p2' }])
  // The first job's record is gone only a moment after its work.
  while (seen.length < 3) await b.ring([run])
  expect(seen[2]).toEqual(run)
})

it('reading is tried three times, and the last try is told so; a run is tried once', async () => {
  const tries: [string, boolean][] = []
  const done = Promise.withResolvers<void>()
  workers(async (job, lastTry) => {
    tries.push([job.kind, lastTry])
    if (tries.length === 4) done.resolve()
    throw new Error('broken')
  })
  await bell().ring([run, plan])
  await done.promise
  expect(tries.filter(([kind]) => kind === 'plan')).toEqual([
    ['plan', false],
    ['plan', false],
    ['plan', true],
  ])
  expect(tries.filter(([kind]) => kind === 'run')).toEqual([['run', true]])
})

it('a job that is not one of ours is never handed to a worker', async () => {
  const { Queue } = await import('bullmq')
  const queue = new Queue('run', { connection: redis.connect() as never, prefix: '{keyturn}' })
  closing.push(() => queue.close())
  const failed = Promise.withResolvers<void>()
  const seen: Job[] = []
  workers(async (job) => {
    seen.push(job)
    if (job.kind === 'run' && job.proposal === 'p2') failed.resolve()
  })
  await queue.add('run', { kind: 'run', incident: 'x', proposal: 'p1', command: 'rm' })
  await bell().ring([{ ...run, proposal: 'p2' }])
  await failed.promise
  expect(seen).toEqual([{ ...run, proposal: 'p2' }])
})

it('a run whose worker was killed is not handed to another one; reading is', async () => {
  const stalledAfter = 400
  const code = `
    import { Redis } from 'ioredis'
    import { createWorkers } from ${JSON.stringify(new URL('../../src/redis/queues.ts', import.meta.url).href)}
    createWorkers({
      connect: () => new Redis({ path: ${JSON.stringify(redis.path)}, maxRetriesPerRequest: null }),
      onJob: (job) => new Promise(() => console.log(job.kind)),
      onError: () => {},
      concurrency: { read: 1, run: 1 },
      stalledAfter: ${stalledAfter},
    })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  closing.push(async () => child.kill('SIGKILL'))
  const taken = new Promise<void>((resolve) => {
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
      if (text.includes('run') && text.includes('plan')) resolve()
    })
  })
  await bell().ring([run, plan])
  await taken
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
  const seen: Job[] = []
  const failed: string[] = []
  const read = Promise.withResolvers<void>()
  const events = new QueueEvents('run', { connection: redis.connect() as never, prefix: '{keyturn}' })
  closing.push(() => events.close())
  const judged = new Promise<void>((resolve) => {
    events.on('failed', ({ failedReason }) => {
      failed.push(failedReason)
      resolve()
    })
    // Handed out again: the test sees it in what was seen.
    events.on('completed', () => resolve())
  })
  await events.waitUntilReady()
  const second = createWorkers({
    connect: () => redis.connect(),
    onJob: async (job) => {
      seen.push(job)
      if (job.kind === 'plan') read.resolve()
    },
    onError: () => {},
    concurrency: { read: 1, run: 1 },
    stalledAfter,
  })
  closing.push(() => second.close())
  await Promise.all([read.promise, judged])
  expect(seen).toEqual([plan])
  expect(failed).toEqual([expect.stringContaining('stalled')])
  // The journal decides what becomes of it; the doorbell can be rung again.
  await bell().ring([run])
  await new Promise<void>((resolve) => events.on('completed', () => resolve()))
  expect(seen).toEqual([plan, run])
})
