import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { Redis } from 'ioredis'
import type { Entry } from '../../src/domain/event.ts'
import { createSandboxSlack } from '../../src/sandbox/slack/server.ts'
import type { Workspace } from '../../src/sandbox/slack/workspace.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const PATIENCE = 20_000
export const CHANNEL = 'C0000DATAON'
export const [ONA, ADA, SAM, GUS, OLF] = [
  'U0000ONCALL',
  'U0000000ADA',
  'U0000000SAM',
  'U0000000GUS',
  'U0000000OLF',
] as const

type Shown = {
  ts: string
  thread_ts?: string
  text: string
  blocks?: readonly unknown[]
  ephemeral_to?: string
  metadata?: { event_payload?: { key?: string; incident?: string } }
  files?: { name: string; url: string }[]
}
type Options = {
  mode?: 'socket' | 'http'
  /** Markdown by path below playbooks/, without `.md`. */
  playbooks: Record<string, string>
  connections: Record<string, unknown>
  policy?: Record<string, unknown>
  /** Added to the environment of the bot and of the worker. */
  secrets?: { bot?: Record<string, string>; worker?: Record<string, string> }
  rateLimit?: boolean
  /** Added to keyturn.yaml. */
  settings?: Record<string, unknown>
  /** As the users of docs/redis.acl instead of one that may do everything. */
  acl?: boolean
  /** Of Slack; the default one if not given. */
  workspace?: Workspace
  /** Names of channels that playbooks use, beside the default one. */
  channels?: Record<string, string>
  /** Arguments for Node before the program, such as `--import`; the process then has a channel to its parent. */
  node?: readonly string[]
  /** Told of the bot and the worker as soon as they are spawned, before they are up. */
  spawned?: (role: 'bot' | 'worker', child: ChildProcess) => void
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/**
 * Keyturn as it runs in earnest: a real Redis, the bot and the worker as processes of their own, and the Slack sandbox.
 * `stop` ends all of it.
 */
export async function startWorld(options: Options) {
  const stack: (() => unknown)[] = []
  const stop = async () => {
    for (const close of stack.splice(0).reverse()) await close()
  }
  const output: string[] = []

  async function start(
    command: string,
    args: string[],
    env: NodeJS.ProcessEnv,
    ready: string,
    spawned: (child: ChildProcess) => void = () => {},
  ): Promise<ChildProcess> {
    const ipc = options.node && command === process.execPath ? (['ipc'] as const) : []
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe', ...ipc] })
    stack.push(() => end(child, 'SIGKILL'))
    spawned(child)
    await new Promise<void>((up, fail) => {
      let said = ''
      const hear = (chunk: Buffer) => {
        output.push(String(chunk))
        said += chunk
        if (said.includes(ready)) up()
      }
      child.stdout?.on('data', hear)
      child.stderr?.on('data', hear)
      child.once('exit', (code) => fail(new Error(`${args.join(' ')} ended with ${code}:\n${said}`)))
    })
    return child
  }
  async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }

  try {
    const folder = await mkdtemp(join(tmpdir(), 'keyturn-world-'))
    stack.push(() => rm(folder, { recursive: true, force: true }))
    await mkdir(join(folder, 'playbooks'))
    for (const [id, text] of Object.entries(options.playbooks)) {
      const file = join(folder, 'playbooks', `${id}.md`)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, text)
    }

    const redisPort = await freePort()
    const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction', '--save', '']
    const users = join(folder, 'users.acl')
    // The default user stays, for the test to look at what there is.
    const lines = (await readFile(join(ROOT, 'docs/redis.acl'), 'utf8')).split('\n')
    await writeFile(users, lines.filter((line) => line.startsWith('user keyturn-')).join('\n'))
    const acl = options.acl ? ['--aclfile', users] : []
    const redisArgs = [...acl, '--port', String(redisPort), '--bind', '127.0.0.1', '--dir', folder, ...durable]
    const startRedis = () => start('redis-server', redisArgs, {}, 'Ready to accept connections')
    let redis = await startRedis()

    const token = () => randomBytes(16).toString('hex')
    const tokens = {
      SLACK_BOT_TOKEN: `xoxb-${token()}`,
      SLACK_APP_TOKEN: `xapp-${token()}`,
      SLACK_SIGNING_SECRET: token(),
      ALERTS_TOKEN: token(),
    }
    const botPort = await freePort()
    const mode = options.mode ?? 'socket'
    const sandbox = await createSandboxSlack({
      signingSecret: tokens.SLACK_SIGNING_SECRET,
      botToken: tokens.SLACK_BOT_TOKEN,
      appToken: tokens.SLACK_APP_TOKEN,
      faults: { rateLimit: options.rateLimit ?? false },
      ...(options.workspace ? { workspace: options.workspace } : {}),
      ...(mode === 'http' ? { requestUrl: `http://127.0.0.1:${botPort}/slack/events` } : {}),
    })
    stack.push(() => sandbox.close())

    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const common = (role: string) => ({
      PATH: process.env.PATH,
      REDIS_URL: `redis://${options.acl ? `keyturn-${role}:change-me-${role}@` : ''}127.0.0.1:${redisPort}`,
    })
    const environment = {
      bot: {
        ...common('bot'),
        ...tokens,
        KEYTURN_PRIVATE_KEY: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
        ...options.secrets?.bot,
      },
      worker: {
        ...common('worker'),
        KEYTURN_PUBLIC_KEY: publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
        ...options.secrets?.worker,
      },
    }
    let files = 0
    async function writeConfig(port: number, policy: Record<string, unknown> = {}): Promise<string> {
      const file = join(folder, `keyturn-${files++}.yaml`)
      const config = {
        http: { port },
        slack: { mode, apiUrl: sandbox.apiUrl, channels: { ...options.channels, default: CHANNEL } },
        playbooks: { directory: join(folder, 'playbooks') },
        sources: { alertmanager: { kind: 'alertmanager', auth: { bearerFrom: 'ALERTS_TOKEN' } } },
        connections: options.connections,
        ...options.settings,
        policy: {
          approvers: { 'data-oncall': { users: [ADA, SAM, ONA, GUS, OLF] } },
          defaultApprovers: ['data-oncall'],
          ...options.policy,
          ...policy,
        },
      }
      await writeFile(file, JSON.stringify(config))
      return file
    }
    const config = await writeConfig(botPort)
    const startProcess = (role: 'bot' | 'worker', file = config) =>
      start(
        process.execPath,
        [...(options.node ?? []), join(ROOT, 'src/main.ts'), role, '--config', file],
        environment[role],
        `${role} is up`,
        (child) => options.spawned?.(role, child),
      )
    let worker = await startProcess('worker')
    let bot = await startProcess('bot')

    const webhook = `http://127.0.0.1:${botPort}/webhooks/alertmanager`
    const messages = (): Shown[] => (sandbox.state().messages[CHANNEL] ?? []) as Shown[]
    const keyOf = (m: Shown) => m.metadata?.event_payload?.key ?? ''

    /** Sends alerts as Alertmanager does; the answer's status. */
    async function alert(
      alerts: readonly {
        labels: Record<string, string>
        status?: 'firing' | 'resolved'
        annotations?: Record<string, string>
      }[],
      to = webhook,
    ): Promise<number> {
      const body = {
        version: '4',
        groupKey: JSON.stringify(alerts.map(({ labels }) => labels)),
        status: 'firing',
        receiver: 'keyturn',
        groupLabels: {},
        commonLabels: {},
        commonAnnotations: {},
        externalURL: 'http://127.0.0.1',
        truncatedAlerts: 0,
        alerts: alerts.map(({ labels, status = 'firing', annotations = {} }) => ({
          status,
          labels,
          annotations,
          startsAt: '2026-11-21T03:00:00Z',
          endsAt: status === 'resolved' ? '2026-11-21T03:10:00Z' : '0001-01-01T00:00:00Z',
          generatorURL: 'http://127.0.0.1/graph',
          // As in the field, no two sets of labels have the same.
          fingerprint: createHash('sha256').update(JSON.stringify(labels)).digest('hex').slice(0, 16),
        })),
      }
      const answer = await fetch(to, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${tokens.ALERTS_TOKEN}` },
        body: JSON.stringify(body),
      })
      return answer.status
    }

    /**
     * The first message of that key (or key's beginning, with a `:` at its end) for which `test` holds, as soon as there
     * is one; `key` may begin with an incident's id and a space.
     */
    async function see(wanted: string, test: (m: Shown) => boolean = () => true, patience = PATIENCE): Promise<Shown> {
      const [key = '', incident] = wanted.split(' ').reverse()
      const is = (m: Shown) =>
        (key.endsWith(':') ? keyOf(m).startsWith(key) : keyOf(m) === key) &&
        (incident === undefined || m.metadata?.event_payload?.incident === incident) &&
        test(m)
      await sandbox
        .waitFor(() => messages().some(is), patience)
        .catch((cause) => {
          const seen = messages().map((m) => `  ${keyOf(m)}  ${m.text}`)
          throw new Error(
            `no message ${key} as wanted; there is\n${seen.join('\n')}\n${output.join('').slice(-3000)}`,
            { cause },
          )
        })
      return messages().find(is)!
    }

    const modalOf = (user: string) =>
      sandbox.state().modals[user] as { id: string; callback_id?: string; blocks?: unknown } | null | undefined
    const press = (user: string, message: Shown, action: string) =>
      sandbox.press(user, { channel: CHANNEL, ts: message.ts }, `keyturn:${action}`)
    /** What a person alone was told. */
    const told = (user: string) => messages().flatMap((m) => (m.ephemeral_to === user ? [m.text] : []))

    /** Presses a button that opens a modal, types a reason into it and submits. */
    async function decide(user: string, message: Shown, action: string, reason: string) {
      const before = modalOf(user)
      if (before) await sandbox.closeView(user, before.id)
      const pressed = await press(user, message, action)
      if (!pressed.ok) return pressed
      await sandbox.waitFor(() => modalOf(user)?.callback_id?.startsWith('keyturn:') === true, PATIENCE)
      const values = { reason: { value: { type: 'plain_text_input', value: reason } } }
      return sandbox.submit(user, modalOf(user)!.id, values)
    }

    const atTerminal: Record<string, string> = {}

    return {
      sandbox,
      /** Added to the environment of `keyturn`. */
      atTerminal,
      webhook,
      folder,
      config,
      tokens,
      output,
      messages,
      keyOf,
      alert,
      see,
      press,
      decide,
      modalOf,
      told,
      environment,
      startProcess,
      writeConfig,
      freePort,
      /** A client of the world's Redis, closed with it. */
      connect() {
        const client = new Redis(redisPort, '127.0.0.1', { maxRetriesPerRequest: 1 })
        client.on('error', () => {})
        stack.push(() => client.disconnect())
        return client
      },
      killWorker: () => end(worker, 'SIGKILL'),
      async startWorker() {
        worker = await startProcess('worker')
      },
      async killBot() {
        await end(bot, 'SIGKILL')
      },
      async startBot() {
        bot = await startProcess('bot')
      },
      killRedis: () => end(redis, 'SIGKILL'),
      async startRedis() {
        redis = await startRedis()
      },
      /** Runs the command line to its end; what it printed, and its exit code. */
      async keyturn(...args: string[]): Promise<{ code: number | null; out: string }> {
        const child = spawn(process.execPath, [join(ROOT, 'src/main.ts'), ...args, '--config', config], {
          env: { ...environment.bot, ...environment.worker, ...common('terminal'), ...atTerminal },
          stdio: ['ignore', 'pipe', 'pipe'],
        })
        let out = ''
        child.stdout.on('data', (chunk) => (out += chunk))
        child.stderr.on('data', (chunk) => (out += chunk))
        const [code] = (await once(child, 'close')) as [number | null]
        return { code, out }
      },
      /** Every entry of every journal, by the command line. */
      async entries(): Promise<Entry[]> {
        const { out } = await this.keyturn('journal', 'export')
        return out
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as Entry)
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}
export type World = Awaited<ReturnType<typeof startWorld>>
