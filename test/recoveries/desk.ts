import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { commands, connectionKinds } from '../../commands/index.ts'
import { parseConfig } from '../../src/config.ts'
import { proposalOf } from '../../src/domain/incident.ts'
import { isQuiet } from '../../src/domain/ladder.ts'
import type { ParamValues } from '../../src/domain/ports.ts'
import { formatFaults } from '../../src/markdown/fault.ts'
import { loadPlaybooks } from '../../src/markdown/load.ts'
import { matchesWhole } from '../../src/markdown/regex.ts'
import { createFreezer } from '../../src/pipeline/freezer.ts'
import { createGather } from '../../src/pipeline/gather.ts'
import { createHandlers } from '../../src/pipeline/handlers.ts'
import { createIngest } from '../../src/pipeline/ingest.ts'
import { createPropose } from '../../src/pipeline/propose.ts'
import { createRun } from '../../src/pipeline/run.ts'
import { createBotTick } from '../../src/pipeline/tick.ts'
import type { Workbench } from '../../src/pipeline/workbench.ts'
import { createJournal } from '../../src/redis/journal.ts'
import { incidentId, parseIncidentId } from '../../src/redis/keys.ts'
import { createLocks } from '../../src/redis/locks.ts'
import { createPulse } from '../../src/redis/pulse.ts'
import { versioned } from '../../src/registry.ts'
import { refuseBlocks } from '../../src/sandbox/slack/blocks.ts'
import { fitBlocks } from '../../src/slack/limits.ts'
import { render } from '../../src/slack/render.ts'
import { person } from '../domain/person.ts'
import type { startRedis } from '../redis/server.ts'

const keys = generateKeyPairSync('ed25519')
const ONA = person('U0ONA')
const APPROVERS = [person('U0ADA'), person('U0SAM')]
const COMMANDS = await versioned(commands, new URL('../../commands', import.meta.url).pathname)
const LISTS = ['data-oncall', 'platform-oncall']

type Firing = Readonly<{ labels: Record<string, string>; annotations?: Record<string, string> }>
export type Connections = Readonly<Record<string, { kind: string; environment: string } & Record<string, unknown>>>

/**
 * The whole path in this process: the shipped playbooks and commands, the real pipeline on a real Redis, and the thread as
 * Slack would be sent it. Everything is driven by alerts and by people.
 */
export async function createDesk(
  redis: Awaited<ReturnType<typeof startRedis>>,
  setup: { connections: Connections; secrets: Readonly<Record<string, string>> },
) {
  const yaml = {
    slack: { channels: { default: 'C0000' } },
    connections: setup.connections,
    policy: {
      approvers: Object.fromEntries(LISTS.map((l) => [l, { users: APPROVERS.map((a) => a.user) }])),
      defaultApprovers: [LISTS[0]],
    },
  }
  const parsed = parseConfig(JSON.stringify(yaml), connectionKinds)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults))
  const { policy, connections } = parsed.config
  const known = { commands, approvers: LISTS, channels: ['default'] }
  const loaded = await loadPlaybooks(new URL('../../playbooks', import.meta.url).pathname, known)
  if (!loaded.ok) throw new Error(formatFaults(loaded.faults))

  const client = redis.connect()
  await client.flushall()
  let ahead = 0
  const clock = () => Date.now() + ahead
  const journal = createJournal({ redis: client, subscriber: redis.connect(), clock })
  const locks = createLocks(client)
  const pulse = createPulse(client)
  const onError = (error: unknown) => {
    throw error
  }
  const common = { journal, locks, pulse, bell: { ring: async () => {} }, clock, ids: randomUUID, policy, onError }
  const ordinal = (id: string) => parseIncidentId(id).n
  const freezer = createFreezer({ ...common, incidentId, ordinal })
  const bench: Workbench = {
    ...common,
    commands: COMMANDS,
    playbooks: new Map(loaded.playbooks.map((p) => [p.id, p])),
    connections,
    secret: (name) => setup.secrets[name] ?? '',
    strike: (text) => text,
    lastFreeze: freezer.last,
    signal: new AbortController().signal,
  }
  const faultsOf = (id: string, params: Record<string, unknown>) => {
    const issues = COMMANDS.get(id)?.command.params.safeParse(params).error?.issues ?? []
    return Object.fromEntries(issues.map((i) => [String(i.path[0] ?? ''), i.message]))
  }
  const handlers = createHandlers({ ...common, freezer, keys, faultsOf })
  const ingest = createIngest({ ...common, playbooks: loaded.playbooks, regex: matchesWhole, incidentId, ordinal })
  const runner = createRun({ ...bench, policy, publicKey: keys.publicKey, worker: 'w1', onError })

  /** Does what workers owe the incident, until they owe it nothing. */
  async function work(id: string): Promise<void> {
    for (const e of Object.values((await journal.load(id))!.evidence))
      if (!e.result) await createGather(bench)(id, e.step, true)
    for (const p of (await journal.load(id))!.proposals)
      if (p.status === 'planning') await createPropose(bench)(id, p.id, true)
  }
  /** As many approvers as it takes say yes to the last proposal. */
  async function agree(id: string): Promise<string> {
    const proposal = (await incidentOf(id)).proposals.at(-1)!
    for (const approver of APPROVERS) {
      const { status, digest } = proposalOf(await incidentOf(id), proposal.id)!
      if (status === 'open')
        await handlers.decide({
          incident: id,
          proposal: proposal.id,
          digest: digest!,
          verdict: 'approve',
          reason: 'go on',
          person: approver,
        })
    }
    return proposal.id
  }
  const incidentOf = async (id: string) => (await journal.load(id))!

  return {
    /** An alert comes; its incident with evidence and the first plan. */
    async fire({ labels, annotations = {} }: Firing): Promise<string> {
      const startsAt = new Date(clock()).toISOString()
      await ingest({
        alerts: [
          {
            source: 'test',
            fingerprint: JSON.stringify(labels),
            status: 'firing',
            labels,
            annotations,
            startsAt,
            endsAt: null,
            links: [],
          },
        ],
        truncated: 0,
      })
      const id = (await journal.active()).at(-1)!
      await work(id)
      return id
    },
    incident: incidentOf,
    last: async (id: string) => (await incidentOf(id)).proposals.at(-1),
    /** The alerts of the incident are over. */
    async resolve(id: string): Promise<void> {
      const endsAt = new Date(clock()).toISOString()
      const alerts = Object.values((await incidentOf(id)).alerts)
      await ingest({ alerts: alerts.map((a) => ({ ...a, status: 'resolved', endsAt })), truncated: 0 })
    },
    /** Hours pass, and the bot makes its round. */
    async wait(hours: number): Promise<void> {
      ahead += hours * 3_600_000
      const isShown = async () => false
      await createBotTick({ ...common, keys, freezer, isShown })()
    },
    isQuiet: async (id: string) => isQuiet(await incidentOf(id)),
    /** On call, somebody asks for a step. */
    async ask(id: string, step: string, params: ParamValues = {}): Promise<void> {
      const answer = await handlers.request({ incident: id, step, params, person: ONA })
      if (!answer.ok) throw new Error(JSON.stringify(answer))
      await work(id)
    },
    /** On call, somebody says that the ladder's next step is not needed. */
    async skip(id: string, step: string): Promise<void> {
      const answer = await handlers.skip({ incident: id, step, person: ONA })
      if (!answer.ok) throw new Error(JSON.stringify(answer))
    },
    /** On call, somebody checks the boxes of what the open plan is to leave out. */
    async leaveOut(id: string, names: readonly string[]): Promise<void> {
      const open = (await incidentOf(id)).proposals.at(-1)!
      const answer = await handlers.narrow({
        incident: id,
        proposal: open.id,
        digest: open.digest ?? '',
        names,
        person: ONA,
      })
      if (!answer.ok) throw new Error(JSON.stringify(answer))
      await work(id)
    },
    /** As many approvers as it takes say yes, and a worker runs it. */
    async approve(id: string): Promise<void> {
      await runner.run(id, await agree(id))
    },
    /** As above, but the worker dies as soon as its first step has landed; another one looks what became of it. */
    async approveAndLose(id: string): Promise<void> {
      const proposal = await agree(id)
      let dead = false
      const alive =
        <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
        async (...args: A): Promise<R> => {
          if (dead) throw new Error('this worker is dead')
          return call(...args)
        }
      const dying: typeof journal = {
        ...journal,
        load: alive(journal.load),
        append: alive(async (incident, version, op, events) => {
          dead = events.some((e) => e.type === 'step.done')
          if (dead) throw new Error('this worker is dead')
          return journal.append(incident, version, op, events)
        }),
      }
      const mute = { ...pulse, beat: async () => {} }
      const worker = createRun({
        ...bench,
        journal: dying,
        pulse: mute,
        publicKey: keys.publicKey,
        worker: 'w1',
        onError: () => {},
      })
      await worker.run(id, proposal).catch(() => {})
      if (!dead) throw new Error(`no step landed: ${JSON.stringify(proposalOf(await incidentOf(id), proposal)?.run)}`)
      await createRun({ ...bench, publicKey: keys.publicKey, worker: 'w2', onError }).probe(id, proposal)
    },
    /** Whether somebody else could change what this proposal changes. */
    async isFree(id: string): Promise<boolean> {
      const targets = (await incidentOf(id)).proposals.at(-1)!.subject!.plan.targets.map((t) => t.id)
      return (await locks.acquire(targets, { incident: incidentId('another', 1), proposal: 'p1' })).ok
    },
    /** The thread, every message of it as Slack takes it. */
    async thread(id: string): Promise<string> {
      const drawn = render(await incidentOf(id), {
        policy,
        playbookUrl: () => null,
        ownerId: () => null,
        ownerChannel: (owner) => (owner === '@infra' ? 'C0000INFRA' : null),
        progress: {},
        frozen: null,
      })
      for (const d of drawn) {
        const no = d.kind === 'message' ? refuseBlocks(fitBlocks(d.blocks ?? [])) : null
        if (no) throw new Error(`${d.key}: ${JSON.stringify(no)}`)
      }
      return JSON.stringify(drawn)
    },
  }
}
export type Desk = Awaited<ReturnType<typeof createDesk>>
