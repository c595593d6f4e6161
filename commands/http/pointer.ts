import { z } from 'zod'
import { exactText, isExactNumber } from '../../src/domain/exact.ts'

/** Where in a JSON answer something stands: RFC 6901, `/data/0/name`; empty for the whole. */
export const Pointer = z.string().regex(/^(\/([^~/]|~[01])*)*$/, 'is no JSON pointer (/data/items)')

/** What stands there, or undefined. Looks at nothing but the answer's own members. */
export function at(value: unknown, pointer: string): unknown {
  const parts = pointer.split('/').slice(1)
  return parts.reduce<unknown>((here, part) => {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
    return typeof here === 'object' && here !== null && !isExactNumber(here) && Object.hasOwn(here, name)
      ? (here as Record<string, unknown>)[name]
      : undefined
  }, value)
}

/** A value of an answer as one short line, numbers as they stand; empty for one that is not there. */
export function short(value: unknown): string {
  if (value === undefined || value === null) return ''
  const text = exactText(value) ?? JSON.stringify(value)
  return text.replace(/\s+/g, ' ').slice(0, 200).toWellFormed()
}

/** Whether a value is one of these texts. 1.0 is also 1, as long as no digit is lost by that. */
export function isOneOf(value: unknown, texts: readonly string[]): boolean {
  const text = short(value)
  const double = isExactNumber(value) ? String(Number(value.rawJSON)) : text
  return texts.includes(text) || (/^-?\d{1,15}(\.\d+)?$/.test(double) && texts.includes(double))
}
