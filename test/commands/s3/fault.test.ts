import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { faultOf, judgeRecord } from '../../../commands/record-judge.ts'
import { around, createShape, judge } from '../../../commands/s3/fault.ts'

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
    ['\u00a0{}', 0, 'not a JSON value (U+00A0)'],
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

const BOM = Buffer.from([0xef, 0xbb, 0xbf])
const behind = (text: string) => Buffer.concat([BOM, bytes(text)])

describe('a byte order mark', () => {
  it('is passed over at the beginning of a file, and a fault in front of any other line', () => {
    expect(judge(behind('{"id":1}'), 1)).toBeNull()
    expect(judge(behind(' \r'), 1)).toBe('blank')
    expect(judge(behind('{"id":'), 1)).toEqual({ at: 7, reason: 'ends inside an object' })
    expect(judge(behind('{"id":1}'), 2)).toEqual({ at: 0, reason: 'begins with a byte order mark (U+FEFF)' })
  })
})

describe('judging a record as its consumer does', () => {
  const consumer = (value: Buffer) => {
    try {
      JSON.parse(value.toString())
      return true
    } catch {
      return false
    }
  }
  it.each([
    ['a byte order mark', behind('{"id":1}'), 'begins with a byte order mark (U+FEFF)'],
    ['nothing at all', bytes(''), 'Unexpected end of JSON input'],
    ['spaces only', bytes(' \t'), 'Unexpected end of JSON input'],
    ['a space that JSON does not know', bytes('\u00a0{}'), /^Unexpected token .*\(U\+00A0\)$/],
    ['a character that nobody sees', bytes('{\u200b"a":1}'), /^Expected property name .* \(U\+200B\)$/],
    [
      'bytes of zero',
      bytes('{}\0\0'),
      'Unexpected non-whitespace character after JSON at position 2 (line 1 column 3) (U+0000)',
    ],
    ['NaN', bytes('{"a":NaN}'), /^Unexpected token/],
    ['Infinity', bytes('{"a":-Infinity}'), /^No number after minus sign/],
    ['two values', bytes('{}\n{}'), /^Unexpected non-whitespace character after JSON/],
    ['UTF-16 with its mark', Buffer.from('\ufeff{"id":1}', 'utf16le'), 'UTF-16, not UTF-8'],
    ['UTF-16 without its mark', Buffer.from('{"id":1}', 'utf16le'), 'UTF-16, not UTF-8'],
    ['bytes that are not UTF-8 outside of strings', Buffer.from([0x7b, 0xff, 0x7d]), /^Expected property name/],
    ['the word undefined', bytes('undefined'), 'not a JSON value'],
  ])('calls %s bad, in the words of JSON.parse or plainer ones', (_, value, says) => {
    expect(consumer(value)).toBe(false)
    expect(judgeRecord(value)).toMatchObject({
      fault: { says: typeof says === 'string' ? says : expect.stringMatching(says) },
    })
  })

  it.each([
    ['repeated names', bytes('{"a":1,"a":2}')],
    ['numbers above 2^53', bytes('{"id":9007199254740993}')],
    ['numbers that no double holds', bytes('1e999')],
    ['spaces around it', bytes('\r\n {"a":1}\t ')],
    ['lone surrogates', bytes('"\\ud800"')],
    ['a number alone', bytes('7')],
    ['very deep nesting', bytes(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)],
    ['line separators inside a string', bytes('"\u2028"')],
  ])('takes %s', (_, value) => {
    expect(consumer(value)).toBe(true)
    expect(judgeRecord(value)).toEqual({ fault: null, remark: null })
  })

  it('takes bytes inside a string that are not UTF-8, as a consumer does, and says so', () => {
    const value = Buffer.from([0x22, 0x61, 0xff, 0x22])
    expect(consumer(value)).toBe(true)
    expect(judgeRecord(value)).toEqual({ fault: null, remark: 'not UTF-8' })
    expect(judgeRecord(bytes('"\ufffd"'))).toEqual({ fault: null, remark: null })
  })

  it('agrees with the consumer about any bytes', () => {
    const some = fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc.json().map((text) => bytes(text)),
      fc.tuple(fc.json(), fc.nat(), fc.uint8Array({ maxLength: 2 })).map(([json, at, put]) => {
        const from = at % (json.length + 1)
        return Buffer.concat([bytes(json.slice(0, from)), put, bytes(json.slice(from))])
      }),
    )
    fc.assert(
      fc.property(some, (value) => (judgeRecord(value).fault === null) === consumer(Buffer.from(value))),
      { numRuns: 2000 },
    )
  })
})

describe('what a file is as a whole', () => {
  const shapeOf = (text: string) => {
    const shape = createShape()
    let bad = 0
    text.split('\n').forEach((line, i) => {
      shape.line(bytes(line), i + 1)
      const fault = judge(bytes(line), i + 1)
      if (fault !== null && fault !== 'blank') bad += 1
    })
    return shape.shape(bad).document
  }
  const pretty = (value: unknown) => JSON.stringify(value, null, 2)
  it.each([
    ['an array over lines', pretty([{ id: 0 }, { id: 1 }]), 'one JSON document over 8 lines, not JSON lines'],
    [
      'an object over lines behind a mark',
      `\ufeff${pretty({ a: [1] })}`,
      'one JSON document over 5 lines, not JSON lines',
    ],
    ['an array with a record a line', '[\n{"id":0},\n{"id":1}\n]', 'one JSON document over 4 lines, not JSON lines'],
    [
      'documents one after another',
      `${pretty({ a: 1 })}\n${pretty({ a: 2 })}`,
      '2 JSON documents over 6 lines, not JSON lines',
    ],
    [
      'a document that was cut',
      pretty([{ id: 0 }, { id: 1 }]).slice(0, -3),
      'a JSON document over 7 lines, not JSON lines, and it ends too early',
    ],
    [
      'a document with a fault',
      pretty([{ id: 0 }, { id: 1 }]).replace('1', 'x'),
      'a JSON document over 8 lines, not JSON lines, with a fault in line 6',
    ],
    ['JSON lines', '{"id":0}\n{"id":1}', null],
    ['JSON lines of which one was cut', '{"id":0}\n{"id":\n{"id":2}', null],
    ['JSON lines of which the first was cut', '{"id":\n{"id":1}\n{"id":2}', null],
  ])('tells %s', (_, text, is) => {
    expect(shapeOf(text)).toBe(is)
  })
})
