import type { z } from 'zod'
import { Refused } from '../../src/domain/command.ts'

type Json = z.core.util.JSONType
export type Values = Readonly<Record<string, string>>

/** The names in `{braces}`, each once. */
export const placeholders = (text: string): string[] => [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!))]

const put = (text: string, values: Values, as: (value: string) => string) =>
  text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined
    // An empty segment would make the path of one thing that of all of them.
    if (!value) throw new Refused(`There is no value for {${name}} in ${text}.`)
    return as(value)
  })

/** A path with its values in place, each encoded: none becomes a second segment or parameter. */
export const fillPath = (path: string, values: Values): string => put(path, values, encodeURIComponent)

/** A JSON body with its values in place, each within the string where it stood. */
export function fillBody(body: Json, values: Values): Json {
  if (typeof body === 'string') return put(body, values, (value) => value)
  if (typeof body !== 'object' || body === null) return body
  if (Array.isArray(body)) return body.map((item) => fillBody(item, values))
  return Object.fromEntries(Object.entries(body).map(([name, item]) => [name, fillBody(item, values)]))
}
