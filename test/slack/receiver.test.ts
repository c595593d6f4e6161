import { createHmac } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { App } from '@slack/bolt'
import fastify, { type FastifyInstance } from 'fastify'
import { createHttpReceiver } from '../../src/slack/receiver.ts'
import { slackLogger } from '../../src/slack/send.ts'
import { createMemoryPostbox } from './postbox.ts'
import { createLines, SECRETS } from './world.ts'

const NOW = 1_763_700_000_000
let now = NOW
let pressed: string[] = []
let fail = false
let hold: Promise<void> | null = null
let server: FastifyInstance
let postbox: ReturnType<typeof createMemoryPostbox>
const { log, has } = createLines()

const bot = (box: typeof postbox, answerWithin = 2900) => {
  const http = createHttpReceiver({
    signingSecret: SECRETS.signingSecret,
    postbox: box,
    clock: () => now,
    log,
    answerWithin,
  })
  const app = new App({
    receiver: http.receiver,
    authorize: async () => ({}),
    logger: slackLogger(log),
    convoStore: false,
  })
  app.action('go', async ({ ack, body }) => {
    await hold
    if (fail) throw new Error('the store cannot be reached')
    pressed.push(body.user.id)
    await ack()
  })
  app.event('app_home_opened', async ({ context }) => void pressed.push(`home ${context.retryNum ?? 0}`))
  return http.plugin
}

beforeEach(async () => {
  now = NOW
  pressed = []
  fail = false
  hold = null
  postbox = createMemoryPostbox(() => now)
  server = fastify()
  await server.register(bot(postbox))
})
afterEach(() => server.close())

const sign = (body: string, timestamp: string, secret = SECRETS.signingSecret) =>
  `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex')}`

const click = (user = 'U1', action_id = 'go') => {
  const payload = {
    type: 'block_actions',
    user: { id: user },
    team: { id: 'T1' },
    actions: [{ action_id, type: 'button', block_id: 'b' }],
  }
  return `payload=${encodeURIComponent(JSON.stringify(payload))}`
}

/** Sends a body as Slack would, or with something of it changed. */
async function post(
  body: string,
  by: { at?: number; signature?: string; secret?: string; type?: string; headers?: object; to?: FastifyInstance } = {},
) {
  const timestamp = String(Math.floor((by.at ?? now) / 1000))
  const signature = by.signature ?? sign(body, timestamp, by.secret)
  const response = await (by.to ?? server).inject({
    method: 'POST',
    url: '/slack/events',
    headers: {
      'content-type': by.type ?? 'application/x-www-form-urlencoded',
      'x-slack-request-timestamp': timestamp,
      'x-slack-signature': signature,
      ...by.headers,
    },
    payload: body,
  })
  return { status: response.statusCode, body: response.body }
}

it('brings a signed press to its listener', async () => {
  expect(await post(click())).toEqual({ status: 200, body: '' })
  expect(pressed).toEqual(['U1'])
})

describe('answers 401, and processes nothing, when', () => {
  it.each([
    ['the signature was made with another secret', { secret: 'guessed' }],
    ['there is no signature', { signature: '' }],
    ['the signature has another length', { signature: 'v0=00' }],
    ['the request is older than five minutes', { at: NOW - 301_000 }],
    ['the request is more than five minutes ahead', { at: NOW + 301_000 }],
    ['the time is no number', { headers: { 'x-slack-request-timestamp': 'soon' } }],
  ])('%s', async (_, by) => {
    expect((await post(click(), by)).status).toBe(401)
    expect(pressed).toEqual([])
  })

  it('the body was changed after it was signed', async () => {
    const signature = sign(click('U1'), String(NOW / 1000))
    expect((await post(click('U2'), { signature })).status).toBe(401)
  })
})

it('takes what is five minutes old or ahead', async () => {
  expect((await post(click('U1'), { at: NOW - 300_000 })).status).toBe(200)
  expect((await post(click('U2'), { at: NOW + 300_000 })).status).toBe(200)
})

describe('the same signed bytes', () => {
  it('are answered 200 and not processed again', async () => {
    for (let i = 0; i < 3; i += 1) expect((await post(click())).status).toBe(200)
    expect(pressed).toEqual(['U1'])
    expect(has('warn', 'second time')).toBe(true)
  })

  it('that come twice at the same time are processed once, and both hear how it ended', async () => {
    const open = Promise.withResolvers<void>()
    hold = open.promise
    fail = true
    const both = [post(click()), post(click())]
    open.resolve()
    expect((await Promise.all(both)).map((r) => r.status)).toEqual([503, 503])
    fail = false
    expect((await post(click())).status).toBe(200)
    expect(pressed).toEqual(['U1'])
  })

  it('that failed may come again', async () => {
    fail = true
    expect((await post(click())).status).toBe(503)
    fail = false
    expect((await post(click())).status).toBe(200)
    expect(pressed).toEqual(['U1'])
  })

  it('are not processed by another bot either, and not said to be stored by it', async () => {
    expect((await post(click())).status).toBe(200)
    const other = fastify()
    await other.register(bot(postbox))
    expect((await post(click(), { to: other })).status).toBe(503)
    await other.close()
    expect(pressed).toEqual(['U1'])
  })
})

describe('answers 503, so that Slack shows its own error, when', () => {
  it('the listener throws', async () => {
    fail = true
    expect((await post(click())).status).toBe(503)
  })

  it('the store cannot be reached', async () => {
    postbox.down = true
    expect((await post(click())).status).toBe(503)
    expect(pressed).toEqual([])
    postbox.down = false
    expect((await post(click())).status).toBe(200)
  })

  it('the listener takes too long', async () => {
    const open = Promise.withResolvers<void>()
    hold = open.promise
    const slow = fastify()
    await slow.register(bot(postbox, 20))
    expect((await post(click(), { to: slow })).status).toBe(503)
    open.resolve()
    await slow.close()
  })
})

it('answers 404 to a press that nothing listens to', async () => {
  expect((await post(click('U1', 'other'))).status).toBe(404)
})

it('processes an event that Slack sends again', async () => {
  const event = JSON.stringify({
    type: 'event_callback',
    team_id: 'T1',
    event: { type: 'app_home_opened', user: 'U1' },
  })
  const headers = { 'x-slack-retry-num': '2', 'x-slack-retry-reason': 'http_error' }
  expect((await post(event, { type: 'application/json', headers })).status).toBe(200)
  expect(pressed).toEqual(['home 2'])
})

it("answers Slack's check of the URL and of the certificate, and only if they are signed", async () => {
  const check = JSON.stringify({ type: 'url_verification', challenge: 'c4' })
  expect(await post(check, { type: 'application/json' })).toEqual({ status: 200, body: '{"challenge":"c4"}' })
  expect((await post(check, { type: 'application/json', secret: 'guessed' })).status).toBe(401)
  expect((await post('ssl_check=1&token=x')).status).toBe(200)
})

it('refuses what is not JSON, what is too large, and other methods', async () => {
  expect((await post('{"type":', { type: 'application/json' })).status).toBe(400)
  expect((await post('payload=[]')).status).toBe(400)
  expect((await post(`payload=${'x'.repeat(1024 * 1024)}`)).status).toBe(413)
  expect((await server.inject({ method: 'GET', url: '/slack/events' })).statusCode).toBe(404)
})
