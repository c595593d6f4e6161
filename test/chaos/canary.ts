import { z } from 'zod'
import { type ChangeCommand, defineChange, defineRead } from '../../src/domain/command.ts'
import type { Handlers } from '../../src/domain/ports.ts'
import { createLog } from '../../src/log.ts'
import { createGather } from '../../src/pipeline/gather.ts'
import { createIngest } from '../../src/pipeline/ingest.ts'
import { createPropose } from '../../src/pipeline/propose.ts'
import type { Workbench } from '../../src/pipeline/workbench.ts'
import { createJournal } from '../../src/redis/journal.ts'
import { incidentId, parseIncidentId } from '../../src/redis/keys.ts'
import { createBell } from '../../src/redis/queues.ts'
import { createSecrets } from '../../src/secrets.ts'
import { render } from '../../src/slack/render.ts'
import { SourceSettings } from '../../src/sources/registry.ts'
import { createHttpServer, createSources } from '../../src/sources/server.ts'
import { strikeBatch, strikeIntents } from '../../src/strike.ts'
import { startRedis } from '../redis/server.ts'
import { context, playbook as example } from '../slack/cards.ts'
import { type Random, randomOf } from './scheduler.ts'
import { Violation } from './violation.ts'

const ALPHABETS = [
  'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789',
  'abcXYZ019!#$%&()*+,-./:;<=>?@[]^_{|}~',
  'ab"c\\d\'e f\n',
  'äöüß€漢字💥ab',
]
const draw = (random: Random): string => {
  const letters = [...random.pick(ALPHABETS)]
  return Array.from({ length: 10 + random.below(40) }, () => random.pick(letters)).join('')
}

/** Ways in which a secret turns up in text. */
const forms = (secret: string): string[] => [
  `it is ${secret}, is it`,
  `{"password":${JSON.stringify(secret)}}`,
  `https://user:${encodeURIComponent(secret)}@db.example/x`,
  `https://db.example/?key=${encodeURIComponent(secret)}`,
  `Authorization: Basic ${Buffer.from(`user:${secret}`).toString('base64')}`,
  Buffer.from(`x${secret}`).toString('base64url'),
]
/** What must be nowhere afterwards: the secret itself, and what anybody turns back into it. */
const traces = (secret: string): string[] => [
  secret,
  JSON.stringify(secret).slice(1, -1),
  JSON.stringify(JSON.stringify(secret)).slice(3, -3),
  encodeURIComponent(secret),
  // Without what depends on its neighbours.
  ...[0, 1, 2].map((shift) => {
    const all = Buffer.concat([Buffer.alloc(shift), Buffer.from(secret)])
      .toString('base64')
      .replace(/=+$/, '')
    return all.slice(4, -4)
  }),
]

type Rig = Awaited<ReturnType<typeof openRig>>
async function openRig() {
  const redis = await startRedis()
  const scan = redis.connect()
  const time = { now: 0 }
  const bell = createBell(redis.connect())
  return {
    time,
    bell,
    journal: createJournal({ redis: redis.connect(), subscriber: redis.connect(), clock: () => time.now }),
    /** Everything that the store holds, as text. */
    async dump(): Promise<string> {
      const texts: string[] = []
      for (const key of await scan.keys('*')) {
        const type = await scan.type(key)
        const value =
          type === 'string'
            ? await scan.get(key)
            : type === 'list'
              ? await scan.lrange(key, 0, -1)
              : type === 'hash'
                ? await scan.hgetall(key)
                : type === 'set'
                  ? await scan.smembers(key)
                  : type === 'zset'
                    ? await scan.call('ZRANGE', key, '0', '-1')
                    : await scan.call('XRANGE', key, '-', '+')
        texts.push(key, JSON.stringify(value))
      }
      return texts.join('\n')
    },
    clear: () => scan.flushdb(),
    async stop() {
      await bell.close()
      await redis.stop()
    },
  }
}

/** A secret of the configuration in every place where text comes from outside: it is in no message, log, key or entry. */
export function createCanaryPart() {
  let rig: Promise<Rig> | null = null

  async function sing(open: Rig, seed: number): Promise<void> {
    const random = randomOf(seed)
    const secret = draw(random)
    const some = () => random.pick(forms(secret))
    const { strike } = createSecrets({ CANARY: secret }, ['CANARY'])
    const lines: string[] = []
    const log = createLog({ level: 'debug', strike, destination: { write: (line) => void lines.push(line) } })
    open.time.now = Date.parse('2026-11-21T03:00:00.000Z') + seed
    const clock = () => open.time.now
    const { journal, bell } = open
    const look = defineRead({
      id: 'postgres.tree',
      summary: '',
      effect: 'read',
      params: z.object({ connection: z.string() }),
      async read() {
        if (random.chance(0.3)) throw new Error(`cannot log in: ${some()}`, { cause: new Error(some()) })
        const table = { type: 'table' as const, columns: [some()], rows: [[some()]], omitted: 0 }
        return { summary: some(), blocks: [{ type: 'code', text: some() }, table, { type: 'text', text: some() }] }
      },
    })
    const change = defineChange({
      id: 'postgres.end',
      summary: '',
      effect: 'once',
      risk: 'low',
      params: z.object({ connection: z.string() }),
      async plan() {
        if (random.chance(0.2)) throw new Error(some())
        const targets = [{ id: 't', name: some(), fingerprint: some(), details: { [some()]: some() } }]
        return {
          summary: some(),
          targets,
          steps: [{ id: 's', title: some(), detail: some() }],
          warnings: [some()],
          data: { deep: [some()] },
        }
      },
      run: async () => some(),
      verify: async () => [],
      probe: async () => ({ landed: 'no', detail: some() }),
    }) as ChangeCommand
    const playbook = { ...example, match: { alertname: { kind: 'present' } } as const, groupBy: ['alertname', 'host'] }
    const ids = () => `op-${random.next()}`
    const onError = (err: unknown) => log.error({ err }, `put off: ${some()}`)
    const ordinal = (id: string) => parseIncidentId(id).n
    const ingest = createIngest({
      journal,
      bell,
      clock,
      ids,
      playbooks: [playbook],
      regex: () => false,
      onError,
      incidentId,
      ordinal,
    })
    const bench = {
      journal,
      clock,
      ids,
      commands: new Map([
        [look.id, { command: look, version: '1' }],
        [change.id, { command: change, version: '1' }],
      ]),
      playbooks: new Map([[playbook.id, playbook]]),
      connections: {},
      policy: context.policy,
      secret: () => secret,
      strike,
      lastFreeze: async () => null,
      signal: new AbortController().signal,
    } as unknown as Workbench

    const server = createHttpServer({ log })
    const source = SourceSettings.parse({ kind: 'alertmanager', auth: { bearerFrom: 'TOKEN' } })
    await server.register(
      createSources({
        sources: { am: source },
        secret: () => 'token-of-the-sender',
        onAlerts: async (batch) => ingest(await strikeBatch(strike, batch)),
        log,
        clock: () => new Date(clock()),
      }),
    )
    const labels = {
      alertname: random.chance(0.5) ? some() : 'Blocked',
      host: some(),
      connection: 'w',
      [some()]: some(),
    }
    const annotations = { summary: some(), [some()]: some(), runbook_url: some(), dashboard_url: some() }
    const alert = { status: 'firing', labels, annotations, startsAt: '2026-11-21T03:00:00Z', generatorURL: some() }
    const body = random.chance(0.1)
      ? some()
      : JSON.stringify({ alerts: [random.chance(0.1) ? { status: some() } : alert] })
    const path = random.chance(0.1) ? `/webhooks/${encodeURIComponent(some())}?${some()}` : '/webhooks/am'
    const headers = {
      authorization: random.chance(0.1) ? `Bearer ${encodeURIComponent(secret)}` : 'Bearer token-of-the-sender',
    }
    await server.inject({ method: 'POST', url: path, headers, payload: body })
    await server.close()

    const asked: string[] = []
    const typed = strikeIntents(strike, {
      decide: async ({ reason }) => {
        asked.push(reason)
        return { ok: true }
      },
      request: async ({ params }) => {
        asked.push(JSON.stringify(params))
        return { ok: true }
      },
    } as Pick<Handlers, 'decide' | 'request'> as Handlers)
    await typed.decide({ reason: some() } as Parameters<Handlers['decide']>[0])
    await typed.request({ params: { a: some(), b: [some()] } } as unknown as Parameters<Handlers['request']>[0])

    const shown: string[] = []
    for (const id of await journal.active()) {
      await createGather(bench)(id, 'look', true).catch(onError)
      await createPropose(bench)(id, 'p1', true).catch(onError)
      const incident = await journal.load(id)
      if (incident) shown.push(JSON.stringify(render(incident, context)))
    }
    const places = {
      Slack: shown.join(),
      'what was typed': asked.join(),
      'the log': lines.join(''),
      Redis: await open.dump(),
    }
    await open.clear()
    for (const [place, text] of Object.entries(places))
      for (const trace of traces(secret))
        if (trace.length > 8 && text.includes(trace)) {
          const at = text.indexOf(trace)
          throw new Violation(`${JSON.stringify(secret)} is in ${place}: ${text.slice(Math.max(0, at - 60), at + 80)}`)
        }
  }

  return {
    async run(seed: number): Promise<void> {
      rig ??= openRig()
      await sing(await rig, seed)
    },
    async close(): Promise<string> {
      await (await rig)?.stop()
      return ''
    },
  }
}
