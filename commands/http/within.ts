import { Refused } from '../../src/domain/command.ts'
import type { HttpSettings, Method } from './connection.ts'

const MOST = 2_000

/** What could be read differently by a proxy or a server behind it: encoded dots, slashes, percent signs, controls. */
const AMBIGUOUS = /%(2e|2f|5c|25|3b|[01][0-9a-f]|7f)/i

/** Why a path is not one that can be joined to a base; null if it is. */
function fault(path: string): string | null {
  if (path.length > MOST) return `it is longer than ${MOST} characters`
  if (!path.startsWith('/') || path.startsWith('//')) return 'it must begin with one "/"'
  if (/[\s\\#\p{Cc}]|[^\x21-\x7e]/u.test(path)) return 'it holds a space, a backslash, "#" or a character outside ASCII'
  const [name = ''] = path.split('?', 1)
  if (name.includes('//')) return 'it holds "//"'
  if (name.split('/').some((segment) => /^\.{1,2}(;.*)?$/.test(segment))) return 'it holds a "." or ".." segment'
  if (AMBIGUOUS.test(name)) return 'it holds an encoded dot, slash, percent sign or control character'
  if (/%(?![0-9a-f]{2})/i.test(path)) return 'it holds a "%" that encodes nothing'
  return null
}

/** `*` stands for one segment that is not empty. */
function matches(pattern: string, name: string): boolean {
  const [want, have] = [pattern.split('/'), name.split('/')]
  return want.length === have.length && want.every((part, i) => (part === '*' ? have[i] !== '' : part === have[i]))
}

/**
 * The URL of `path` below the connection's base. Throws Refused when a server could read the path as another one. For
 * paths that the configuration wrote; one from elsewhere goes through `within`.
 */
export function below({ baseUrl }: Pick<HttpSettings, 'baseUrl'>, path: string): URL {
  const problem = fault(path)
  if (problem) throw new Refused(`The path ${JSON.stringify(path.slice(0, 200))} is refused: ${problem}.`)
  const base = new URL(baseUrl)
  const root = base.pathname.replace(/\/$/, '')
  const url = new URL(`${base.origin}${root}${path}`)
  // What was checked must be what is sent: the parser may not have rewritten anything.
  if (url.href !== `${base.origin}${root}${path}`)
    throw new Refused(`The path ${path.slice(0, 200)} is refused: it would be sent as ${url.pathname}.`)
  return url
}

/** The URL of `path` below the connection's base, if the connection allows it. Throws Refused with the reason otherwise. */
export function within(settings: HttpSettings, method: Method, path: string): URL {
  const url = below(settings, path)
  const [name = ''] = path.split('?', 1)
  const query = path.includes('?')
  const allowed = settings.allow.some((a) => a.method === method && matches(a.path, name) && (a.query || !query))
  if (!allowed) throw new Refused(`The connection does not allow ${method} ${path.slice(0, 200)}.`)
  return url
}
