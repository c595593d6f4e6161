import { generateKeyPairSync } from 'node:crypto'
import { z } from 'zod'
import type { Alert } from '../../src/domain/alert.ts'
import { defineChange, type Finding, Refused, type RunContext } from '../../src/domain/command.ts'
import { type Entry, genesis, type Happening, seal, verifyChain } from '../../src/domain/event.ts'
import { signDecision, signGrant } from '../../src/domain/grant.ts'
import { evolve, type Incident, type Proposal } from '../../src/domain/incident.ts'
import type { Job } from '../../src/domain/job.ts'
import type { Playbook } from '../../src/domain/playbook.ts'
import { humanOf, type Person, Policy } from '../../src/domain/policy.ts'
import type { Holder, Journal } from '../../src/domain/ports.ts'
import { createFreezer } from '../../src/pipeline/freezer.ts'
import { createHandlers } from '../../src/pipeline/handlers.ts'
import { createIngest } from '../../src/pipeline/ingest.ts'
import { createPropose } from '../../src/pipeline/propose.ts'
import { createRun } from '../../src/pipeline/run.ts'
import { createBotTick, createWorkerTick } from '../../src/pipeline/tick.ts'
import type { Workbench } from '../../src/pipeline/workbench.ts'
import { type Bug, NO_BUG } from './bugs.ts'
import { createScheduler, type Process, randomOf } from './scheduler.ts'
import { must } from './violation.ts'

const keys = generateKeyPairSync('ed25519')
const stranger = generateKeyPairSync('ed25519')
const policy = Policy.parse({
  approvers: { data: { users: ['U0ADA', 'U0SAM', 'U0SAM2', 'U0GUS'] } },
  defaultApprovers: ['data'],
  quorum: { low: 2 },
  people: { sam: ['U0SAM', 'U0SAM2'] },
  proposalMinutes: 60,
})
const person = (user: string, patch: Partial<Person> = {}): Person => ({
  user,
  name: user,
  deleted: false,
  bot: false,
  guest: false,
  external: false,
  usergroups: [],
  ...patch,
})
const PEOPLE = [person('U0ADA'), person('U0SAM'), person('U0SAM2'), person('U0GUS', { guest: true }), person('U0WHO')]
const MAY = ['U0ADA', 'U0SAM', 'U0SAM2']
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
    {
      id: 'switch',
      title: 'Switch',
      line: 1,
      prose: '',
      call: { command: 'lamp.switch', summary: '', effect: 'once', risk: 'low', params: {}, fields: [] },
    },
  ],
}
const STEPS = ['first', 'second']
const isSame = (a: Holder, b: Holder) => a.incident === b.incident && a.proposal === b.proposal

/** What the target itself has seen: nobody of Keyturn writes it. */
type Effect = {
  incident: string
  proposal: string
  step: string
  bulb: string
  from: number
  to: number | null
  at: number
}
/** A press that was answered with yes, as the person saw the plan. */
type Press = { incident: string; proposal: string; bulb: string; user: string; at: number }

/** The incident as a worker takes it that looks at no signature. */
const resign = (incident: Incident): Incident => ({
  ...incident,
  proposals: incident.proposals.map((p) => {
    if (!p.grant) return p
    const { signature: _, ...grant } = p.grant
    const approvals = grant.approvals.map(({ signature: __, ...d }) => signDecision(d, keys.privateKey))
    return { ...p, grant: signGrant({ ...grant, approvals }, keys.privateKey) }
  }),
})

/**
 * One schedule of the real pipeline: two bots and two workers on one journal, whose calls are ordered by chance, and
 * which may die at any of them; people who press what they should not; a target that moves; a clock that jumps.
 * Throws Violation when something happened that must not.
 */
export async function simulate(seed: number, bug: Bug = NO_BUG): Promise<void> {
  const random = randomOf(seed)
  const scheduler = createScheduler(random)
  const time = { now: Date.parse('2026-11-21T03:00:00.000Z') }
  const journals = new Map<string, Entry[]>()
  const states = new Map<string, Incident>()
  const ops = new Set<string>()
  const locks = new Map<string, Holder>()
  const beats = new Map<string, number>()
  const jobs: Job[] = []
  const effects: Effect[] = []
  const presses: Press[] = []
  /** Alerts that a source was told are kept. */
  const answered: Alert[] = []
  const storedAt = new WeakMap<Entry, number>()
  let bulb = 'a'
  let instant = 0
  let counter = 0

  function store(id: string, at: string, op: string, events: readonly Happening[]): Incident {
    const entries = journals.get(id) ?? []
    let state = states.get(id) ?? null
    ops.add(op)
    for (const event of events.filter(bug.keeps)) {
      const prev = entries.at(-1)?.hash ?? genesis(id)
      const entry = seal({ incident: id, seq: entries.length + 1, at, op, event, prev })
      entries.push(entry)
      storedAt.set(entry, time.now)
      state = evolve(state, entry)
    }
    journals.set(id, entries)
    if (state) states.set(id, state)
    return state!
  }

  function journalOf(process: Process): Journal {
    const call = <T>(work: () => T) => scheduler.call(process, work)
    return {
      load: (id) =>
        call(() => {
          const state = states.get(id)
          return state ? bug.views(bug.believes ? resign(state) : state, process.name) : null
        }),
      append: (id, version, op, events) => {
        // Taken before the way to the store, as the real one does.
        const at = new Date(time.now).toISOString()
        return call(() => {
          if (ops.has(op)) return { ok: false as const, reason: 'duplicate' as const }
          const entries = journals.get(id) ?? []
          if (entries.length !== version) return { ok: false as const, reason: 'conflict' as const }
          return { ok: true as const, incident: store(id, at, op, events) }
        })
      },
      current: (group) => call(() => [...states.values()].findLast((i) => i.group === group)?.id ?? null),
      active: () => call(() => [...states.keys()]),
      retire: () => call(() => {}),
      entries: (id) => call(() => journals.get(id) ?? []),
      all: () => call(() => [...journals.keys()]),
      watch: () => () => {},
      forget: () => {},
    }
  }

  function common(process: Process) {
    const call = <T>(work: () => T) => scheduler.call(process, work)
    return {
      journal: journalOf(process),
      bell: { ring: (all: readonly Job[]) => call(() => void jobs.push(...all)) },
      locks: {
        acquire: (targets: readonly string[], holder: Holder) =>
          call(() => {
            const stands = (target: string) => {
              return locks.get(target) ?? null
            }
            for (const target of targets) {
              const theirs = stands(target)
              if (theirs && !isSame(theirs, holder)) return { ok: false as const, target, holder: theirs }
            }
            const fresh = targets.filter((target) => !stands(target))
            for (const target of targets) locks.set(target, holder)
            return { ok: true as const, fresh }
          }),
        release: (targets: readonly string[], holder: Holder) =>
          call(() => {
            for (const target of targets) {
              const theirs = locks.get(target)
              if (theirs && isSame(theirs, holder) && (holder.take ?? theirs.take) === theirs.take) locks.delete(target)
            }
          }),
      },
      pulse: {
        beat: (incident: string, proposal: string) => call(() => void beats.set(`${incident}/${proposal}`, time.now)),
        alive: (incident: string, proposal: string) =>
          call(() => time.now - (beats.get(`${incident}/${proposal}`) ?? 0) < 5000),
        progress: () => call(() => {}),
        read: () => call(() => null),
      },
      clock: () => time.now,
      ids: () => `op-${counter++}`,
      policy: bug.policy(policy),
      onError: () => {},
    }
  }

  const ordinal = (id: string) => Number(id.split('#')[1])
  const incidentId = (group: string, n: number) => `${group}#${n}`

  /** The target does it: what it has seen is its own. It looks at itself first, as every command does. */
  async function effect(process: Process, seen: Effect, fingerprint: string): Promise<void> {
    await scheduler.call(process, () => {
      if (seen.step === STEPS[0] && fingerprint !== bug.sees(bulb)) throw new Refused('It is not what it was.')
      effects.push(Object.assign(seen, { from: instant, bulb, at: time.now }))
    })
    await scheduler.call(process, () => {
      seen.to = instant
    })
    if (random.chance(0.06)) throw new Error('the reply was lost')
  }

  function command(process: Process, incident: string, proposal: string) {
    return defineChange({
      id: 'lamp.switch',
      summary: 'Switch it on',
      effect: 'once',
      risk: 'low',
      params: z.object({}),
      plan: () =>
        scheduler.call(process, () => ({
          summary: 'Switch it on',
          targets: [{ id: 'lamp', name: 'lamp', fingerprint: bug.sees(bulb), details: {} }],
          steps: STEPS.map((id) => ({ id, title: id, detail: '' })),
          warnings: [],
          data: null,
        })),
      async run(plan, ctx: RunContext) {
        for (const step of STEPS)
          await ctx.step(step, async (): Promise<undefined> => {
            const change = () =>
              effect(
                process,
                { incident, proposal, step, bulb: '', from: 0, to: null, at: 0 },
                plan.targets[0]!.fingerprint,
              )
            await change().catch((error: unknown) => {
              if (!bug.retries || error instanceof Refused || process.dead) throw error
              return change()
            })
          })
        return 'done'
      },
      verify: async () => [{ title: 'on', ok: true, detail: '' }],
      probe: (_plan, step) =>
        scheduler.call(
          process,
          (): Finding => ({
            landed: effects.some((e) => e.incident === incident && e.step === step && e.to !== null)
              ? 'yes'
              : 'cannot_tell',
            detail: '',
          }),
        ),
    })
  }

  function worker(name: string) {
    const process = scheduler.process(name)
    const base = common(process)
    const freezer = createFreezer({ ...base, incidentId, ordinal })
    const bench = (incident: string, proposal: string): Workbench => ({
      ...base,
      commands: new Map([['lamp.switch', { command: command(process, incident, proposal), version: '1' }]]),
      playbooks: new Map([[playbook.id, playbook]]),
      connections: {},
      secret: () => '',
      strike: (text) => text,
      lastFreeze: freezer.last,
      signal: process.signal,
    })
    return {
      process,
      tick: createWorkerTick(base),
      take(job: Job): Promise<void> {
        if (job.kind === 'evidence') return Promise.resolve()
        const own = bench(job.incident, job.proposal)
        if (job.kind === 'plan') return createPropose(own)(job.incident, job.proposal, true)
        const run = createRun({
          ...own,
          policy: base.policy,
          publicKey: bug.trusts(keys.publicKey, stranger.publicKey),
          worker: name,
          onError: () => {},
        })
        return job.kind === 'probe' ? run.probe(job.incident, job.proposal) : run.run(job.incident, job.proposal)
      },
    }
  }

  function bot(name: string) {
    const process = scheduler.process(name)
    const base = common(process)
    const freezer = createFreezer({ ...base, incidentId, ordinal })
    return {
      process,
      freezer,
      ingest: createIngest({ ...base, playbooks: [playbook], regex: () => false, incidentId, ordinal }),
      handlers: createHandlers({ ...base, freezer, keys: bug.signs(keys, stranger), faultsOf: () => ({}) }),
      tick: createBotTick({ ...base, freezer, keys, isShown: async () => true }),
    }
  }

  let names = 0
  const bots = [bot(`bot-${names++}`), bot(`bot-${names++}`)]
  const workers = [worker(`worker-${names++}`), worker(`worker-${names++}`)]
  const going = new Set<Promise<unknown>>()
  const start = (work: Promise<unknown>) => {
    const done = work.catch(() => {}).finally(() => going.delete(done))
    going.add(done)
  }
  const alert = (status: Alert['status'], room = random.pick(['hall', 'attic'])): Alert => ({
    source: 'test',
    fingerprint: room,
    status,
    labels: { alertname: 'LampOff', room },
    annotations: {},
    startsAt: new Date(time.now).toISOString(),
    endsAt: status === 'resolved' ? new Date(time.now + 1).toISOString() : null,
    links: [],
  })

  // A few people are about in each schedule, so that it happens that one has two accounts.
  const crowd = [0, 1].map((i) => (random.chance(0.7) ? PEOPLE[i]! : random.pick(PEOPLE)))
  /** A source sends an alert, and is told when it is kept. */
  function deliver(b: (typeof bots)[number], one: Alert): void {
    const storing = b.ingest({ alerts: [one], truncated: 0 })
    if (bug.answers === 'before') answered.push(one)
    start(storing.then(() => bug.answers === 'after' && answered.push(one)))
  }
  function press(): void {
    const open = [...states.values()].flatMap((i) =>
      i.proposals.filter((p) => p.digest !== null).map((p) => ({ i, p })),
    )
    if (open.length === 0) return
    const { i, p } = random.pick(open)
    const who = bug.people(random.pick(random.chance(0.8) ? crowd : PEOPLE))
    const verdict = random.chance(0.9) ? ('approve' as const) : ('reject' as const)
    // A storm: the same press on both bots, perhaps again.
    for (const b of random.chance(0.3) ? bots : [random.pick(bots)]) approve(b, i, p, who, verdict)
  }
  function approve(
    b: (typeof bots)[number],
    i: Incident,
    p: Proposal,
    who: Person,
    verdict: 'approve' | 'reject',
  ): void {
    if (!p.digest || !p.subject) return
    const seen = p.subject.plan.targets[0]!.fingerprint
    const asked = b.handlers.decide({
      incident: i.id,
      proposal: p.id,
      digest: p.digest,
      verdict,
      reason: 'why',
      person: who,
    })
    start(
      asked.then((answer) => {
        if (answer.ok && verdict === 'approve')
          presses.push({ incident: i.id, proposal: p.id, bulb: seen, user: who.user, at: time.now })
      }),
    )
  }
  function settle(): void {
    const unknown = [...states.values()].flatMap((i) =>
      i.proposals.filter((p) => p.status === 'unknown').map((p) => ({ i, p })),
    )
    if (unknown.length === 0) return
    const { i, p } = random.pick(unknown)
    const choice = random.pick(['done', 'resume', 'abandon'] as const)
    start(
      random
        .pick(bots)
        .handlers.settle({ incident: i.id, proposal: p.id, choice, reason: 'x', person: random.pick(PEOPLE) }),
    )
  }

  const ofStatus = (status: Proposal['status']) =>
    [...states.values()].flatMap((i) => i.proposals.filter((p) => p.status === status).map((p) => ({ i, p })))
  const killBot = (at = random.below(bots.length)) => {
    bots[at]!.process.die()
    bots[at] = bot(`bot-${names++}`)
  }
  /** A worker dies in the middle of things, and the other finds that its runs have no pulse. */
  function loseWorker(): void {
    const at = random.below(workers.length)
    workers[at]!.process.die()
    workers[at] = worker(`worker-${names++}`)
    time.now += 6000
    for (const { i, p } of ofStatus('running'))
      start(workers[1 - at]!.take({ kind: 'probe', incident: i.id, proposal: p.id }))
  }
  /** The job of a run that has begun comes again. */
  function ringAgain(): void {
    const begun = (['unknown', 'unknown', 'running', 'succeeded'] as const).flatMap(ofStatus)
    if (begun.length === 0) return
    const { i, p } = random.pick(begun)
    start(random.pick(workers).take({ kind: 'run', incident: i.id, proposal: p.id }))
  }
  /** Somebody who can write to the store puts a grant of their own there, and rings. */
  function forge(): void {
    const open = ofStatus('open')
    if (open.length === 0) return
    const { i, p } = random.pick(open)
    const at = new Date(time.now).toISOString()
    const about = { incident: i.id, proposal: p.id, digest: p.digest! }
    const approvals = ['U0ADA', 'U0SAM'].map((user) =>
      signDecision(
        { ...about, verdict: 'approve', user, name: user, via: ['data/user'], reason: '', at },
        stranger.privateKey,
      ),
    )
    const expiresAt = new Date(time.now + 900_000).toISOString()
    const grant = signGrant({ ...about, approvals, issuedAt: at, expiresAt }, stranger.privateKey)
    store(i.id, at, `forged-${counter++}`, [{ type: 'proposal.granted', grant }])
    jobs.push({ kind: 'run', incident: i.id, proposal: p.id })
  }
  /** The store's machine loses its power: what was not on disk is gone. */
  function cutPower(): void {
    const safe = bug.fsync === 'always' ? time.now : time.now - 1000
    for (const [id, entries] of journals) {
      const kept = entries.filter((e) => storedAt.get(e)! <= safe)
      for (const e of entries.slice(kept.length)) ops.delete(e.op)
      if (kept.length === 0) states.delete(id)
      else states.set(id, kept.reduce<Incident | null>(evolve, null)!)
      if (kept.length === 0) journals.delete(id)
      else journals.set(id, kept)
    }
  }

  const actions: [number, () => void][] = [
    [2, () => deliver(random.pick(bots), alert(random.chance(0.85) ? 'firing' : 'resolved'))],
    [12, press],
    [2, settle],
    [
      9,
      () =>
        jobs.length > 0 &&
        start(
          random
            .pick(workers)
            .take(random.chance(0.5) ? jobs.splice(random.below(jobs.length), 1)[0]! : random.pick(jobs)),
        ),
    ],
    [0.7, () => start(random.pick(bots).tick())],
    [1.5, loseWorker],
    [0.7, forge],
    [1.5, ringAgain],
    [0.5, cutPower],
    [
      0.7,
      () => {
        const at = random.below(bots.length)
        deliver(bots[at]!, alert('firing', random.pick(['cellar', 'shed'])))
        if (random.chance(0.5)) killBot(at)
      },
    ],
    [0.7, () => start(random.pick(workers).tick())],
    [
      1,
      () => {
        const w = random.below(workers.length)
        workers[w]!.process.die()
        workers[w] = worker(`worker-${names++}`)
      },
    ],
    [
      0.5,
      () => {
        const b = random.below(bots.length)
        bots[b]!.process.die()
        bots[b] = bot(`bot-${names++}`)
      },
    ],
    [
      0.7,
      () => {
        bulb = random.pick(['a', 'b', 'c'])
      },
    ],
    [
      1.5,
      () => {
        time.now += random.pick([1000, 6000, 61_000, 16 * 60_000])
      },
    ],
    [
      0.3,
      () =>
        start(
          random.pick(bots).freezer[random.chance(0.5) ? 'freeze' : 'thaw']({ by: 'ona', reason: 'x', person: null }),
        ),
    ],
    [
      0.5,
      () => {
        const all = [...states.values()].flatMap((i) =>
          i.proposals.filter((p) => p.status === 'running').map((p) => ({ i, p })),
        )
        if (all.length > 0) {
          const { i, p } = random.pick(all)
          start(random.pick(bots).handlers.cancel({ incident: i.id, proposal: p.id, person: random.pick(PEOPLE) }))
        }
      },
    ],
  ]
  // Each schedule has its own temper: some things happen a lot in it, some not at all.
  for (const action of actions) action[0] *= random.pick([0.3, 1, 1, 3])
  const weight = actions.reduce((sum, [share]) => sum + share, 0)
  try {
    await prelude()
    for (instant = 1; instant <= 250; instant += 1) {
      if (random.chance(0.15)) {
        let at = random.next() * weight
        for (const [share, act] of actions) {
          at -= share
          if (at >= 0) continue
          act()
          break
        }
      }
      await scheduler.step()
      check()
    }
    for (let i = 0; i < 500 && (await scheduler.step()); i += 1) check()
    kept()
  } finally {
    for (const { process } of [...bots, ...workers]) process.die()
  }

  /** Most schedules begin with two plans for one target, which two people have agreed to or are about to. */
  async function prelude(): Promise<void> {
    const drain = async () => {
      while (await scheduler.step());
    }
    for (const room of ['hall', 'attic']) deliver(bots[0]!, alert('firing', room))
    await drain()
    for (const job of jobs.splice(0)) start(workers[0]!.take(job))
    await drain()
    for (const user of crowd.slice(0, random.pick([0, 1, 2, 2])).map(bug.people)) {
      for (const i of [...states.values()])
        if (random.chance(0.85)) approve(bots[0]!, i, i.proposals[0]!, user, 'approve')
      await drain()
    }
    for (const { i, p } of ofStatus('granted'))
      for (const w of random.pick([[], workers, workers.slice(0, 1), workers.slice(1)]))
        start(w.take({ kind: 'run', incident: i.id, proposal: p.id }))
  }

  /** What the target saw, held against what people pressed and what the journals say in their order. */
  function check(): void {
    for (const [i, e] of effects.entries()) {
      const before = effects.slice(0, i)
      const mine = (o: Effect) => o.incident === e.incident && o.proposal === e.proposal
      must(!before.some((o) => mine(o) && o.step === e.step), `${e.step} of ${e.proposal} had two effects`)
      const beside = before.filter((o) => !mine(o) && o.to !== null && o.from < (e.to ?? instant) && e.from < o.to)
      must(beside.length === 0, 'two changes on one target at once')
      const agreed = approvers(e.incident, e.proposal, e.step === STEPS[0] ? e.bulb : null)
      must(agreed >= 2, `${e.step} of ${e.proposal} ran though ${agreed} of 2 people agreed to that plan`)
    }
    for (const [id, entries] of journals) if (instant % 20 === 0) inOrder(id, entries)
    for (const state of states.values())
      for (const p of state.proposals)
        if (p.status === 'succeeded')
          must(
            STEPS.every((s) => effects.some((e) => e.incident === state.id && e.step === s)),
            'succeeded without its effects',
          )
  }

  /** What somebody was told is kept must be in a journal; an alert that says nothing new need not. */
  function kept(): void {
    for (const one of answered) {
      const known = [...states.values()].filter((i) => Object.hasOwn(i.alerts, one.fingerprint))
      const is = JSON.stringify(one)
      const stored =
        (known.length === 0 && one.status === 'resolved') ||
        known.some((i) => i.alerts[one.fingerprint]!.startsAt > one.startsAt) ||
        [...journals.values()]
          .flat()
          .some(({ event }) => event.type === 'alerts.changed' && event.alerts.some((a) => JSON.stringify(a) === is))
      must(stored, `the ${one.status} alert of the ${one.labels.room} was answered and is not kept`)
    }
    for (const { incident, proposal, user } of presses) {
      const stored = (journals.get(incident) ?? []).some(
        ({ event }) =>
          event.type === 'proposal.decided' && event.decision.proposal === proposal && event.decision.user === user,
      )
      must(stored, `the approval of ${user} was answered and is not kept`)
    }
  }

  /** How many humans who may have agreed: those who were told yes, and those whose decision is stored and not yet answered. */
  function approvers(incident: string, proposal: string, saw: string | null): number {
    const entries = journals.get(incident) ?? []
    const shown = new Map<string, string>()
    const stored: Press[] = []
    for (const { event } of entries) {
      if ((event.type === 'plan.made' || event.type === 'run.voided') && event.subject && event.digest)
        shown.set(event.digest, event.subject.plan.targets[0]!.fingerprint)
      if (event.type !== 'proposal.decided' || event.decision.verdict !== 'approve') continue
      const { user, digest } = event.decision
      stored.push({ incident, proposal: event.decision.proposal, user, bulb: shown.get(digest) ?? '', at: 0 })
    }
    const agreed = [...presses, ...stored].filter(
      (p) =>
        p.incident === incident && p.proposal === proposal && MAY.includes(p.user) && (saw === null || p.bulb === saw),
    )
    return new Set(agreed.map((p) => humanOf(policy, p.user))).size
  }

  function inOrder(id: string, entries: readonly Entry[]): void {
    must(verifyChain(id, entries) === null, `the journal of ${id} does not verify`)
    let resolved = false
    const planned = new Map<string, number>()
    const granted = new Map<string, number>()
    for (const { event, at } of entries) {
      const now = Date.parse(at)
      if (event.type === 'incident.resolved') resolved = true
      if (event.type === 'incident.reopened') resolved = false
      if (event.type === 'plan.made' || event.type === 'run.voided') planned.set(event.proposal, now)
      if (event.type === 'proposal.granted') granted.set(event.grant.proposal, now)
      if (event.type === 'proposal.decided') {
        must(!resolved, 'a plan was decided on after its alert had resolved')
        must(MAY.includes(event.decision.user), `${event.decision.user} decided`)
        must(
          now - planned.get(event.decision.proposal)! <= policy.proposalMinutes * 60_000,
          'a plan was decided on after its time',
        )
      }
      if (event.type === 'run.started')
        must(
          now - granted.get(event.proposal)! <= policy.grantMinutes * 60_000,
          'a run started after its grant had lapsed',
        )
    }
  }
}
