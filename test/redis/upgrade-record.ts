import { writeFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import type { Job } from '../../src/domain/job.ts'
import { createPostbox } from '../../src/redis/postbox.ts'
import { createBell } from '../../src/redis/queues.ts'
import { startRedis } from './server.ts'
import { ada, createUpgradeWorld, idOf } from './upgrade-world.ts'

/**
 * Writes what this version leaves in Redis when it is stopped in the middle of everything: `node
 * test/redis/upgrade-record.ts FILE`. Run it before a release, and keep the file: the next version must go on from it.
 */
async function record(file: string): Promise<void> {
  const redis = await startRedis()
  const client = redis.connect()
  const bell = createBell(redis.connect())
  const now = Date.parse('2026-01-02T03:05:00.000Z')
  const jobs: Job[] = []
  const world = createUpgradeWorld({
    redis: client,
    subscriber: redis.connect(),
    clock: () => now,
    bell: {
      ring: async (all) => {
        jobs.push(...all)
      },
    },
  })
  const work = async () => {
    for (const job of jobs.splice(0)) if (job.kind !== 'run') await world.onJob(job)
  }
  const approve = async (room: string) => {
    const { digest } = (await world.journal.load(idOf(room)))!.proposals[0]!
    const intent = { incident: idOf(room), proposal: 'p1', digest: digest!, verdict: 'approve' as const }
    const answer = await world.handlers.decide({ ...intent, reason: 'I looked', person: ada })
    if (!answer.ok) throw new Error(answer.reason)
  }
  for (const room of ['hall', 'attic', 'porch', 'shed']) await world.fire(room)
  await work()
  // The shed's run is over, and its worker died before it freed the lock; the porch's worker died in its first step.
  world.hooks.during = (room) => (room === 'porch' ? new Promise(() => {}) : Promise.resolve())
  for (const room of ['shed', 'porch']) await approve(room)
  await world.onJob({ kind: 'run', incident: idOf('shed'), proposal: 'p1' })
  await world.locks.acquire(['lamp:shed'], { incident: idOf('shed'), proposal: 'p1' })
  void world.onJob({ kind: 'run', incident: idOf('porch'), proposal: 'p1' })
  while (Object.keys((await world.journal.load(idOf('porch')))!.proposals[0]!.run?.steps ?? {}).length === 0);
  // The hall's plan is open; the attic's is granted and its job waits; the cellar's is not made and its jobs wait.
  jobs.length = 0
  await approve('attic')
  await world.fire('cellar')
  await bell.ring(jobs)
  const postbox = createPostbox(client)
  await postbox.write(idOf('hall'), 'root', { channel: 'C1', ts: '1767323100.000100', hash: 'a', attemptedAt: now })
  await postbox.write(idOf('hall'), 'proposal:p1', { channel: 'C1', ts: null, hash: 'b', attemptedAt: now })
  await postbox.setRendered(idOf('hall'), 'sha256:0')
  writeFileSync(file, `${JSON.stringify(await dump(client), null, 1)}\n`)
  await bell.close()
  await redis.stop()
  // The porch's run never ends, nor does its heart.
  process.exit(0)
}

/** Every key with its type and content; a pulse is not kept, since it would be gone by then. */
async function dump(client: Redis): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = {}
  for (const key of (await client.keys('*')).sort()) {
    const type = await client.type(key)
    if (key.includes(':beat:') || type === 'stream') continue
    const value =
      type === 'string'
        ? await client.get(key)
        : type === 'hash'
          ? await client.hgetall(key)
          : type === 'list'
            ? await client.lrange(key, 0, -1)
            : type === 'set'
              ? (await client.smembers(key)).sort()
              : await client.zrange(key, '0', '-1', 'WITHSCORES')
    all[key] = { type, value }
  }
  return all
}

await record(process.argv[2]!)
