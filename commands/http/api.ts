import { exchange } from './exchange.ts'
import { parseJson } from './json.ts'
import { below } from './within.ts'

/** The status of an answer and its JSON; null where it had no body. */
export type Said = Readonly<{ status: number; value: unknown }>

export type Api = Readonly<{
  /** Sends one request below the base, once. Throws when no complete answer came, or one that is not JSON. */
  ask(method: 'GET' | 'POST' | 'PUT', path: string, signal: AbortSignal, body?: unknown): Promise<Said>
}>

/** JSON requests to one service whose API we know. Follows no redirect, and reads no more than `maxBytes` of an answer. */
export function createApi(service: {
  name: string
  baseUrl: string
  headers: Record<string, string>
  secret?: string | undefined
  /** Private networks that its name may stand for; none if left out. */
  networks?: readonly string[]
  timeoutMs: number
  maxBytes: number
}): Api {
  return {
    async ask(method, path, signal, body) {
      const answer = await exchange({
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
        secret: service.secret,
        reachable: service.networks ?? [],
      })
      const what = `${service.name}: ${method} ${path}`
      if (answer.status >= 500 || (answer.status >= 300 && answer.status < 400))
        throw new Error(
          `${what} answered ${answer.status}${answer.location && `, a redirect to ${answer.location.slice(0, 200)}, which was not followed`}`,
        )
      return { status: answer.status, value: answer.body === '' ? null : parseJson(answer, what) }
    },
  }
}
