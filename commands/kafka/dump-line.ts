import { exactText, isExactNumber, parseExact } from '../../src/domain/exact.ts'
import { hasMark, judgeRecord } from '../record-judge.ts'

/** How a dump was written. `kcat` and `kcat-json` are what kcat 1.7 writes with the options that FORMAT_OF names. */
export const FORMATS = ['jsonl', 'kcat', 'kcat-json'] as const
export type Format = (typeof FORMATS)[number]

/** For people: which lines each format has. */
export const FORMAT_OF: Readonly<Record<Format, string>> = {
  jsonl: 'one JSON object a line, as kcat -C writes by itself',
  kcat: "kcat -C -f 'Topic %t [%p] at offset %o: key %k: %s\\n'",
  'kcat-json': 'kcat -C -J',
}

/** A record as a dump has it. `value` is the JSON as it stood there, null for a tombstone; `timestamp` is in milliseconds since 1970. */
export type Dumped = Readonly<{
  id: string
  key: string | null
  value: string | null
  timestamp: number | null
  /** A value may be null, which is not the same as empty. */
  headers: readonly (readonly [name: string, value: string | null])[]
}>
export type Judged = { record: Dumped } | { fault: string } | { remark: true }

/** A broker takes no more than a megabyte by default. */
const MAX_BYTES = 900 * 1024
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const HUMAN = /^Topic [A-Za-z0-9._-]{1,249} \[\d+\] at offset \d+: key /

/**
 * Judges one line: a record, a remark of kcat's own that got into the dump, or what is wrong with it. A byte order mark is of the
 * file in its first line, and of the record in any other.
 */
export function judge(format: Format, line: Buffer, idField: string, number = 0): Judged {
  const bytes = number === 1 && hasMark(line) ? line.subarray(3) : line
  if (bytes.length > MAX_BYTES) return { fault: `longer than ${MAX_BYTES} bytes` }
  let text: string
  try {
    text = utf8.decode(bytes).replace(/\r$/, '')
  } catch {
    return { fault: 'not valid UTF-8' }
  }
  if (text.trim() === '' || /^% /.test(text)) return { remark: true }
  if (format === 'jsonl') return withId(text, idField, {})
  return format === 'kcat' ? human(text, idField) : envelope(text, idField)
}

type Rest = Partial<Omit<Dumped, 'id' | 'value'>>

function parse(text: string): { value: unknown } | { fault: string } {
  const { fault } = judgeRecord(Buffer.from(text))
  return fault ? { fault: fault.says } : { value: parseExact(text) }
}

/** Where no key is told of, as in JSON lines, the id is the key: what has one id stays in one partition. */
function withId(value: string, idField: string, { key, timestamp = null, headers = [] }: Rest): Judged {
  const parsed = parse(value)
  if ('fault' in parsed) return parsed
  const object = parsed.value
  if (typeof object !== 'object' || object === null || Array.isArray(object) || isExactNumber(object))
    return { fault: 'not a JSON object' }
  // Digit by digit: two ids above 2^53 are not one.
  const id = Object.hasOwn(object, idField) ? exactText((object as Record<string, unknown>)[idField]) : null
  if (id === null || id === '') return { fault: `no "${idField}" in it` }
  return { record: { id, key: key === undefined ? id : key, value, timestamp, headers } }
}

/** The key may hold what divides it from the value: the value is the longest rest that is a JSON object. */
function human(text: string, idField: string): Judged {
  const start = HUMAN.exec(text)
  if (!start) return { fault: 'not as kcat writes it' }
  const rest = text.slice(start[0].length)
  let last: Judged = { fault: 'no value in it' }
  for (let end = rest.indexOf(': {'), tries = 0; end !== -1 && tries < 8; end = rest.indexOf(': {', end + 1), tries++) {
    const judged = withId(rest.slice(end + 2), idField, { key: rest.slice(0, end) || null })
    if ('record' in judged) return judged
    if (tries === 0) last = judged
  }
  return last
}

function envelope(text: string, idField: string): Judged {
  const parsed = parse(text)
  if ('fault' in parsed) return parsed
  const { topic, partition, offset, key, payload, ts, headers } = (parsed.value ?? {}) as Record<string, unknown>
  if (payload === undefined) return { fault: 'no payload in it' }
  const plain = (one: unknown) => (one === null || one === undefined ? null : (exactText(one) ?? JSON.stringify(one)))
  const list = Array.isArray(headers)
    ? headers.map(plain)
    : Object.entries(headers ?? {})
        .flat()
        .map(plain)
  const rest = {
    key: plain(key),
    timestamp: typeof ts === 'number' && ts >= 0 ? ts : null,
    headers: list.flatMap((name, i) => (i % 2 === 0 ? [[name ?? '', list[i + 1] ?? null] as const] : [])),
  }
  if (payload !== null) return withId(typeof payload === 'string' ? payload : JSON.stringify(payload), idField, rest)
  if (rest.key === null) return { fault: 'neither key nor payload in it' }
  // A tombstone: it deletes what its key stands for. It has no id, so each one is told by its place.
  return { record: { ...rest, id: `\0${JSON.stringify([topic, partition, offset, rest.key])}`, value: null } }
}
