import { z } from 'zod'

/** Where in a JSON answer something stands: RFC 6901, `/data/0/name`; empty for the whole. */
export const Pointer = z.string().regex(/^(\/([^~/]|~[01])*)*$/, 'is no JSON pointer (/data/items)')

/** What stands there, or undefined. Looks at nothing but the answer's own members. */
export function at(value: unknown, pointer: string): unknown {
  const parts = pointer.split('/').slice(1)
  return parts.reduce<unknown>((here, part) => {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
    return typeof here === 'object' && here !== null && Object.hasOwn(here, name)
      ? (here as Record<string, unknown>)[name]
      : undefined
  }, value)
}

/** A value of an answer as one short line; empty for one that is not there. */
export function short(value: unknown): string {
  if (value === undefined || value === null) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.replace(/\s+/g, ' ').slice(0, 200).toWellFormed()
}
