import { Unanswered } from '../../src/domain/command.ts'
import { exchange } from './exchange.ts'
import { answeredWith, parseJson } from './json.ts'
import { patiently } from './patience.ts'
import { below } from './within.ts'

/** The status of an answer and its JSON; null where it had no body. */
export type Said = Readonly<{ status: number; value: unknown }>

export type Api = Readonly<{
  /**
   * Sends one request below the base: a GET again where the answer is one that passes, a change only after a 429, which says
   * that it was not done. Throws when no complete answer came, or one that is not JSON.
   */
  ask(method: 'GET' | 'POST' | 'PUT', path: string, signal: AbortSignal, body?: unknown): Promise<Said>
}>

/** JSON requests to one service whose API we know. Follows no redirect, and reads no more than `maxBytes` of an answer. */
export function createApi(service: {
  name: string
  baseUrl: string
  headers: Record<string, string>
  secrets: readonly string[]
  /** Private networks that its name may stand for; none if left out. */
  networks?: readonly string[]
  ca?: string | undefined
  timeoutMs: number
  maxBytes: number
  /** What helps where an answer is longer. */
  remedy?: string
}): Api {
  return {
    async ask(method, path, signal, body) {
      const once = () =>
        exchange({
          method,
          url: below(service, path),
          headers: {
            accept: 'application/json',
            ...(body !== undefined && { 'content-type': 'application/json' }),
            ...service.headers,
          },
          body: body === undefined ? undefined : JSON.stringify(body),
          signal: AbortSignal.any([signal, AbortSignal.timeout(service.timeoutMs)]),
          maxBytes: service.maxBytes,
          secrets: service.secrets,
          reachable: service.networks ?? [],
          ca: service.ca,
        })
      const answer = await patiently(once, signal, { only429: method !== 'GET' })
      const what = `${service.name}: ${method} ${path.split('?', 1)[0]}`
      if (answer.status >= 500 || (answer.status >= 300 && answer.status < 400))
        // A gateway gave up waiting for the service, which may be at it still.
        throw method !== 'GET' && (answer.status === 502 || answer.status === 504)
          ? new Unanswered(`${what} ${answeredWith(answer)}; it may have taken effect`)
          : new Error(`${what} ${answeredWith(answer)}`)
      if (answer.status < 200 || answer.status >= 300) return { status: answer.status, value: softly(answer, what) }
      return {
        status: answer.status,
        value: answer.body.trim() === '' ? null : parseJson(answer, what, service.remedy),
      }
    },
  }
}

/** What a refusal says: its JSON, or its words where it is none. */
function softly(answer: Parameters<typeof parseJson>[0], what: string): unknown {
  try {
    return parseJson(answer, what)
  } catch {
    return answeredWith(answer)
  }
}
