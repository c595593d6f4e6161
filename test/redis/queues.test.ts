import { afterEach, beforeEach, expect, it } from '@jest/globals'
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
  await b.ring([{ ...run, proposal: 'p2' }])
  arrived = Promise.withResolvers<void>()
  await arrived.promise
  expect(seen).toEqual([run, { ...run, proposal: 'p2' }])
  arrived = Promise.withResolvers<void>()
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
