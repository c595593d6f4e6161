import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { deletePrefix } from '../../../commands/s3/delete-prefix.ts'
import { listPrefix } from '../../../commands/s3/list-prefix.ts'
import { digest } from '../../../src/domain/plan.ts'
import { startAirflow, TOKEN } from '../airflow/server.ts'
import type { World } from '../context.ts'
import { createWorld, propose } from '../context.ts'
import { startBucket } from './bucket-server.ts'

const OLD = '2026-03-13T22:00:00.000Z'
const NOW = '2026-03-14T02:07:00.000Z'

describe('folders of S3', () => {
  let bucket: Awaited<ReturnType<typeof startBucket>>
  let jobs: Awaited<ReturnType<typeof startAirflow>>
  let world: World
  beforeAll(async () => {
    bucket = await startBucket()
    jobs = await startAirflow(2)
  })
  beforeEach(() => {
    bucket.reset()
    jobs.reset()
    jobs.state.addDag('parse_clicks')
    jobs.state.addRun('parse_clicks', 'r1', 'failed', { work: 'failed' })
    const s3 = {
      kind: 's3',
      environment: 'production',
      settings: {
        region: 'us-east-1',
        endpoint: bucket.endpoint,
        forcePathStyle: true,
        accessKeyIdFrom: 'K',
        secretAccessKeyFrom: 'K',
        buckets: ['lake/tmp', 'lake/spark', 'lake/few', 'lake/events'],
        deletable: [
          { under: 'lake/tmp', owner: { airflow: 'jobs', dag: 'parse_*' }, markers: ['_RUNNING'], perSecond: 3000 },
          { under: 'lake/spark', perSecond: 200 },
          { under: 'lake/few/', maxObjects: 2 },
          { under: 'lake/elsewhere' },
          { under: 'lake/tmp/slow', perSecond: 1, maxObjects: 5000 },
        ],
      },
    }
    world = createWorld({
      secrets: { K: 'local', AIRFLOW_TOKEN: TOKEN },
      now: () => new Date(NOW),
      connections: {
        lake: s3,
        closed: { ...s3, settings: { ...s3.settings, deletable: undefined } },
        jobs: {
          kind: 'airflow',
          settings: {
            baseUrl: jobs.origin,
            api: 2,
            auth: { kind: 'bearer', tokenFrom: 'AIRFLOW_TOKEN' },
            dags: ['*'],
          },
        },
      },
    })
  })
  afterEach(() => world.close())
  afterAll(async () => {
    await bucket.close()
    await jobs.stop()
  })

  const params = { connection: 'lake', bucket: 'lake', prefix: 'tmp/clicks/', job: 'clicks' }
  const plan = (more: Record<string, unknown> = {}) => propose(deletePrefix, { ...params, ...more }, world.read())
  const refusal = (more: Record<string, unknown> = {}) =>
    plan(more).then(
      () => 'planned',
      (error: Error) => `${error.name}: ${error.message}`,
    )
  const look = (more: Record<string, unknown> = {}) =>
    listPrefix.read(
      listPrefix.params.parse({ connection: 'lake', bucket: 'lake', prefix: 'tmp/', ...more }),
      world.read(),
    )
  const fill = (n: number, prefix = 'tmp/clicks/') => {
    for (let i = 0; i < n; i++) bucket.put(`${prefix}part-${String(i).padStart(5, '0')} & <1>`, `body ${i}`)
  }

  describe('s3.list-prefix', () => {
    it('counts every page by folder, with sizes, the oldest and the newest', async () => {
      fill(2500)
      bucket.put('tmp/views/a', 'x'.repeat(2048), '2026-03-10T00:00:00.000Z')
      bucket.put('tmp/loose', 'x', '2026-03-14T02:00:00.500Z')
      const { summary, blocks } = await look()
      expect(summary).toBe(
        '2502 objects under s3://lake/tmp/: 22.9 KiB (9 bytes each), from 2026-03-10T00:00:00Z to 2026-03-14T02:00:00.500Z.',
      )
      expect(blocks[0]).toMatchObject({
        rows: [
          ['clicks/', '2500', '20.9 KiB', '2026-03-13T22:00:00Z', '2026-03-13T22:00:00Z'],
          ['(directly here)', '1', '1 byte', '2026-03-14T02:00:00.500Z', '2026-03-14T02:00:00.500Z'],
          ['views/', '1', '2 KiB', '2026-03-10T00:00:00Z', '2026-03-10T00:00:00Z'],
        ],
      })
    })

    it('says whose files they are and whether a run of it is going', async () => {
      fill(1)
      expect((await look({ prefix: 'tmp/clicks/' })).summary).toContain('No run of parse_clicks is going.')
      jobs.state.addRun('parse_clicks', 'r2', 'running', { work: 'running' })
      expect((await look({ prefix: 'tmp/clicks/' })).summary).toContain('The run r2 of parse_clicks is running.')
    })

    it('reads nothing outside of the allow-list', async () => {
      await expect(look({ prefix: 'secret/' })).rejects.toThrow('may not read s3://lake/secret/')
    })
  })

  describe('s3.delete-prefix', () => {
    it('shows the count, the size and a sample first, twice the same, and sees a change', async () => {
      fill(30)
      const first = await plan()
      expect(first.summary).toBe('Delete 30 objects (200 bytes) under s3://lake/tmp/clicks/')
      expect(first.targets[0]?.details).toEqual({
        Bucket: 'lake',
        Folder: 'tmp/clicks/',
        Environment: 'production',
        Region: 'us-east-1',
        Objects: '30',
        Size: '200 bytes',
        Oldest: '2026-03-13T22:00:00Z',
        Newest: '2026-03-13T22:00:00Z',
        Owner: 'DAG parse_clicks, no run of it is going',
        'Deletable below': 'lake/tmp',
      })
      expect(first.steps[0]?.detail).toContain('tmp/clicks/part-00000 & <1> 6 bytes 2026-03-13T22:00:00Z')
      expect(first.steps[0]?.detail).toContain('… 20 more …')
      expect(digest(await plan())).toBe(digest(first))
      bucket.put('tmp/clicks/part-00007 & <1>', 'other')
      expect(digest(await plan())).not.toBe(digest(first))
    })

    it('deletes all of the folder in batches, and nothing beside it', async () => {
      fill(1100)
      fill(1, 'tmp/clicks-2/')
      fill(1, 'events/')
      const proposed = await plan()
      expect((await deletePrefix.probe(proposed, 'delete', world.read())).landed).toBe('no')
      const { ctx, recording } = world.run(proposed)
      expect(await deletePrefix.run(proposed, ctx)).toBe('1100 objects under s3://lake/tmp/clicks/ are deleted.')
      expect([...bucket.objects.keys()]).toEqual(['tmp/clicks-2/part-00000 & <1>', 'events/part-00000 & <1>'])
      expect(bucket.deletes.map((one) => one.keys.length)).toEqual([1000, 100])
      expect(recording.progress.at(-1)).toMatchObject({ done: 1100, total: 1100 })
      expect(await deletePrefix.verify(proposed, world.read())).toMatchObject([{ ok: true }])
      expect((await deletePrefix.probe(proposed, 'delete', world.read())).landed).toBe('yes')
    })

    it('stays below the rate', async () => {
      fill(300, 'spark/job-1/')
      const proposed = await plan({ prefix: 'spark/job-1/', job: 'job-1' })
      const began = performance.now()
      await deletePrefix.run(proposed, world.run(proposed).ctx)
      expect(bucket.deletes.map((one) => one.keys.length)).toEqual([200, 100])
      // 200 at 200 a second; a timer may be early by a little.
      expect(bucket.deletes[1]!.at - began).toBeGreaterThan(990)
    })

    it('goes on at half the rate with those keys for which S3 had no time, and rises again', async () => {
      fill(1500)
      const proposed = await plan()
      let left = 300
      bucket.slowDown(0, () => left-- > 0)
      const { ctx, recording } = world.run(proposed)
      await deletePrefix.run(proposed, ctx)
      expect(bucket.deletes.map((one) => one.keys.length)).toEqual([1000, 800])
      expect(recording.progress.map((p) => p.note)).toEqual(
        [1500, 1650].map((rate) => `objects deleted, ${rate} a second`),
      )
      expect(bucket.objects.size).toBe(0)
    })

    it('slows down and goes on when S3 refuses whole requests', async () => {
      fill(10)
      const proposed = await plan()
      // Three tries of the client are one of ours.
      bucket.slowDown(3)
      await deletePrefix.run(proposed, world.run(proposed).ctx)
      expect(bucket.objects.size).toBe(0)
      expect(bucket.deletes).toHaveLength(4)
    })

    it('gives up when S3 goes on refusing, and says how far it came', async () => {
      fill(20)
      const proposed = await plan()
      bucket.slowDown(0, (key) => key > 'tmp/clicks/part-00012')
      await expect(deletePrefix.run(proposed, world.run(proposed).ctx)).rejects.toThrow(
        /SlowDown 7 times in a row.*12 of 20 objects are deleted/,
      )
      expect(await deletePrefix.probe(proposed, 'delete', world.read())).toEqual({
        landed: 'cannot_tell',
        detail: '8 objects are there, of 20 that were shown',
      })
      bucket.slowDown(0)
      const rest = await plan()
      expect(rest.summary).toContain('Delete 8 objects')
      await deletePrefix.run(rest, world.run(rest).ctx)
      expect(bucket.objects.size).toBe(0)
    })

    it('leaves an object alone that was written anew while others were deleted', async () => {
      fill(3)
      const proposed = await plan()
      bucket.on(() => bucket.put('tmp/clicks/part-00001 & <1>', 'newer'))
      expect(await deletePrefix.run(proposed, world.run(proposed).ctx)).toBe(
        '2 objects under s3://lake/tmp/clicks/ are deleted. 1 key held another object by then and stayed.',
      )
      expect([...bucket.objects.values()].map((one) => String(one.body))).toEqual(['newer'])
      expect(await deletePrefix.verify(proposed, world.read())).toMatchObject([{ ok: false }])
    })

    it('takes a request whose reply was lost for done', async () => {
      fill(3)
      const proposed = await plan()
      bucket.loseReplies(1)
      expect(await deletePrefix.run(proposed, world.run(proposed).ctx)).toContain('3 objects')
      expect(bucket.objects.size).toBe(0)
    })

    it('calls a delete unanswered when no try of it got a reply', async () => {
      fill(3)
      const proposed = await plan()
      bucket.loseReplies(3)
      const run = deletePrefix.run(proposed, world.run(proposed).ctx)
      await expect(run).rejects.toMatchObject({ name: 'Unanswered' })
      expect((await deletePrefix.probe(proposed, 'delete', world.read())).landed).toBe('yes')
    })

    it('deletes nothing when the folder or its owner has moved since the plan', async () => {
      fill(3)
      const proposed = await plan()
      const run = () => deletePrefix.run(proposed, world.run(proposed).ctx)
      bucket.put('tmp/clicks/more')
      await expect(run()).rejects.toMatchObject({
        name: 'Refused',
        message: expect.stringContaining('there are 4 now'),
      })
      bucket.objects.delete('tmp/clicks/more')
      jobs.state.addRun('parse_clicks', 'r2', 'queued', { work: null })
      await expect(run()).rejects.toMatchObject({ name: 'Refused', message: expect.stringContaining('r2') })
      expect(bucket.deletes).toHaveLength(0)
      expect(bucket.objects.size).toBe(3)
    })

    it('stops on abort between two batches', async () => {
      fill(400, 'spark/job-1/')
      const proposed = await plan({ prefix: 'spark/job-1/', job: 'job-1' })
      const stop = new AbortController()
      const { ctx } = world.run(proposed, { signal: stop.signal })
      const stopping = { ...ctx, progress: () => stop.abort(new Error('cancelled by a person')) }
      await expect(deletePrefix.run(proposed, stopping)).rejects.toThrow()
      expect(bucket.objects.size).toBe(200)
    })

    it.each([
      [
        'a folder that is not below a deletable one',
        { prefix: 'events/clicks/' },
        'may not delete s3://lake/events/clicks/',
      ],
      ['the deletable folder as a whole', { prefix: 'tmp/' }, 'only single folders below'],
      ['what the connection may not touch at all', { prefix: 'elsewhere/a/' }, 'may not delete'],
      ['everything when nothing is listed', { connection: 'closed' }, 'only single folders below nothing'],
      ['the folder of another job', { prefix: 'tmp/views/' }, 'is not a folder of "clicks"'],
      ['an empty folder', { prefix: 'spark/none/', job: 'none' }, 'Nothing to delete'],
      ['a folder of a DAG that Airflow does not know', { prefix: 'tmp/ghost/', job: 'ghost' }, 'no DAG "parse_ghost"'],
      ['more than one approval may delete', { prefix: 'few/a/', job: 'a' }, 'more than the 2 objects'],
      ['what takes too long at its rate', { prefix: 'tmp/slow/a/', job: 'a' }, 'take 34 minutes at 1 a second'],
      ['a bucket that is not listed', { bucket: 'secrets' }, 'may not delete s3://secrets/'],
    ])('refuses %s', async (_, more, why) => {
      for (const folder of ['tmp/clicks/', 'tmp/ghost/', 'tmp/views/', 'few/a/', 'events/clicks/']) fill(3, folder)
      fill(2000, 'tmp/slow/a/')
      expect(await refusal(more)).toMatch(new RegExp(`^Refused: .*${why}`))
    })

    it.each(['tmp/clicks', '/tmp/clicks/', 'tmp//clicks/', 'tmp/../events/', 'tmp/./clicks/', '', '/', 'tmp/a\n/'])(
      'takes no folder written as %j',
      async (prefix) => {
        expect(await refusal({ prefix })).toMatch(/^ZodError/)
      },
    )

    it('refuses the files of a run that is still going: its DAG runs, its marker is there, or a file is young', async () => {
      fill(3)
      jobs.state.addRun('parse_clicks', 'r2', 'running', { work: 'running' })
      expect(await refusal()).toMatch(/^Refused: The run r2 of parse_clicks is running: these files are its own/)
      jobs.state.runs.splice(1)
      bucket.put('tmp/clicks/run-1/_RUNNING', '', OLD)
      expect(await refusal()).toMatch(/^Refused: tmp\/clicks\/run-1\/_RUNNING of .* says that a run is going/)
      bucket.objects.delete('tmp/clicks/run-1/_RUNNING')
      bucket.put('tmp/clicks/new', 'x', '2026-03-14T01:07:01.000Z')
      expect(await refusal()).toMatch(
        /^Refused: 1 of 4 objects are younger than 60 minutes, the newest tmp\/clicks\/new/,
      )
      bucket.put('tmp/clicks/new', 'x', '2026-03-14T01:07:00.000Z')
      expect(await refusal()).toBe('planned')
    })
  })
})
