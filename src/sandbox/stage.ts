import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type pg from 'pg'
import { page } from './page/plugin.ts'
import { createSandboxSlack } from './slack/server.ts'
import { startPostgres } from './targets/postgres.ts'

const ROOT = resolve(import.meta.dirname, '../..')

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** Resolves when a line of the child's output holds `text`; rejects with its output if it ends before. */
function says(child: ChildProcess, text: string): Promise<void> {
  return new Promise((ready, fail) => {
    let output = ''
    const hear = (chunk: Buffer) => {
      output = (output + chunk).slice(-20_000)
      if (output.includes(text)) ready()
    }
    child.stdout?.on('data', hear)
    child.stderr?.on('data', hear)
    child.once('exit', (code) => fail(new Error(`ended with ${code} before it was ready:\n${output}`)))
    child.once('error', fail)
  })
}

/**
 * Everything that the demo is made of: Redis, a Slack sandbox with its page, a Postgres with a blocking session, a bot
 * and a worker, each a process of its own. `port` 0 takes a free one for the page. `stop` leaves nothing behind.
 */
export async function startStage(options: { port: number; env: NodeJS.ProcessEnv }) {
  const stack: (() => unknown)[] = []
  const stop = async () => {
    for (const close of stack.splice(0).reverse()) await close()
  }
  const end = async (child: ChildProcess, signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }
  try {
    const folder = await mkdtemp(join(tmpdir(), 'keyturn-demo-'))
    stack.push(() => rm(folder, { recursive: true, force: true }))
    const redisPort = await freePort()
    const redisArgs = ['--port', String(redisPort), '--bind', '127.0.0.1', '--dir', folder, '--save', '']
    const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction']
    const startRedis = async () => {
      const child = spawn('redis-server', [...redisArgs, ...durable], { stdio: ['ignore', 'pipe', 'pipe'] })
      await says(child, 'Ready to accept connections')
      return child
    }
    let redis = await startRedis()
    stack.push(() => end(redis, 'SIGTERM'))
    const postgres = await startPostgres()
    stack.push(() => postgres.stop())
    const admin = await postgres.session('postgres', 'demo')

    const secret = () => randomBytes(24).toString('hex')
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const tokens = { SLACK_BOT_TOKEN: `xoxb-${secret()}`, SLACK_APP_TOKEN: `xapp-${secret()}`, ALERTS_TOKEN: secret() }
    const botPort = await freePort()
    const webhook = `http://127.0.0.1:${botPort}/webhooks/alertmanager`

    let blocker: pg.Client | null = null
    const sessions = async () => {
      const { rows } = await admin.query<{ pid: number; state: string; blocked_by: string; query: string }>(
        `select pid, state, array_to_string(pg_blocking_pids(pid), ', ') as blocked_by, left(query, 60) as query
         from pg_stat_activity where application_name like 'loader%' or application_name = 'report' order by pid`,
      )
      return rows.map((r) => [String(r.pid), r.state, r.blocked_by || '–', r.query])
    }
    let before: string[][] = []

    /** A loader leaves its transaction open; two reports wait for its lock. Then the alert is sent. */
    async function fire(): Promise<void> {
      blocker = await postgres.session('app', 'loader')
      await blocker.query('begin')
      await blocker.query('update accounts set balance = balance + 1')
      for (const id of [1, 2]) {
        const report = await postgres.session('app', 'report')
        report.query('update accounts set balance = 0 where id = $1', [id]).catch(() => {})
      }
      for (;;) {
        before = await sessions()
        if (before.filter((r) => r[2] !== '–').length >= 2) break
      }
      await alert('firing')
    }

    async function alert(status: 'firing' | 'resolved'): Promise<void> {
      const startsAt = new Date().toISOString()
      const labels = { alertname: 'PostgresBlockedSessions', connection: 'warehouse', severity: 'critical' }
      const annotations = { summary: 'Reports on the warehouse have waited for a lock for 5 minutes' }
      const body = {
        version: '4',
        groupKey: 'demo',
        status,
        receiver: 'keyturn',
        groupLabels: {},
        commonLabels: labels,
        commonAnnotations: annotations,
        externalURL: 'http://alertmanager.example.com',
        truncatedAlerts: 0,
        alerts: [
          {
            status,
            labels,
            annotations,
            startsAt,
            endsAt: status === 'resolved' ? startsAt : '0001-01-01T00:00:00Z',
            generatorURL: 'http://prometheus.example.com/graph',
            fingerprint: 'c8eca08886b11391',
          },
        ],
      }
      const answer = await fetch(webhook, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${tokens.ALERTS_TOKEN}` },
        body: JSON.stringify(body),
      })
      if (!answer.ok) throw new Error(`the bot answered ${answer.status}: ${await answer.text()}`)
    }

    let worker: ChildProcess | null = null
    const buttons: Record<string, { title: string; fault: boolean; press: () => Promise<unknown> }> = {
      fire: { title: 'A session blocks the warehouse', fault: false, press: fire },
      resolve: { title: 'The alert resolves', fault: false, press: () => alert('resolved') },
      outage: {
        title: 'Slack is down',
        fault: true,
        press: async () => sandbox.faults({ outage: !sandbox.state().faults.outage }),
      },
      worker: {
        title: 'Kill the worker; another one starts',
        fault: true,
        press: async () => {
          if (worker) await end(worker, 'SIGKILL')
          worker = await startProcess('worker')
        },
      },
      redis: {
        title: 'Kill Redis; it starts again',
        fault: true,
        press: async () => {
          await end(redis, 'SIGKILL')
          redis = await startRedis()
        },
      },
    }
    const of = (fault: boolean) =>
      Object.entries(buttons).flatMap(([id, b]) => (b.fault === fault ? [{ id, title: b.title }] : []))
    const sandbox = await createSandboxSlack({
      port: options.port,
      signingSecret: secret(),
      botToken: tokens.SLACK_BOT_TOKEN,
      appToken: tokens.SLACK_APP_TOKEN,
      page,
      panel: {
        async state() {
          const columns = ['pid', 'state', 'blocked by', 'query']
          const target = { id: 'warehouse', title: 'Postgres: sessions', columns, rows: await sessions(), before }
          return { alerts: of(false), faults: of(true), targets: [target] }
        },
        async run(id) {
          await buttons[id]?.press()
          return { ok: id in buttons }
        },
      },
    })
    stack.push(() => sandbox.close())

    const config = {
      http: { port: botPort },
      slack: { mode: 'socket', apiUrl: sandbox.apiUrl, channels: { default: 'C0000DATAON' } },
      playbooks: { directory: resolve(ROOT, 'playbooks') },
      sources: { alertmanager: { kind: 'alertmanager', auth: { bearerFrom: 'ALERTS_TOKEN' } } },
      connections: { warehouse: { kind: 'postgres', environment: 'staging', ...postgres.settings } },
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
    const envs = {
      bot: { ...common, ...tokens, KEYTURN_PRIVATE_KEY: der(privateKey, 'pkcs8') },
      worker: { ...common, ...postgres.secrets, KEYTURN_PUBLIC_KEY: der(publicKey, 'spki') },
    }
    async function startProcess(role: 'bot' | 'worker'): Promise<ChildProcess> {
      const args = [join(ROOT, 'src/main.ts'), role, '--config', file]
      const child = spawn(process.execPath, args, { env: envs[role], stdio: ['ignore', 'pipe', 'pipe'] })
      await says(child, `${role} is up`)
      return child
    }
    worker = await startProcess('worker')
    stack.push(() => worker && end(worker, 'SIGTERM'))
    const bot = await startProcess('bot')
    stack.push(() => end(bot, 'SIGTERM'))
    return { url: sandbox.url, sandbox, sessions, fire, alert, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
