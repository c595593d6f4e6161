import type { IncomingMessage } from 'node:http'
import type { Fields, Question } from './peers/peer.ts'

const QUOTED: Readonly<Record<string, RegExp>> = {
  /** Of the Data API, which binds nothing. */
  Sql: /"(?:[^"]|"")*"|'(?:[^'\\]|'')*'|\b\d+\b/g,
  /** Lines of shell: words in quotes, one after the other. */
  commands: /'[^']*'(?:\\''[^']*')*(?: '[^']*'(?:\\''[^']*')*)*/g,
}

/** A statement or a script in which each quoted value, and each number of SQL, is `*`. */
export const unquoted = (language: 'Sql' | 'commands', text: string): string => text.replace(QUOTED[language]!, '*')

/**
 * The shape of JSON: names, and how they lie in one another. A value is a value, whatever it holds, but for a statement or a
 * script, and all that stands under the name `free` is one.
 */
function shapeOf(value: unknown, free: string | null, name = ''): string {
  if (name === free) return '*'
  if (name === 'Sql' || name === 'commands')
    return JSON.stringify([value].flat().map((line) => unquoted(name, `${line}`)))
  if (Array.isArray(value)) return `[${[...new Set(value.map((one) => shapeOf(one, free, '[]')))].sort().join()}]`
  if (typeof value !== 'object' || value === null) return '*'
  return `{${Object.entries(value)
    .map(([key, inner]) => `${JSON.stringify(key)}:${shapeOf(inner, free, key)}`)
    .sort()
    .join()}}`
}

function bodyShape({ input, action }: Question, body: string, type: string, free: string | null): string {
  if (body === '') return ''
  if (type.includes('json')) return input === NONE ? 'broken JSON' : shapeOf(input, free)
  if (action)
    return Object.keys(input)
      .map((k) => k.replace(/\d+/g, '#'))
      .sort()
      .join('&')
  return type.includes('xml') ? [...new Set(body.match(/<[^>]*>/g))].sort().join('') : 'text'
}

const NONE = {}

/** What a request says. */
export function understand(request: IncomingMessage, body: string): Question {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2)
  const type = request.headers['content-type'] ?? ''
  let input: Fields = NONE
  if (type.includes('json'))
    try {
      input = JSON.parse(body)
    } catch {}
  else if (type.includes('x-www-form-urlencoded')) input = Object.fromEntries(new URLSearchParams(body))
  const action = String(request.headers['x-amz-target'] ?? input?.Action ?? '').replace(/^.*\./, '')
  return {
    method: request.method ?? '',
    path,
    segments: path.split('/').map(decoded),
    query: new URLSearchParams(query),
    action,
    input,
  }
}

/** As it is where it can't be decoded. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/** `known` names path segments that are no values. */
export function requestShape(
  request: IncomingMessage,
  question: Question,
  body: string,
  known: ReadonlySet<string>,
  free: string | null,
): string {
  const [path = ''] = (request.url ?? '').split('?', 1)
  const segments = path.split('/').map((s) => (known.has(s) ? s : '*'))
  const names = free === '' ? [] : [...new Set(question.query.keys())].sort()
  const headers = request.rawHeaders.filter((_, i) => i % 2 === 0).map((h) => h.toLowerCase())
  const shape = bodyShape(question, body, request.headers['content-type'] ?? '', free)
  const fixed = headers.filter((h) => !/^(amz-|x-amz-|content-length|connection|accept|user-agent)/.test(h))
  return `${request.method} ${segments.join('/')}?${names} ${question.action} ${shape} (${fixed.sort()})`
}
