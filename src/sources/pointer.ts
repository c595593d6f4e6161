import { z } from 'zod'
import { parseText } from './body.ts'
import { hasParts } from './text.ts'

/** A JSON Pointer (RFC 6901): `/alerts/0/id`; `` is the whole document. */
export const Pointer = z
  .string()
  .regex(/^(\/([^~/]|~[01])*)*$/, 'must be a JSON Pointer such as /alerts/0/id (in a name, ~ is ~0 and / is ~1)')

/**
 * What a pointer points to: own properties and array items only; undefined if there is nothing. It goes on into a text that is
 * itself JSON, as SNS and others wrap what they forward: https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
 */
export function follow(document: unknown, pointer: string): unknown {
  const tokens = pointer.split('/').slice(1)
  return tokens.reduce<unknown>((found, token) => {
    const value = typeof found === 'string' ? unwrapped(found) : found
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~')
    if (!hasParts(value) || !Object.hasOwn(value, name)) return undefined
    if (Array.isArray(value) && !/^(0|[1-9]\d*)$/.test(name)) return undefined
    return (value as Record<string, unknown>)[name]
  }, document)
}

/** Many pointers go through one text. */
let last: { text: string; value: unknown } = { text: '', value: undefined }

function unwrapped(text: string): unknown {
  if (last.text !== text) {
    const parsed = /^\s*[{[]/.test(text) ? parseText(text) : null
    last = { text, value: parsed?.ok ? parsed.value : undefined }
  }
  return last.value
}
