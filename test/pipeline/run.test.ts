import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import type { Alert } from '../../src/domain/alert.ts'
import { defineChange, type Finding, type RunContext } from '../../src/domain/command.ts'
import { verifyChain } from '../../src/domain/event.ts'
import { proposalOf } from '../../src/domain/incident.ts'
import type { Playbook } from '../../src/domain/playbook.ts'
import { type Person, Policy } from '../../src/domain/policy.ts'
import { createHandlers } from '../../src/pipeline/handlers.ts'
import { createIngest } from '../../src/pipeline/ingest.ts'
import { createPropose } from '../../src/pipeline/propose.ts'
import { createRun } from '../../src/pipeline/run.ts'
import { createJournal } from '../../src/redis/journal.ts'
import { incidentId, parseIncidentId } from '../../src/redis/keys.ts'
import { createLocks } from '../../src/redis/locks.ts'
import { createPulse } from '../../src/redis/pulse.ts'
import { startRedis } from '../redis/server.ts'

const keys = generateKeyPairSync('ed25519')
const policy = Policy.parse({ approvers: { data: { users: ['U0ADA'] } }, defaultApprovers: ['data'] })
const ada: Person = {
  user: 'U0ADA',
  name: 'ada',
  deleted: false,
  bot: false,
  guest: false,
  external: false,
  usergroups: [],
}
const playbook: Playbook = {
  id: 'lamp/off',
  hash: 'sha256:1',
  title: 'The lamp is off',
  match: { alertname: { kind: 'equals', value: 'LampOff' } },
  groupBy: ['alertname'],
  owner: '@lamps',
  approvers: [],
  severity: null,
  channel: null,
  intro: '',
  steps: [
    {
      id: 'switch',
      title: 'Switch it on',
      line: 1,
      prose: '',
      call: { command: 'lamp.switch', summary: '', effect: 'once', risk: 'low', params: {}, fields: [] },
    },
  ],
}
const alert: Alert = {
  source: 'test',
  fingerprint: 'f1',
  status: 'firing',
  labels: { alertname: 'LampOff' },
  annotations: {},
  startsAt: '2026-01-02T03:04:05.000Z',
  endsAt: null,
  links: [],
}

describe('a granted plan', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())

  let lamp = { on: 0, bulb: 'a' }
  let work: (ctx: RunContext) => Promise<undefined>
  let finding: Finding
  const command = defineChange({
    id: 'lamp.switch',
    summary: 'Switch the lamp on',
    effect: 'once',
    risk: 'low',
    params: z.object({}),
    plan: async () => ({
      summary: 'Switch it on',
      targets: [{ id: 'lamp:1', name: 'lamp', fingerprint: lamp.bulb, details: {} }],
      steps: [{ id: 'on', title: 'On', detail: '' }],
      warnings: [],
      data: null,
    }),
    run: async (_plan, ctx) => {
      await ctx.step('on', () => work(ctx))
      return 'It is on.'
    },
    verify: async () => [{ title: 'on', ok: lamp.on > 0, detail: '' }],
    probe: async () => finding,
  })

  async function world() {
    const client = redis.connect()
    await client.flushall()
    const journal = createJournal({ redis: client, subscriber: redis.connect(), clock: Date.now })
    const locks = createLocks(client)
    const pulse = createPulse(client)
    const bell = { ring: async () => {} }
    const onError = (error: unknown) => {
      throw error
    }
    const common = { journal, locks, pulse, bell, clock: Date.now, ids: randomUUID, policy, onError }
    const bench = {
      ...common,
      commands: new Map([['lamp.switch', { command, version: '1' }]]),
      playbooks: new Map([[playbook.id, playbook]]),
      connections: {},
      secret: () => '',
      strike: (text: string) => text,
      signal: new AbortController().signal,
      publicKey: keys.publicKey,
    }
    const ordinal = (id: string) => parseIncidentId(id).n
    const regex = () => false
    await createIngest({ ...common, playbooks: [playbook], regex, incidentId, ordinal })({
      alerts: [alert],
      truncated: 0,
    })
    const [id] = (await journal.active()) as [string]
    await createPropose(bench)(id, 'p1', true)
    const handlers = createHandlers({ ...common, keys, faultsOf: () => ({}) })
    const state = async () => proposalOf((await journal.load(id))!, 'p1')!
    const { digest } = await state()
    const decide = () =>
      handlers.decide({ incident: id, proposal: 'p1', digest: digest!, verdict: 'approve', reason: '', person: ada })
    const runner = (worker: string) => createRun({ ...bench, worker })
    return { id, journal, locks, pulse, client, state, decide, handlers, runner }
  }

  beforeEach(() => {
    lamp = { on: 0, bulb: 'a' }
    finding = { landed: 'no', detail: '' }
    work = async () => {
      lamp.on++
    }
  })

  it('does nothing before somebody approves, and runs once however often it is rung', async () => {
    const w = await world()
    await w.runner('w1').run(w.id, 'p1')
    expect(lamp.on).toBe(0)
    const answers = await Promise.all([w.decide(), w.decide(), w.decide()])
    expect(answers.filter((a) => a.ok)).toHaveLength(1)
    await Promise.all([w.runner('w1').run(w.id, 'p1'), w.runner('w2').run(w.id, 'p1')])
    await w.runner('w3').run(w.id, 'p1')
    expect(lamp.on).toBe(1)
    expect((await w.state()).status).toBe('succeeded')
    expect(verifyChain(w.id, await w.journal.entries(w.id))).toBeNull()
  })

  it('does not run when the target has moved, and asks again', async () => {
    const w = await world()
    await w.decide()
    lamp.bulb = 'b'
    await w.runner('w1').run(w.id, 'p1')
    expect(lamp.on).toBe(0)
    expect(await w.state()).toMatchObject({ status: 'open', voided: 1, decisions: [], grant: null })
  })

  it('does not run while another run holds the target', async () => {
    const w = await world()
    await w.locks.acquire(['lamp:1'], { incident: incidentId('other', 1), proposal: 'p9' })
    await w.decide()
    await w.runner('w1').run(w.id, 'p1')
    expect(lamp.on).toBe(0)
    expect((await w.state()).note).toContain('is held by p9')
  })

  it('is OUTCOME UNKNOWN when its worker is gone, is not run again, and its worker cannot go on', async () => {
    const w = await world()
    await w.decide()
    const started = Promise.withResolvers<void>()
    const wake = Promise.withResolvers<void>()
    work = async () => {
      lamp.on++
      started.resolve()
      await wake.promise
    }
    const paused = w.runner('w1').run(w.id, 'p1')
    await started.promise
    finding = { landed: 'yes', detail: 'the lamp is on' }
    Object.assign(w.pulse, { alive: async () => false })
    await w.runner('w2').probe(w.id, 'p1')
    expect(await w.state()).toMatchObject({ status: 'unknown', run: { findings: [{ step: 'on', landed: 'yes' }] } })
    await w.runner('w2').run(w.id, 'p1')
    wake.resolve()
    await paused
    expect(lamp.on).toBe(1)
    expect((await w.state()).status).toBe('unknown')
    const taken = await w.locks.acquire(['lamp:1'], { incident: incidentId('other', 1), proposal: 'p9' })
    expect(taken.ok).toBe(false)
  })
})
