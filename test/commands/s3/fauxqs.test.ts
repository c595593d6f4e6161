import { gunzipSync, gzipSync } from 'node:zlib'
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type FauxqsServer, startFauxqs } from 'fauxqs'
import { deletePrefix } from '../../../commands/s3/delete-prefix.ts'
import { findMalformedJson } from '../../../commands/s3/find-malformed-json.ts'
import { quarantineRecords } from '../../../commands/s3/quarantine-records.ts'
import { repackArchive } from '../../../commands/s3/repack-archive.ts'
import { END, headerOf, paddingOf } from '../../../commands/s3/tar-header.ts'
import { createWorld, propose, type World } from '../context.ts'

/** The commands on a server of S3 that nobody of this project wrote, with the SDK's own settings. */
describe('S3 of fauxqs', () => {
  let server: FauxqsServer
  let client: S3Client
  let world: World
  beforeAll(async () => {
    server = await startFauxqs({ port: 0, host: '127.0.0.1', logger: false })
    server.createBucket('lake')
    const endpoint = `http://127.0.0.1:${server.port}`
    const settings = { region: 'us-east-1', endpoint, forcePathStyle: true }
    client = new S3Client({ ...settings, credentials: { accessKeyId: 'local', secretAccessKey: 'local' } })
    world = createWorld({
      secrets: { K: 'local' },
      now: () => new Date(Date.now() + 7_200_000),
      connections: {
        lake: {
          kind: 's3',
          settings: {
            ...settings,
            ...{
              accessKeyIdFrom: 'K',
              secretAccessKeyFrom: 'K',
              buckets: ['lake'],
              deletable: [{ under: 'lake/tmp' }],
            },
          },
        },
      },
    })
  })
  afterAll(async () => {
    await world.close()
    client.destroy()
    await server.stop()
  })

  const put = (Key: string, Body: Buffer, more = {}) =>
    client.send(new PutObjectCommand({ Bucket: 'lake', Key, Body, ...more }))
  const bytes = async (Key: string) =>
    Buffer.from(
      (await (await client.send(new GetObjectCommand({ Bucket: 'lake', Key }))).Body?.transformToByteArray()) ?? [],
    )

  it.each(['raw/1.json.gz', 'raw/a b/日+=.json.gz'])('finds and sets aside the bad line of %s', async (key) => {
    const lines = Array.from({ length: 60 }, (_, i) => (i === 9 ? '{"id":' : `{"id":${i}}`))
    await put(key, gzipSync(lines.join('\n')), { ContentEncoding: 'gzip', Metadata: { producer: 'orders-7' } })
    const found = await findMalformedJson.read(
      findMalformedJson.params.parse({ connection: 'lake', bucket: 'lake', prefix: key }),
      world.read(),
    )
    expect(found.summary).toMatch(/^1 fault in 1 of 1 file \(60 lines\)/)
    const proposed = await propose(quarantineRecords, { connection: 'lake', bucket: 'lake', key }, world.read())
    await quarantineRecords.run(proposed, world.run(proposed).ctx)
    expect(
      gunzipSync(await bytes(key))
        .toString()
        .split('\n'),
    ).toEqual(lines.toSpliced(9, 1))
    expect((await quarantineRecords.verify(proposed, world.read())).every((check) => check.ok)).toBe(true)
  })

  it('packs an archive again', async () => {
    const body = Buffer.from('{}')
    const meta = { mode: 0o644, uid: 0, gid: 0, modified: 0, link: '' }
    const header = headerOf({ name: 'a.json', type: 'file', size: body.length, ...meta })
    await put('geo/city.tar.gz', gzipSync(gzipSync(Buffer.concat([header, body, paddingOf(body.length), END]))))
    const at = { connection: 'lake', bucket: 'lake', key: 'geo/city.tar.gz' }
    const proposed = await propose(repackArchive, at, world.read())
    await repackArchive.run(proposed, world.run(proposed).ctx)
    expect((await repackArchive.verify(proposed, world.read())).every((check) => check.ok)).toBe(true)
  })

  it('deletes a folder of more than one page', async () => {
    for (let from = 0; from < 1_005; from += 15)
      await Promise.all(Array.from({ length: 15 }, (_, i) => put(`tmp/j/${from + i} & <x>`, Buffer.from('x'))))
    const at = { connection: 'lake', bucket: 'lake', prefix: 'tmp/j/', job: 'j' }
    const proposed = await propose(deletePrefix, at, world.read())
    expect(proposed.summary).toContain('Delete 1005 objects')
    await deletePrefix.run(proposed, world.run(proposed).ctx)
    expect((await deletePrefix.verify(proposed, world.read())).every((check) => check.ok)).toBe(true)
  })
})
