import type { z } from 'zod'
import { Refused } from '../../src/domain/command.ts'
import { parseAsItStands } from './numbers.ts'

type Json = z.core.util.JSONType
export type Values = Readonly<Record<string, string>>

/** The names in `{braces}`, each once; `{name:number}` is one too. */
export const placeholders = (text: string): string[] => [
  ...new Set([...text.matchAll(/\{(\w+)(?::number)?\}/g)].map((m) => m[1]!)),
]

const put = (text: string, values: Values, as: (value: string) => string) =>
  text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined
    // An empty segment would make the path of one thing that of all of them.
    if (!value) throw new Refused(`There is no value for {${name}} in ${text}.`)
    return as(value)
  })

/** A path with its values in place, each encoded: none becomes a second segment or parameter. */
export const fillPath = (path: string, values: Values): string => put(path, values, encodeURIComponent)

/** A whole number as JSON writes it. */
const WHOLE = /^-?(0|[1-9]\d*)$/

/**
 * A JSON body with its values in place, each within the string where it stood. A string that is `{name:number}` and nothing
 * else becomes that number, digit by digit.
 */
export function fillBody(body: Json, values: Values): unknown {
  if (typeof body === 'string') {
    const [, name] = /^\{(\w+):number\}$/.exec(body) ?? []
    if (!name) return put(body, values, (value) => value)
    const text = put(`{${name}}`, values, (value) => value)
    if (!WHOLE.test(text))
      throw new Refused(`${JSON.stringify(text.slice(0, 60))} is no whole number, as {${name}} must be.`)
    return parseAsItStands(text)
  }
  if (typeof body !== 'object' || body === null) return body
  if (Array.isArray(body)) return body.map((item) => fillBody(item, values))
  return Object.fromEntries(Object.entries(body).map(([name, item]) => [name, fillBody(item, values)]))
}
