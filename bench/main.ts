import { randomUUID, sign, verify } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { cpus } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { WebClient } from '@slack/web-api'
import { verifyGrant } from '../src/domain/grant.ts'
import { digest } from '../src/domain/plan.ts'
import { matchesWhole } from '../src/markdown/regex.ts'
import { createJournal } from '../src/redis/journal.ts'
import { incidentId } from '../src/redis/keys.ts'
import { render } from '../src/slack/render.ts'
import { startWorld } from '../test/e2e/world.ts'
import { startRedis } from '../test/redis/server.ts'
import { context, incidentOf, STATES } from '../test/slack/cards.ts'
import { startEdge } from '../test/sources/edge.ts'
import { signedGrant } from './grant.ts'
import { compare, type Timed } from './measure.ts'

/** What is measured, in words: ours, and the peer or limit that it is held against. */
type Case = [ours: string, theirs: string, measure: () => Promise<Timed>]

const fixture = await readFile(
  new URL('../test/fixtures/alertmanager/03-grouped-several-firing.json', import.meta.url),
  'utf8',
)
const fifty = (() => {
  const body = JSON.parse(fixture) as { alerts: { labels: Record<string, string>; fingerprint: string }[] }
  const alerts = Array.from({ length: 50 }, (_, i) => ({ ...body.alerts[0]!, fingerprint: `f${i}` }))
  return JSON.stringify({ ...body, alerts })
})()

const cases: Case[] = [
  [
    'take 50 alerts in: authenticate, check, decode, normalise',
    'node:http that parses the JSON and answers',
    async () => {
      const edge = await startEdge({ onAlerts: async () => {} })
      const bare = createServer((request, response) => {
        const chunks: Buffer[] = []
        request.on('data', (c: Buffer) => chunks.push(c))
        request.on('end', () => {
          JSON.parse(Buffer.concat(chunks).toString())
          response.end('{}')
        })
      }).listen(0, '127.0.0.1')
      await once(bare, 'listening')
      const { port } = bare.address() as { port: number }
      const headers = { 'content-type': 'application/json', authorization: 'Bearer s3cret' }
      const post = async (url: string) => {
        const answer = await fetch(url, { method: 'POST', headers, body: fifty })
        await answer.text()
        if (!answer.ok) throw new Error(`answered ${answer.status}`)
      }
      const timed = await compare(
        7,
        60,
        () => post(`${edge.url}/webhooks/am`),
        () => post(`http://127.0.0.1:${port}/`),
      )
      bare.close()
      bare.closeAllConnections()
      await edge.close()
      return timed
    },
  ],
  [
    'append to the journal: seal, compare and set, fsync',
    'RPUSH of the same bytes, fsync',
    async () => {
      const redis = await startRedis()
      const client = redis.connect()
      const journal = createJournal({ redis: client, subscriber: redis.connect(), clock: Date.now })
      const opened = {
        type: 'incident.opened',
        group: 'g',
        title: 't',
        severity: 's',
        channel: 'c',
        playbook: null,
      } as const
      const id = (i: number) => incidentId(`g${i}`, 1)
      const bytes = JSON.stringify({ ...opened, filler: 'x'.repeat(300) })
      const timed = await compare(
        7,
        100,
        (i) => journal.append(id(i + 1e6), 0, randomUUID(), [opened]),
        () => client.rpush('bare', bytes),
      )
      await redis.stop()
      return timed
    },
  ],
  [
    'verify a grant: two signatures, policy, digest',
    'one Ed25519 verification',
    async () => {
      const { grant, wanted, keys } = signedGrant()
      const text = Buffer.from('x'.repeat(600))
      const signature = sign(null, text, keys.privateKey)
      return compare(
        7,
        200,
        () => {
          if (verifyGrant(grant, wanted) !== null) throw new Error('the grant does not hold')
        },
        () => verify(null, text, keys.publicKey, signature),
      )
    },
  ],
  [
    'digest of a plan (RFC 8785, SHA-256)',
    'JSON.stringify of it',
    async () => {
      const subject = incidentOf(...STATES['open-long']!).proposals[0]!.subject
      return compare(
        7,
        200,
        () => digest(subject),
        () => JSON.stringify(subject),
      )
    },
  ],
  [
    'draw a whole thread, long plan included',
    'the second that Slack gives a channel for one message (limit)',
    async () => {
      const incident = incidentOf(...STATES['open-long']!)
      const { ours } = await compare(
        7,
        100,
        () => render(incident, context),
        () => {},
      )
      return { ours, theirs: 1000 }
    },
  ],
  [
    'match a label against (a+)+ with 26 characters, in linear time',
    'the same with V8, which backtracks',
    async () => {
      const text = `${'a'.repeat(26)}!`
      const pattern = /^(a+)+$/
      return compare(
        3,
        1,
        () => matchesWhole('(a+)+', text),
        () => pattern.test(text),
      )
    },
  ],
  [
    'from an alert to its first message in Slack, through Redis',
    'chat.postMessage by itself',
    async () => {
      const world = await startWorld({ playbooks: {}, connections: {} })
      const web = new WebClient(world.tokens.SLACK_BOT_TOKEN, { slackApiUrl: world.sandbox.apiUrl })
      // Each thread is finished, and its channel's second over, before the next alert: it is the way that is measured.
      const timed = await compare(
        5,
        1,
        async (i) => {
          await world.alert([{ labels: { alertname: `Bench${i}` } }])
          await world.see('root', (m) => m.text.startsWith(`Bench${i}:`))
        },
        () => web.chat.postMessage({ channel: 'C0000PLATON', text: 'x' }),
        () => delay(4500),
      )
      await world.stop()
      return timed
    },
  ],
]

const ms = (value: number) => `${value < 1 ? value.toFixed(3) : value.toFixed(1)} ms`
process.stdout.write(
  `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown CPU'}\n\n| ours | | held against | | ratio |\n|---|--:|---|--:|--:|\n`,
)
for (const [ours, theirs, measure] of cases) {
  const timed = await measure()
  process.stdout.write(
    `| ${ours} | ${ms(timed.ours)} | ${theirs} | ${ms(timed.theirs)} | ${(timed.ours / timed.theirs).toPrecision(2)} |\n`,
  )
}

process.exit(0)
