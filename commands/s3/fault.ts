import { createScanner, type Fault, hasMark, judgeText } from '../record-judge.ts'

export type { Fault }

const BLANK = /^[ \t\r]*$/
const MARK_BYTES = 3

/**
 * Judges the bytes of one line: null is good, `blank` holds nothing but spaces. A byte order mark at the beginning of the file,
 * which is line 1, is passed over, as Hadoop's readers do; in front of any other line it is a fault.
 */
export function judge(bytes: Uint8Array, number = 0): Fault | 'blank' | null {
  if (number === 1 && hasMark(bytes)) {
    const fault = judge(bytes.subarray(MARK_BYTES))
    return fault === null || fault === 'blank' ? fault : { ...fault, at: fault.at + 1 }
  }
  if (!(bytes[0]! > 0x20) && BLANK.test(Buffer.from(bytes).toString('latin1'))) return 'blank'
  return judgeText(bytes)
}

/** What a file holds, seen as a whole. */
export type Shape = Readonly<{
  /** It begins with a byte order mark. */
  mark: boolean
  /** What it is when it is not JSON lines, such as "one JSON document over 17 lines"; null if lines is what it is. */
  document: string | null
}>

/** Sees from its lines, told in their order, what a file is as a whole; holds no line. */
export function createShape() {
  const scanner = createScanner(true)
  let mark = false
  let lines = 0
  let lastLine = 0
  let broken = false
  return {
    line(bytes: Uint8Array, number: number): void {
      lines += 1
      if (number === 1) mark = hasMark(bytes)
      if (broken) return
      lastLine = number
      const text = Buffer.from(number === 1 && mark ? bytes.subarray(MARK_BYTES) : bytes).toString('utf8')
      broken = scanner.feed(text) !== null
    },
    /** `bad` lines were no JSON by themselves. Lines of which each is one value are never called a document. */
    shape(bad: number): Shape {
      const values = scanner.values()
      const over = `over ${lines} lines, not JSON lines`
      if (bad === 0 || lines < 2) return { mark, document: null }
      // One line with two values, or a record over two lines, among many that are good, are faults of those lines.
      if (!broken && scanner.end() === null && (values === 1 || bad * 2 > lines))
        return { mark, document: `${values === 1 ? 'one JSON document' : `${values} JSON documents`} ${over}` }
      // More lines hang together than a line that was cut and the one behind it would.
      if (!broken && scanner.depth() > 0 && lines > 2 && bad * 2 > lines)
        return { mark, document: `a JSON document ${over}, and it ends too early` }
      if (broken && lastLine > 3 && values === 0 && scanner.depth() > 0 && bad * 2 > lines)
        return { mark, document: `a JSON document ${over}, with a fault in line ${lastLine}` }
      return { mark, document: null }
    },
  }
}

/** One line of text around an offset and a caret under it; control characters are shown as dots. */
export function around(bytes: Uint8Array, at: number, reach = 60): string {
  const text = Buffer.from(bytes).toString('utf8')
  const from = Math.max(0, at - reach)
  // A character outside of the first plane may be cut in two.
  const cut = text
    .slice(from, at + reach)
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}]/gu, '·')
  const head = from > 0 ? '…' : ''
  return `${head}${cut}${at + reach < text.length ? '…' : ''}\n${' '.repeat(head.length + at - from)}^`
}
