import { z } from 'zod'
import { type ChangeCommand, defineChange, defineRead } from '../../src/domain/command.ts'
import { Job } from '../../src/domain/job.ts'
import { createGather } from '../../src/pipeline/gather.ts'
import { createPropose } from '../../src/pipeline/propose.ts'
import { createRun } from '../../src/pipeline/run.ts'
import type { Workbench } from '../../src/pipeline/workbench.ts'
import { ID } from '../slack/cards.ts'
import { draw, keys, MINUTE, PLAN, STATES, T0 } from './authorisation-scene.ts'
import { createMemory } from './memory.ts'
import { text } from './mutate.ts'
import * as oracle from './oracle.ts'
import { randomOf } from './scheduler.ts'
import { Violation } from './violation.ts'

/** What each kind of job may write, by the state of what it names. The test beside this one says that none is missing. */
export const JOBS: Readonly<Record<Job['kind'], readonly string[]>> = {
  evidence: ['evidence.gathered', 'evidence.failed'],
  plan: ['plan.made', 'plan.refused', 'plan.failed'],
  probe: ['run.unknown'],
  run: ['run.voided', 'run.started', 'step.started', 'step.done', 'run.finished'],
}
/** The states in which a job of that kind finds something to do. */
const WHEN: Readonly<Record<Job['kind'], readonly string[]>> = {
  evidence: [],
  plan: ['planning'],
  probe: ['running', 'cancelling'],
  run: ['granted'],
}

/** Somebody who can write to Redis rings for work that nobody asked for, in every state: nothing runs without its grant. */
export async function forgeJob(seed: number): Promise<void> {
  const random = randomOf(seed)
  const scene = draw(random, random.chance(0.5) ? ['granted'] : STATES)
  const grantedAt = T0
  const now = random.pick([
    T0 + 20_000,
    T0 + scene.policy.grantMinutes * MINUTE - 1,
    T0 + scene.policy.grantMinutes * MINUTE,
  ])
  const journal = createMemory(() => now)
  journal.write(scene.events)
  const before = (await journal.entries(ID)).length
  let effects = 0
  const own = scene.policy
  const change = defineChange({
    id: 'postgres.end',
    summary: '',
    effect: 'once',
    risk: scene.risk,
    params: z.object({ connection: z.string() }),
    plan: async () => PLAN,
    async run(made, ctx) {
      for (const { id } of made.steps)
        await ctx.step(id, async (): Promise<undefined> => {
          effects += 1
        })
      return 'done'
    },
    verify: async () => [{ title: 'ok', ok: true, detail: '' }],
    probe: async () => ({ landed: 'no', detail: '' }),
  }) as ChangeCommand
  const read = defineRead({
    id: 'postgres.tree',
    summary: '',
    effect: 'read',
    params: z.object({ connection: z.string() }),
    read: async () => ({ summary: '', blocks: [] }),
  })
  const bench: Workbench = {
    journal: { ...journal, watch: () => () => {} },
    locks: {
      acquire: async () => ({ ok: true, fresh: [] }),
      release: async () => {},
      began: async () => {},
      crowded: async () => [],
    },
    pulse: { beat: async () => {}, alive: async () => false, progress: async () => {}, read: async () => null },
    clock: () => now,
    ids: () => `op-${seed}-${Math.floor(random.next() * 1e9)}`,
    commands: new Map([
      ['postgres.end', { command: change, version: 'v1' }],
      ['postgres.tree', { command: read, version: 'v1' }],
    ]),
    playbooks: new Map([[scene.playbook.id, scene.playbook]]),
    connections: {},
    policy: own,
    secret: () => '',
    strike: (said) => said,
    lastFreeze: async () => null,
    signal: new AbortController().signal,
  }

  const worker = createRun({ ...bench, policy: own, publicKey: keys.publicKey, worker: 'w', onError: () => {} })

  const kind = random.chance(0.4) ? 'run' : random.pick(Object.keys(JOBS) as Job['kind'][])
  const detail =
    kind === 'evidence'
      ? { step: random.pick(['look', 'end', 'constructor', '__proto__', text(random, 20)]), requestedAt: '' }
      : { proposal: 'p1' }
  const altered = random.pick([
    {},
    {},
    {},
    { proposal: random.pick(['p2', '', '__proto__', text(random, 20)]) },
    { incident: random.pick([`${ID}x`, 'freeze-1', '__proto__', text(random, 20)]) },
    { params: { connection: 'other' } },
    { kind: random.pick(['approve', 'run ', 'RUN', '__proto__', 1]) },
    { grant: { incident: ID } },
  ])
  const forged = { kind, incident: ID, ...detail, ...altered }
  const parsed = Job.safeParse(JSON.parse(JSON.stringify(forged)))
  if (parsed.success) {
    const job = parsed.data
    if (job.kind === 'evidence') await createGather(bench)(job.incident, job.step, true).catch(() => {})
    else if (job.kind === 'plan') await createPropose(bench)(job.incident, job.proposal, true).catch(() => {})
    else if (job.kind === 'probe') await worker.probe(job.incident, job.proposal)
    else await worker.run(job.incident, job.proposal)
  }

  const written = (await journal.entries(ID)).slice(before).map((e) => e.event.type)
  const say = () =>
    `${JSON.stringify(forged)} in ${scene.state}, ${scene.risk}, +${(now - T0) / MINUTE} min, ${JSON.stringify(own)}`
  const named = Object.keys(altered).length === 0
  const may = named && WHEN[kind].includes(scene.state) ? JOBS[kind] : []
  const foreign = written.filter((type) => !may.includes(type))
  if (foreign.length > 0) throw new Violation(`wrote ${foreign}: ${say()}`)
  const mayRun =
    named && kind === 'run' && scene.state === 'granted' && oracle.mayRun(scene, scene.approvals, own, grantedAt, now)
  if (effects !== (mayRun ? PLAN.steps.length : 0)) throw new Violation(`had ${effects} effects: ${say()}`)
}
