import type { z } from 'zod'
import { type ExactNumber, isExactNumber, parseExact } from '../../src/domain/exact.ts'

type Reviver = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown
const engine = JSON as unknown as {
  parse(text: string, reviver?: Reviver): unknown
  rawJSON(text: string): ExactNumber
}

/** What `NaN` is inside of a conf; outside of one it is absent. No text of Airflow begins so. */
export const NOT_A_NUMBER = '\u0000NaN'
/** Keys below which every number keeps the text that it came as: what stands there goes out again. */
const VERBATIM = new Set(['conf', 'dag_run_conf'])

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?Infinity|NaN/g

/** Python's json module writes and reads `Infinity` and `NaN` (docs.python.org, "json", Standard Compliance), JSON has neither. */
const withoutPython = (text: string): string =>
  /Infinity|NaN/.test(text)
    ? text.replace(TOKEN, (token) =>
        token.startsWith('"')
          ? token
          : token === 'NaN'
            ? JSON.stringify(NOT_A_NUMBER)
            : token.replace('Infinity', '1e999'),
      )
    : text

/** JSON in which each number whose text is not the shortest one is an `ExactNumber`: `2.0` and `2` differ in Python. */
export const parseVerbatim = (text: string): unknown =>
  engine.parse(withoutPython(text), (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source ? engine.rawJSON(source) : value,
  )

function loosen(value: unknown): unknown {
  if (value === NOT_A_NUMBER) return null
  if (typeof value !== 'object' || value === null) return value
  if (isExactNumber(value))
    return Number.isFinite(Number(value.rawJSON)) ? parseExact(value.rawJSON) : Number(value.rawJSON)
  if (Array.isArray(value)) return value.map(loosen)
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, VERBATIM.has(key) ? inner : loosen(inner)]),
  )
}

/** An answer of Airflow: exact numbers, Python's `Infinity`, and each conf as it came. Throws a SyntaxError. */
export const parseAnswer = (text: string): unknown => loosen(parseVerbatim(text))

/** The value as the schema wants it. Throws one sentence that names the place that is not as Airflow writes it. */
export function checked<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const read = schema.safeParse(value)
  if (read.success) return read.data
  const [issue] = read.error.issues
  const where = issue?.path.length ? `"${issue.path.join('.')}"` : 'the whole of it'
  throw new Error(
    `airflow: ${what} answered something that this version of the API does not: ${where} is not as expected. Check "api" and "baseUrl" of the connection.`,
  )
}
