import { z } from 'zod'
import { hasParts } from './text.ts'

/** A JSON Pointer (RFC 6901): `/alerts/0/id`; `` is the whole document. */
export const Pointer = z
  .string()
  .regex(/^(\/([^~/]|~[01])*)*$/, 'must be a JSON Pointer such as /alerts/0/id (in a name, ~ is ~0 and / is ~1)')

/** What a pointer points to: own properties and array items only; undefined if there is nothing. */
export function follow(document: unknown, pointer: string): unknown {
  const tokens = pointer.split('/').slice(1)
  return tokens.reduce<unknown>((value, token) => {
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~')
    if (!hasParts(value) || !Object.hasOwn(value, name)) return undefined
    if (Array.isArray(value) && !/^(0|[1-9]\d*)$/.test(name)) return undefined
    return (value as Record<string, unknown>)[name]
  }, document)
}
