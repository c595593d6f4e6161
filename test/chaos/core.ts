import { FREEZE_GROUP } from '../../src/domain/freeze.ts'
import type { Incident, Proposal, ProposalStatus } from '../../src/domain/incident.ts'
import type { Job } from '../../src/domain/job.ts'
import { pendingWork } from '../../src/domain/work.ts'
import * as actor from './core-actors.ts'
import { createOracle } from './core-oracle.ts'
import { createWorld, type Flaw, MINUTE, PEOPLE, type Proc, ROOMS, T0 } from './core-world.ts'
import { type Random, randomOf } from './scheduler.ts'
import { must } from './violation.ts'

/** How often it happens beside the others, what kind of thing it is, and what happens. */
type Act = readonly [number, 'world' | 'people' | 'work' | 'faults', () => void]

/** How many choices the scheduler makes in one schedule. */
const LENGTH = 140

/**
 * One schedule of the domain's rules alone: intents of sources, people and workers, cut into pieces whose order chance
 * picks, on a store in memory and a clock that jumps; any process may be paused, die, or lose the reply to what it stored.
 * Throws Violation when a promise is broken. Gives the number of runs that started.
 */
export function simulateCore(seed: number, flaw: Flaw = {}): number {
  return play(randomOf(seed), flaw)
}

/** The same with any source of chance. */
export function play(random: Random, flaw: Flaw = {}): number {
  const oracle = createOracle()
  const w = createWorld(random, oracle, flaw)
  const procs = new Map<string, Proc>()
  const running: { proc: Proc; task: actor.Task }[] = []

  const born = (kind: string): Proc => {
    const odd = random.chance(0.04)
    const proc: Proc = {
      name: `${kind}-${procs.size}`,
      dead: false,
      pausedUntil: 0,
      beat: w.now,
      knows: !odd || random.chance(0.5),
      version: odd ? '2' : '1',
    }
    procs.set(proc.name, proc)
    return proc
  }
  const target = born('target')
  const bots = [born('bot'), born('bot')]
  const workers = [born('worker'), born('worker')]
  const start = (proc: Proc, task: actor.Task) => void running.push({ proc, task })
  const onTarget = (task: actor.Task) => start(target, task)

  /** One piece of one task. False if nothing can go on now. */
  function step(): boolean {
    const ready = running.filter(({ proc }) => proc.pausedUntil <= w.instant)
    if (ready.length === 0) return false
    const next = random.pick(ready)
    if (next.task.next().done) running.splice(running.indexOf(next), 1)
    return true
  }
  const drain = () => {
    for (let i = 0; i < 2000 && step(); i += 1) if (i === 1999) must(false, 'something never comes to an end')
  }
  const die = (all: Proc[], kind: string, at = random.below(all.length)) => {
    all[at]!.dead = true
    for (let i = running.length - 1; i >= 0; i -= 1) if (running[i]!.proc.dead) running.splice(i, 1)
    all[at] = born(kind)
  }
  const pass = (ms: number) => {
    w.now += ms
    for (const p of procs.values()) if (!p.dead && p.pausedUntil <= w.instant) p.beat = w.now
  }
  const incidents = () => [...w.states.values()].filter((i) => i.group !== FREEZE_GROUP)
  const those = (...statuses: ProposalStatus[]) =>
    incidents().flatMap((i) => i.proposals.flatMap((p) => (statuses.includes(p.status) ? [{ i, p }] : [])))

  function take(job: Job, worker: Proc): void {
    if (job.kind === 'plan') start(worker, actor.plan(w, worker, job.incident, job.proposal))
    else if (job.kind === 'run') start(worker, actor.run(w, worker, onTarget, job.incident, job.proposal))
    else if (job.kind === 'probe') start(worker, actor.probe(w, procs, job.incident, job.proposal))
  }
  const owe = (worker: Proc) => {
    for (const job of incidents().flatMap(pendingWork)) take(job, worker)
  }
  /** What somebody owes an incident now, or a job that comes again. */
  function work(): void {
    const owed = incidents().flatMap(pendingWork)
    for (const { i, p } of those('running')) owed.push({ kind: 'probe', incident: i.id, proposal: p.id })
    if (owed.length === 0 || random.chance(0.3))
      for (const { i, p } of those('running', 'unknown', 'failed', 'succeeded', 'expired', 'withdrawn'))
        owed.push({ kind: 'run', incident: i.id, proposal: p.id })
    if (owed.length > 0) take(random.pick(owed), random.pick(workers))
  }
  const alert = (status: 'firing' | 'resolved', room = random.pick(ROOMS)) => {
    const startsAt = new Date(random.chance(0.8) ? T0 : w.now).toISOString()
    start(random.pick(bots), actor.ingest(w, { room, status, startsAt, endsAt: status === 'firing' ? null : w.iso() }))
  }
  // A few people are about in each schedule, so that it happens that one presses twice, or has two accounts.
  const crowd = [random.pick(PEOPLE.slice(0, 5)), random.pick(PEOPLE), random.pick(PEOPLE)]
  const who = () => random.pick(random.chance(0.8) ? crowd : PEOPLE)
  function pressOn({ i, p }: { i: Incident; p: Proposal }, user: string, verdict: 'approve' | 'reject'): void {
    const digest = random.chance(0.1) && p.previous && p.grant ? p.grant.digest : p.digest
    if (!digest) return
    const on = { incident: i.id, proposal: p.id, digest, user, verdict }
    for (let n = random.chance(0.25) ? 2 : 1; n > 0; n -= 1) start(random.pick(bots), actor.press(w, on))
  }
  function press(): void {
    const all = those('open', 'granted', 'expired', 'withdrawn', 'running', 'unknown')
    const open = all.filter(({ p }) => p.status === 'open')
    const from = open.length > 0 && random.chance(0.8) ? open : all
    if (from.length > 0) pressOn(random.pick(from), who(), random.chance(0.93) ? 'approve' : 'reject')
  }
  const on = (statuses: ProposalStatus[], act: (i: string, p: string) => actor.Task) => {
    const all = those(...statuses)
    if (all.length === 0) return
    const { i, p } = random.pick(all)
    start(random.pick(bots), act(i.id, p.id))
  }
  function settle(): void {
    const choice = random.pick(['done', 'resume', 'resume', 'abandon'] as const)
    on(['unknown'], (incident, proposal) => actor.settle(w, { incident, proposal, choice, user: who() }))
  }
  function ask(): void {
    const i = random.pick(incidents())
    start(random.pick(bots), actor.ask(w, i.id, random.pick(['switch', 'replace']), who()))
  }
  const move = () => {
    w.bulb = random.pick(['a', 'b', 'c'])
  }
  const pause = (proc: Proc) => {
    proc.pausedUntil = w.instant + 6 + random.below(14)
  }
  /** A worker is gone, for good or for a while; its runs lose their pulse, and another worker finds that out. */
  function lose(): void {
    const at = random.below(workers.length)
    if (random.chance(0.3)) die(workers, 'worker', at)
    else pause(workers[at]!)
    pass(6000)
    for (const { i, p } of those('running'))
      take({ kind: 'probe', incident: i.id, proposal: p.id }, workers[(at + 1) % workers.length]!)
  }
  const acts: readonly Act[] = [
    [0.8, 'world', () => alert(random.chance(0.5) ? 'firing' : 'resolved')],
    [6, 'people', press],
    [6, 'work', work],
    [3, 'faults', settle],
    [2.5, 'work', () => on(['running'], (i, p) => actor.cancel(w, i, p, who()))],
    [1, 'people', ask],
    [0.6, 'world', () => incidents().forEach((i) => void start(bots[0]!, actor.elapse(w, i.id)))],
    [2, 'faults', lose],
    [0.5, 'faults', () => die(bots, 'bot')],
    [0.5, 'work', () => pause(random.pick(random.chance(0.7) ? workers : bots))],
    [0.8, 'world', move],
    [2, 'work', () => pass(random.pick([1000, 1000, 6000]))],
    [0.6, 'world', () => pass(random.pick([5, 16, 31]) * MINUTE)],
    [1, 'work', () => start(random.pick(bots), actor.freezing(w, random.chance(0.6), who()))],
    [2, 'people', () => void (w.members.delete('U0GEO') || w.members.add('U0GEO'))],
  ]

  prelude()
  // Each schedule has its own temper: one kind of thing happens a lot in it.
  const temper = random.pick(['world', 'people', 'work', 'faults'])
  const shares = acts.map(([share, kind]) => share * (kind === temper ? 4 : random.pick([0.3, 0.7, 1])))
  const all = shares.reduce((sum, share) => sum + share, 0)
  for (w.instant = 1; w.instant <= LENGTH; w.instant += 1) {
    if (random.chance(0.18) || !step()) {
      let at = random.next() * all
      const chosen = shares.findIndex((share) => {
        at -= share
        return at < 0
      })
      acts[chosen]?.[2]()
    }
  }
  // The dear questions are asked of some schedules only.
  if (random.chance(0.75)) return oracle.starts
  heal()
  for (const [id, state] of w.states)
    must(JSON.stringify(w.refold(id)) === JSON.stringify(state), `the state of ${id} is not the fold of its journal`)
  return oracle.starts

  /** Most schedules begin with two plans for one target, which some people have agreed to. */
  function prelude(): void {
    for (const room of ROOMS) alert('firing', room)
    drain()
    owe(workers[0]!)
    drain()
    if (random.chance(0.3)) {
      // Known to the bot as a member of the group, and none any more.
      for (const i of incidents()) start(bots[0]!, actor.ask(w, i.id, 'switch', 'U0GEO'))
      drain()
      w.members.delete('U0GEO')
    }
    const [first, ...rest] = random.chance(0.7) ? ['U0ADA', 'U0SAM'] : crowd
    if (random.chance(0.25)) {
      // Turned down once, and asked for anew by somebody.
      for (const one of those('open')) pressOn(one, 'U0ADA', 'reject')
      drain()
      for (const i of incidents()) start(bots[0]!, actor.ask(w, i.id, random.pick(['switch', 'replace']), crowd[0]!))
      drain()
      owe(workers[0]!)
      drain()
    }
    for (const user of [first!, ...rest].slice(0, random.pick([0, 1, 2, 2, 2])))
      for (const one of those('open')) if (random.chance(0.85)) pressOn(one, user, 'approve')
    drain()
    for (const { i, p } of those('granted'))
      for (let n = random.pick([0, 0, 1, 1, 2]); n > 0; n -= 1)
        take({ kind: 'run', incident: i.id, proposal: p.id }, random.pick(workers))
    // Most that can go wrong begins with a worker that is lost in the middle of a run.
    if (those('granted').length === 0 || random.chance(0.5)) return
    for (let n = random.below(40); n > 0; n -= 1) step()
    lose()
  }

  /** Everything that was wrong ends; then nothing may be left in limbo, and what is in question waits for a person. */
  function heal(): void {
    while (running.length > 0) running.pop()
    for (const p of procs.values()) p.dead = true
    const [bot, worker] = [born('bot'), born('worker')]
    Object.assign(worker, { knows: true, version: '1' })
    start(bot, actor.freezing(w, false, 'U0ADA'))
    drain()
    w.now += MINUTE
    for (let round = 0; round < 3; round += 1) {
      worker.beat = w.now
      for (const { i, p } of those('running')) take({ kind: 'probe', incident: i.id, proposal: p.id }, worker)
      owe(worker)
      drain()
    }
    for (const { i, p } of those('planning', 'granted', 'running'))
      must(false, `${p.id} of ${i.id} is still ${p.status} a minute after everything is well`)
    w.now += 61 * MINUTE
    for (const i of incidents()) start(bot, actor.elapse(w, i.id))
    drain()
    must(those('open').length === 0, 'a plan is open after its time')
  }
}
