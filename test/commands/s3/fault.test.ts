import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { around, faultOf, judge } from '../../../commands/s3/fault.ts'

const bytes = (text: string) => Buffer.from(text)
const isJson = (text: string) => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe('judging a line', () => {
  it.each([
    ['{"a": 1, "b": }', 14, 'not a JSON value'],
    ['{"a": 1 "b": 2}', 8, 'expected "," or "}"'],
    ['{"a" 1}', 5, 'expected ":"'],
    ["{'a': 1}", 1, 'expected a name in double quotes'],
    ['{"a": 1,}', 8, 'expected a name in double quotes'],
    ['[1, 2', 5, 'ends inside an array'],
    ['{"a": "b', 8, 'ends inside a string'],
    ['{"a": "\\x"}', 7, 'a wrong escape inside a string'],
    ['{"a": "\t"}', 7, 'a control character inside a string'],
    ['{"a": NaN}', 6, 'not a JSON value'],
    ['{} {}', 3, 'text after the end of the value'],
  ])('points at the first wrong character of %s', (text, at, reason) => {
    expect(judge(bytes(text))).toEqual({ at, reason })
  })

  it('calls bytes that are not UTF-8 malformed, and a line of spaces blank', () => {
    expect(judge(Buffer.from([0x22, 0x61, 0xff, 0x22]))).toEqual({ at: 2, reason: 'not UTF-8' })
    expect(judge(bytes(' \t\r'))).toBe('blank')
  })

  it('finds a fault exactly where JSON.parse refuses, for every damaged or whole document', () => {
    const damaged = fc
      .tuple(fc.json(), fc.nat(), fc.nat(3), fc.string({ maxLength: 2 }))
      .map(([json, at, cut, put]) => {
        const from = at % (json.length + 1)
        return json.slice(0, from) + put + json.slice(from + cut)
      })
    fc.assert(
      fc.property(fc.oneof(fc.json(), damaged), (text) => (faultOf(text) === null) === isJson(text)),
      { numRuns: 2000 },
    )
  })

  it('survives a line of millions of open brackets and one of a very long string', () => {
    expect(faultOf('['.repeat(2_000_000))).toEqual({ at: 2_000_000, reason: 'ends inside an array' })
    expect(faultOf(`"${'x'.repeat(7_000_000)}`)?.reason).toBe('ends inside a string')
  })

  it('shows the text around the fault with a caret, control and direction characters as dots', () => {
    expect(around(bytes('{"a":\u0007\u202e x}'), 8, 4)).toBe('…:·· x}\n     ^')
  })
})
