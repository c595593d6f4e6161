import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Breakage, breakLake, breakLedger, breakWarehouse } from './breakages.ts'
import { page } from './page/plugin.ts'
import { endProgram, freePort, startProgram } from './processes.ts'
import { createSandboxSlack } from './slack/server.ts'

const ROOT = resolve(import.meta.dirname, '../..')

type Alert = Awaited<ReturnType<Breakage['damage']>>
type Button = { title: string; on?: () => boolean; press: () => Promise<unknown> }

const STRANGE: Alert = {
  labels: { alertname: 'CertificateExpiresSoon', host: 'gateway-2', severity: 'warning' },
  annotations: { summary: 'The certificate of gateway-2 expires in 3 days' },
}

/**
 * Everything that the demo is made of: Redis, a Slack sandbox with its page, three real systems to break, a bot and a
 * worker, each a process of its own. `port` 0 takes a free one for the page; the table takes `updateTableMs` to change.
 * `stop` leaves nothing behind.
 */
export async function startStage(options: { port: number; env: NodeJS.ProcessEnv; updateTableMs?: number }) {
  const stack: (() => unknown)[] = []
  const stop = async () => {
    for (const close of stack.splice(0).reverse()) await close()
  }
  try {
    const folder = await mkdtemp(join(tmpdir(), 'keyturn-demo-'))
    stack.push(() => rm(folder, { recursive: true, force: true }))
    const redisPort = await freePort()
    const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction', '--save', '']
    const redisArgs = ['--port', String(redisPort), '--bind', '127.0.0.1', '--dir', folder, ...durable]
    const startRedis = () => startProgram('redis-server', redisArgs, { ready: 'Ready to accept connections' })
    let redis = await startRedis()
    stack.push(() => endProgram(redis, 'SIGTERM'))

    const breakages: Breakage[] = []
    for (const start of [breakWarehouse, breakLake, () => breakLedger(options.updateTableMs)]) {
      const breakage = await start()
      stack.push(() => breakage.stop())
      breakages.push(breakage)
    }

    const secret = () => randomBytes(24).toString('hex')
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const tokens = { SLACK_BOT_TOKEN: `xoxb-${secret()}`, SLACK_APP_TOKEN: `xapp-${secret()}`, ALERTS_TOKEN: secret() }
    const botPort = await freePort()
    const webhook = `http://127.0.0.1:${botPort}/webhooks/alertmanager`

    const before = new Map<string, string[][]>()
    const fired = new Map<string, Alert & { startsAt: string }>()

    /** Sends an alert as Alertmanager does. */
    async function send(
      status: 'firing' | 'resolved',
      { labels, annotations, startsAt }: Alert & { startsAt: string },
    ) {
      const endsAt = status === 'resolved' ? new Date().toISOString() : '0001-01-01T00:00:00Z'
      const fingerprint = Buffer.from(JSON.stringify(labels)).toString('hex').slice(-16)
      const generatorURL = 'http://prometheus.example.com/graph'
      const body = {
        version: '4',
        groupKey: fingerprint,
        status,
        receiver: 'keyturn',
        groupLabels: {},
        commonLabels: labels,
        commonAnnotations: annotations,
        externalURL: 'http://alertmanager.example.com',
        truncatedAlerts: 0,
        alerts: [{ status, labels, annotations, startsAt, endsAt, generatorURL, fingerprint }],
      }
      const answer = await fetch(webhook, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${tokens.ALERTS_TOKEN}` },
        body: JSON.stringify(body),
      })
      if (!answer.ok) throw new Error(`the bot answered ${answer.status}: ${await answer.text()}`)
    }
    const named = (id: string): Breakage => {
      const found = breakages.find((b) => b.id === id)
      if (!found) throw new Error(`the demo has no ${id}`)
      return found
    }
    /** Breaks a system, and sends its alert; one that fires already is sent again, as Alertmanager repeats it. */
    async function fire(id: string): Promise<void> {
      const startsAt = fired.get(id)?.startsAt ?? new Date().toISOString()
      const alert = { ...(id === 'strange' ? STRANGE : await named(id).damage()), startsAt }
      if (id !== 'strange') before.set(id, await named(id).rows())
      fired.set(id, alert)
      await send('firing', alert)
    }
    async function resolveAlert(id: string): Promise<void> {
      const alert = fired.get(id)
      if (!alert) throw new Error('This alert is not firing.')
      await send('resolved', alert)
      fired.delete(id)
    }
    let worker = null as Awaited<ReturnType<typeof startProgram>> | null
    const faults: Record<string, Button> = {
      outage: {
        title: 'Slack is down',
        on: () => sandbox.state().faults.outage !== false,
        press: async () => sandbox.faults({ outage: sandbox.state().faults.outage === false }),
      },
      limited: {
        title: 'Slack limits half of the calls (429)',
        on: () => sandbox.state().faults.limitRate > 0,
        press: async () => sandbox.faults({ limitRate: sandbox.state().faults.limitRate > 0 ? 0 : 0.5 }),
      },
      worker: {
        title: 'Kill the worker; another one starts',
        press: async () => {
          if (worker) await endProgram(worker, 'SIGKILL')
          worker = await startKeyturn('worker')
        },
      },
      redis: {
        title: 'Kill Redis; it starts again',
        press: async () => {
          await endProgram(redis, 'SIGKILL')
          redis = await startRedis()
        },
      },
    }
    const alerts = [
      ...breakages.map(({ id, alertTitle }) => ({ id, title: alertTitle })),
      { id: 'strange', title: 'An alert that no playbook matches' },
    ]
    const presses: Record<string, () => Promise<unknown>> = Object.fromEntries([
      ...alerts.map(({ id }) => [`fire:${id}`, () => fire(id)]),
      ...alerts.map(({ id }) => [`resolve:${id}`, () => resolveAlert(id)]),
      ...Object.entries(faults).map(([id, { press }]) => [id, press]),
    ])

    const sandbox = await createSandboxSlack({
      port: options.port,
      signingSecret: secret(),
      botToken: tokens.SLACK_BOT_TOKEN,
      appToken: tokens.SLACK_APP_TOKEN,
      page,
      panel: {
        async state() {
          const targets = await Promise.all(
            breakages.map(async ({ id, title, columns, rows, connection }) => ({
              id,
              title,
              note: connection.environment,
              columns,
              rows: await rows(),
              before: before.get(id),
            })),
          )
          return {
            alerts: alerts.map(({ id, title }) => ({
              id: `fire:${id}`,
              title,
              ...(fired.has(id) ? { resolve: `resolve:${id}` } : {}),
            })),
            faults: Object.entries(faults).map(([id, { title, on }]) => ({ id, title, ...(on ? { on: on() } : {}) })),
            targets,
          }
        },
        async run(id) {
          const press = Object.hasOwn(presses, id) ? presses[id] : undefined
          try {
            await press?.()
          } catch (error) {
            return { ok: false, message: (error as Error).message }
          }
          return { ok: press !== undefined }
        },
      },
    })
    stack.push(() => sandbox.close())

    const config = {
      http: { port: botPort },
      slack: { mode: 'socket', apiUrl: sandbox.apiUrl, channels: { default: 'C0000DATAON' } },
      playbooks: { directory: resolve(ROOT, 'playbooks') },
      sources: { alertmanager: { kind: 'alertmanager', auth: { bearerFrom: 'ALERTS_TOKEN' } } },
      connections: Object.fromEntries(breakages.map((b) => [b.id, b.connection])),
      policy: {
        approvers: { 'data-oncall': { usergroups: ['S0000DATA'] }, 'platform-oncall': { usergroups: ['S0000PLAT'] } },
        defaultApprovers: ['data-oncall'],
      },
    }
    const file = join(folder, 'keyturn.yaml')
    await writeFile(file, JSON.stringify(config))
    const common = { PATH: options.env.PATH, HOME: options.env.HOME, REDIS_URL: `redis://127.0.0.1:${redisPort}` }
    const der = (key: typeof privateKey, type: 'pkcs8' | 'spki') =>
      (key.export({ format: 'der', type } as never) as unknown as Buffer).toString('base64')
    const secrets = Object.assign({}, ...breakages.map((b) => b.secrets))
    const envs = {
      bot: { ...common, ...tokens, KEYTURN_PRIVATE_KEY: der(privateKey, 'pkcs8') },
      worker: { ...common, ...secrets, KEYTURN_PUBLIC_KEY: der(publicKey, 'spki') },
    }
    const startKeyturn = (role: 'bot' | 'worker') =>
      startProgram(process.execPath, [join(ROOT, 'src/main.ts'), role, '--config', file], {
        env: envs[role],
        ready: `${role} is up`,
      })
    worker = await startKeyturn('worker')
    stack.push(() => worker && endProgram(worker, 'SIGTERM'))
    const bot = await startKeyturn('bot')
    stack.push(() => endProgram(bot, 'SIGTERM'))
    const rowsOf = (id: string) => named(id).rows()
    return { url: sandbox.url, sandbox, rowsOf, fire, resolve: resolveAlert, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
export type Stage = Awaited<ReturnType<typeof startStage>>
