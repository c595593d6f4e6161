import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { compareFolders } from '../../../commands/s3/compare-folders.ts'
import { s3 as kind } from '../../../commands/s3/connection.ts'
import { eventVolume } from '../../../commands/s3/event-volume.ts'
import type { ReadCommand } from '../../../src/domain/command.ts'
import { startS3 } from '../../../src/sandbox/targets/s3.ts'
import type { World } from '../context.ts'
import { createWorld } from '../context.ts'

const NOW = new Date('2026-03-14T10:00:00Z')
const settings = {
  region: 'us-east-1',
  forcePathStyle: true,
  accessKeyIdFrom: 'S3_KEY',
  secretAccessKeyFrom: 'S3_KEY',
}

describe('what a lake holds', () => {
  let s3: Awaited<ReturnType<typeof startS3>>
  let world: World

  beforeAll(async () => {
    s3 = await startS3('lake')
    const more = (extra: object) => ({ kind: 's3', settings: { ...settings, endpoint: s3.endpoint, ...extra } })
    world = createWorld({
      now: () => NOW,
      secrets: { S3_KEY: 'S3RVER' },
      connections: {
        lake: more({ buckets: ['lake/raw', 'lake/exports'], events: 'lake/raw/{event}/{yyyy}/{mm}/{dd}/' }),
        days: more({ buckets: ['lake/days'], events: 'lake/days/{yyyy}-{mm}-{dd}/{event}/' }),
        closed: more({ buckets: ['lake/exports'], events: 'lake/raw/{event}/{yyyy}/{mm}/{dd}/' }),
        bare: more({ buckets: ['lake'] }),
      },
    })
  })
  afterAll(async () => {
    await world.close()
    await s3.close()
  })

  const put = async (key: string, bytes: number, when?: string) => {
    await s3.put(key, Buffer.alloc(bytes))
    if (when) await s3.date(key, new Date(when))
  }
  const read = (command: ReadCommand, params: object) => command.read(command.params.parse(params), world.read())

  describe('s3.event-volume', () => {
    it('compares today by now with each of the seven days before by the same time', async () => {
      for (let day = 6; day <= 13; day++) {
        const date = String(day).padStart(2, '0')
        await put(`raw/clicks/2026/03/${date}/a`, 1024, `2026-03-${date}T09:00:00Z`)
        // Of the day before yesterday too, but later than now.
        await put(`raw/clicks/2026/03/${date}/b`, 8192, `2026-03-${date}T11:00:00Z`)
      }
      await put('raw/clicks/2026/03/14/a', 2048, '2026-03-14T09:30:00Z')
      await put('raw/clicks/2026/03/14/b', 1536, '2026-03-14T09:59:00Z')
      await put('raw/clicks-2/2026/03/14/a', 99_999, '2026-03-14T09:59:00Z')
      const { summary, blocks } = await read(eventVolume, { connection: 'lake', event: 'clicks' })
      expect(summary).toBe('clicks: 3.5 KiB today by 10:00 UTC, 3.5 times the usual of the 7 days before by that time.')
      const [chart, table] = blocks
      expect(chart?.type === 'chart' && chart.points.map((p) => p.label)).toEqual(
        [7, 8, 9, 10, 11, 12, 13, 14].map((day) => `2026-03-${String(day).padStart(2, '0')}`),
      )
      expect(table?.type === 'table' && table.rows.slice(0, 2)).toEqual([
        ['2026-03-14', '2', '3.5 KiB', '3.5 KiB'],
        ['2026-03-13', '1', '1 KiB', '9 KiB'],
      ])
    })

    it('shows every event, the heaviest first, also one of which nothing came before, or today', async () => {
      await put('days/2026-03-14/views/a', 4096, '2026-03-14T08:00:00Z')
      await put('days/2026-03-14/new/a', 1024, '2026-03-14T08:00:00Z')
      for (const day of ['10', '11', '12', '13'])
        await put(`days/2026-03-${day}/views/a`, 2048, `2026-03-${day}T08:00:00Z`)
      await put('days/2026-03-13/gone/a', 1024, '2026-03-13T08:00:00Z')
      const { summary, blocks } = await read(eventVolume, { connection: 'days' })
      expect(summary).toMatch(/^3 events, the heaviest first\. views: 4 KiB today/)
      expect(blocks[0]?.type === 'table' && blocks[0].rows).toEqual([
        ['views', '4 KiB', '2 KiB', '2 times'],
        ['new', '1 KiB', '0 bytes', 'with nothing as'],
        ['gone', '0 bytes', '0 bytes', 'with nothing as'],
      ])
    })

    it('reads nothing outside of the allow-list, no event that climbs, and nothing where no layout is known', async () => {
      const refusal = (params: object) =>
        read(eventVolume, params).catch((error: Error) => `${error.name}: ${error.message}`)
      expect(await refusal({ connection: 'closed', event: 'clicks' })).toMatch(/^Refused: .* may not read/)
      expect(await refusal({ connection: 'closed' })).toMatch(/^Refused: .* may not read/)
      expect(await refusal({ connection: 'bare' })).toMatch(/^Refused: .*Set "events"/)
      for (const event of ['../exports', 'a/b', '..', '{yyyy}'])
        expect(() => eventVolume.params.parse({ connection: 'lake', event })).toThrow('the name of a folder')
    })

    it.each([
      'lake/raw/{event}/',
      'lake/raw/{event}/{yyyy}/{mm}/{dd}',
      '{event}/{yyyy}/{mm}/{dd}/',
      'lake/{event}/{event}/{yyyy}/{mm}/{dd}/',
    ])('settings refuse the layout %s', (events) => {
      const given = { ...settings, buckets: ['lake'], events }
      expect(kind.settings.safeParse(given).error?.issues[0]?.path).toEqual(['events'])
    })
  })

  describe('s3.compare-folders', () => {
    it('lists what is missing first, then what is empty, then what nobody expected', async () => {
      for (const table of ['shop.orders', 'shop.coupons', 'shop.users'])
        await put(`exports/n1/shop/${table}/1/p.parquet`, 10)
      await put('exports/n2/shop/shop.orders/1/p.parquet', 2048)
      await put('exports/n2/shop/shop.users/_SUCCESS', 0)
      await put('exports/n2/shop/shop.gifts/1/p.parquet', 5)
      await put('exports/n2/shop/export_info.json', 5)
      const { summary, blocks } = await read(compareFolders, {
        connection: 'lake',
        bucket: 'lake',
        prefix: 'exports/n2/shop/',
        before: 'exports/n1/shop/',
        expected: 'shop.orders, shop.taxes/',
      })
      expect(summary).toBe(
        '1 of 4 expected folders are under s3://lake/exports/n2/shop/; missing or empty: shop.coupons, shop.taxes, shop.users.',
      )
      expect(blocks[0]?.type === 'table' && blocks[0].rows.map((row) => row.slice(0, 4))).toEqual([
        ['shop.coupons', 'missing', '–', '1, 10 bytes'],
        ['shop.taxes', 'missing', '–', '–'],
        ['shop.users', 'empty', '1, 0 bytes', '1, 10 bytes'],
        ['shop.gifts', 'not expected', '1, 5 bytes', '–'],
        ['shop.orders', 'there', '1, 2 KiB', '1, 10 bytes'],
      ])
    })

    it('refuses to compare with nothing, and to read outside of the allow-list', async () => {
      const at = { connection: 'lake', bucket: 'lake', prefix: 'exports/n2/shop/' }
      await expect(read(compareFolders, at)).rejects.toThrow('what to compare with')
      await expect(read(compareFolders, { ...at, before: 'secret/' })).rejects.toThrow('may not read s3://lake/secret/')
      await expect(read(compareFolders, { ...at, before: 'exports/../secret/' })).rejects.toThrow('may not read')
      await expect(read(compareFolders, { ...at, prefix: 'secret/', expected: 'a' })).rejects.toThrow('may not read')
    })
  })
})
