import { createHmac } from 'node:crypto'
import { App } from '@slack/bolt'
import fastify from 'fastify'
import pino from 'pino'
import { pingsOf } from '../../src/sandbox/slack/pings.ts'
import { createHttpReceiver, isSigned } from '../../src/slack/receiver.ts'
import { render } from '../../src/slack/render.ts'
import { slackLogger } from '../../src/slack/send.ts'
import type { Drawn } from '../../src/slack/show.ts'
import { alertOf, context, incidentOf, openWith, subjectOf } from '../slack/cards.ts'
import { createMemoryPostbox } from '../slack/postbox.ts'
import { randomOf } from './scheduler.ts'
import { must } from './violation.ts'

const SECRET = 'a signing secret of a test'
const NOW = Date.parse('2026-11-21T03:00:00.000Z')
const sign = (body: string, timestamp: string, secret = SECRET) =>
  `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex')}`

const PIECES = [
  '<!channel>',
  '<!here>',
  '<@U0000000SAM>',
  '<!subteam^S0000DATA>',
  '&lt;!channel&gt;',
  '`',
  '*',
  'disk full',
]

/** A label's value does not call anybody that the same card without it would not call. `draw` is what is looked at. */
export function callNobody(seed: number, draw: (drawn: Drawn) => Drawn = (drawn) => drawn): void {
  const random = randomOf(seed)
  const value = Array.from({ length: 1 + random.below(4) }, () => random.pick(PIECES)).join(random.pick(['', ' ']))
  const calls = (summary: string) => {
    const label = alertOf({ labels: { alertname: summary, connection: 'warehouse' }, annotations: { summary } })
    const events = openWith(subjectOf()).map((e) =>
      e.type === 'alerts.changed'
        ? { ...e, alerts: [label] }
        : e.type === 'incident.opened'
          ? { ...e, title: summary }
          : e,
    )
    return render(incidentOf(...events), context)
      .map(draw)
      .map((d) => JSON.stringify(pingsOf(d.kind === 'message' ? d : { text: d.text }, new Map())))
  }
  const [hostile, harmless] = [calls(value), calls('disk full')]
  must(JSON.stringify(hostile) === JSON.stringify(harmless), `a label calls people: ${JSON.stringify(value)}`)
}

/** A request counts if its bytes were signed with our secret at most five minutes from now, either way. */
export function trustSignature(seed: number, check: typeof isSigned = isSigned): void {
  const random = randomOf(seed)
  const offset = random.pick([0, 1, 299, 300, 301, 3600, 86_400]) * random.pick([1, -1])
  const timestamp = String(NOW / 1000 + offset)
  const body = `payload=${random.below(1000)}`
  const fault = random.pick(['none', 'none', 'body', 'secret', 'time'] as const)
  const request = {
    timestamp: fault === 'time' ? String(Number(timestamp) + 1) : timestamp,
    signature: sign(body, timestamp, fault === 'secret' ? 'guessed' : SECRET),
    body: Buffer.from(fault === 'body' ? `${body}0` : body),
  }
  const should = fault === 'none' && Math.abs(offset) <= 300
  const does = check(request, SECRET, NOW)
  must(
    does === should,
    `a request signed ${offset} s from now, with ${fault} forged, ${does ? 'counts' : 'does not count'}`,
  )
}

/** What Slack sends again after an error, until it is told that it was taken, is taken once. */
export async function takeRetries(seed: number, skipsRetries = false): Promise<void> {
  const random = randomOf(seed)
  let now = NOW
  const log = pino({ level: 'silent' })
  const postbox = createMemoryPostbox(() => now)
  const http = createHttpReceiver({ signingSecret: SECRET, postbox, clock: () => now, log })
  const app = new App({
    receiver: http.receiver,
    authorize: async () => ({}),
    logger: slackLogger(log),
    convoStore: false,
  })
  const taken: string[] = []
  app.event('app_home_opened', async ({ event }) => void taken.push(event.user))
  const server = fastify()
  if (skipsRetries)
    server.addHook('onRequest', async (request, reply) => {
      if (request.headers['x-slack-retry-num'] !== undefined) return reply.code(200).send()
    })
  await server.register(http.plugin)
  try {
    const users = Array.from({ length: 1 + random.below(3) }, (_, i) => `U${i}`)
    for (const user of users) {
      const broken = random.below(3)
      const event = { type: 'event_callback', team_id: 'T1', event: { type: 'app_home_opened', user } }
      for (let tries = 0, status = 0; status !== 200; tries += 1) {
        must(tries < 5, `Slack is never told that the event of ${user} was taken`)
        // The store cannot be reached, so nothing can be said to be taken.
        postbox.down = tries < broken
        const timestamp = String(now / 1000)
        const payload = JSON.stringify(event)
        const again = tries === 0 ? {} : { 'x-slack-retry-num': String(tries), 'x-slack-retry-reason': 'http_error' }
        const headers = { 'content-type': 'application/json', 'x-slack-request-timestamp': timestamp, ...again }
        const signed = { ...headers, 'x-slack-signature': sign(payload, timestamp) }
        status = (await server.inject({ method: 'POST', url: '/slack/events', headers: signed, payload })).statusCode
        now += random.pick([1000, 60_000, 300_000])
      }
      // Bolt says that an event was taken before it calls its listener.
      for (let i = 0; i < 50 && !taken.includes(user); i += 1) await new Promise((go) => setImmediate(go))
      const times = taken.filter((u) => u === user).length
      must(times === 1, `Slack was told that the event of ${user} was taken, which happened ${times} times`)
    }
  } finally {
    await server.close()
  }
}

/** Escapes undone, as if they had been forgotten. */
const raw = (drawn: Drawn): Drawn =>
  JSON.parse(JSON.stringify(drawn).replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')) as Drawn

/** What guards the edges, broken on purpose; each must be found within a number of seeds. */
export const HOLES: Readonly<Record<string, (seed: number) => Promise<void> | void>> = {
  'a label is not escaped': (seed) => callNobody(seed, raw),
  'a timestamp in the future is taken': (seed) =>
    trustSignature(seed, (request, secret, now) =>
      isSigned(request, secret, Math.max(now, Number(request.timestamp) * 1000)),
    ),
  'what Slack sends again is skipped': (seed) => takeRetries(seed, true),
}
