import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Alert } from '../../src/domain/alert.ts'
import {
  type Check,
  defineChange,
  defineRead,
  type Finding,
  Refused,
  type RunContext,
} from '../../src/domain/command.ts'
import { proposalOf } from '../../src/domain/incident.ts'
import type { Job } from '../../src/domain/job.ts'
import type { Playbook } from '../../src/domain/playbook.ts'
import { type Person, Policy } from '../../src/domain/policy.ts'
import { createFreezer } from '../../src/pipeline/freezer.ts'
import { createGather } from '../../src/pipeline/gather.ts'
import { createHandlers } from '../../src/pipeline/handlers.ts'
import { createIngest } from '../../src/pipeline/ingest.ts'
import { createPropose } from '../../src/pipeline/propose.ts'
import { createRun } from '../../src/pipeline/run.ts'
import { createBotTick, createWorkerTick } from '../../src/pipeline/tick.ts'
import type { Workbench } from '../../src/pipeline/workbench.ts'
import { createJournal } from '../../src/redis/journal.ts'
import { incidentId, parseIncidentId } from '../../src/redis/keys.ts'
import { createLocks } from '../../src/redis/locks.ts'
import { createPulse } from '../../src/redis/pulse.ts'
import { createWitness } from '../../src/redis/witness.ts'
import { createTerminal } from '../../src/terminal.ts'
import { person } from '../domain/person.ts'
import type { startRedis } from '../redis/server.ts'

const keys = generateKeyPairSync('ed25519')
/** Olf is no approver in Slack, and keeps a key for the terminal; so does Ada. */
export const atTerminal = { ada: generateKeyPairSync('ed25519'), olf: generateKeyPairSync('ed25519') }
const spki = (key: KeyObject) => key.export({ format: 'der', type: 'spki' }).toString('base64')
const POLICY = {
  approvers: { data: { users: ['U0ADA', 'U0SAM', 'U0EVE'] } },
  defaultApprovers: ['data'],
  breakGlass: { U0ADA: spki(atTerminal.ada.publicKey), U0OLF: spki(atTerminal.olf.publicKey) },
}
export const ada = person('U0ADA', { name: 'ada' })
export const sam: Person = { ...ada, user: 'U0SAM', name: 'sam' }
const call = (command: string, effect: 'read' | 'once') => ({
  command,
  summary: '',
  effect,
  risk: effect === 'read' ? null : ('low' as const),
  params: {},
  fields: [],
})
export const PLAYBOOK: Playbook = {
  id: 'lamp/off',
  hash: 'sha256:1',
  title: 'The lamp is off',
  match: { alertname: { kind: 'equals', value: 'LampOff' } },
  groupBy: ['alertname', 'room'],
  owner: '@lamps',
  approvers: [],
  severity: null,
  channel: null,
  intro: '',
  steps: [
    { id: 'look', title: 'Look', line: 1, prose: '', call: call('lamp.look', 'read') },
    { id: 'switch', title: 'Switch it on', line: 2, prose: '', call: call('lamp.switch', 'once') },
    { id: 'replace', title: 'Replace it', line: 3, prose: '', call: call('lamp.switch', 'once') },
  ],
}
export const alertOf = (patch: Partial<Alert> = {}): Alert => ({
  source: 'test',
  fingerprint: 'f1',
  status: 'firing',
  labels: { alertname: 'LampOff', room: 'kitchen' },
  annotations: {},
  startsAt: '2026-01-02T03:04:05.000Z',
  endsAt: null,
  links: [],
  ...patch,
})

/** Bot and workers in one process, on a real journal, with a lamp of two switches whose behaviour a test sets. */
export async function createBench(
  redis: Awaited<ReturnType<typeof startRedis>>,
  rules: z.input<typeof Policy> = {},
  playbook: Playbook = PLAYBOOK,
) {
  const policy = Policy.parse({ ...POLICY, ...rules })
  const client = redis.connect()
  await client.flushall()
  const lamp = {
    on: 0,
    bulb: 'a',
    refuse: '',
    broken: '',
    steps: ['first', 'second'],
    /** What may be left out. */
    parts: [] as string[],
    work: async (_step: string, _ctx: RunContext): Promise<void> => {
      lamp.on++
    },
    checks: (): Check[] => [{ title: 'it is on', ok: lamp.on > 0, detail: '' }],
    finding: { landed: 'no', detail: '' } as Finding,
    looked: 0,
    /** Minutes. */
    limit: undefined as number | undefined,
  }
  const change = defineChange({
    id: 'lamp.switch',
    summary: 'Switch the lamp on',
    effect: 'once',
    risk: 'low',
    get runMinutes() {
      return lamp.limit
    },
    params: z.object({}),
    async plan() {
      if (lamp.refuse) throw new Refused(lamp.refuse)
      if (lamp.broken) throw new Error(lamp.broken)
      return {
        summary: 'Switch it on',
        targets: [{ id: 'lamp:1', name: 'lamp', fingerprint: lamp.bulb, details: {} }],
        steps: lamp.steps.map((id) => ({ id, title: id, detail: '' })),
        warnings: [],
        leaveOut: { param: 'without', names: lamp.parts },
        data: null,
      }
    },
    async run(_plan, ctx) {
      for (const step of lamp.steps)
        await ctx.step(step, async () => {
          await lamp.work(step, ctx)
          return step
        })
      return 'It is on.'
    },
    verify: async () => lamp.checks(),
    probe: async () => lamp.finding,
  })
  const read = defineRead({
    id: 'lamp.look',
    summary: 'Look at the lamp',
    effect: 'read',
    params: z.object({}),
    async read() {
      lamp.looked++
      if (lamp.refuse) throw new Refused(lamp.refuse)
      if (lamp.broken) throw new Error(lamp.broken)
      return { summary: `It is ${lamp.on}.`, blocks: [] }
    },
  })
  const time = { offset: 0 }
  const clock = () => Date.now() + time.offset
  const witness = createWitness(client, 'bench')
  const journal = createJournal({ redis: client, subscriber: redis.connect(), clock, missed: witness.missed })
  const locks = createLocks(client)
  const pulse = createPulse(client)
  const rung: Job[] = []
  const bell = { ring: async (jobs: readonly Job[]) => void rung.push(...jobs) }
  const errors: unknown[] = []
  const onError = (error: unknown) => void errors.push(error)
  const common = { journal, locks, pulse, bell, clock, ids: randomUUID, policy, onError }
  const ordinal = (id: string) => parseIncidentId(id).n
  const freezer = createFreezer({ ...common, incidentId, ordinal, witness })
  const bench: Workbench & { publicKey: typeof keys.publicKey } = {
    ...common,
    commands: new Map([
      ['lamp.switch', { command: change, version: '1' }],
      ['lamp.look', { command: read, version: '1' }],
    ]),
    playbooks: new Map([[playbook.id, playbook]]),
    connections: {},
    secret: () => '',
    strike: (text) => text.replaceAll('hunter2', '•••'),
    lastFreeze: freezer.last,
    signal: new AbortController().signal,
    publicKey: keys.publicKey,
  }
  const handlers = createHandlers({ ...common, freezer, keys, faultsOf: () => ({}) })
  /** As a bot with these playbooks does it. */
  const ingestBy = (playbooks: readonly Playbook[]) =>
    createIngest({ ...common, playbooks, regex: () => false, incidentId, ordinal })
  const ingest = ingestBy([playbook])
  const propose = createPropose(bench)
  const state = async (id: string, proposal = 'p1') => proposalOf((await journal.load(id))!, proposal)!
  const runner = (worker: string, patch: Partial<Workbench> = {}) =>
    createRun({ ...bench, ...common, ...patch, publicKey: keys.publicKey, worker })

  return {
    lamp,
    time,
    journal,
    locks,
    pulse,
    client,
    rung,
    errors,
    bench,
    handlers,
    freezer,
    ingest,
    ingestBy,
    propose,
    state,
    runner,
    gather: createGather(bench),
    terminal: createTerminal({ ...common, incidentId, ordinal }),
    botTick: (shown = true, attendance?: Parameters<typeof createBotTick>[0]['attendance']) =>
      createBotTick({ ...common, freezer, keys, isShown: async () => shown, attendance })(),
    workerTick: () => createWorkerTick({ ...common })(),
    /** An incident whose first change is planned. */
    async open(alert = alertOf()): Promise<string> {
      await ingest({ alerts: [alert], truncated: 0 })
      const active = await journal.active()
      const id = active.at(-1)!
      await propose(id, 'p1', true)
      return id
    },
    async decide(id: string, verdict: 'approve' | 'reject' = 'approve', proposal = 'p1', person = ada) {
      const { digest } = await state(id, proposal)
      return handlers.decide({ incident: id, proposal, digest: digest ?? '', verdict, reason: 'because', person })
    },
    settle: (id: string, choice: 'done' | 'resume' | 'abandon') =>
      handlers.settle({ incident: id, proposal: 'p1', choice, reason: 'I looked', person: ada }),
    /** Lets the first step wait for `go`, with its effect in place; `reached` when it is under way. */
    hold() {
      const [reached, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      lamp.work = async (step) => {
        lamp.on++
        if (step !== 'first') return
        reached.resolve()
        await go.promise
      }
      return { reached: reached.promise, go: go.resolve }
    },
    /** Lets every step wait for an answer that never comes; when the first is under way. */
    hang(): Promise<void> {
      const reached = Promise.withResolvers<void>()
      lamp.work = (_step, { signal }) => {
        reached.resolve()
        return new Promise((_, fail) => signal.addEventListener('abort', () => fail(signal.reason)))
      }
      return reached.promise
    },
    free: async () => (await locks.acquire(['lamp:1'], { incident: incidentId('other', 1), proposal: 'p9' })).ok,
  }
}
export type Bench = Awaited<ReturnType<typeof createBench>>
