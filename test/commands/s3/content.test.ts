import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { compareFolders } from '../../../commands/s3/compare-folders.ts'
import { deletePrefix } from '../../../commands/s3/delete-prefix.ts'
import { eventVolume } from '../../../commands/s3/event-volume.ts'
import { findMalformedJson } from '../../../commands/s3/find-malformed-json.ts'
import { quarantineRecords } from '../../../commands/s3/quarantine-records.ts'
import { testArchiveCommand } from '../../../commands/s3/test-archive.ts'
import type { World } from '../context.ts'
import { propose } from '../context.ts'
import { startService } from '../http/server.ts'
import { startBucket } from './bucket-server.ts'
import { lakeWorld } from './lake-world.ts'

const lines = (n: number, bad: number) =>
  Array.from({ length: n }, (_, i) => (i === bad ? '{"id": 3, "no' : `{"id":${i}}`)).join('\n')

describe('what is stored in S3', () => {
  let bucket: Awaited<ReturnType<typeof startBucket>>
  let world: World
  beforeAll(async () => {
    bucket = await startBucket()
    world = lakeWorld(bucket.endpoint, { events: 'lake/day/{yyyy}-{mm}-{dd}/{event}/' })
  })
  beforeEach(() => bucket.reset())
  afterAll(async () => {
    await world.close()
    await bucket.close()
  })

  const find = (prefix: string) =>
    findMalformedJson.read(findMalformedJson.params.parse({ connection: 'lake', bucket: 'lake', prefix }), world.read())
  const plan = (key: string) => propose(quarantineRecords, { connection: 'lake', bucket: 'lake', key }, world.read())
  const refusal = (key: string) => plan(key).catch((e: Error) => `${e.name}: ${e.message}`)

  it.each([
    ['Content-Encoding: gzip', 'raw/ce.json', { 'content-encoding': 'gzip' }],
    ['Content-Encoding: aws-chunked,gzip', 'raw/ce.json', { 'content-encoding': 'aws-chunked,gzip' }],
    ['Content-Encoding: gzip and a name that says so', 'raw/ce.json.gz', { 'content-encoding': 'GZIP' }],
    ['gzip that neither its name nor a header tells of', 'raw/ce.json', {}],
  ])('is unpacked, set aside and packed again: %s', async (_, key, headers) => {
    bucket.put(key, gzipSync(lines(100, 3)), undefined, headers)
    expect((await find('raw/')).summary).toMatch(/^1 fault in 1 of 1 file \(100 lines\)/)
    const proposed = await plan(key)
    expect(proposed.summary).toContain('Set 1 of 100 lines')
    await quarantineRecords.run(proposed, world.run(proposed).ctx)
    expect(gunzipSync(bucket.objects.get(key)!.body).toString().split('\n')).toHaveLength(99)
    expect((await quarantineRecords.verify(proposed, world.read())).every((check) => check.ok)).toBe(true)
  })

  it('stays plain where it is plain, whatever it was sent with', async () => {
    bucket.put('raw/plain.json', lines(100, 3), undefined, { 'content-encoding': 'aws-chunked' })
    const proposed = await plan('raw/plain.json')
    await quarantineRecords.run(proposed, world.run(proposed).ctx)
    expect(String(bucket.objects.get('raw/plain.json')?.body).split('\n')).toHaveLength(99)
    expect(bucket.objects.get('raw/plain.json')?.kept['content-encoding']).toBeUndefined()
  })

  it.each<[string, Buffer, Record<string, string>, RegExp]>([
    ['zstd by its header', Buffer.from('x'), { 'content-encoding': 'zstd' }, /Content-Encoding is zstd, which is not/],
    [
      'brotli by its header',
      Buffer.from('x'),
      { 'content-encoding': 'gzip, br' },
      /Content-Encoding is br, which is not/,
    ],
    ['zstd by its bytes', zstdCompressSync(lines(9, 3)), {}, /compressed with zstd, which is not supported/],
    ['gzip twice', gzipSync(gzipSync(lines(9, 3))), {}, /compressed twice/],
    ['Parquet', Buffer.from('PAR1....PAR1'), {}, /is a Parquet file/],
    ['Avro', Buffer.from('Obj\u0001avro'), {}, /is an Avro file/],
  ])('is told and not judged: %s', async (_, body, headers, why) => {
    bucket.put('raw/odd.json', body, undefined, headers)
    const { summary, blocks } = await find('raw/')
    expect(summary).toMatch(/^None of 1 file under .* could be read\. 1 file could not be read, the first is raw\/odd/)
    expect(JSON.stringify(blocks)).toMatch(why)
    expect(await refusal('raw/odd.json')).toMatch(why)
  })

  it('is judged by its bytes where its Content-Encoding names no coding', async () => {
    bucket.put('raw/text.json', lines(100, 3), undefined, { 'content-encoding': 'utf-8' })
    expect((await find('raw/')).summary).toMatch(/^1 fault in 1 of 1 file \(100 lines\)/)
  })

  it('has no line where it is empty, whatever it is called, and a folder is no file', async () => {
    bucket.put('raw/empty.json.gz', '')
    expect((await find('raw/')).summary).toBe(
      'There is no line in 1 file under s3://lake/raw/: nothing is stored there.',
    )
    bucket.objects.delete('raw/empty.json.gz')
    bucket.put('raw/', '')
    expect((await find('raw/')).summary).toBe('No file of JSON lines under s3://lake/raw/.')
  })

  it('does not hide the others where the connection breaks within one', async () => {
    const list = ['a', 'z'].map(
      (name) =>
        `<Contents><Key>raw/${name}.json</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>99</Size></Contents>`,
    )
    const service = await startService(({ url }, _incoming, outgoing) => {
      if (url.includes('list-type=2'))
        outgoing.end(`<ListBucketResult><IsTruncated>false</IsTruncated>${list.join('')}</ListBucketResult>`)
      else if (url.includes('z.json')) outgoing.writeHead(200, { etag: '"e"' }).end('{"id":1}\n{"id":\n')
      else {
        outgoing.writeHead(200, { etag: '"e"', 'content-length': '99' })
        outgoing.write('{"id":1}\n', () => outgoing.destroy())
      }
    })
    const world = lakeWorld(service.origin, {})
    const { summary } = await findMalformedJson.read(
      findMalformedJson.params.parse({ connection: 'lake', bucket: 'lake', prefix: 'raw/' }),
      world.read(),
    )
    expect(summary).toMatch(
      /^1 fault in 1 of 2 files .* the first is raw\/a\.json: the connection broke before its end\.$/,
    )
    await world.close()
    await service.stop()
  })

  it('is a fault of the file where it is named or said to be gzip and is not', async () => {
    bucket.put('raw/a.json.gz', lines(9, 3))
    bucket.put('raw/b.json', lines(9, 3), undefined, { 'content-encoding': 'gzip' })
    const { summary, blocks } = await find('raw/')
    expect(summary).toMatch(/^2 faults in 2 of 2 files/)
    expect(JSON.stringify(blocks[0])).toContain('Content-Encoding says gzip')
    expect(await refusal('raw/a.json.gz')).toMatch(/^Refused: .*not a whole gzip file/)
  })

  it.each([
    [403, 'InvalidObjectState', /archived, restore it first \(InvalidObjectState\)/],
    [400, 'KMS.DisabledException', /encrypted with is disabled \(KMS\.DisabledException\)/],
    [400, 'KMS.KMSInvalidStateException', /cannot be used as it is now/],
    [403, 'AccessDenied', /access is denied.*\(AccessDenied\)|does not let .* do s3:GetObject/],
    [404, 'NoSuchKey', /gone since it was listed \(NoSuchKey\)/],
    [412, 'PreconditionFailed', /replaced while it was read/],
    [500, 'InternalError', /broke down at AWS/],
  ])('is shown as not readable, beside the others: %i %s', async (status, code, why) => {
    for (const name of ['a', 'cold', 'z']) bucket.put(`raw/${name}.json.gz`, gzipSync(lines(20, 3)))
    bucket.keepBack('raw/cold.json.gz', status, code)
    const { summary, blocks } = await find('raw/')
    expect(summary).toMatch(/^2 faults in 2 of 3 files \(40 lines\).* 1 file could not be read, the first is raw\/cold/)
    const table = blocks.find((one) => one.type === 'table' && one.columns[0] === 'Not readable')
    expect(JSON.stringify(table)).toMatch(why)
    if (status !== 404 && status !== 412) expect(await refusal('raw/cold.json.gz')).toMatch(why)
  })

  it('is no all-clear while one file cannot be read', async () => {
    for (const name of ['a', 'cold']) bucket.put(`raw/${name}.json.gz`, gzipSync('{"id":1}'))
    bucket.keepBack('raw/cold.json.gz', 403, 'InvalidObjectState')
    const { summary } = await find('raw/')
    expect(summary).toMatch(
      /^No fault in the 1 lines of 1 of 2 files .* that is no all-clear\. 1 file could not be read/,
    )
  })

  it('is refused as an archive with the word of the service, too', async () => {
    bucket.put('geo/city.tar.gz', 'x')
    bucket.keepBack('geo/city.tar.gz', 403, 'InvalidObjectState')
    await expect(
      testArchiveCommand.read(
        testArchiveCommand.params.parse({ connection: 'lake', bucket: 'lake', key: 'geo/city.tar.gz' }),
        world.read(),
      ),
    ).rejects.toMatchObject({ name: 'Unreadable', message: expect.stringContaining('restore it first') })
  })

  it.each([
    ['blanks and signs', "raw/a b+c%20d&e='f'~!*(g);h,i@j.json.gz"],
    ['other scripts', 'raw/日本語/ünïcödé😀.json.gz'],
    ['a control character and a line feed', 'raw/a\u0001b\nc\rd.json.gz'],
    ['blanks at its ends', 'raw/ x .json.gz'],
    ['what looks like XML', 'raw/<a>&amp;"b".json.gz'],
    ['what looks like a number', 'raw/1e5'],
  ])('has keys with %s, and each is found, mended and kept', async (_, key) => {
    bucket.put(key, gzipSync(lines(40, 3)))
    expect((await find(key)).summary).toMatch(/^1 fault in 1 of 1 file/)
    const proposed = await plan(key)
    await quarantineRecords.run(proposed, world.run(proposed).ctx)
    expect((await quarantineRecords.verify(proposed, world.read())).every((check) => check.ok)).toBe(true)
  })

  it('is deleted by exactly its key, whatever is in that', async () => {
    for (const key of ['tmp/j/a\u0001b', 'tmp/j/c\nd', 'tmp/j/ <e> &amp; ', 'tmp/j/f\rg', 'tmp/j/日+%2B', 'tmp/jj/x'])
      bucket.put(key)
    const proposed = await propose(
      deletePrefix,
      { connection: 'lake', bucket: 'lake', prefix: 'tmp/j/', job: 'j' },
      world.read(),
    )
    expect(proposed.summary).toContain('Delete 5 objects')
    await deletePrefix.run(proposed, world.run(proposed).ctx)
    expect([...bucket.objects.keys()]).toEqual(['tmp/jj/x'])
  })

  it('is counted to its end, folders too', async () => {
    const day = new Date().toISOString().slice(0, 10)
    const fill = (n: number) => {
      for (let i = 0; i < n; i++) bucket.put(`day/${day}/e${String(i).padStart(4, '0')}/x`, i === n - 1 ? 'heavy' : 'x')
    }
    fill(50)
    const { summary, blocks } = await eventVolume.read(eventVolume.params.parse({ connection: 'lake' }), world.read())
    expect(summary).toMatch(/^50 events, the heaviest first\. e0049: 5 bytes/)
    expect(blocks[0]).toMatchObject({ omitted: 10 })
    fill(1_100)
    await expect(eventVolume.read(eventVolume.params.parse({ connection: 'lake' }), world.read())).rejects.toThrow(
      'There are 1100 events',
    )
    const compared = await compareFolders.read(
      compareFolders.params.parse({
        connection: 'lake',
        bucket: 'lake',
        prefix: `day/${day}/`,
        expected: 'e1099,e2000',
      }),
      world.read(),
    )
    expect(compared.summary).toMatch(/^1 of 2 expected folders/)
  })
})
