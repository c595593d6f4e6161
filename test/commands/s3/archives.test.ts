import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { repackArchive } from '../../../commands/s3/repack-archive.ts'
import { testArchiveCommand } from '../../../commands/s3/test-archive.ts'
import { digest } from '../../../src/domain/plan.ts'
import { startS3 } from '../../../src/sandbox/targets/s3.ts'
import type { World } from '../context.ts'
import { createWorld, propose } from '../context.ts'

const LONG = `geo_20261120/${'very-long-folder-name/'.repeat(4)}${'very-long-file-name-'.repeat(3)}.csv`

describe('archives in S3', () => {
  let s3: Awaited<ReturnType<typeof startS3>>
  let world: World
  let folder: string
  const tar = (...args: string[]) => execFileSync('tar', args, { cwd: folder, maxBuffer: 2 ** 28 })
  const made: Record<string, Buffer> = {}

  beforeAll(async () => {
    s3 = await startS3('lake')
    world = createWorld({
      secrets: { K: 'S3RVER' },
      connections: {
        lake: {
          kind: 's3',
          environment: 'production',
          settings: {
            region: 'us-east-1',
            endpoint: s3.endpoint,
            forcePathStyle: true,
            accessKeyIdFrom: 'K',
            secretAccessKeyFrom: 'K',
            buckets: ['lake/geo', 'lake/quarantine'],
          },
        },
      },
    })
    folder = mkdtempSync(join(tmpdir(), 'keyturn-tar-'))
    mkdirSync(join(folder, LONG, '..'), { recursive: true })
    writeFileSync(join(folder, LONG), 'long,name\n')
    writeFileSync(join(folder, 'geo_20261120/city.mmdb'), randomBytes(700_000))
    writeFileSync(join(folder, 'geo_20261120/empty'), '')
    symlinkSync('city.mmdb', join(folder, 'geo_20261120/latest'))
    for (const format of ['ustar', 'pax', 'gnu'])
      made[format] = tar('-c', `--format=${format}`, '--sort=name', 'geo_20261120')
    writeFileSync(join(folder, 'in.tar'), made.ustar!)
  })
  afterAll(async () => {
    rmSync(folder, { recursive: true })
    await world.close()
    await s3.close()
  })

  const KEY = 'geo/city.tar.gz'
  const put = (bytes: Buffer) => s3.put(KEY, bytes, { Metadata: { source: 'vendor' } })
  const look = (more: Record<string, unknown> = {}) =>
    testArchiveCommand.read(
      testArchiveCommand.params.parse({ connection: 'lake', bucket: 'lake', key: KEY, ...more }),
      world.read(),
    )
  const plan = (key = KEY) => propose(repackArchive, { connection: 'lake', bucket: 'lake', key }, world.read())
  const refusal = (key?: string) =>
    plan(key).then(
      () => 'planned',
      (error: Error) => `${error.name}: ${error.message}`,
    )

  it('lists what is in a sound archive, with its checksums, and compares the one that was given', async () => {
    const bytes = gzipSync(made.ustar!)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    await put(bytes)
    const { summary, blocks } = await look({ sha256: sha256.toUpperCase() })
    expect(summary).toMatch(
      /reads to its end: 9 entries, 683\.6 KiB, nothing odd\. Its SHA-256 is the one that was given\.$/,
    )
    expect(blocks[0]).toMatchObject({ text: expect.stringContaining(`sha256 ${sha256}`) })
    expect(blocks[1]).toMatchObject({
      rows: expect.arrayContaining([
        ['geo_20261120/latest', 'link', '0 bytes', expect.any(String), expect.any(String)],
        [
          LONG,
          'file',
          '10 bytes',
          expect.any(String),
          createHash('sha256').update('long,name\n').digest('hex').slice(0, 12),
        ],
      ]),
    })
    expect((await look({ sha256: '0'.repeat(64) })).summary).toContain('is not the one that was given')
    expect(await refusal()).toMatch(/^Refused: .*packed plainly already/)
  })

  it('sums up every stored byte, also those behind the end of the gzip stream', async () => {
    const bytes = Buffer.concat([gzipSync(made.ustar!), Buffer.alloc(400_000)])
    await put(bytes)
    const { blocks } = await look()
    expect(blocks[0]).toMatchObject({
      text: expect.stringContaining(`sha256 ${createHash('sha256').update(bytes).digest('hex')}`),
    })
  })

  const odd: [string, () => Buffer, RegExp][] = [
    ['is packed twice', () => gzipSync(gzipSync(made.ustar!)), /compressed twice/],
    ['is not compressed at all', () => made.ustar!, /not compressed/],
    [
      'has two gzip members',
      () => Buffer.concat([gzipSync(made.ustar!.subarray(0, 70_000)), gzipSync(made.ustar!.subarray(70_000))]),
      /several gzip members/,
    ],
    [
      'has zeros behind its end',
      () => Buffer.concat([gzipSync(made.ustar!), Buffer.alloc(512)]),
      /bytes after its end/,
    ],
    ['was written with pax headers', () => gzipSync(made.pax!), /extended headers/],
    ['was written by GNU tar', () => gzipSync(made.gnu!), /format of GNU tar/],
    [
      'ends without its empty blocks',
      () =>
        gzipSync(
          made.ustar!.subarray(
            0,
            made.ustar!.findLastIndex((byte) => byte !== 0) +
              512 -
              (made.ustar!.findLastIndex((byte) => byte !== 0) % 512),
          ),
        ),
      /two empty blocks/,
    ],
  ]
  it.each(odd)('repacks an archive that %s: same files, in its place, the original kept', async (_, bytes, why) => {
    await put(bytes())
    expect((await look()).summary).toMatch(why)
    const proposed = await plan()
    expect(digest(await plan())).toBe(digest(proposed))
    expect(proposed.targets[0]!.details['The archive']).toMatch(why)
    expect((await repackArchive.probe(proposed, 'repack', world.read())).landed).toBe('no')
    await repackArchive.run(proposed, world.run(proposed).ctx)
    expect((await repackArchive.verify(proposed, world.read())).map((c) => [c.title, c.ok, c.detail])).toEqual([
      ['The archive reads to its end, and nothing in it is odd', true, ''],
      ['Every entry is there, byte for byte', true, '9 of 9'],
      [
        'The copy holds the original',
        true,
        expect.stringMatching(/^quarantine\/geo\/city\.tar\.gz\..*\.original\.tar\.gz$/),
      ],
    ])
    expect((await repackArchive.probe(proposed, 'repack', world.read())).landed).toBe('yes')
    const { copyKey } = proposed.data as { copyKey: string }
    expect((await s3.bytes(copyKey)).equals(bytes())).toBe(true)
    // Another reader finds the same.
    const out = join(folder, 'out.tar.gz')
    writeFileSync(out, await s3.bytes(KEY))
    expect(tar('-tzf', out).toString()).toBe(tar('-t', '-f', join(folder, 'in.tar')).toString())
    expect(tar('-xOzf', out).equals(tar('-xO', '-f', join(folder, 'in.tar')))).toBe(true)
    expect(await s3.head(KEY)).toMatchObject({ Metadata: { source: 'vendor' } })
    expect(await refusal()).toMatch(/packed plainly already/)
  })

  const flipped = (bytes: Buffer, at: number) => {
    const copy = Buffer.from(bytes)
    copy[at]! ^= 0xff
    return copy
  }
  it.each([
    ['was cut', () => gzipSync(made.ustar!).subarray(0, 300_000), /gzip: unexpected end of file/],
    ['has a wrong byte', () => flipped(gzipSync(made.ustar!), 350_000), /gzip: /],
    [
      'was cut before it was compressed',
      () => gzipSync(made.ustar!.subarray(0, 300_000)),
      /city\.mmdb" ends \d+ bytes too early/,
    ],
    ['has a broken header', () => gzipSync(flipped(made.ustar!, 3)), /wrong checksum/],
    ['is something else', () => gzipSync(randomBytes(2048)), /is not one of a tar|wrong checksum/],
    ['is empty', () => gzipSync(''), /no entry/],
    ['has more behind its end', () => gzipSync(Buffer.concat([made.ustar!, made.ustar!])), /more behind its end/],
  ])('refuses an archive that %s, and says to download it again', async (_, bytes, why) => {
    await put(bytes())
    const { summary } = await look()
    expect(summary).toMatch(/is corrupt after \d whole/)
    expect(summary).toMatch(why)
    expect(await refusal()).toMatch(/^Refused: .* Its content is not all there: download it again\.$/)
  })

  it('refuses an archive that leads out of its folder', async () => {
    writeFileSync(join(folder, 'passwd'), 'x')
    await put(gzipSync(tar('-c', '--format=gnu', '-P', '--transform=s,^,../../etc/,', 'passwd')))
    expect(await refusal()).toMatch(
      /^Refused: .*"\.\.\/\.\.\/etc\/passwd" leads out of the folder.*\. Ask its publisher for another one\.$/,
    )
    expect((await look()).summary).toContain('was read no further after 0 whole entries')
  })

  it('refuses what is outside of the allow-list, in quarantine, or missing', async () => {
    expect(await refusal('secret/a.tar.gz')).toMatch(/^Refused: .*may not change s3:\/\/lake\/secret/)
    expect(await refusal('quarantine/a.tar.gz')).toMatch(/^Refused: .*itself a copy/)
    expect(await refusal('geo/none.tar.gz')).toMatch(/^Refused: .*does not exist/)
    await expect(look({ key: 'secret/a.tar.gz' })).rejects.toThrow('may not read')
    expect((await look({ key: 'geo/none.tar.gz' })).summary).toContain('There is no object')
  })

  it('leaves an archive alone that was replaced since the plan, or whose copy is not the original', async () => {
    await put(gzipSync(made.gnu!))
    const proposed = await plan()
    const newer = gzipSync(made.pax!)
    await put(newer)
    await expect(repackArchive.run(proposed, world.run(proposed).ctx)).rejects.toThrow('no longer the object')
    expect((await s3.bytes(KEY)).equals(newer)).toBe(true)
    const again = await plan()
    const { ctx } = world.run(again, { done: { copy: 'copied, so it was said' } })
    await s3.put((again.data as { copyKey: string }).copyKey, gzipSync(made.gnu!))
    await expect(repackArchive.run(again, ctx)).rejects.toThrow('does not hold the original')
    expect((await s3.bytes(KEY)).equals(newer)).toBe(true)
    await s3.put(KEY, gzipSync(made.ustar!))
    expect((await repackArchive.probe(again, 'repack', world.read())).landed).toBe('cannot_tell')
  })

  it('puts nothing in place that does not read as the approved archive does', async () => {
    const bytes = gzipSync(made.gnu!)
    await put(bytes)
    const proposed = await plan()
    const other = { ...proposed, data: { ...(proposed.data as object), content: 'sha256:other' } }
    await expect(repackArchive.run(other, world.run(other).ctx)).rejects.toThrow(
      'does not read as the original does (other content); it was not touched',
    )
    expect((await s3.bytes(KEY)).equals(bytes)).toBe(true)
  })

  it('stops on abort and leaves the archive as it was', async () => {
    const bytes = gzipSync(made.gnu!)
    await put(bytes)
    const proposed = await plan()
    const stop = new AbortController()
    const { ctx } = world.run(proposed, { signal: stop.signal })
    const aborting = { ...ctx, progress: () => stop.abort(new Error('cancelled by a person')) }
    await expect(repackArchive.run(proposed, aborting)).rejects.toThrow()
    expect((await s3.bytes(KEY)).equals(bytes)).toBe(true)
  })
})
