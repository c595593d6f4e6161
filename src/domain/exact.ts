/**
 * JSON whose numbers keep their digits. A double tells integers apart up to 2^53 only (RFC 8259, section 6), and services
 * hand out ids above that: such a number is kept as the text it came as, and goes out again as that text.
 */
export type ExactNumber = Readonly<{ rawJSON: string }>

type Reviver = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown
// TC39 "JSON.parse source text access", in Node since 22; the types of TypeScript 7 do not have it yet.
const engine = JSON as unknown as {
  parse(text: string, reviver?: Reviver): unknown
  rawJSON(text: string): ExactNumber
  isRawJSON(value: unknown): value is ExactNumber
}

/** Digits that count, and the power of ten of the last one: two texts of one number have the same. */
function canonical(text: string): string {
  const [, sign = '', whole = '', part = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  const digits = `${whole}${part}`.replace(/^0+/, '')
  const kept = digits.replace(/0+$/, '')
  return kept === ''
    ? '0'
    : `${sign}${kept}e${BigInt(power) - BigInt(part.length) + BigInt(digits.length - kept.length)}`
}

const keeps = (value: number, source: string): boolean => {
  const text = String(value)
  if (text === source) return true
  // A long id stays written out, though a double of that value exists.
  if (/^-?\d+$/.test(source) && text.includes('e')) return false
  return Number.isFinite(value) && canonical(text) === canonical(source)
}

/**
 * As JSON.parse, but what a double would change is an `ExactNumber`. `JSON.stringify` writes it out digit by digit.
 * Throws a SyntaxError as JSON.parse does.
 */
export function parseExact(text: string): unknown {
  // No number of fewer digits, and without an exponent, is changed by a double: most texts need no second look at each value.
  if (!/\d{16}|\d[.\d]{16}|\d[eE][+-]?\d/.test(text)) return JSON.parse(text)
  return engine.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && !keeps(value, source) ? engine.rawJSON(source) : value,
  )
}

export const isExactNumber = (value: unknown): value is ExactNumber => engine.isRawJSON(value)

/** A string or number as the text it stands as, digit by digit; null for anything else. */
export const exactText = (value: unknown): string | null =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : isExactNumber(value) ? value.rawJSON : null
