/** Why a line is not JSON. `at` is the offset of the first wrong character in UTF-16 units. */
export type Fault = Readonly<{ at: number; reason: string }>

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const BLANK = /^[ \t\r]*$/

/** Judges the bytes of one line as RFC 8259 does: null is good, `blank` holds nothing but spaces. */
export function judge(bytes: Uint8Array): Fault | 'blank' | null {
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch {
    const lenient = Buffer.from(bytes).toString('utf8')
    return { at: Math.max(lenient.indexOf('\ufffd'), 0), reason: 'not UTF-8' }
  }
  if (BLANK.test(text)) return 'blank'
  try {
    JSON.parse(text)
    return null
  } catch {
    return faultOf(text)
  }
}

const SPACE = /[ \t\n\r]*/y
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

/** The first place where a text stops being JSON; V8's own messages don't always hold it. Null if there is none. */
export function faultOf(text: string): Fault | null {
  const open: ('{' | '[')[] = []
  let expect: 'value' | 'value or ]' | 'name' | 'name or }' | ':' | ', or end' = 'value'
  let at = 0
  const skip = (pattern: RegExp): number => {
    pattern.lastIndex = at
    return pattern.exec(text)?.[0].length ?? 0
  }
  for (;;) {
    at += skip(SPACE)
    const inside = open.at(-1)
    const char = text[at]
    if (char === undefined) {
      if (expect === ', or end' && !inside) return null
      return { at, reason: inside ? `ends inside ${inside === '{' ? 'an object' : 'an array'}` : 'ends too early' }
    }
    if (expect === ', or end') {
      if (!inside) return { at, reason: 'text after the end of the value' }
      if (char === ',') expect = inside === '{' ? 'name' : 'value'
      else if (char === (inside === '{' ? '}' : ']')) open.pop()
      else return { at, reason: `expected "," or "${inside === '{' ? '}' : ']'}"` }
      at += 1
    } else if (expect === ':') {
      if (char !== ':') return { at, reason: 'expected ":"' }
      expect = 'value'
      at += 1
    } else if ((char === '}' && expect === 'name or }') || (char === ']' && expect === 'value or ]')) {
      open.pop()
      expect = ', or end'
      at += 1
    } else if (expect.startsWith('name') || (char !== '{' && char !== '[')) {
      if (expect.startsWith('name') && char !== '"') return { at, reason: 'expected a name in double quotes' }
      if (char === '"') {
        const string = endOfString(text, at)
        if (string.reason) return { at: string.at, reason: string.reason }
        at = string.at
      } else {
        const length = skip(SCALAR)
        if (length === 0) return { at, reason: 'not a JSON value' }
        at += length
      }
      expect = expect.startsWith('name') ? ':' : ', or end'
    } else {
      open.push(char as '{' | '[')
      expect = char === '{' ? 'name or }' : 'value or ]'
      at += 1
    }
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

/** One line of text around an offset and a caret under it; control characters are shown as dots. */
export function around(bytes: Uint8Array, at: number, reach = 60): string {
  const text = Buffer.from(bytes).toString('utf8')
  const from = Math.max(0, at - reach)
  const cut = text.slice(from, at + reach).replace(/[\p{Cc}\p{Cf}]/gu, '·')
  const head = from > 0 ? '…' : ''
  return `${head}${cut}${at + reach < text.length ? '…' : ''}\n${' '.repeat(head.length + at - from)}^`
}
