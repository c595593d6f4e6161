import { createHmac } from 'node:crypto'
import type { Clock } from './clock.ts'
import type { SocketHub } from './socket.ts'
import type { Json } from './state.ts'

/** The bot's answer: its HTTP status (200 for a Socket Mode ack, 0 for none in time), the parsed body, what went wrong. */
export interface Answer {
  status: number
  body: unknown
  error?: 'http_timeout' | 'http_error' | 'connection_failed' | 'no_connection'
  headers: Record<string, string>
}

/** A request that was sent to the bot, as it went over the wire. */
export interface SentRequest {
  body: string
  headers: Record<string, string>
}

const ANSWER_WITHIN_MS = 3000

/** Slack's request signature: https://docs.slack.dev/authentication/verifying-requests-from-slack */
export function sign(secret: string, timestamp: number | string, body: string): string {
  return `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex')}`
}

/** Brings interactions and events to the bot: signed HTTP if it has a request URL, else Socket Mode. */
export function createDelivery(options: {
  signingSecret: string
  clock: Clock
  socket: SocketHub
  requestUrl?: string
}) {
  const { signingSecret, clock, socket } = options
  const sent: SentRequest[] = []
  let requestUrl = options.requestUrl

  async function post(request: SentRequest): Promise<Answer> {
    if (!requestUrl) throw new Error('no request URL is set: pass requestUrl or call setRequestUrl first')
    const stop = new AbortController()
    const cancel = clock.after(ANSWER_WITHIN_MS, () => stop.abort())
    try {
      const response = await fetch(requestUrl, { method: 'POST', ...request, signal: stop.signal })
      const text = await response.text()
      const error = response.ok ? undefined : 'http_error'
      return { status: response.status, body: parse(text), error, headers: Object.fromEntries(response.headers) }
    } catch {
      return { status: 0, body: '', error: stop.signal.aborted ? 'http_timeout' : 'connection_failed', headers: {} }
    } finally {
      cancel()
    }
  }

  function signed(body: string, contentType: string, extra: Record<string, string> = {}): SentRequest {
    const timestamp = String(Math.floor(clock.now() / 1000))
    return {
      body,
      headers: {
        'content-type': contentType,
        'user-agent': 'Slackbot 1.0 (+https://api.slack.com/robots)',
        'x-slack-request-timestamp': timestamp,
        'x-slack-signature': sign(signingSecret, timestamp, body),
        ...extra,
      },
    }
  }

  async function overSocket(type: 'interactive' | 'events_api', payload: Json, extra: Json): Promise<Answer> {
    const ack = await socket.send(type, payload, extra)
    if (ack.ok) return { status: 200, body: ack.payload ?? '', headers: {} }
    const error =
      ack.error === 'timeout' ? 'http_timeout' : ack.error === 'closed' ? 'connection_failed' : 'no_connection'
    return { status: 0, body: '', error, headers: {} }
  }

  return {
    /** Every request that was sent to the bot, oldest first. */
    sent: sent as readonly SentRequest[],
    setRequestUrl(url: string | undefined): void {
      requestUrl = url
    },
    interaction(payload: Json): Promise<Answer> {
      if (!requestUrl)
        return overSocket('interactive', payload, { accepts_response_payload: payload.type === 'view_submission' })
      const request = signed(
        `payload=${encodeURIComponent(JSON.stringify(payload))}`,
        'application/x-www-form-urlencoded',
      )
      sent.push(request)
      return post(request)
    },
    event(payload: Json, retry: { num: number; reason: string }): Promise<Answer> {
      const { num, reason } = retry
      if (!requestUrl)
        return overSocket('events_api', payload, {
          accepts_response_payload: false,
          retry_attempt: num,
          retry_reason: reason,
        })
      const headers: Record<string, string> =
        num > 0 ? { 'x-slack-retry-num': String(num), 'x-slack-retry-reason': reason } : {}
      const request = signed(JSON.stringify(payload), 'application/json', headers)
      sent.push(request)
      return post(request)
    },
    /** Sends anything: a payload that no click made, with a time and signature of the attacker's choice; null leaves the header out. */
    forge(
      payload: Json | string,
      by: { timestamp?: number | null; signature?: string | null; secret?: string } = {},
    ): Promise<Answer> {
      const body = typeof payload === 'string' ? payload : `payload=${encodeURIComponent(JSON.stringify(payload))}`
      const timestamp = by.timestamp === undefined ? Math.floor(clock.now() / 1000) : by.timestamp
      const signature =
        by.signature === undefined ? sign(by.secret ?? signingSecret, timestamp ?? '', body) : by.signature
      const headers: Record<string, string> = { 'content-type': 'application/x-www-form-urlencoded' }
      if (timestamp !== null) headers['x-slack-request-timestamp'] = String(timestamp)
      if (signature !== null) headers['x-slack-signature'] = signature
      return post({ body, headers })
    },
    /** Sends the n-th request again, byte for byte; negative counts from the end. */
    replay(n: number): Promise<Answer> {
      const request = sent.at(n)
      if (!request) throw new Error(`nothing to replay: request ${n} of ${sent.length}`)
      return post(request)
    },
  }
}
export type Delivery = ReturnType<typeof createDelivery>

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
