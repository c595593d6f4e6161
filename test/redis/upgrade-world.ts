import { createHash, createPrivateKey, createPublicKey, randomUUID } from 'node:crypto'
import { z } from 'zod'
import { defineChange, defineRead } from '../../src/domain/command.ts'
import type { Job } from '../../src/domain/job.ts'
import type { Playbook } from '../../src/domain/playbook.ts'
import { type Person, Policy } from '../../src/domain/policy.ts'
import type { Bell } from '../../src/domain/ports.ts'
import { createFreezer } from '../../src/pipeline/freezer.ts'
import { createGather } from '../../src/pipeline/gather.ts'
import { createHandlers } from '../../src/pipeline/handlers.ts'
import { createIngest } from '../../src/pipeline/ingest.ts'
import { createPropose } from '../../src/pipeline/propose.ts'
import { createRun } from '../../src/pipeline/run.ts'
import { createWorkerTick } from '../../src/pipeline/tick.ts'
import type { Workbench } from '../../src/pipeline/workbench.ts'
import type { Store } from '../../src/redis/connect.ts'
import { createJournal } from '../../src/redis/journal.ts'
import { incidentId, parseIncidentId } from '../../src/redis/keys.ts'
import { createLocks } from '../../src/redis/locks.ts'
import { createPulse } from '../../src/redis/pulse.ts'
import { createWitness } from '../../src/redis/witness.ts'

/** The pair that both versions have; from a known seed, since nothing but tests is signed with it. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')
const seed = createHash('sha256').update('upgrade fixture').digest()
const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })
export const keys = { privateKey, publicKey: createPublicKey(privateKey) }

const person = (user: string): Person => ({
  user,
  name: user,
  deleted: false,
  bot: false,
  guest: false,
  external: false,
  usergroups: [],
})
export const [ada, sam] = [person('U0ADA'), person('U0SAM')]
const policy = Policy.parse({ approvers: { data: { users: ['U0ADA', 'U0SAM'] } }, defaultApprovers: ['data'] })
const fields = [{ name: 'room', label: 'room', type: 'text' as const, options: [], required: true }]
const params = { room: `\${labels.room}` }
const call = (command: string, effect: 'read' | 'once') => ({
  command,
  summary: '',
  effect,
  risk: effect === 'read' ? null : ('low' as const),
  params,
  fields,
})
const playbook: Playbook = {
  id: 'lamp/off',
  hash: 'sha256:1',
  title: 'The lamp is off',
  match: { alertname: { kind: 'equals', value: 'LampOff' } },
  groupBy: ['room'],
  owner: '@lamps',
  approvers: [],
  severity: null,
  channel: null,
  intro: '',
  steps: [
    { id: 'look', title: 'Look', line: 1, prose: '', call: call('lamp.look', 'read') },
    { id: 'switch', title: 'Switch it on', line: 2, prose: '', call: call('lamp.switch', 'once') },
  ],
}
/** The incident of a room's lamp. */
export const idOf = (room: string) => incidentId(JSON.stringify(['lamp/off', [['room', room]], '']), 1)

/** A version's bot and worker on one Redis, with lamps whose switching is counted by room. */
export function createUpgradeWorld(deps: { redis: Store; subscriber: Store; clock: () => number; bell: Bell }) {
  const { redis, clock, bell } = deps
  const switched: string[] = []
  const hooks = { during: async (_room: string, _step: string) => {} }
  const room = z.object({ room: z.string() })
  const change = defineChange({
    id: 'lamp.switch',
    summary: 'Switch it on',
    effect: 'once',
    risk: 'low',
    params: room,
    plan: async ({ room }) => ({
      summary: `Switch on the lamp of the ${room}`,
      targets: [{ id: `lamp:${room}`, name: `lamp of the ${room}`, fingerprint: 'off', details: { watts: '40' } }],
      steps: ['first', 'second'].map((id) => ({ id, title: id, detail: '' })),
      warnings: [],
      data: { room },
    }),
    async run(plan, ctx) {
      for (const step of ['first', 'second'])
        await ctx.step(step, async () => {
          await hooks.during(plan.data.room, step)
          switched.push(`${plan.data.room}/${step}`)
          return step
        })
      return 'It is on.'
    },
    verify: async (plan) => [{ title: 'it is on', ok: switched.includes(`${plan.data.room}/second`), detail: '' }],
    probe: async () => ({ landed: 'cannot_tell', detail: 'Nobody has looked.' }),
  })
  const read = defineRead({
    id: 'lamp.look',
    summary: 'Look at it',
    effect: 'read',
    params: room,
    read: async ({ room }) => ({ summary: `The ${room} is dark.`, blocks: [] }),
  })
  const witness = createWitness(redis, 'upgrade')
  const journal = createJournal({ redis, subscriber: deps.subscriber, clock, missed: witness.missed })
  const onError = () => {}
  const [locks, pulse] = [createLocks(redis), createPulse(redis)]
  const common = { journal, locks, pulse, bell, clock, ids: randomUUID, policy, onError }
  const ordinal = (id: string) => parseIncidentId(id).n
  const freezer = createFreezer({ ...common, incidentId, ordinal, witness })
  const bench: Workbench = {
    ...common,
    commands: new Map([
      ['lamp.switch', { command: change, version: '1' }],
      ['lamp.look', { command: read, version: '1' }],
    ]),
    playbooks: new Map([[playbook.id, playbook]]),
    connections: {},
    secret: () => '',
    strike: (text) => text,
    lastFreeze: freezer.last,
    signal: new AbortController().signal,
  }
  const gather = createGather(bench)
  const propose = createPropose(bench)
  const { run, probe } = createRun({ ...bench, policy, publicKey: keys.publicKey, worker: 'worker', onError })
  const ingest = createIngest({ ...common, playbooks: [playbook], regex: () => false, incidentId, ordinal })
  return {
    journal,
    locks,
    switched,
    hooks,
    handlers: createHandlers({ ...common, freezer, keys, faultsOf: () => ({}) }),
    tick: createWorkerTick(common),
    onJob: (job: Job): Promise<void> =>
      job.kind === 'evidence'
        ? gather(job.incident, job.step, true)
        : job.kind === 'plan'
          ? propose(job.incident, job.proposal, true)
          : job.kind === 'run'
            ? run(job.incident, job.proposal)
            : probe(job.incident, job.proposal),
    fire: (room: string) =>
      ingest({
        truncated: 0,
        alerts: [
          {
            source: 'test',
            fingerprint: room,
            status: 'firing',
            labels: { alertname: 'LampOff', room },
            annotations: { summary: 'dark' },
            startsAt: '2026-01-02T03:04:05.000Z',
            endsAt: null,
            links: [],
          },
        ],
      }),
  }
}
