import { type KeyObject, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from './config.ts'
import type { Job } from './domain/job.ts'
import type { Playbook, RegexTest } from './domain/playbook.ts'
import type { Clock } from './domain/ports.ts'
import { whatIsWrong } from './domain/wrong.ts'
import { freezeFile } from './freeze-file.ts'
import type { Log } from './log.ts'
import { createFreezer } from './pipeline/freezer.ts'
import { createGather } from './pipeline/gather.ts'
import { createHandlers } from './pipeline/handlers.ts'
import { createIngest } from './pipeline/ingest.ts'
import { createPropose } from './pipeline/propose.ts'
import { createRun } from './pipeline/run.ts'
import { createBotTick, createWorkerTick } from './pipeline/tick.ts'
import type { Versioned, Workbench } from './pipeline/workbench.ts'
import { createAttendance } from './redis/attendance.ts'
import type { Store } from './redis/connect.ts'
import { createJournal } from './redis/journal.ts'
import { incidentId, parseIncidentId } from './redis/keys.ts'
import { createLocks } from './redis/locks.ts'
import { createPostbox } from './redis/postbox.ts'
import { createPulse } from './redis/pulse.ts'
import { createBell, createWorkers } from './redis/queues.ts'
import { createWitness } from './redis/witness.ts'
import type { Secrets } from './secrets.ts'
import { createSlackEdge } from './slack/app.ts'
import { render } from './slack/render.ts'
import { home } from './slack/views/home.ts'
import { modals } from './slack/views/modals.ts'
import { createHttpServer, createSources } from './sources/server.ts'
import { strikeBatch, strikeIntents } from './strike.ts'
import { createHealth } from './web/health.ts'
import { witnessFile } from './witness-file.ts'

/** What both processes are given. */
export type AppDeps = Readonly<{
  config: Config
  secrets: Secrets
  log: Log
  clock: Clock
  commands: ReadonlyMap<string, Versioned>
  playbooks: readonly Playbook[]
  regex: RegexTest
  /** Opens a Redis connection; `patient` ones wait for ever. They are closed by `stop`. */
  connect: (patient?: boolean) => Store
}>

/** A started process: `stop` ends it in reverse order. */
export type Running = Readonly<{ stop(): Promise<void> }>

const BOT_ROUND = 2000
const WORKER_ROUND = 1000
/** How often a process looks whether Redis still has everything, in milliseconds. */
const WATCH_ROUND = 1000
/** A dead worker's job is free again after at most one and a half times this, in milliseconds; the journal says what is left of it. */
const STALLED_AFTER = 10_000

/** Calls `work` again and again with a pause between, until aborted. */
async function rounds(pause: number, signal: AbortSignal, work: () => Promise<unknown>, log: Log): Promise<void> {
  while (!signal.aborted) {
    await work().catch((err) => log.warn({ err }, 'round failed; it is made again'))
    await delay(pause, undefined, { signal }).catch(() => {})
  }
}

/** Stops in the reverse order of starting; one that fails does not keep the others. */
function closers(log: Log) {
  const stack: { name: string; close: () => unknown }[] = []
  return {
    add: (name: string, close: () => unknown) => void stack.push({ name, close }),
    async stop() {
      for (const { name, close } of stack.splice(0).reverse()) {
        try {
          await close()
        } catch (err) {
          log.warn({ err, part: name }, 'part did not stop cleanly')
        }
      }
    },
  }
}

/** The bot: webhooks in, Slack both ways, decisions and grants. Holds the signing key and no production credentials. */
export async function startBot(
  deps: AppDeps & { keys: { privateKey: KeyObject; publicKey: KeyObject } },
): Promise<Running & { url: string }> {
  const { config, secrets, log, clock, commands, playbooks } = deps
  const closing = closers(log)
  try {
    const redis = deps.connect()
    closing.add('redis', () => redis.disconnect())
    const subscriber = deps.connect(true)
    closing.add('subscriber', () => subscriber.disconnect())
    const witness = createWitness(redis, `bot-${randomUUID()}`)
    const journal = createJournal({ redis, subscriber, clock, missed: witness.missed })
    const postbox = createPostbox(redis)
    const pulse = createPulse(redis)
    const locks = createLocks(redis)
    const bell = createBell(redis)
    closing.add('queues', () => bell.close())
    const onError = (err: unknown) => log.warn({ err }, 'work is put off; the next round does it')
    const common = { journal, bell, clock, ids: randomUUID, policy: config.policy, onError }
    const ordinal = (id: string) => parseIncidentId(id).n
    const ingest = createIngest({ ...common, playbooks, regex: deps.regex, incidentId, ordinal })
    const faultsOf = (id: string, params: Record<string, unknown>) => {
      const issues = commands.get(id)?.command.params.safeParse(params).error?.issues ?? []
      return Object.fromEntries(issues.map((i) => [String(i.path[0] ?? ''), whatIsWrong(i)]))
    }
    const freezer = createFreezer({ ...common, incidentId, ordinal, witness })
    const handlers = strikeIntents(
      secrets.strike,
      createHandlers({ ...common, freezer, locks, keys: deps.keys, faultsOf }),
    )
    const slack = await createSlackEdge({
      settings: config.slack,
      secret: secrets.secret,
      handlers,
      journal,
      postbox,
      pulse,
      policy: config.policy,
      views: { render, modals, home },
      playbookUrl: (id) => config.playbooks.url?.replace('{id}', id) ?? null,
      clock,
      log,
    })
    const server = createHttpServer({ log })
    closing.add('http', () => server.close())
    await server.register(
      createSources({
        sources: config.sources,
        secret: secrets.secret,
        onAlerts: async (batch) => ingest(await strikeBatch(secrets.strike, batch)),
        log,
        clock: () => new Date(clock()),
      }),
    )
    await server.register(createHealth({ redis: async () => (await redis.ping()) === 'PONG' }))
    if (slack.plugin) await server.register(slack.plugin)
    const url = await server.listen({ host: config.http.host, port: config.http.port })
    await slack.start()
    closing.add('slack', () => slack.stop())
    const halt = new AbortController()
    const attendance = createAttendance({ redis, own: Object.keys(config.sources), clock })
    const tick = createBotTick({ ...common, freezer, keys: deps.keys, isShown: slack.isShown, attendance })
    const watching = rounds(WATCH_ROUND, halt.signal, freezer.state, log)
    const ticking = rounds(BOT_ROUND, halt.signal, tick, log)
    closing.add('tick', () => {
      halt.abort()
      return Promise.all([ticking, watching])
    })
    log.info({ url, playbooks: playbooks.length, sources: Object.keys(config.sources) }, 'bot is up')
    return { url, stop: closing.stop }
  } catch (error) {
    await closing.stop()
    throw error
  }
}

/** The worker: evidence, plans, runs. Holds production credentials and the public key; no Slack secrets. */
export async function startWorker(deps: AppDeps & { publicKey: KeyObject; worker: string }): Promise<Running> {
  const { config, secrets, log, clock } = deps
  const closing = closers(log)
  try {
    const redis = deps.connect()
    closing.add('redis', () => redis.disconnect())
    const subscriber = deps.connect(true)
    closing.add('subscriber', () => subscriber.disconnect())
    const halt = new AbortController()
    const pulse = createPulse(redis)
    const kept = config.witnessFile === undefined ? null : witnessFile(config.witnessFile)
    const known = await kept?.read()
    const own = known?.id ?? `worker-${deps.worker}`
    const witness = createWitness(redis, own, known ?? undefined, clock)
    const journal = createJournal({ redis, subscriber, clock, missed: witness.missed })
    const bell = createBell(redis)
    closing.add('queues', () => bell.close())
    const onError = (err: unknown) => log.warn({ err }, 'worker had to put something off')
    const ordinal = (id: string) => parseIncidentId(id).n
    const freezer = createFreezer({
      journal,
      clock,
      ids: randomUUID,
      policy: config.policy,
      incidentId,
      ordinal,
      witness,
    })
    const bench: Workbench = {
      journal,
      pulse,
      locks: createLocks(redis),
      clock,
      ids: randomUUID,
      commands: deps.commands,
      playbooks: new Map(deps.playbooks.map((p) => [p.id, p])),
      connections: config.connections,
      policy: config.policy,
      secret: secrets.secret,
      strike: secrets.strike,
      lastFreeze: async () => (await freezeFile(config.freezeFile)) ?? (await freezer.last()),
      onFault: (err) => log.warn({ err }, 'a command failed'),
      signal: halt.signal,
    }
    const gather = createGather(bench)
    const propose = createPropose(bench)
    const { publicKey, worker } = deps
    const { run, probe } = createRun({ ...bench, publicKey, worker, onError })
    const onJob = async (job: Job, lastTry: boolean) => {
      log.info({ job }, 'job taken')
      if (job.kind === 'evidence') await gather(job.incident, job.step, lastTry)
      else if (job.kind === 'plan') await propose(job.incident, job.proposal, lastTry)
      else if (job.kind === 'probe') await probe(job.incident, job.proposal)
      else await run(job.incident, job.proposal)
    }
    const logged = (job: Job, lastTry: boolean) =>
      onJob(job, lastTry).catch((err: unknown) => {
        log.warn({ err, job, lastTry }, 'job failed')
        throw err
      })
    const concurrency = { read: 8, run: 4 }
    const connect = () => deps.connect(true)
    const workers = createWorkers({ connect, onJob: logged, onError, concurrency, stalledAfter: STALLED_AFTER })
    closing.add('workers', () => workers.close())
    const watch = async () => {
      await freezer.state()
      await kept?.write({ id: own, seen: witness.seen(), at: clock() })
    }
    const watching = rounds(WATCH_ROUND, halt.signal, watch, log)
    const ticking = rounds(WORKER_ROUND, halt.signal, createWorkerTick({ journal, bell, pulse, onError }), log)
    closing.add('tick', () => {
      halt.abort(new Error('the worker was stopped'))
      return Promise.all([ticking, watching])
    })
    log.info({ worker, connections: Object.keys(config.connections) }, 'worker is up')
    return { stop: closing.stop }
  } catch (error) {
    await closing.stop()
    throw error
  }
}
