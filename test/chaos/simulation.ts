import type { Alert } from '../../src/domain/alert.ts'
import { signDecision, signGrant } from '../../src/domain/grant.ts'
import type { Incident, Proposal } from '../../src/domain/incident.ts'
import type { Person } from '../../src/domain/policy.ts'
import { type Bug, NO_BUG } from './bugs.ts'
import { createScheduler, randomOf } from './scheduler.ts'
import { createActors, type Target } from './simulation-actors.ts'
import { alertOf, PEOPLE, type Press, stranger } from './simulation-cast.ts'
import { createChecker } from './simulation-checker.ts'
import { createStore } from './simulation-store.ts'

/**
 * One schedule of the real pipeline: two bots and two workers on one journal, whose calls are ordered by chance, and
 * which may die at any of them; people who press what they should not; a target that moves; a clock that jumps.
 * Throws Violation when something happened that must not.
 */
export async function simulate(seed: number, bug: Bug = NO_BUG): Promise<void> {
  const random = randomOf(seed)
  const scheduler = createScheduler(random)
  const time = { now: Date.parse('2026-11-21T03:00:00.000Z') }
  const store = createStore(scheduler, time, bug)
  const { states, jobs, ofStatus } = store
  const target: Target = { bulb: 'a', instant: 0, effects: [] }
  const { bot, worker } = createActors({ scheduler, random, time, store, target, bug })
  const presses: Press[] = []
  const answered: Alert[] = []
  const { check, kept } = createChecker(store, target, presses, answered)

  let names = 0
  const bots = [bot(`bot-${names++}`), bot(`bot-${names++}`)]
  const workers = [worker(`worker-${names++}`), worker(`worker-${names++}`)]
  const going = new Set<Promise<unknown>>()
  const start = (work: Promise<unknown>) => {
    const done = work.catch(() => {}).finally(() => going.delete(done))
    going.add(done)
  }
  const alert = (status: Alert['status'], room = random.pick(['hall', 'attic'])) => alertOf(room, status, time.now)

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
    const unknown = ofStatus('unknown')
    if (unknown.length === 0) return
    const { i, p } = random.pick(unknown)
    const choice = random.pick(['done', 'resume', 'abandon'] as const)
    start(
      random
        .pick(bots)
        .handlers.settle({ incident: i.id, proposal: p.id, choice, reason: 'x', person: random.pick(PEOPLE) }),
    )
  }

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
    store.put(i.id, at, store.nextId(), [{ type: 'proposal.granted', grant }])
    jobs.push({ kind: 'run', incident: i.id, proposal: p.id })
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
    [0.5, store.cutPower],
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
        target.bulb = random.pick(['a', 'b', 'c'])
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
        const all = ofStatus('running')
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
    for (target.instant = 1; target.instant <= 250; target.instant += 1) {
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
}
