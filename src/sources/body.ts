import { parseExact } from '../domain/exact.ts'

/** Bytes of one request's body. */
export const MAX_BODY_BYTES = 1_048_576

/** Arrays and objects inside one another. JSON.parse takes any number of them, and what walks its result later does not. */
export const MAX_DEPTH = 32

/** A body as JSON, or why it is none. */
export type Parsed = Readonly<{ ok: true; value: unknown }> | Readonly<{ ok: false; reason: string }>

/** Parses bytes as JSON. Bytes that are not UTF-8 become U+FFFD: an alert is worth more than one broken letter of it. */
export function parseBody(bytes: Uint8Array): Parsed {
  return parseText(new TextDecoder('utf-8').decode(bytes))
}

/** Parses a text as JSON. */
export function parseText(text: string): Parsed {
  if (text.trim() === '') return { ok: false, reason: 'the body is empty, a JSON document is expected' }
  if (isDeeperThan(text, MAX_DEPTH)) return { ok: false, reason: `the body is nested deeper than ${MAX_DEPTH} levels` }
  try {
    return { ok: true, value: parseExact(withoutNaN(text)) }
  } catch (cause) {
    // The engine's message quotes the body; its position is what helps.
    const position = /position \d+/.exec(String(cause))?.[0]
    return { ok: false, reason: `the body is not JSON${position ? ` (at ${position})` : ''}` }
  }
}

/** A text of JSON with null for what Python's json module (docs.python.org, "Standard Compliance") and others write for no number. */
function withoutNaN(text: string): string {
  if (!/NaN|Infinity/.test(text)) return text
  const kept: string[] = []
  let from = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (inString && c === BACKSLASH) i++
    else if (c === QUOTE) inString = !inString
    else if (!inString && (c === LETTER_N || c === LETTER_I)) {
      const word = ['NaN', 'Infinity'].find((one) => text.startsWith(one, i))
      if (word === undefined) continue
      kept.push(text.slice(from, text[i - 1] === '-' ? i - 1 : i), 'null')
      from = i + word.length
      i = from - 1
    }
  }
  return kept.join('') + text.slice(from)
}

/** Senders that don't know better call JSON text/plain or a form; any other type is meant to be something else. */
export function isJsonType(header: string | undefined): boolean {
  if (header === undefined) return true
  const type = header.split(';')[0]!.trim().toLowerCase()
  return (
    /^[\w.+-]+\/([\w.+-]*\+)?json$/.test(type) || ['text/plain', 'application/x-www-form-urlencoded'].includes(type)
  )
}

/** Whether brackets outside of strings nest deeper than `limit`. Linear, and right for text that is not JSON at all. */
export function isDeeperThan(text: string, limit: number): boolean {
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (inString) {
      if (c === BACKSLASH) i++
      else if (c === QUOTE) inString = false
    } else if (c === QUOTE) inString = true
    else if (c === BRACKET || c === BRACE) {
      if (++depth > limit) return true
    } else if (c === BRACKET_END || c === BRACE_END) depth--
  }
  return false
}

const [QUOTE, BACKSLASH, BRACKET, BRACKET_END, BRACE, BRACE_END] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d]
const [LETTER_N, LETTER_I] = [0x4e, 0x49]
