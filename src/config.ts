import { type Document, isMap, LineCounter, parseDocument, type Scalar, visit } from 'yaml'
import { z } from 'zod'
import type { ConnectionKind } from './domain/command.ts'
import { Policy } from './domain/policy.ts'
import { whatIsWrong } from './domain/wrong.ts'
import type { ConnectionConfig } from './pipeline/context.ts'
import type { Address } from './redis/connect.ts'
import { SourceSettings } from './sources/registry.ts'
import { SourceName } from './sources/source.ts'

const envName = z.string().regex(/^[A-Z][A-Z0-9_]*$/, 'is not the name of an environment variable (A–Z, 0–9, _)')
const channelId = z.string().regex(/^[CG][A-Z0-9]{2,}$/, 'is not a Slack channel id (C…)')

const Slack = z.strictObject({
  /** socket: needs no way in from the internet. http: Slack calls us. */
  mode: z.enum(['socket', 'http']).default('socket'),
  botTokenFrom: envName.default('SLACK_BOT_TOKEN'),
  signingSecretFrom: envName.default('SLACK_SIGNING_SECRET'),
  appTokenFrom: envName.default('SLACK_APP_TOKEN'),
  /** Where the app is installed for a whole organisation (Enterprise Grid): the workspace whose people and user groups decide. */
  team: z
    .string()
    .regex(/^T[A-Z0-9]{2,}$/, 'is not the id of a Slack workspace (T…)')
    .optional(),
  /** Another Web API than Slack's own, such as the sandbox. */
  apiUrl: z.url().optional(),
  /** Names that playbooks use, to channel ids. `default` is where everything else goes. */
  channels: z.object({ default: channelId }).catchall(channelId),
  /** Owners of playbooks to the channel where what is theirs alone is posted too, with what was found. */
  ownerChannels: z.record(z.string(), channelId).default({}),
  /** Owners of playbooks, as written there, to the ids of users or user groups: they are pinged when it is theirs alone. */
  owners: z
    .record(z.string(), z.string().regex(/^[USW][A-Z0-9]{2,}$/, 'is not the id of a Slack user or user group'))
    .default({}),
})

const node = z
  .string()
  .regex(/^[^\s:@/]+:[1-9][0-9]{0,4}$/, 'is not written as host:port')
  .transform((text) => ({ host: text.split(':')[0]!, port: Number(text.split(':')[1]) }))
const nodes = z.array(node).min(1)

/** Where Redis is: one server's URL, or the sentinels of a master, or some nodes of a cluster. */
const RedisSettings = z.strictObject({
  /** The URL of one server, with its user and password. REDIS_URL unless sentinels or a cluster are given. */
  urlFrom: envName.optional(),
  sentinels: z.strictObject({ master: z.string().min(1), nodes, passwordFrom: envName.optional() }).optional(),
  cluster: z.strictObject({ nodes }).optional(),
  user: z.string().min(1).optional(),
  passwordFrom: envName.optional(),
  tls: z.boolean().optional(),
})

const Schema = z.strictObject({
  redis: RedisSettings.prefault({}),
  http: z
    .strictObject({ host: z.string().default('127.0.0.1'), port: z.number().int().min(0).max(65535).default(8080) })
    .prefault({}),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  slack: Slack,
  playbooks: z
    .strictObject({
      directory: z.string().default('playbooks'),
      /** Where people read a playbook; `{id}` stands for its path without `.md`. */
      url: z.string().startsWith('https://').includes('{id}').optional(),
    })
    .prefault({}),
  keys: z
    .strictObject({
      privateKeyFrom: envName.default('KEYTURN_PRIVATE_KEY'),
      publicKeyFrom: envName.default('KEYTURN_PUBLIC_KEY'),
      /** Where a person at a terminal has the key that policy.breakGlass names the public half of. */
      breakGlassKeyFrom: envName.default('KEYTURN_BREAK_GLASS_KEY'),
    })
    .prefault({}),
  /** While this file is there the worker starts nothing, also when Redis and Slack are down: `touch` it to freeze. */
  freezeFile: z.string().startsWith('/', 'is not an absolute path').optional(),
  /** Where the worker keeps what it knows of Redis, to find out at its start what Redis has lost meanwhile. */
  witnessFile: z.string().startsWith('/', 'is not an absolute path').optional(),
  sources: z.record(SourceName, SourceSettings).default({}),
  connections: z.record(z.string(), z.looseObject({ kind: z.string(), environment: z.string().min(1) })).default({}),
  policy: Policy.prefault({}),
})

export type Config = Omit<z.infer<typeof Schema>, 'connections'> & { connections: Record<string, ConnectionConfig> }

/** One fault of the configuration: `key` is its path, `line` where it stands in the file (0 if it is missing). */
export type ConfigFault = { key: string; line: number; what: string }

/** Formats faults, one a line: `keyturn.yaml:12: connections.lake.region: is required`. */
export const formatConfigFaults = (file: string, faults: readonly ConfigFault[]): string =>
  faults.map((f) => `${file}${f.line ? `:${f.line}` : ''}: ${f.key}: ${f.what}`).join('\n')

/** Reads keyturn.yaml: the configuration, or every fault of it at once. */
export function parseConfig(
  text: string,
  kinds: readonly ConnectionKind[],
): { ok: true; config: Config } | { ok: false; faults: ConfigFault[] } {
  const lines = new LineCounter()
  const doc = parseDocument(text, { lineCounter: lines, uniqueKeys: true })
  if (doc.errors.length > 0) {
    const faults = doc.errors.map((e) => ({
      key: 'YAML',
      line: lines.linePos(e.pos[0]).line,
      what: e.message.split('\n')[0]!,
    }))
    return { ok: false, faults }
  }
  const lineOf = (path: readonly PropertyKey[]): number => {
    for (let length = path.length; length > 0; length--) {
      const parent = doc.getIn(path.slice(0, length - 1), true)
      const pair = isMap(parent) && parent.items.find((i) => String(i.key) === String(path[length - 1]))
      if (pair) return lines.linePos((pair.key as { range?: [number] }).range?.[0] ?? 0).line
    }
    return 0
  }
  const faults: ConfigFault[] = []
  const fault = (path: readonly PropertyKey[], what: string) =>
    faults.push({ key: path.join('.') || '(top)', line: lineOf(path), what })

  for (const { source = '', range } of inexactNumbers(doc)) {
    const what = `${source} cannot be kept as a number with all of its digits: put it in quotes`
    faults.push({ key: 'YAML', line: lines.linePos(range?.[0] ?? 0).line, what })
  }
  const raw = doc.toJS({ maxAliasCount: 100 }) ?? {}
  const parsed = Schema.safeParse(raw)
  for (const issue of parsed.error?.issues ?? []) explain(issue, fault)

  const connections: Record<string, ConnectionConfig> = {}
  for (const [name, value] of Object.entries((raw as { connections?: object }).connections ?? {})) {
    if (typeof value !== 'object' || value === null) continue
    const { kind, environment, ...rest } = value as Record<string, unknown>
    const known = kinds.find((k) => k.kind === kind)
    if (typeof kind === 'string' && !known)
      fault(
        ['connections', name, 'kind'],
        `${JSON.stringify(kind)} is not one of ${kinds.map((k) => k.kind).join(', ')}`,
      )
    const settings = known?.settings.safeParse(rest)
    for (const issue of settings?.error?.issues ?? [])
      explain({ ...issue, path: ['connections', name, ...issue.path] }, fault)
    if (settings?.success)
      connections[name] = { kind: String(kind), environment: String(environment), settings: settings.data }
  }
  if (parsed.success) crossCheck(parsed.data, fault)
  if (faults.length > 0 || !parsed.success) return { ok: false, faults: faults.sort((a, b) => a.line - b.line) }
  return { ok: true, config: { ...parsed.data, connections } }
}

/** Numbers that would lose a digit: ids above 2^53, and those that begin with a zero. */
function inexactNumbers(doc: Document): Scalar[] {
  const found: Scalar[] = []
  visit(doc, {
    Scalar(_key, node) {
      if (typeof node.value !== 'number' || !/^[-+]?\d+$/.test(node.source ?? '')) return
      if (!Number.isSafeInteger(node.value) || /^[-+]?0\d/.test(node.source!)) found.push(node)
    },
  })
  return found
}

type Report = (path: readonly PropertyKey[], what: string) => void

/** One sentence for each thing that zod found, with what to do. */
function explain(issue: z.core.$ZodIssue, fault: Report): void {
  if (issue.code === 'unrecognized_keys')
    for (const key of issue.keys)
      fault([...issue.path, key], 'is not a known key: remove it, or see keyturn.example.yaml')
  else if (issue.code === 'invalid_type' && issue.message.includes('received undefined'))
    fault(issue.path, `is required (${issue.expected})`)
  else if (issue.code === 'invalid_key') for (const inner of issue.issues) fault(issue.path, inner.message)
  else fault(issue.path, whatIsWrong(issue))
}

/** Names that must exist elsewhere in the file. */
function crossCheck(config: z.infer<typeof Schema>, fault: Report): void {
  const { policy, redis } = config
  const ways = (['urlFrom', 'sentinels', 'cluster'] as const).filter((way) => redis[way] !== undefined)
  if (ways.length > 1)
    fault(['redis', ways[1]!], `cannot stand beside ${ways[0]}: there is one Redis, keep one of them`)
  if (!redis.sentinels && !redis.cluster)
    for (const key of ['user', 'passwordFrom', 'tls'] as const)
      if (redis[key] !== undefined)
        fault(['redis', key], 'is for sentinels and clusters: put it into the URL that urlFrom names')
  for (const name of policy.defaultApprovers)
    if (!Object.hasOwn(policy.approvers, name))
      fault(['policy', 'defaultApprovers'], `names ${JSON.stringify(name)}, which is not under policy.approvers`)
  const humans = new Map<string, string>()
  for (const [human, accounts] of Object.entries(policy.people))
    for (const account of accounts) {
      const other = humans.get(account)
      if (other !== undefined && other !== human)
        fault(['policy', 'people', human], `names ${account}, which belongs to ${other}: an account has one human`)
      humans.set(account, human)
    }
  for (const [name, list] of Object.entries(policy.approvers))
    for (const rotation of list.oncall)
      if (!Object.hasOwn(policy.oncall, rotation))
        fault(
          ['policy', 'approvers', name, 'oncall'],
          `names ${JSON.stringify(rotation)}, which is not under policy.oncall`,
        )
}

const REDIS_URL = 'REDIS_URL'

/** Where Redis is, with its passwords. `secret` throws if one is not set. */
export function redisAddress({ redis }: Config, secret: (variable: string) => string): Address {
  const login = {
    ...(redis.user && { username: redis.user }),
    ...(redis.passwordFrom && { password: secret(redis.passwordFrom) }),
    ...(redis.tls && { tls: true }),
  }
  if (redis.cluster) return { kind: 'cluster', nodes: redis.cluster.nodes, login }
  if (!redis.sentinels) return { kind: 'one', url: secret(redis.urlFrom ?? REDIS_URL) }
  const { master, nodes, passwordFrom } = redis.sentinels
  return {
    kind: 'sentinels',
    master,
    nodes,
    ...(passwordFrom && { sentinelPassword: secret(passwordFrom) }),
    login,
  }
}

/** What a process needs from the environment; connections' secrets are the worker's alone. */
export function neededVariables(
  config: Config,
  role: { bot: boolean; worker: boolean },
): { key: string; variable: string }[] {
  const needed: { key: string; variable: string }[] = []
  const secretsIn = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return
    for (const [key, inner] of Object.entries(value))
      if (key.endsWith('From') && typeof inner === 'string') needed.push({ key: `${path}.${key}`, variable: inner })
      else secretsIn(inner, `${path}.${key}`)
  }
  if (config.redis.sentinels || config.redis.cluster) secretsIn(config.redis, 'redis')
  else needed.push({ key: 'redis.urlFrom', variable: config.redis.urlFrom ?? REDIS_URL })
  if (role.bot) {
    const { slack } = config
    needed.push({ key: 'keys.privateKeyFrom', variable: config.keys.privateKeyFrom })
    needed.push({ key: 'slack.botTokenFrom', variable: slack.botTokenFrom })
    if (slack.mode === 'http') needed.push({ key: 'slack.signingSecretFrom', variable: slack.signingSecretFrom })
    else needed.push({ key: 'slack.appTokenFrom', variable: slack.appTokenFrom })
    for (const [name, source] of Object.entries(config.sources)) secretsIn(source, `sources.${name}`)
  }
  if (role.worker) {
    needed.push({ key: 'keys.publicKeyFrom', variable: config.keys.publicKeyFrom })
    for (const [name, connection] of Object.entries(config.connections))
      secretsIn(connection.settings, `connections.${name}`)
  }
  return needed
}
