/** Why a text is not JSON. `at` is the offset of the first wrong character in UTF-16 units. */
export type Fault = Readonly<{ at: number; reason: string }>

/**
 * What JSON.parse(value.toString()) makes of the bytes of one record: `fault` is null when it takes them. `says` is the parser's
 * own word, without the text that it quotes. `remark` is what a reader in another language may stumble over.
 */
export type Judgement = Readonly<{ fault: (Fault & { says: string }) | null; remark: string | null }>

const MARK = '\ufeff'
const UTF16 = 'UTF-16, not UTF-8'
const NOT_UTF8 = 'not UTF-8'
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The one judge of whether a record is JSON, as the consumer judges: JSON.parse(value.toString()). So a byte order mark in front
 * is a fault, bytes that are not UTF-8 are one only outside of strings, and repeated names, long numbers and lone surrogates
 * are none.
 */
export function judgeRecord(bytes: Uint8Array): Judgement {
  // As a consumer's toString(): keeps a byte order mark, and puts U+FFFD where bytes are not UTF-8.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  try {
    JSON.parse(text)
    return { fault: null, remark: text.includes('\ufffd') && !isUtf8(bytes) ? NOT_UTF8 : null }
  } catch (error) {
    // The parser's message quotes the text; only its own words are kept.
    const own = (error as Error).message.replace(/(^|, ?(\.\.\.)?)".*/s, '') || 'not a JSON value'
    const special = specialOf(bytes, text)
    const fault = special ?? faultOf(text) ?? { at: 0, reason: own }
    const says = special ? special.reason : `${own.replace(/[\p{Cc}\p{Cf}]/gu, '·')}${nameOf(text, fault.at)}`
    return { fault: { ...fault, says }, remark: null }
  }
}

/** Judges the bytes of one line of a file as RFC 8259 does, which wants UTF-8: null is good. */
export function judgeText(bytes: Uint8Array): Fault | null {
  let text: string
  try {
    text = strict.decode(bytes)
  } catch {
    const lenient = Buffer.from(bytes).toString('utf8')
    return specialOf(bytes, '') ?? { at: Math.max(lenient.indexOf('\ufffd'), 0), reason: NOT_UTF8 }
  }
  try {
    JSON.parse(text)
    return null
  } catch {
    const fault = specialOf(bytes, text) ?? faultOf(text)
    const isNamed = fault === null || text.startsWith(MARK) || fault.reason.startsWith('a control character')
    return isNamed ? fault : { ...fault, reason: `${fault.reason}${nameOf(text, fault.at)}` }
  }
}

/** The number of a character that nobody sees, such as a space that JSON does not know; empty for any other. */
function nameOf(text: string, at: number): string {
  const char = text.codePointAt(at)
  const isSeen = char === undefined || !/[\p{Cc}\p{Cf}\p{Z}]/u.test(String.fromCodePoint(char)) || char === 0x20
  return isSeen ? '' : ` (U+${char.toString(16).toUpperCase().padStart(4, '0')})`
}

/** Does a file begin with the mark EF BB BF? Spark, Hive and Athena pass over it there (Hadoop's LineRecordReader). */
export const hasMark = (bytes: Uint8Array): boolean => bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf

const isUtf8 = (bytes: Uint8Array): boolean => {
  try {
    strict.decode(bytes)
    return true
  } catch {
    return false
  }
}

/** What is easier told by its name than by its first wrong character. */
function specialOf(bytes: Uint8Array, text: string): Fault | null {
  if (text.startsWith(MARK)) return { at: 0, reason: 'begins with a byte order mark (U+FEFF)' }
  const [a, b] = bytes
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) return { at: 0, reason: UTF16 }
  // Without a mark: RFC 4627, section 3, tells it by where the zeros are.
  if (
    bytes.length >= 4 &&
    ((a === 0 && b! > 0 && bytes[2] === 0 && bytes[3]! > 0) || (a! > 0 && b === 0 && bytes[3] === 0))
  )
    return { at: 0, reason: UTF16 }
  return null
}

/** The first place where a text stops being JSON; V8's own messages don't always hold it. Null if there is none. */
export function faultOf(text: string): Fault | null {
  const scanner = createScanner()
  return scanner.feed(text) ?? scanner.end()
}

const SPACE = /[ \t\n\r]*/y
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

/**
 * Reads JSON part by part, where a part ends where a line may. With `many`, one value may follow another. Holds a character for
 * each bracket that is open, and no text.
 */
export function createScanner(many = false) {
  const open: ('{' | '[')[] = []
  let expect: 'value' | 'value or ]' | 'name' | 'name or }' | ':' | ', or end' = 'value'
  let values = 0
  let length = 0

  const ended = () => {
    expect = ', or end'
    if (open.length === 0) values += 1
  }
  const feed = (text: string): Fault | null => {
    let at = 0
    const skip = (pattern: RegExp): number => {
      pattern.lastIndex = at
      return pattern.exec(text)?.[0].length ?? 0
    }
    length = text.length
    for (;;) {
      at += skip(SPACE)
      const inside = open.at(-1)
      const char = text[at]
      if (char === undefined) return null
      if (expect === ', or end' && !inside && many) expect = 'value'
      if (expect === ', or end') {
        if (!inside) return { at, reason: 'text after the end of the value' }
        if (char === ',') expect = inside === '{' ? 'name' : 'value'
        else if (char === (inside === '{' ? '}' : ']')) {
          open.pop()
          ended()
        } else return { at, reason: `expected "," or "${inside === '{' ? '}' : ']'}"` }
        at += 1
      } else if (expect === ':') {
        if (char !== ':') return { at, reason: 'expected ":"' }
        expect = 'value'
        at += 1
      } else if ((char === '}' && expect === 'name or }') || (char === ']' && expect === 'value or ]')) {
        open.pop()
        ended()
        at += 1
      } else if (expect.startsWith('name') || (char !== '{' && char !== '[')) {
        const isName = expect.startsWith('name')
        if (isName && char !== '"') return { at, reason: 'expected a name in double quotes' }
        if (char === '"') {
          const string = endOfString(text, at)
          if (string.reason) return { at: string.at, reason: string.reason }
          at = string.at
        } else {
          const size = skip(SCALAR)
          if (size === 0) return { at, reason: 'not a JSON value' }
          at += size
        }
        if (isName) expect = ':'
        else ended()
      } else {
        open.push(char as '{' | '[')
        expect = char === '{' ? 'name or }' : 'value or ]'
        at += 1
      }
    }
  }
  return {
    feed,
    /** What is missing where the text ends. */
    end(): Fault | null {
      const inside = open.at(-1)
      if (inside) return { at: length, reason: `ends inside ${inside === '{' ? 'an object' : 'an array'}` }
      return expect === ', or end' ? null : { at: length, reason: 'ends too early' }
    },
    /** Whole values so far. */
    values: () => values,
    /** Brackets that are open. */
    depth: () => open.length,
  }
}

/** Where the string that begins at `at` ends, or where it breaks. A loop: a regex would need a stack as long as it. */
function endOfString(text: string, at: number): { at: number; reason?: string } {
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '"') return { at: i + 1 }
    if (text.charCodeAt(i) < 0x20) return { at: i, reason: 'a control character inside a string' }
    if (text[i] !== '\\') continue
    ESCAPE.lastIndex = i
    const escaped = ESCAPE.exec(text)
    if (!escaped) return { at: i, reason: 'a wrong escape inside a string' }
    i += escaped[0].length - 1
  }
  return { at: text.length, reason: 'ends inside a string' }
}
