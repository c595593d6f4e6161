#!/usr/bin/env node
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { hostname, userInfo } from 'node:os'
import { dirname, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { commands, connectionKinds } from '../commands/index.ts'
import { type AppDeps, type Running, startBot, startWorker } from './app.ts'
import { audit, jsonLine, readJournals } from './audit.ts'
import { type Config, formatConfigFaults, neededVariables, parseConfig, redisAddress } from './config.ts'
import { coverage } from './coverage.ts'
import type { Entry } from './domain/event.ts'
import type { Clock, Journal } from './domain/ports.ts'
import { sentence } from './domain/reason.ts'
import { createLog } from './log.ts'
import { formatFaults } from './markdown/fault.ts'
import { loadPlaybooks } from './markdown/load.ts'
import { matchesWhole } from './markdown/regex.ts'
import { createFreezer } from './pipeline/freezer.ts'
import { clockOf, connectPatient, connectRedis, durabilityFaults } from './redis/connect.ts'
import { createJournal } from './redis/journal.ts'
import { incidentId, parseIncidentId } from './redis/keys.ts'
import { versioned } from './registry.ts'
import { createSecrets, type Secrets } from './secrets.ts'
import { count } from './slack/text.ts'
import { type Approval, createTerminal } from './terminal.ts'

const USAGE = `keyturn bot | worker | start      run the bot, a worker, or both
keyturn check                     look for faults in keyturn.yaml and the playbooks
keyturn coverage                  what no playbook matched, and which playbooks may be stale
keyturn freeze | thaw --reason WHY stop everything that changes something, or let it go on
keyturn approve [INCIDENT PROPOSAL] for when Slack is down: what is open, a plan, or --as USER --digest D --reason WHY
keyturn keys                      make a pair of signing keys
keyturn journal export [incident] print journals, one JSON entry a line
keyturn journal verify [file]     check journals, from a file without Redis
Options: --config FILE (keyturn.yaml), --allow-volatile-redis,
  --days N (90)                   for coverage: how far it looks back
  --head INCIDENT=HASH            for verify: an entry that the thread shows must be there; may be repeated`

/** Something that the operator has to mend; printed without a stack. */
class Fault extends Error {}

const root = resolve(import.meta.dirname, '..')

async function readConfig(file: string): Promise<Config> {
  const text = await readFile(file, 'utf8').catch(() => {
    throw new Fault(`${file}: cannot be read. Copy keyturn.example.yaml to it, or name another with --config.`)
  })
  const parsed = parseConfig(text, connectionKinds)
  if (!parsed.ok) throw new Fault(formatConfigFaults(file, parsed.faults))
  return parsed.config
}

async function readPlaybooks(config: Config, configFile: string) {
  const known = {
    commands,
    approvers: Object.keys(config.policy.approvers),
    channels: Object.keys(config.slack.channels),
  }
  const directory = resolve(dirname(configFile), config.playbooks.directory)
  const near = relative('', directory)
  const loaded = await loadPlaybooks(near === '' || near.startsWith('..') ? directory : near, known)
  if (!loaded.ok) throw new Fault(formatFaults(loaded.faults))
  return loaded.playbooks
}

const DAY = 24 * 3600 * 1000
const ordinal = (id: string) => parseIncidentId(id).n
const pem = (base64: string) => Buffer.from(base64, 'base64')

async function start(role: { bot: boolean; worker: boolean }, configFile: string, volatile: boolean): Promise<void> {
  const config = await readConfig(configFile)
  const needed = neededVariables(config, role)
  const absent = needed.filter((n) => !process.env[n.variable])
  if (absent.length > 0)
    throw new Fault(absent.map((n) => `${configFile}: ${n.key}: set the environment variable ${n.variable}`).join('\n'))
  const playbooks = await readPlaybooks(config, configFile)
  const secrets = createSecrets(
    process.env,
    needed.map((n) => n.variable),
  )
  const log = createLog({ level: config.logLevel, strike: secrets.strike })
  const address = redisAddress(config, secrets.secret)
  const onError = (err: Error) => log.warn({ err }, 'Redis')
  const deps: AppDeps = {
    config,
    secrets,
    log,
    clock: Date.now,
    commands: await versioned(commands, resolve(root, 'commands')),
    playbooks,
    regex: matchesWhole,
    connect: (patient = false) => (patient ? connectPatient(address, onError) : connectRedis(address, onError)),
  }
  const redis = deps.connect()
  const faults = await durabilityFaults(redis)
    .catch((cause) => {
      throw new Fault(`${configFile}: redis: Redis does not answer: ${secrets.strike((cause as Error).message)}`)
    })
    .finally(() => redis.disconnect())
  if (faults.length > 0 && !volatile) throw new Fault(faults.join('\n'))
  for (const fault of faults) log.warn(fault)

  const running: Running[] = []
  let stopping = false
  const stop = async () => {
    for (const part of running.splice(0).reverse()) await part.stop()
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (stopping) return
      stopping = true
      void stop().finally(() => process.exit(0))
    })
  try {
    if (role.worker) {
      const publicKey = createPublicKey({
        key: pem(secrets.secret(config.keys.publicKeyFrom)),
        format: 'der',
        type: 'spki',
      })
      const worker = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`
      running.push(await startWorker({ ...deps, publicKey, worker }))
    }
    if (role.bot) {
      const key = pem(secrets.secret(config.keys.privateKeyFrom))
      const privateKey = createPrivateKey({ key, format: 'der', type: 'pkcs8' })
      running.push(await startBot({ ...deps, keys: { privateKey, publicKey: createPublicKey(privateKey) } }))
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function printKeys(): void {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  process.stdout.write(
    `KEYTURN_PRIVATE_KEY=${privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64')}\n` +
      `KEYTURN_PUBLIC_KEY=${publicKey.export({ format: 'der', type: 'spki' }).toString('base64')}\n`,
  )
}

/** Lends the journal and the time, both from Redis, to a word at a terminal. */
async function atTerminal<T>(
  configFile: string,
  work: (lent: { config: Config; journal: Journal; clock: Clock; strike: Secrets['strike'] }) => Promise<T>,
): Promise<T> {
  const config = await readConfig(configFile)
  const known = neededVariables(config, { bot: true, worker: true }).map((n) => n.variable)
  const { secret, strike } = createSecrets(process.env, [...known, config.keys.breakGlassKeyFrom])
  const address = redisAddress(config, secret)
  const [redis, subscriber] = [connectRedis(address, () => {}), connectRedis(address, () => {})]
  try {
    const clock = await clockOf(redis, Date.now)
    return await work({ config, journal: createJournal({ redis, subscriber, clock }), clock, strike })
  } finally {
    redis.disconnect()
    subscriber.disconnect()
  }
}

/** The id of an incident as somebody typed it. */
async function known(journal: Journal, id: string): Promise<string> {
  if ((await journal.all()).includes(id)) return id
  throw new Fault(`${id}: there is no such incident. Its id stands below its first message, such as 4fa38adc3708-1.`)
}

/** Freezes or lifts from a terminal, for when Slack is down. Who may do that is who may read REDIS_URL here. */
const toggleFreeze = (verb: 'freeze' | 'thaw', configFile: string, reason: string): Promise<void> =>
  atTerminal(configFile, async ({ config: { policy }, journal, clock, strike }) => {
    const freezer = createFreezer({ journal, clock, ids: randomUUID, policy, incidentId, ordinal })
    const by = `${userInfo().username} at a terminal`
    const done = await freezer[verb]({ by, reason: strike(reason), person: null })
    if (!done.ok)
      throw new Fault(
        done.reason === 'reason_required' ? `Say why: keyturn ${verb} --reason "…"` : sentence(done.reason),
      )
    say([verb === 'freeze' ? 'Frozen.' : 'The freeze is lifted.'])
  })

/**
 * Approves without Slack, with the key that the policy has for this person: without a digest it shows the plan and what to
 * type, without a proposal what is open.
 */
const approve = (configFile: string, [id, proposal]: readonly string[], given: Approval): Promise<void> =>
  atTerminal(configFile, async ({ config: { policy, keys }, journal, clock, strike }) => {
    const terminal = createTerminal({ journal, policy, clock, ids: randomUUID, incidentId, ordinal })
    if (!id || !proposal) return say(await terminal.open())
    await known(journal, id)
    if (!given.digest) return say(await terminal.show(id, proposal))
    const key = process.env[keys.breakGlassKeyFrom]
    if (!key)
      throw new Fault(`${configFile}: keys.breakGlassKeyFrom: set the environment variable ${keys.breakGlassKeyFrom}`)
    const privateKey = createPrivateKey({ key: pem(key), format: 'der', type: 'pkcs8' })
    const name = userInfo().username
    const reason = strike(given.reason)
    const done = await terminal.approve({ ...given, reason, incident: id, proposal, name, privateKey })
    if (!done.ok) throw new Fault(`${sentence(done.reason)} Nothing was decided.`)
    say(['Approved. The bot grants it with its next round; the thread will show your name and the reason.'])
  })

const say = (lines: readonly string[]) => void process.stdout.write(lines.map((line) => `${line}\n`).join(''))

const journals = (configFile: string, only: string | undefined): Promise<Map<string, Entry[]>> =>
  atTerminal(configFile, async ({ journal }) => {
    const ids = only ? [await known(journal, only)] : (await journal.all()).sort()
    return new Map(
      await Promise.all(ids.map(async (id): Promise<[string, Entry[]]> => [id, await journal.entries(id)])),
    )
  })

/** What the journals of the last days say of the playbooks. */
const report = (configFile: string, days: string): Promise<void> => {
  if (!/^[1-9]\d{0,3}$/.test(days)) throw new Fault(`--days ${days}: write a whole number of days, such as 90.`)
  return atTerminal(configFile, async ({ config, journal, clock }) => {
    const found = await Promise.all((await journal.all()).map((id) => journal.load(id)))
    const incidents = found.filter((i) => i !== null)
    const since = new Date(clock() - Number(days) * DAY).toISOString()
    say(coverage(incidents, await readPlaybooks(config, configFile), since))
  })
}

/** Heads as given on the command line, `INCIDENT=HASH` each. */
function readHeads(given: readonly string[]): Map<string, string> {
  return new Map(
    given.map((head) => {
      const [, id, hash] = /^([^=]+)=(sha256:[0-9a-f]{64})$/.exec(head) ?? []
      if (!id || !hash) throw new Fault(`--head ${head}: write it as INCIDENT=sha256:…, as the thread shows it.`)
      return [id, hash]
    }),
  )
}

async function verifyJournals(file: string | undefined, config: string, heads: readonly string[]): Promise<void> {
  const wanted = readHeads(heads)
  const { journals: found, faults } = file
    ? await readJournals(file).catch((cause) => {
        throw new Fault(`${file}: cannot be read: ${(cause as Error).message}`)
      })
    : { journals: await journals(config, undefined), faults: [] }
  const { sound, lines } = audit(found, wanted)
  // A file from which everything was taken looks like this too.
  if (file && found.size === 0) faults.push(`${file}: there is no journal in it`)
  say([...faults, ...lines])
  if (!sound || faults.length > 0) process.exitCode = 1
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        config: { type: 'string', default: 'keyturn.yaml' },
        head: { type: 'string', multiple: true, default: [] },
        reason: { type: 'string', default: '' },
        as: { type: 'string', default: '' },
        digest: { type: 'string', default: '' },
        days: { type: 'string', default: '90' },
        help: { type: 'boolean', short: 'h', default: false },
        'allow-volatile-redis': { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new Fault(`${(error as Error).message}\n\n${USAGE}`)
  }
}

async function main(): Promise<void> {
  const { values, positionals } = readArguments()
  if (values.help) return say([USAGE])
  const [verb, noun, name] = positionals
  const volatile = values['allow-volatile-redis']
  if (verb === 'bot') await start({ bot: true, worker: false }, values.config, volatile)
  else if (verb === 'worker') await start({ bot: false, worker: true }, values.config, volatile)
  else if (verb === 'start') await start({ bot: true, worker: true }, values.config, volatile)
  else if (verb === 'freeze' || verb === 'thaw') await toggleFreeze(verb, values.config, values.reason)
  else if (verb === 'approve')
    await approve(
      values.config,
      [noun, name].flatMap((word) => word ?? []),
      {
        user: values.as,
        digest: values.digest,
        reason: values.reason,
      },
    )
  else if (verb === 'coverage') await report(values.config, values.days)
  else if (verb === 'keys') printKeys()
  else if (verb === 'check') {
    const playbooks = await readPlaybooks(await readConfig(values.config), values.config)
    say([`${values.config} and ${count(playbooks.length, 'playbook')} are sound.`])
  } else if (verb === 'journal' && noun === 'export') {
    for (const entries of (await journals(values.config, name)).values())
      for (const entry of entries) process.stdout.write(`${jsonLine(entry)}\n`)
  } else if (verb === 'journal' && noun === 'verify') {
    await verifyJournals(name, values.config, values.head)
  } else throw new Fault(USAGE)
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Fault ? error.message : ((error as Error)?.stack ?? String(error))}\n`)
  process.exit(1)
})
