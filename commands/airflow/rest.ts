import { setTimeout as pause } from 'node:timers/promises'
import { Refused, Unanswered } from '../../src/domain/command.ts'
import { parseAnswer } from './answer.ts'
import type { Settings } from './connection.ts'
import { type Answer, codeOf, createExchange, NoTicket, NotSent, tailOf } from './exchange.ts'
import { createTickets, type Ticket } from './ticket.ts'

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>
export type Call = Readonly<{
  method: 'GET' | 'POST' | 'PATCH' | 'PUT'
  /** Segments below `/api/v1` or `/api/v2`; each is encoded. */
  path: readonly string[]
  query?: Query
  body?: unknown
  /** Answers that are none: `undefined` is returned. */
  missing?: readonly number[]
  /** It changes nothing, though it is no GET. */
  reads?: boolean
  signal: AbortSignal
}>

export type Rest = Readonly<{
  /** The parsed answer, or undefined for a status in `missing`. A change is sent once, unless it was not let in. */
  json(call: Call): Promise<unknown>
  /** The last `bytes` of the answer as text, or undefined for a status in `missing`. */
  tail(call: Call, accept: string, bytes: number): Promise<string | undefined>
  close(): void
}>

const MOST_BYTES = 16 * 1024 * 1024
/** How often something that changes nothing is asked while the answer is one that passes. */
const LOOKS = 4
/** How often a request buys another token: one that was bought for it may be over before it is used. */
const RENEWALS = 2
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000
const PASSING = [429, 502, 503, 504]

/** Airflow answered, and said no. */
export class Answered extends Error {
  override name = 'Answered'
  readonly status: number
  /** In milliseconds, where the answer named a pause. */
  readonly retryAfter: number
  constructor(status: number, message: string, retryAfter = 0) {
    super(message)
    this.status = status
    this.retryAfter = retryAfter
  }
}

/** Whether a look failed for a reason that goes away by itself: a wait may look again. */
export const isPassing = (error: unknown): boolean =>
  error instanceof Unanswered ||
  error instanceof NotSent ||
  ((error instanceof Answered || error instanceof NoTicket) && (PASSING.includes(error.status) || error.status === 500))

/** Requests to one Airflow with its credentials. Follows no redirect. Throws with status and Airflow's own sentence. */
export function createRest(settings: Settings, secret: (variable: string) => string): Rest {
  const exchange = createExchange(settings.ca)
  const tickets = createTickets(settings, secret, exchange)
  const firstPause = Math.min(FIRST_PAUSE_MS, settings.pollSeconds * 1000)

  async function once<T>(call: Call, ticket: Ticket, accept: string, read: (answer: Answer) => Promise<T>) {
    const signal = AbortSignal.any([call.signal, AbortSignal.timeout(settings.timeoutMs)])
    const url = new URL(`${ticket.root}/api/v${settings.api}/${call.path.map(encodeURIComponent).join('/')}`)
    for (const [key, value] of Object.entries(call.query ?? {}))
      for (const one of Array.isArray(value) ? value : [value])
        if (one !== undefined) url.searchParams.append(key, String(one))
    const what = `${call.method} ${url.pathname}`
    try {
      const answer = await exchange.send({
        method: call.method,
        url: url.href,
        signal,
        headers: {
          accept,
          ...ticket.headers,
          'user-agent': 'keyturn',
          ...(call.body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
      })
      if (answer.status >= 200 && answer.status < 300) return await read(answer)
      const said = (await tailOf(answer.body, 2000)).replace(/\s+/g, ' ')
      if (call.missing?.includes(answer.status)) return undefined
      throw new Answered(answer.status, `airflow: ${what} ${saidOf(answer, said, settings.auth)}`, retryAfterOf(answer))
    } catch (cause) {
      if (cause instanceof Answered || cause instanceof Refused) throw cause
      if (cause instanceof NotSent) throw new NotSent(`airflow: ${what}: ${cause.message}; check baseUrl`, { cause })
      const why = codeOf(cause)
        ? ` (${codeOf(cause)})`
        : signal.aborted && !call.signal.aborted
          ? ` within ${settings.timeoutMs} ms`
          : ''
      throw new Unanswered(`airflow: ${what} got no complete answer${why}`, { cause })
    }
  }

  async function ask<T>(call: Call, accept: string, read: (answer: Answer) => Promise<T>): Promise<T | undefined> {
    // The URL parser would climb out of the path.
    const odd = call.path.find((part) => ['', '.', '..'].includes(part))
    if (odd !== undefined) throw new Refused(`${JSON.stringify(odd)} is no name of anything in Airflow.`)
    const changes = call.method !== 'GET' && !call.reads
    let renewals = 0
    for (let look = 1; ; look++) {
      let ticket: Ticket | undefined
      try {
        ticket = await ticketFor(call.signal)
        return await once(call, ticket, accept, read)
      } catch (error) {
        if (call.signal.aborted) throw error
        // Nobody was let in, so nothing was done: also a change is sent again.
        if (ticket && renewals < RENEWALS && isExpired(error) && tickets.drop(ticket)) {
          renewals++
          look--
          continue
        }
        const isLetIn = !(
          error instanceof NotSent ||
          error instanceof NoTicket ||
          (error instanceof Answered && error.status === 429)
        )
        const isWorthwhile = isPassing(error) && !(error instanceof Answered && error.status === 500)
        if (look >= LOOKS || !isWorthwhile || (changes && isLetIn)) throw asEnd(error, changes, look)
        const named = error instanceof Answered ? error.retryAfter : 0
        await pause(Math.min(LONGEST_PAUSE_MS, Math.max(named, firstPause * 2 ** (look - 1))), undefined, {
          signal: call.signal,
        })
      }
    }
  }

  async function ticketFor(signal: AbortSignal): Promise<Ticket> {
    try {
      return await tickets.get(AbortSignal.any([signal, AbortSignal.timeout(settings.timeoutMs)]))
    } catch (cause) {
      if (cause instanceof NoTicket || cause instanceof NotSent) throw cause
      const isNetwork =
        codeOf(cause) !== '' || (cause instanceof Error && ['AbortError', 'TimeoutError'].includes(cause.name))
      if (settings.auth.kind === 'google')
        throw new NoTicket(
          'Google',
          isNetwork ? 503 : 0,
          'check auth.keyFrom, auth.audience and the roles of this account',
        )
      if (!isNetwork) throw cause
      // Nothing was asked of Airflow yet.
      throw new NotSent(`airflow: no token could be had: ${codeOf(cause) || 'no complete answer'}`, { cause })
    }
  }

  return {
    json: (call) =>
      ask(call, 'application/json', async (answer) => {
        const text = await tailOf(answer.body, MOST_BYTES + 1)
        const what = `${call.method} ${call.path.join('/')}`
        if (Buffer.byteLength(text) > MOST_BYTES) throw new Answered(200, `airflow: ${what} answered more than 16 MiB`)
        try {
          return text === '' ? null : parseAnswer(text)
        } catch {
          throw new Answered(
            200,
            `airflow: ${what} answered something that is not JSON; check baseUrl, which may lead to a login page`,
          )
        }
      }),
    tail: (call, accept, bytes) => ask(call, accept, (answer) => tailOf(answer.body, bytes)),
    close: exchange.close,
  }
}

/** Airflow 3.0 says 403 of a token that has expired, later ones 401 (api_fastapi/core_api/security.py). MWAA sends to its login. */
const isExpired = (error: unknown): boolean =>
  error instanceof Answered &&
  (error.status === 401 ||
    (error.status >= 300 && error.status < 400) ||
    (error.status === 403 && /token expired|invalid jwt|jwt token/i.test(error.message)))

function saidOf(answer: Answer, said: string, auth: Settings['auth']): string {
  const { status } = answer
  if (status >= 300 && status < 400)
    return `sends to ${String(answer.headers.location ?? 'somewhere else').slice(0, 200)}, which is not followed; check baseUrl and auth`
  const remedy =
    status === 401 && auth.kind === 'bearer'
      ? `; the token in ${auth.tokenFrom} is wrong or over, and is not bought anew`
      : status === 401 || status === 403
        ? '; check the role of this user in Airflow'
        : ''
  // The page of a proxy says nothing to people.
  const own = /^\s*</.test(said) ? '' : `: ${said.slice(0, 300)}`
  return `answered ${status}${remedy}${own}`
}

/** `Retry-After` as seconds or as a date: RFC 9110, section 10.2.3. */
function retryAfterOf({ headers }: Answer): number {
  const text = headers['retry-after']
  if (text === undefined) return 0
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  return Number.isFinite(ms) ? Math.max(0, ms) : 0
}

/** A change that was let in and got a 5xx may have landed all the same. */
function asEnd(error: unknown, changes: boolean, looks: number): unknown {
  if (changes && error instanceof Answered && error.status >= 500)
    return new Unanswered(`${error.message}. It may have taken effect`, { cause: error })
  if (looks > 1 && error instanceof Error) error.message += ` (asked ${looks} times)`
  return error
}
