import { exactText } from '../domain/exact.ts'

/**
 * A value of a body as text: numbers digit by digit, `true` and `false`, anything that has parts as its JSON. Undefined for
 * what is not there, which null and an empty text mean too.
 */
export function textOf(value: unknown): string | undefined {
  if (value === null || value === undefined || value === '') return undefined
  return exactText(value) ?? (typeof value === 'boolean' ? String(value) : JSON.stringify(value))
}

/** Whether a value of a body has parts: an object or an array, and no number that is kept as its digits. */
export const hasParts = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && exactText(value) === null

/** What a value of a body is, for people. */
export const kindOf = (value: unknown): string =>
  value === undefined
    ? 'nothing'
    : value === null
      ? 'null'
      : Array.isArray(value)
        ? 'an array'
        : hasParts(value)
          ? 'an object'
          : typeof value === 'object'
            ? 'a number'
            : typeof value === 'string'
              ? 'a text'
              : `a ${typeof value}`

/** An object of a body, with own names only; null if it is none. */
export const recordOf = (value: unknown): Readonly<Record<string, unknown>> | null =>
  hasParts(value) && !Array.isArray(value) ? (value as Record<string, unknown>) : null

/** One member of an object of a body. */
export const own = (record: Readonly<Record<string, unknown>>, name: string): unknown =>
  Object.hasOwn(record, name) ? record[name] : undefined

/** Foreign text in a sentence, cut with a mark: by it half of a secret is still known for one. */
export const cut = (text: string, max = 60): string => (text.length > max ? `${text.slice(0, max - 1)}…` : text)
