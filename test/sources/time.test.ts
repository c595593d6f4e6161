import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { parseExact } from '../../src/domain/exact.ts'
import { readTime } from '../../src/sources/time.ts'

const AT = '2026-03-14T01:00:08.554Z'
const WHOLE = '2026-03-14T01:00:08.000Z'

describe('a time', () => {
  it.each([
    ['2026-03-14T01:00:08.554+0000', AT],
    ['2026-03-14T01:00:08.554+00:00', AT],
    ['2026-03-14T01:00:08.554+00', AT],
    ['2026-03-14T02:00:08.554+0100', AT],
    ['2026-03-13T19:30:08.554-05:30', AT],
    ['2026-03-14T01:00:08.554Z', AT],
    ['2026-03-14t01:00:08.554z', AT],
    ['2026-03-14 01:00:08.554Z', AT],
    ['2026-03-14 01:00:08.554 UTC', AT],
    ['2026-03-14 01:00:08.554 +0000', AT],
    ['2026-03-14 01:00:08.554 +0000 UTC', AT],
    ['2026-03-14T02:00:08.554+01:00[Europe/Paris]', AT],
    ['2026-03-14T01:00:08,554Z', AT],
    ['2026-03-14T01:00:08.554123456Z', AT],
    ['2026-03-14T01:00:08Z', WHOLE],
    ['2026-03-14T01:00Z', '2026-03-14T01:00:00.000Z'],
    ['20260314T010008Z', WHOLE],
    ['Sat, 14 Mar 2026 01:00:08 GMT', WHOLE],
    ['Sat, 14 Mar 2026 02:00:08 +0100', WHOLE],
    ['Sat Mar 14 01:00:08 UTC 2026', WHOLE],
    ['Wed Jan  7 01:00:08 UTC 2026', '2026-01-07T01:00:08.000Z'],
    ['Sat Mar 14 2026 02:00:08 GMT+0100 (Central European Standard Time)', WHOLE],
    ['2026.03.14 01:00:08 UTC', WHOLE],
    ['2026/03/14 02:00:08 +0100', WHOLE],
    ['2026-12-31T23:59:60Z', '2026-12-31T23:59:59.000Z'],
    [1_773_450_008, WHOLE],
    ['1773450008', WHOLE],
    ['1773450008.554', AT],
    [1_773_450_008_554, AT],
    ['1773450008554', AT],
    [' 1773450008554 ', AT],
    ['1773450008554000', AT],
    [parseExact('1773450008554000123'), AT],
    ['1773450008554000123', AT],
    [parseExact('1.773450008554e12'), AT],
  ])('%p is read', (text, at) => expect(readTime(text)).toEqual({ at }))

  it.each([
    ['2026-03-14T01:00:08.554', AT],
    ['2026-03-14 01:00:08', WHOLE],
    ['2026.03.14 01:00:08', WHOLE],
    ['2026/03/14 01:00:08', WHOLE],
    ['Sat Mar 14 01:00:08 2026', WHOLE],
    ['20260314010008', WHOLE],
    ['2026-03-14', '2026-03-14T00:00:00.000Z'],
    ['20260314', '2026-03-14T00:00:00.000Z'],
  ])('%p without a zone is taken for UTC, and that is said', (text, at) =>
    expect(readTime(text)).toEqual({ at, note: `“${text}” names no time zone: it was taken for UTC.` }),
  )

  it.each([null, undefined, '', ' ', 0, '0', '0001-01-01T00:00:00Z', '0001-01-01T00:00:00+02:00'])(
    '%p means that there is none',
    (value) => expect(readTime(value)).toEqual({ at: null }),
  )

  it.each([
    ...['noon', '03/14/2026', 'yesterday', '2026-13-01T00:00:00Z', '2026-03-14T25:00:00Z', true, {}, [1], '1e99'],
    ...['2026-02-30T00:00:00Z', '2026-06-31', 'Mon, 30 Feb 2026 01:00:08 GMT', 'Sat Mar 14 01:00:08 CET 2026'],
    ...['2026-03/14', '2026-00-00', '0000-00-00 00:00:00'],
  ])('%p cannot be read, and that is said', (value) =>
    expect(readTime(value)).toMatchObject({ at: null, note: expect.stringMatching(/^no time could be read from “/) }),
  )

  it('is never asked for in vain', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.string(), fc.stringMatching(/^[\d:T.+ -]{0,30}$/)), (value) => {
        const { at } = readTime(value)
        expect(at === null || new Date(at).toISOString() === at).toBe(true)
      }),
      { numRuns: 500 },
    )
  })
})
