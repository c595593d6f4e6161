import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { createGzip, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { findMalformedJson } from '../../../commands/s3/find-malformed-json.ts'
import { MAX_LINE_BYTES, readLines } from '../../../commands/s3/lines.ts'
import { Refused } from '../../../src/domain/command.ts'
import { startS3 } from '../../../src/sandbox/targets/s3.ts'
import type { World } from '../context.ts'
import { createWorld } from '../context.ts'

describe('s3.find-malformed-json', () => {
  let s3: Awaited<ReturnType<typeof startS3>>
  let world: World

  beforeAll(async () => {
    s3 = await startS3('lake')
    world = createWorld({
      secrets: { S3_KEY: 'S3RVER', S3_SECRET: 'S3RVER' },
      connections: {
        lake: {
          kind: 's3',
          settings: {
            region: 'us-east-1',
            endpoint: s3.endpoint,
            forcePathStyle: true,
            accessKeyIdFrom: 'S3_KEY',
            secretAccessKeyFrom: 'S3_SECRET',
            buckets: ['lake/events'],
            quarantinePrefix: 'events/quarantine/',
          },
        },
      },
    })
  })
  afterAll(async () => {
    await world.close()
    await s3.close()
  })

  const read = (params: Record<string, unknown>, signal?: AbortSignal) =>
    findMalformedJson.read(
      findMalformedJson.params.parse({ connection: 'lake', bucket: 'lake', ...params }),
      world.read(signal),
    )

  it('names event, file, line and column of each fault and shows the text around it', async () => {
    await s3.putLines('events/a/order/1.json.gz', ['{"id":1}', '{"id":2', '', '{"id":3}'])
    await s3.putLines('events/a/click/2.json.gz', ['{"id":1}', '{"id":2}'])
    await s3.putLines('events/a/notes.txt', ['not looked at'])
    await s3.putLines('events/quarantine/events/a/0.json.gz', ['{'])
    const { summary, blocks } = await read({ prefix: 'events/a/' })
    expect(summary).toBe('1 fault in 1 of 2 files (6 lines) under s3://lake/events/a/.')
    expect(blocks[0]).toEqual({
      type: 'table',
      columns: ['Event', 'File', 'Line', 'Column', 'Fault'],
      rows: [['events/a/order/', '1.json.gz', '2', '8', 'ends inside an object']],
      omitted: 0,
    })
    expect(blocks[1]).toEqual({
      type: 'code',
      text: 'events/a/order/1.json.gz line 2, column 8: ends inside an object\n{"id":2\n       ^',
    })
  })

  it('says so when everything is JSON, and when there is nothing to read', async () => {
    await s3.putLines('events/b/1.json.gz', ['{"id":1}', '[2]'])
    expect((await read({ prefix: 'events/b/' })).summary).toBe(
      'Every one of 2 lines in 1 file under s3://lake/events/b/ is JSON.',
    )
    expect((await read({ prefix: 'events/none/' })).summary).toBe('No file of JSON lines under s3://lake/events/none/.')
  })

  it('reports a file that is not gzip, or is cut, as a fault of that file', async () => {
    await s3.put('events/c/1.json.gz', Buffer.from('{"plain": true}'))
    await s3.put('events/c/2.json.gz', gzipSync('{"id":1}\n'.repeat(5000)).subarray(0, 60))
    const { blocks } = await read({ prefix: 'events/c/' })
    const rows = blocks[0]?.type === 'table' ? blocks[0].rows.map((r) => [r[1], r[4]]).sort() : []
    expect(rows).toEqual([
      ['1.json.gz', 'not a whole gzip file: incorrect header check'],
      ['2.json.gz', 'not a whole gzip file: unexpected end of file'],
    ])
  })

  it('names a byte order mark at the beginning of a file, and takes the record behind it', async () => {
    const lines = Array.from({ length: 30 }, (_, id) => `{"id":${id},"note":"ok"}`)
    await s3.putLines('events/f/1.json.gz', [`\ufeff${lines[0]}`, ...lines.slice(1)])
    const { summary, blocks } = await read({ prefix: 'events/f/' })
    expect(summary).toBe('Every one of 30 lines in 1 file under s3://lake/events/f/ is JSON.')
    expect(blocks[0]).toMatchObject({
      text: expect.stringContaining('1 file begins with a byte order mark (U+FEFF): events/f/1.json.gz.'),
    })
    await s3.putLines('events/f/2.json.gz', ['{"id":0}', `\ufeff{"id":1}`])
    expect((await read({ prefix: 'events/f/2' })).blocks[0]).toMatchObject({
      rows: [['events/f/', '2.json.gz', '2', '1', 'begins with a byte order mark (U+FEFF)']],
    })
  })

  it('calls one document over many lines that, and none of its lines a fault', async () => {
    await s3.putLines('events/g/pretty.json.gz', [JSON.stringify([{ id: 0 }, { id: 1 }], null, 2)])
    const alone = await read({ prefix: 'events/g/' })
    expect(alone.summary).toBe(
      '1 file of 1 under s3://lake/events/g/ is one JSON document over 8 lines, not JSON lines.',
    )
    expect(alone.blocks).toEqual([
      {
        type: 'table',
        columns: ['Event', 'File', 'Is'],
        rows: [['events/g/', 'pretty.json.gz', 'one JSON document over 8 lines, not JSON lines']],
        omitted: 0,
      },
    ])
    await s3.putLines('events/g/lines.json.gz', ['{"id":0}', '{"id":', '{"id":2}'])
    expect((await read({ prefix: 'events/g/' })).summary).toBe(
      '1 fault in 1 of 2 files (3 lines) under s3://lake/events/g/. 1 file is a JSON document, not JSON lines.',
    )
  })

  it('names the line where two records stand in one, or one in two, among many that are good', async () => {
    const good = Array.from({ length: 50 }, (_, id) => JSON.stringify({ id }))
    await s3.putLines('events/h/joined.json.gz', [...good, '{"id":50}{"id":51}'])
    const joined = await read({ prefix: 'events/h/joined' })
    expect(joined.summary).toBe('1 fault in 1 of 1 file (51 lines) under s3://lake/events/h/joined.')
    expect(joined.blocks[0]).toMatchObject({ rows: [['events/h/', 'joined.json.gz', '51', '10', expect.any(String)]] })
    await s3.putLines('events/h/wrapped.json.gz', [...good, '{"id":50,', '"note":1}'])
    expect((await read({ prefix: 'events/h/wrapped' })).summary).toMatch(/^2 faults in 1 of 1 file \(52 lines\)/)
    await s3.putLines('events/h/none.json.gz', ['{"id":1}{"id":2}', '{"id":3}{"id":4}'])
    expect((await read({ prefix: 'events/h/none' })).summary).toMatch(
      /is 4 JSON documents over 2 lines, not JSON lines/,
    )
  })

  it('lists at most twenty faults, counts the others, and says which files it left out', async () => {
    await s3.putLines('events/d/1.json.gz', Array(30).fill('{'))
    await s3.putLines('events/d/2.json.gz', Array(30).fill('{'))
    const { summary, blocks } = await read({ prefix: 'events/d/', maxFiles: '1' })
    expect(summary).toMatch(/^30 faults in 1 of 1 file/)
    expect(blocks[0]).toMatchObject({ omitted: 10 })
    expect(blocks.at(-1)).toEqual({ type: 'text', text: 'Read the 1 newest of 2 files.' })
  })

  it.each(['raw/', 'eventsx/1.json.gz', ''])(
    'refuses the prefix "%s", which the connection does not allow',
    async (prefix) => {
      await expect(read({ prefix })).rejects.toThrow(Refused)
    },
  )

  it('stops when the run is aborted', async () => {
    await s3.putLines('events/e/1.json.gz', ['{}'])
    await expect(read({ prefix: 'events/e/' }, AbortSignal.abort(new Error('cancelled by a person')))).rejects.toThrow()
  })
})

describe('reading lines', () => {
  it('skips a line over the limit without judging it and goes on with the next one', async () => {
    const long = function* () {
      for (let i = 0; i < 12; i++) yield Buffer.alloc(1024 * 1024, 'x')
      yield Buffer.from('\n{}\n')
    }
    const seen: (number | null)[] = []
    for await (const batch of readLines(Readable.from(long()).pipe(createGzip()), new AbortController().signal))
      seen.push(...batch.map((line) => line.bytes?.length ?? null))
    expect(MAX_LINE_BYTES).toBeLessThan(12 * 1024 * 1024)
    expect(seen).toEqual([null, 2])
  })

  it('ends with the reason of the abort in the middle of a stream', async () => {
    const stop = new AbortController()
    const endless = Readable.from(
      (function* () {
        for (;;) yield Buffer.from('{}\n'.repeat(10_000))
      })(),
    ).pipe(createGzip({ level: 1 }))
    const reading = (async () => {
      for await (const _ of readLines(endless, stop.signal)) stop.abort(new Error('cancelled by a person'))
    })()
    await expect(reading).rejects.toThrow('cancelled by a person')
    expect(endless.destroyed).toBe(true)
  })

  it('fails when the source breaks before its end, instead of taking it for a short file', async () => {
    const source = createReadStream('/nonexistent/file.gz')
    const reading = (async () => {
      for await (const _ of readLines(source, new AbortController().signal));
    })()
    await expect(reading).rejects.toThrow('could not be read to its end')
  })
})
