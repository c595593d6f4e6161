import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { exactText, isExactNumber, parseExact } from '../../src/domain/exact.ts'

describe('JSON with exact numbers', () => {
  it('keeps the digits of what a double would change, and writes them out again', () => {
    const text = '{"id":1524831183200260097,"list":[-9007199254740993,0.12345678901234567891,1e400]}'
    expect(JSON.stringify(parseExact(text))).toBe(text)
  })

  it('gives plain numbers for all that a double holds', () => {
    const text = '{"a":1,"b":0.1,"c":9007199254740992,"d":1.50,"e":1e3,"f":-0,"g":100000000000000000000}'
    expect(parseExact(text)).toEqual(JSON.parse(text))
    expect(isExactNumber((parseExact(text) as { d: unknown }).d)).toBe(false)
  })

  it('keeps every integer of up to forty digits', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), (n) => {
        const [value] = parseExact(`[${n}]`) as [unknown]
        return exactText(value) === String(n)
      }),
    )
  })

  it('tells a text, a number and neither', () => {
    expect([exactText('7'), exactText(7), exactText((parseExact('[9007199254740993]') as [unknown])[0])]).toEqual([
      '7',
      '7',
      '9007199254740993',
    ])
    expect([exactText(null), exactText({}), exactText(true)]).toEqual([null, null, null])
  })

  it('refuses what is no JSON', () => {
    expect(() => parseExact('{"a":1234567890123456789')).toThrow(SyntaxError)
  })
})
