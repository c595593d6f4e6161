import { createHmac, timingSafeEqual } from 'node:crypto'
import type { App, Receiver, ReceiverEvent } from '@slack/bolt'
import type { FastifyPluginAsync } from 'fastify'
import type { Logger as Log } from 'pino'
import type { Clock, Postbox } from '../domain/ports.ts'

/** How old or how far ahead a signed request may be, in seconds: https://docs.slack.dev/authentication/verifying-requests-from-slack */
const TOLERANCE = 300
/** Slack waits 3 s; a late answer is a refusal that the person can see. */
const ANSWER_WITHIN = 2900
/** A payload holds the message that was pressed, at most 50 blocks. */
const BODY_LIMIT = 1024 * 1024

type Reply = { status: number; body?: unknown }
const OK: Reply = { status: 200 }
const NOT_STORED: Reply = { status: 503, body: 'not stored; try again' }

/** Whether the bytes were signed with our secret, around now. */
export function isSigned(
  request: { timestamp: string; signature: string; body: Buffer },
  secret: string,
  now: number,
): boolean {
  const { timestamp, signature, body } = request
  if (!/^[0-9]{1,12}$/.test(timestamp) || Math.abs(now / 1000 - Number(timestamp)) > TOLERANCE) return false
  const mac = createHmac('sha256', secret).update(`v0:${timestamp}:`).update(body).digest('hex')
  const [given, wanted] = [Buffer.from(signature), Buffer.from(`v0=${mac}`)]
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

/**
 * Bolt's way in over HTTP, as a plugin for a server that is there already: `POST /slack/events`. 200 when the listener has
 * acknowledged, 503 when it threw or is late, 401 for what Slack has not just signed. The same signed bytes are processed
 * once; what ended in 503 may come again.
 */
export function createHttpReceiver(deps: {
  signingSecret: string
  postbox: Pick<Postbox, 'firstTime'>
  clock: Clock
  log: Log
  answerWithin?: number
}): { receiver: Receiver; plugin: FastifyPluginAsync } {
  const { signingSecret, postbox, clock, log, answerWithin = ANSWER_WITHIN } = deps
  let app: App | null = null
  /** By signature: what is in work here, and how it ended here. The memory over all bots knows only "seen". */
  const inWork = new Map<string, Promise<Reply>>()
  const ended = new Map<string, { at: number; reply: Reply }>()

  /** Processes an event; settles as soon as it is acknowledged, or has failed. */
  function process(
    body: ReceiverEvent['body'],
    retry: Pick<ReceiverEvent, 'retryNum' | 'retryReason'>,
  ): Promise<Reply> {
    return new Promise((resolve) => {
      const give = (reply: Reply) => {
        clearTimeout(timer)
        resolve(reply)
      }
      const timer = setTimeout(() => {
        log.error({ type: body.type }, `Slack's request was not dealt with in ${answerWithin} ms`)
        resolve(NOT_STORED)
      }, answerWithin)
      const ack = async (response?: unknown) => give({ ...OK, ...(response ? { body: response } : {}) })
      if (!app) throw new Error('the receiver was not given to a Bolt app')
      app.processEvent({ body, ack, ...retry }).then(
        () => give({ status: 404, body: 'nothing listens to this' }),
        (err) => {
          log.error({ err, type: body.type }, "Slack's request failed; Slack shows its own error")
          give(NOT_STORED)
        },
      )
    })
  }

  async function once(signature: string, work: () => Promise<Reply>): Promise<Reply> {
    const now = clock()
    for (const [old, { at }] of ended) if (now - at > 2 * TOLERANCE * 1000) ended.delete(old)
    const running = inWork.get(signature)
    if (running) return running
    const result = (async () => {
      const before = ended.get(signature)
      if (before?.reply.status === 200) {
        log.warn('a request of Slack came a second time and was not processed again')
        return OK
      }
      if (!before && !(await postbox.firstTime(signature))) {
        log.warn('a request of Slack was seen by another bot; it is not processed here, nor said to be stored')
        return NOT_STORED
      }
      const reply = await work()
      ended.set(signature, { at: now, reply })
      return reply
    })().finally(() => inWork.delete(signature))
    inWork.set(signature, result)
    return result
  }

  const plugin: FastifyPluginAsync = async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: BODY_LIMIT }, (_request, bytes, done) =>
      done(null, bytes),
    )
    scope.post<{ Body: Buffer | undefined }>('/slack/events', async (request, reply) => {
      const header = (name: string) => String(request.headers[name] ?? '')
      const bytes = request.body ?? Buffer.alloc(0)
      const signature = header('x-slack-signature')
      const signed = { timestamp: header('x-slack-request-timestamp'), signature, body: bytes }
      if (!isSigned(signed, signingSecret, clock())) {
        log.warn({ ip: request.ip }, 'a request to /slack/events was not signed by Slack just now')
        return reply.code(401).send('not signed by Slack')
      }
      const body = parseBody(bytes.toString('utf8'), header('content-type'))
      if (!body) return reply.code(400).send('not understood')
      if (body.ssl_check) return reply.code(200).send()
      if (body.type === 'url_verification') return reply.send({ challenge: body.challenge })
      const num = request.headers['x-slack-retry-num']
      const reason = header('x-slack-retry-reason')
      const retry = num === undefined ? {} : { retryNum: Number(num), retryReason: reason }
      const answer = await once(signature, () => process(body, retry)).catch((err: unknown): Reply => {
        log.error({ err }, "Slack's request could not be checked for a replay")
        return NOT_STORED
      })
      return reply.code(answer.status).send(answer.body ?? '')
    })
  }

  const receiver: Receiver = {
    init: (bolt) => {
      app = bolt as App
    },
    start: async () => {},
    stop: async () => {},
  }
  return { receiver, plugin }
}

/** Events are JSON; interactions are a form with JSON in `payload`; a check of the certificate is a plain form. */
function parseBody(text: string, contentType: string): ReceiverEvent['body'] | null {
  try {
    if (contentType.startsWith('application/json')) return asObject(JSON.parse(text))
    const form = Object.fromEntries(new URLSearchParams(text))
    return form.payload === undefined ? form : asObject(JSON.parse(form.payload))
  } catch {
    return null
  }
}

const asObject = (value: unknown): ReceiverEvent['body'] | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as ReceiverEvent['body']) : null
