import { type Incident, isOver, proposalOf, riskOf, stepOf } from '../../src/domain/incident.ts'
import type { Opening } from '../../src/domain/notice.ts'
import { digest, type Subject } from '../../src/domain/plan.ts'
import type { Reason } from '../../src/domain/reason.ts'
import type { Ruling } from '../../src/domain/rule.ts'
import { entitled } from './core-oracle.ts'
import { type Alerting, keys, type Proc, playbook, STEPS, T0, type World } from './core-world.ts'
import { must, Violation } from './violation.ts'

/** What a process does; at each `yield` others may go first, it may be paused for long, or die. */
export type Task = Generator<void, void, void>
type Stored = { ok: true; incident: Incident } | { ok: false; reason: Reason }

export const TARGET = 'lamp'
const REOPEN_WITHIN = 30 * 60_000
const ALIVE = 5000
class Refusal extends Error {}
class Broken extends Error {}

/** Loads, asks a rule, stores; again if somebody was faster. A reply may be lost: the same intent is then sent again. */
function* transact(w: World, id: string, rule: (i: Incident) => Ruling): Generator<void, Stored, void> {
  const op = w.op()
  let stored = false
  for (;;) {
    const state = w.states.get(id)
    if (!state) return { ok: false, reason: 'no_such_incident' }
    const ruling = rule(state)
    if (!ruling.ok) {
      must(!stored, `an intent was refused with ${ruling.reason} though it is stored`)
      return ruling
    }
    if (ruling.events.length === 0) return { ok: true, incident: state }
    const at = w.iso()
    yield
    let answer = w.append(id, state.version, op, at, ruling.events)
    while (answer === 'ok' && w.random.chance(0.08)) {
      stored = true
      yield
      answer = w.append(id, state.version, op, at, ruling.events)
    }
    if (answer !== 'conflict') return { ok: true, incident: w.states.get(id)! }
  }
}

/** A source tells of an alert. */
export function* ingest(w: World, alert: Alerting): Task {
  const { room, ...rest } = alert
  const labels = { alertname: 'LampOff', room }
  const news = { source: 'test', fingerprint: room, labels, annotations: {}, links: [], ...rest }
  const opening: Opening = { group: room, title: playbook.title, severity: 's', channel: 'c', playbook }
  const op = w.op()
  for (;;) {
    const latest = w.current.get(room)
    const known = latest === undefined ? null : w.states.get(latest)!
    const cold =
      known?.resolvedAt && w.now - Date.parse(known.resolvedAt) > REOPEN_WITHIN && known.proposals.every(isOver)
    const incident = cold && news.status === 'firing' ? null : known
    const ruling = w.rules.notice(incident, [news], 0, opening)
    if (!ruling.ok || ruling.events.length === 0) return
    const id = incident?.id ?? `${room}#${known ? Number(known.id.split('#')[1]) + 1 : 1}`
    const at = w.iso()
    yield
    if (w.append(id, incident?.version ?? 0, op, at, ruling.events) !== 'conflict') return
  }
}

/** A plan as the world is now. */
function subjectOf(w: World, proc: Proc, incident: Incident, id: string): Subject | null {
  const proposal = proposalOf(incident, id)
  if (!proposal || !stepOf(incident, proposal.step)) return null
  const subject: Subject = {
    incident: incident.id,
    proposal: id,
    playbook: { id: playbook.id, hash: playbook.hash },
    step: proposal.step,
    command: { id: 'lamp.switch', version: proc.version },
    params: proposal.params,
    environment: 'production',
    plan: {
      summary: 'Switch it on',
      targets: [{ id: TARGET, name: 'lamp', fingerprint: w.sees(w.bulb), details: {} }],
      steps: STEPS.map((step) => ({ id: step, title: step, detail: '' })),
      warnings: [],
      data: null,
    },
    requestedBy: proposal.requestedBy?.user ?? null,
    requestedAt: proposal.requestedAt,
    resumes: proposal.resumes,
  }
  w.oracle.saw(subject, w.bulb)
  return subject
}

/** A worker makes a plan. */
export function* plan(w: World, proc: Proc, id: string, proposal: string): Task {
  const subject = subjectOf(w, proc, w.states.get(id)!, proposal)
  yield
  const luck = w.random.next()
  const result =
    luck < 0.03 ? { refused: 'no' } : luck < 0.06 || !subject || !proc.knows ? { failed: 'broken' } : { subject }
  yield* transact(w, id, (i) => w.rules.planReady(i, proposal, result))
}

/** A person presses a button of a card that shows this digest. */
export function* press(
  w: World,
  on: { incident: string; proposal: string; digest: string; user: string; verdict: 'approve' | 'reject' },
): Task {
  yield
  const person = w.lookUp(on.user)
  const members = new Set(w.members)
  yield
  if (on.verdict === 'approve' && w.frozen()) return
  yield* transact(w, on.incident, (i) => {
    w.oracle.press({ ...on, entitled: entitled(on.user, w.now, T0, members) })
    return w.rules.decide(i, { ...on, reason: 'why', person, at: w.iso() }, w.policy, keys)
  })
}

/** A person asks for a step. */
export function* ask(w: World, id: string, step: string, user: string): Task {
  yield
  const { name, ...flags } = w.lookUp(user)
  if (flags.deleted || flags.bot || flags.guest || flags.external) return
  yield* transact(w, id, (i) => w.rules.request(i, { step, params: {}, by: { user, name } }))
}

export function* cancel(w: World, id: string, proposal: string, user: string): Task {
  yield
  const person = w.lookUp(user)
  yield* transact(w, id, (i) => w.rules.requestCancel(i, proposal, person))
}

/** A person says what becomes of a run whose end is not known. */
export function* settle(
  w: World,
  on: { incident: string; proposal: string; choice: 'done' | 'resume' | 'abandon'; user: string },
): Task {
  yield
  const person = w.lookUp(on.user)
  const stored = yield* transact(w, on.incident, (i) =>
    w.rules.settle(i, { ...on, person, reason: 'I looked', at: w.iso() }, w.policy),
  )
  yield
  if (stored.ok) w.release(TARGET, on)
}

/** What time alone brings to an incident. */
export function* elapse(w: World, id: string): Task {
  yield* transact(w, id, (i) => w.rules.elapse(i, w.policy, w.now))
}

/** Freezes everything, or lifts the freeze. */
export function* freezing(w: World, on: boolean, user: string): Task {
  const op = w.op()
  const group = 'keyturn:freeze'
  for (;;) {
    const latest = w.states.get(w.current.get(group) ?? '') ?? null
    const intent = { by: user, reason: 'x', at: w.iso(), person: w.lookUp(user) }
    const ruling = on ? w.rules.freeze(latest, intent) : w.rules.thaw(latest, intent, w.policy)
    if (!ruling.ok) return
    const stands = latest && w.rules.freezeOf(latest)
    const id = stands ? latest.id : `${group}#${latest ? Number(latest.id.split('#')[1]) + 1 : 1}`
    yield
    if (w.append(id, stands ? latest.version : 0, op, intent.at, ruling.events) !== 'conflict') return
  }
}

/** Whether the worker of a run has given a sign of life lately. */
export const isAlive = (proc: Proc | undefined, now: number): boolean => proc !== undefined && now - proc.beat < ALIVE

/** What a look at the target says of a step that began. */
function probeStep(w: World, id: string, proposal: string, step: string) {
  const effect = w.oracle.effectOf(id, proposal, step)
  if (effect?.ended) return 'yes' as const
  return effect || w.random.chance(0.3) ? ('cannot_tell' as const) : ('no' as const)
}

/** A run has no pulse any more: its outcome is not known. */
export function* probe(w: World, procs: ReadonlyMap<string, Proc>, id: string, proposal: string): Task {
  const found = proposalOf(w.states.get(id)!, proposal)
  if (found?.status !== 'running' || isAlive(procs.get(found.run!.worker), w.now)) return
  yield
  const begun = Object.entries(found.run!.steps).filter(([, s]) => s.status === 'running')
  const findings = begun.map(([step]) => ({ step, landed: probeStep(w, id, proposal, step), detail: '' }))
  yield* transact(w, id, (i) => w.rules.loseTrack(i, proposal, 'gone', findings))
}

/** A worker takes a run: verifies, plans again, compares, locks, stores START, does it, says how it ended. */
export function* run(w: World, proc: Proc, target: (task: Task) => void, id: string, proposalId: string): Task {
  const { rules } = w
  const holder = { incident: id, proposal: proposalId }
  const incident = w.states.get(id)!
  const proposal = proposalOf(incident, proposalId)
  if (!proposal) return
  const end = (why: string) => transact(w, id, (i) => rules.voidGrant(i, proposalId, why))
  if (!proc.knows) {
    yield* end('the playbook differs')
    return
  }
  const view = {
    publicKey: keys.publicKey,
    policy: w.policy,
    approvers: ['data'],
    risk: riskOf(incident, proposal),
  } as const
  const no = rules.checkGrant(incident, proposalId, view, w.now)
  if (no === 'not_open') return
  if (no) {
    yield* end(no)
    return
  }
  yield
  const freeze = w.lastFreeze()
  if (freeze?.until === null) return
  if (freeze && freeze.until >= proposal.grant!.issuedAt) {
    yield* end('everything was frozen since')
    return
  }
  const fresh = subjectOf(w, proc, incident, proposalId)!
  yield
  if (w.random.chance(0.02)) {
    yield* transact(w, id, (i) => rules.moved(i, proposalId, { refused: 'no' }))
    return
  }
  if (w.differs(digest(fresh), proposal.grant?.digest)) {
    yield* transact(w, id, (i) => rules.moved(i, proposalId, { subject: fresh }))
    return
  }
  yield
  let locked = w.acquire(TARGET, { ...holder, take: w.op() })
  while (!locked.ok) {
    yield
    const theirs = proposalOf(w.states.get(locked.holder.incident)!, locked.holder.proposal)
    if (theirs && !isOver(theirs) && theirs.status !== 'open') {
      yield* end('the target is held')
      return
    }
    yield
    w.release(TARGET, locked.holder)
    locked = w.acquire(TARGET, { ...holder, take: w.op() })
  }
  yield
  if (w.frozen()) {
    if (locked.fresh) w.release(TARGET, locked.holder)
    return
  }
  proc.beat = w.now
  const started = yield* transact(w, id, (i) => rules.start(i, proposalId, fresh, proc.name, view, w.now))
  yield
  if (!started.ok) {
    if (locked.fresh) w.release(TARGET, locked.holder)
    if (started.reason !== 'not_open') yield* end(started.reason)
    return
  }
  if (!w.acquire(TARGET, { ...holder, take: w.op() }).ok) {
    const end = { outcome: 'cancelled' as const, message: 'the target is held', checks: [] }
    yield* transact(w, id, (i) => rules.finish(i, proposalId, end, proc.name))
    return
  }
  const over = yield* execute(w, proc, target, fresh)
  yield
  if (over) w.release(TARGET, holder)
}

/** Does the steps of a started run. True when its end is stored, false when it is in question. */
function* execute(
  w: World,
  proc: Proc,
  target: (task: Task) => void,
  subject: Subject,
): Generator<void, boolean, void> {
  const { incident: id, proposal } = subject
  const { rules } = w
  let current: string | null = null
  let stopped = false
  const conclude = (outcome: 'succeeded' | 'failed' | 'cancelled') =>
    transact(w, id, (i) => rules.finish(i, proposal, { outcome, message: '', checks: [] }, proc.name))
  function* checkpoint(rule: (i: Incident) => Ruling): Task {
    const stored = yield* transact(w, id, rule)
    if (stored.ok) return
    stopped = true
    throw new Broken(stored.reason)
  }
  try {
    for (const step of STEPS) {
      if (subject.resumes?.done.includes(step)) continue
      if (w.frozen()) {
        stopped = true
        throw new Broken('frozen')
      }
      yield* checkpoint((i) => rules.startStep(i, proposal, step, proc.name))
      current = step
      yield* effect(w, target, subject, step)
      current = null
      yield* checkpoint((i) => rules.finishStep(i, proposal, step, undefined, proc.name))
    }
    yield
    return (yield* conclude('succeeded')).ok
  } catch (error) {
    if (error instanceof Violation || !(error instanceof Refusal || error instanceof Broken)) throw error
    const broken = error instanceof Refusal ? null : current
    if (broken) {
      yield
      const landed = probeStep(w, id, proposal, broken)
      if (landed === 'cannot_tell' || (landed === 'yes' && !stopped)) {
        const findings = [{ step: broken, landed, detail: '' }]
        yield* transact(w, id, (i) => rules.loseTrack(i, proposal, 'broke', findings))
        return false
      }
    }
    return (yield* conclude(stopped ? 'cancelled' : 'failed')).ok
  }
}

/** The target changes, and goes on changing though the worker dies. The way there and back may fail. */
function* effect(w: World, target: (task: Task) => void, subject: Subject, step: string): Task {
  yield
  const fingerprint = subject.plan.targets[0]!.fingerprint
  if (step === STEPS[0] && fingerprint !== w.sees(w.bulb)) throw new Refusal('it is not what it was')
  if (w.random.chance(0.03)) throw new Broken('it never got there')
  const begun = w.oracle.begin(subject.incident, subject.proposal, step, w.bulb)
  target(
    (function* () {
      yield
      begun.ended = true
    })(),
  )
  while (!begun.ended) {
    yield
    if (w.random.chance(0.03)) throw new Broken('the reply was lost')
  }
}
