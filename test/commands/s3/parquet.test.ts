import { readFile } from 'node:fs/promises'
import { S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { readParquetColumns } from '../../../commands/s3/parquet.ts'
import { Refused } from '../../../src/domain/command.ts'
import { startS3 } from '../../../src/sandbox/targets/s3.ts'

const fixture = (name: string) => readFile(new URL(`../../fixtures/parquet/${name}`, import.meta.url))

/** The fixtures were written by the npm package hyparquet-writer. */
describe('the columns of a Parquet file', () => {
  let s3: Awaited<ReturnType<typeof startS3>>
  let client: S3Client
  beforeAll(async () => {
    s3 = await startS3('lake')
    client = new S3Client({
      region: 'us-east-1',
      endpoint: s3.endpoint,
      forcePathStyle: true,
      credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
    })
  })
  afterAll(async () => {
    client.destroy()
    await s3.close()
  })

  const read = async (bytes: Buffer) => {
    await s3.put('a.parquet', bytes)
    const { ETag = '', ContentLength = 0 } = await s3.head('a.parquet')
    const at = { key: 'a.parquet', etag: ETag, size: ContentLength }
    return readParquetColumns(client, 'lake', at, new AbortController().signal)
  }
  const named = async (name: string) => (await read(await fixture(name))).map((c) => `${c.name} ${c.type}`)

  it('are read from its footer, with the types that an export names', async () => {
    expect(await named('orders.parquet')).toEqual([
      'id int32',
      'n int64',
      'title string',
      'price float',
      'weight double',
      'ok bool',
      'seen timestamp',
      'doc json',
    ])
  })

  it('are told apart where they are nested, raw, or have a logical type alone', async () => {
    expect(await named('kinds.parquet')).toEqual([
      'day date',
      'cost decimal(12,2)',
      'at timestamp',
      'lines nested',
      'small int16',
      'raw binary',
      'title string',
    ])
  })

  it('of another file are refused', async () => {
    const good = await fixture('orders.parquet')
    const lying = Buffer.from(good)
    lying.writeUInt32LE(4_000_000_000, lying.length - 8)
    const short = Buffer.from(good)
    short.writeUInt32LE(40, short.length - 8)
    for (const [bytes, why] of [
      [Buffer.from('PAR1'), 'it has 4 bytes'],
      [Buffer.from('{"id":1}\n{"id":2}\n'), 'does not end in PAR1'],
      [lying, 'is said to have 4000000000 bytes'],
      [short, 'is not a Parquet file that can be read'],
    ] as const)
      await expect(read(bytes)).rejects.toMatchObject({ name: 'Refused', message: expect.stringContaining(why) })
  })

  it('of a damaged file are read or refused, whichever byte of the footer is wrong', async () => {
    const good = await fixture('kinds.parquet')
    const footer = good.readUInt32LE(good.length - 8)
    const from = good.length - 8 - footer
    const client = {
      send: async ({ input }: { input: { Range: string } }) => {
        const [first = 0, last = 0] = /bytes=(\d+)-(\d+)/.exec(input.Range)!.slice(1).map(Number)
        return { Body: { transformToByteArray: async () => damaged.subarray(first, last + 1) } }
      },
    } as unknown as S3Client
    let damaged = good
    let refused = 0
    for (let at = from; at < good.length - 8; at += 1)
      for (const value of [0x00, 0x7f, 0xff]) {
        damaged = Buffer.from(good)
        damaged[at] = value
        const listed = { key: 'x', etag: '', size: damaged.length }
        const end = await readParquetColumns(client, 'lake', listed, new AbortController().signal).catch(
          (e: unknown) => e,
        )
        if (!Array.isArray(end)) expect(end).toBeInstanceOf(Refused)
        refused += Array.isArray(end) ? 0 : 1
      }
    expect(refused).toBeGreaterThan(50)
  })
})
