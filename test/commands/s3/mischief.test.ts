import { gunzipSync, gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { deletePrefix } from '../../../commands/s3/delete-prefix.ts'
import { findMalformedJson } from '../../../commands/s3/find-malformed-json.ts'
import { quarantineRecords } from '../../../commands/s3/quarantine-records.ts'
import { type Mischief, startMischief } from '../../harness/mischief.ts'
import type { World } from '../context.ts'
import { propose } from '../context.ts'
import { startBucket } from './bucket-server.ts'
import { lakeWorld } from './lake-world.ts'

const KEY = 'raw/1.json.gz'
const LINES = Array.from({ length: 40 }, (_, i) => (i === 7 ? '{"id": 7, "no' : `{"id":${i}}`))
/** What no library may say to a person. */
const RAW = /Zod|Cannot read prop|Unexpected token|undefined|at .*\.[jt]s:\d+|Deserialization|\[object/

describe('S3 as it is on a bad day', () => {
  let bucket: Awaited<ReturnType<typeof startBucket>>
  let proxy: Awaited<ReturnType<typeof startMischief>>
  let world: World
  beforeEach(async () => {
    bucket = await startBucket()
    proxy = await startMischief(bucket.endpoint, 's3')
    world = lakeWorld(proxy.url)
    bucket.put(KEY, gzipSync(LINES.join('\n')))
    for (let i = 0; i < 5; i++) bucket.put(`tmp/j/${i}`)
  })
  afterEach(async () => {
    await world.close()
    await proxy.close()
    await bucket.close()
  })
  const at = { connection: 'lake', bucket: 'lake' }
  const find = () =>
    findMalformedJson.read(findMalformedJson.params.parse({ ...at, prefix: 'raw/' }), world.read()).then(
      ({ summary }) => summary,
      (error: Error) => `failed: ${error.message}`,
    )

  it.each<Mischief>(['throttled', 'unavailable', 'expired', 'lost', 'partial', 'slow', 'extra', 'nulls', 'unknown'])(
    'finds the bad line or says why not: %s',
    async (mischief) => {
      proxy.play(mischief)
      const said = await find()
      expect(said).not.toMatch(RAW)
      expect(said).not.toMatch(/^Every one of/)
      if (mischief !== 'nulls') expect(said).toMatch(/^1 fault in 1 of 1 file/)
    },
  )

  it.each([0, 1, 2])(
    'takes nothing that is left out for none, whichever third of the values it is: %i',
    async (shift) => {
      const proposals = () => [
        propose(quarantineRecords, { ...at, key: KEY }, world.read()),
        propose(deletePrefix, { ...at, prefix: 'tmp/j/', job: 'j' }, world.read()),
      ]
      const good = (await Promise.all(proposals())).map(({ summary }) => summary)
      proxy.play('nulls', { shift })
      for (const [i, found] of (await Promise.allSettled(proposals())).entries()) {
        if (found.status === 'fulfilled') expect(found.value.summary).toBe(good[i])
        else expect((found.reason as Error).message).not.toMatch(RAW)
      }
      const said = await find()
      expect(said).not.toMatch(RAW)
      expect(said).toMatch(/^1 fault|^failed: |could not be read/)
    },
  )

  it.each<Mischief>(['throttled', 'unavailable', 'expired', 'lost', 'slow', 'extra'])(
    'sets it aside once, whatever comes between: %s',
    async (mischief) => {
      const proposed = await propose(quarantineRecords, { ...at, key: KEY }, world.read())
      proxy.play(mischief)
      await quarantineRecords.run(proposed, world.run(proposed).ctx)
      expect(gunzipSync(bucket.objects.get(KEY)!.body).toString().split('\n')).toEqual(LINES.toSpliced(7, 1))
      expect((await quarantineRecords.verify(proposed, world.read())).every((check) => check.ok)).toBe(true)
    },
  )

  it.each<Mischief>(['throttled', 'unavailable', 'expired', 'lost', 'partial', 'slow', 'extra'])(
    'deletes what was shown and nothing else: %s',
    async (mischief) => {
      const proposed = await propose(deletePrefix, { ...at, prefix: 'tmp/j/', job: 'j' }, world.read())
      proxy.play(mischief)
      await deletePrefix.run(proposed, world.run(proposed).ctx)
      expect([...bucket.objects.keys()]).toEqual([KEY])
    },
  )
})
