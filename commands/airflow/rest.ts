import { Refused, Unanswered } from '../../src/domain/command.ts'
import type { Settings } from './connection.ts'

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>
export type Call = Readonly<{
  method: 'GET' | 'POST' | 'PATCH' | 'PUT'
  /** Segments below `/api/v1` or `/api/v2`; each is encoded. */
  path: readonly string[]
  query?: Query
  body?: unknown
  /** Answers that are none: `undefined` is returned. */
  missing?: readonly number[]
  signal: AbortSignal
}>

export type Rest = Readonly<{
  /** The parsed answer, or undefined for a status in `missing`. Sent once. */
  json(call: Call): Promise<unknown>
  /** The last `bytes` of the answer as text, or undefined for a status in `missing`. */
  tail(call: Call, accept: string, bytes: number): Promise<string | undefined>
}>

const MOST_BYTES = 16 * 1024 * 1024

/** Requests to one Airflow with its credentials. Follows no redirect. Throws with status and Airflow's own sentence. */
export function createRest(settings: Settings, secret: (variable: string) => string): Rest {
  const root = settings.baseUrl.replace(/\/+$/, '')
  const { auth } = settings
  let bought: Promise<string> | undefined

  async function buy(signal: AbortSignal): Promise<string> {
    if (auth.kind !== 'token') throw new TypeError('only the token kind buys a token')
    const url = `${root}${auth.path}`
    const body = JSON.stringify({ username: auth.user, password: secret(auth.passwordFrom) })
    const answer = await send(url, { method: 'POST', body, headers: { 'content-type': 'application/json' }, signal })
    const token = answer.ok && ((await answer.json()) as { access_token?: unknown }).access_token
    if (typeof token !== 'string')
      throw new Error(
        `airflow: ${url} gave no token (${answer.status}); check auth.user, auth.passwordFrom and auth.path`,
      )
    return token
  }

  async function authorization(signal: AbortSignal): Promise<string> {
    if (auth.kind === 'bearer') return `Bearer ${secret(auth.tokenFrom)}`
    if (auth.kind === 'basic')
      return `Basic ${Buffer.from(`${auth.user}:${secret(auth.passwordFrom)}`).toString('base64')}`
    bought ??= buy(signal)
    return `Bearer ${await bought}`
  }

  async function send(url: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(url, { ...init, redirect: 'error' })
    } catch (cause) {
      throw new Unanswered(`airflow: ${init.method} ${url} got no complete answer`, { cause })
    }
  }

  async function open(call: Call, accept: string): Promise<Response | undefined> {
    // The URL parser would climb out of the path.
    const odd = call.path.find((part) => ['', '.', '..'].includes(part))
    if (odd !== undefined) throw new Refused(`${JSON.stringify(odd)} is no name of anything in Airflow.`)
    const signal = AbortSignal.any([call.signal, AbortSignal.timeout(settings.timeoutMs)])
    const url = new URL(`${root}/api/v${settings.api}/${call.path.map(encodeURIComponent).join('/')}`)
    for (const [key, value] of Object.entries(call.query ?? {}))
      for (const one of Array.isArray(value) ? value : [value])
        if (one !== undefined) url.searchParams.append(key, String(one))
    const answer = await send(url.href, {
      method: call.method,
      signal,
      headers: {
        accept,
        authorization: await authorization(signal),
        'user-agent': 'keyturn',
        ...(call.body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
    })
    if (answer.ok) return answer
    const said = (await tailOf(answer, 2000)).replace(/\s+/g, ' ')
    if (call.missing?.includes(answer.status)) return undefined
    const remedy = answer.status === 401 || answer.status === 403 ? '; check the role of this user in Airflow' : ''
    throw new Error(`airflow: ${call.method} ${url.pathname} answered ${answer.status}${remedy}: ${said.slice(0, 300)}`)
  }

  return {
    async json(call) {
      const answer = await open(call, 'application/json')
      if (!answer) return undefined
      const text = await tailOf(answer, MOST_BYTES + 1)
      if (Buffer.byteLength(text) > MOST_BYTES)
        throw new Error(`airflow: ${call.path.join('/')} answered more than 16 MiB`)
      try {
        return text === '' ? null : JSON.parse(text)
      } catch (cause) {
        throw new Error(`airflow: ${call.method} ${call.path.join('/')} answered no JSON; check baseUrl`, { cause })
      }
    },
    async tail(call, accept, bytes) {
      const answer = await open(call, accept)
      return answer && tailOf(answer, bytes)
    },
  }
}

/** Reads an answer to its end and keeps the last `bytes` of it. */
async function tailOf(answer: Response, bytes: number): Promise<string> {
  let kept = Buffer.alloc(0)
  for await (const part of answer.body ?? []) {
    kept = Buffer.concat([kept, part as Uint8Array])
    if (kept.length > 2 * bytes) kept = kept.subarray(-bytes)
  }
  return kept.subarray(-bytes).toString('utf8')
}
