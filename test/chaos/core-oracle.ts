import type { Entry } from '../../src/domain/event.ts'
import { must } from './violation.ts'

/** A press as it was processed: what the person saw, and whether they might, by the oracle's own reckoning. */
export type Press = Readonly<{
  incident: string
  proposal: string
  digest: string
  user: string
  verdict: 'approve' | 'reject'
  entitled: boolean
}>

const HUMAN: Readonly<Record<string, string>> = { U0SAM2: 'U0SAM' }
const human = (user: string) => HUMAN[user] ?? user
const QUORUM: Readonly<Record<string, number>> = { switch: 2, replace: 1 }
const PROPOSAL_MS = 60 * 60_000
const GRANT_MS = 15 * 60_000

/** Whether this user may decide now, said without the policy's code. */
export function entitled(user: string, now: number, from: number, members: ReadonlySet<string>): boolean {
  const hour = Math.floor((now - from) / 3_600_000)
  if (user === 'U0ONA') return hour % 2 === 0
  if (user === 'U0OTTO') return hour % 2 === 1
  return ['U0ADA', 'U0SAM', 'U0SAM2'].includes(user) || members.has(user)
}

type Effect = { bulb: string; ended: boolean }
/** What the oracle knows of one proposal, from the journal's entries in their order and from the target itself. */
type Track = {
  incident: string
  id: string
  step: string
  by: string | null
  /** Steps that the plan says are not done again. */
  done: readonly string[]
  digest: string | null
  planned: number
  /** What the target looked like on the plan that people saw. */
  bulb: string
  approvals: Set<string>
  grantedAt: number | null
  /** Over without a run: rejected, expired, withdrawn, refused. */
  ended: boolean
  run: null | {
    worker: string
    steps: Map<string, { done: boolean; effect: Effect | null }>
    cancelled: boolean
    unknown: boolean
    finished: boolean
    settled: boolean
    sinceFreeze: number
  }
}

/** Holds every entry and every effect against the promises; it shares no code with the domain. Throws Violation. */
export function createOracle() {
  const tracks = new Map<string, Track>()
  const presses: Press[] = []
  const resolved = new Set<string>()
  const bulbs = new WeakMap<object, string>()
  let freezes = 0
  let starts = 0
  const of = (incident: string, proposal: string): Track => {
    const track = tracks.get(`${incident}/${proposal}`)
    must(track !== undefined, `${proposal} of ${incident} was never asked for`)
    return track
  }
  const runOf = (track: Track) => {
    must(track.run !== null, `${track.id} has not started`)
    return track.run
  }
  const goesOn = (track: Track) => {
    const run = runOf(track)
    must(!run.unknown, `${track.id} went on though its outcome is unknown`)
    must(!run.finished, `${track.id} went on after its end`)
    return run
  }
  /** Has begun to change the target, and nobody has said that it is over. */
  const holds = ({ run }: Track) => run !== null && run.steps.size > 0 && !run.finished && !run.settled

  function decided(
    track: Track,
    d: Extract<Entry['event'], { type: 'proposal.decided' }>['decision'],
    at: number,
  ): void {
    const name = `the decision of ${d.user} on ${track.id}`
    const same = presses.filter(
      (p) =>
        p.incident === track.incident &&
        p.proposal === track.id &&
        p.user === d.user &&
        p.digest === d.digest &&
        p.verdict === d.verdict,
    )
    must(same.length > 0, `${name}: nobody pressed that`)
    must(
      same.some((p) => p.entitled),
      `${name}: they may not decide`,
    )
    must(d.digest === track.digest, `${name} is on another plan`)
    must(!track.ended && track.grantedAt === null && track.run === null, `${name} came when it was over`)
    must(!resolved.has(track.incident), `${name} came after the alert had resolved`)
    must(at < track.planned + PROPOSAL_MS, `${name} came after its time`)
    if (d.verdict === 'reject') {
      track.ended = true
      return
    }
    must(track.by === null || human(track.by) !== human(d.user), `${name}: they asked for it themselves`)
    must(!track.approvals.has(human(d.user)), `${name}: one human counted twice`)
    track.approvals.add(human(d.user))
  }

  return {
    presses,
    get starts() {
      return starts
    },
    press: (press: Press) => void presses.push(press),
    /** A plan was made; this is what the target was like. */
    saw: (plan: object, bulb: string) => void bulbs.set(plan, bulb),

    /** One more entry of a journal, stored just now. */
    entry({ incident, event, at }: Entry): void {
      const time = Date.parse(at)
      switch (event.type) {
        case 'incident.opened':
          if (event.playbook === null) freezes += 1
          if (event.playbook === null) for (const t of tracks.values()) if (t.run) t.run.sinceFreeze = 0
          return
        case 'incident.resolved':
          resolved.add(incident)
          return
        case 'incident.reopened':
          resolved.delete(incident)
          return
        case 'proposal.requested': {
          if (event.resumes) {
            const before = of(incident, event.resumes.proposal)
            must(before.run?.settled === true, `${event.proposal} resumes a run that nobody has settled`)
            for (const [step, s] of before.run.steps) {
              const known = event.resumes.done.includes(step)
              must(!s.done || known, `${step} would be done again though it is known to have landed`)
              must(!known || s.effect?.ended === true, `${step} would be left out though it did not land`)
            }
          }
          tracks.set(`${incident}/${event.proposal}`, {
            incident,
            id: event.proposal,
            step: event.step,
            by: event.by?.user ?? null,
            done: event.resumes?.done ?? [],
            digest: null,
            planned: 0,
            bulb: '',
            approvals: new Set(),
            grantedAt: null,
            ended: false,
            run: null,
          })
          return
        }
        case 'plan.made':
          Object.assign(of(incident, event.proposal), {
            digest: event.digest,
            planned: time,
            bulb: bulbs.get(event.subject),
          })
          return
        case 'plan.refused':
        case 'plan.failed':
        case 'proposal.expired':
        case 'proposal.withdrawn':
          of(incident, event.proposal).ended = true
          return
        case 'proposal.decided':
          decided(of(incident, event.decision.proposal), event.decision, time)
          return
        case 'proposal.granted': {
          const track = of(incident, event.grant.proposal)
          const short = track.approvals.size < QUORUM[track.step]!
          must(!short, `${track.id} was granted with ${track.approvals.size} of ${QUORUM[track.step]} humans`)
          track.grantedAt = time
          return
        }
        case 'run.voided': {
          const track = of(incident, event.proposal)
          must(track.run === null, `${track.id} was voided after its start`)
          const next = { digest: event.digest, planned: time, ended: event.digest === null }
          const bulb = event.subject ? bulbs.get(event.subject) : ''
          Object.assign(track, { ...next, bulb, grantedAt: null, approvals: new Set() })
          return
        }
        case 'run.started': {
          const track = of(incident, event.proposal)
          must(track.run === null, `${track.id} was started twice on one grant`)
          must(track.grantedAt !== null && !track.ended, `${track.id} was started without a grant`)
          must(time < track.grantedAt + GRANT_MS, `${track.id} was started after its grant had lapsed`)
          must(!resolved.has(incident), `${track.id} was started after the alert had resolved`)
          must(track.approvals.size >= QUORUM[track.step]!, `${track.id} was started without a quorum`)
          const state = { cancelled: false, unknown: false, finished: false, settled: false, sinceFreeze: 0 }
          track.run = { worker: event.worker, steps: new Map(), ...state }
          starts += 1
          return
        }
        case 'step.started': {
          const track = of(incident, event.proposal)
          const run = goesOn(track)
          must(!run.cancelled, `${event.step} of ${track.id} was started after the cancel`)
          must(!run.steps.has(event.step), `${event.step} of ${track.id} was started twice`)
          must(!track.done.includes(event.step), `${event.step} of ${track.id} was done again`)
          if (freezes > resolvedFreezes()) run.sinceFreeze += 1
          for (const other of tracks.values())
            must(
              other === track || !holds(other),
              `${track.id} of ${incident} went on beside ${other.id} of ${other.incident}`,
            )
          must(run.sinceFreeze <= 1, `${track.id} went on through a freeze`)
          run.steps.set(event.step, { done: false, effect: null })
          return
        }
        case 'step.done': {
          const step = goesOn(of(incident, event.proposal)).steps.get(event.step)
          must(step?.effect?.ended === true, `${event.step} is said to be done and is not`)
          step.done = true
          return
        }
        case 'run.cancel_requested':
          goesOn(of(incident, event.proposal)).cancelled = true
          return
        case 'run.finished': {
          const track = of(incident, event.proposal)
          const run = goesOn(track)
          run.finished = true
          const landed = (step: string) => track.done.includes(step) || run.steps.get(step)?.effect?.ended === true
          if (event.outcome === 'succeeded')
            must(['first', 'second'].every(landed), `${track.id} is said to have succeeded without its effects`)
          for (const [step, s] of run.steps) {
            must(s.effect === null || s.effect.ended, `${track.id} is said to be over while ${step} is under way`)
            const silent = event.outcome === 'failed' && !s.done && s.effect !== null
            must(!silent, `${track.id} is said to have failed, and nobody says that ${step} landed`)
          }
          return
        }
        case 'run.unknown':
          goesOn(of(incident, event.proposal)).unknown = true
          return
        case 'run.settled': {
          const run = runOf(of(incident, event.proposal))
          must(run.unknown && !run.settled, `${event.proposal} was settled without a question`)
          run.settled = true
        }
      }
    },

    /** What the target knows of a step; undefined if nothing. */
    effectOf: (incident: string, proposal: string, step: string) => of(incident, proposal).run?.steps.get(step)?.effect,

    /** The target begins to change; the caller ends the effect. */
    begin(incident: string, proposal: string, step: string, bulb: string): Effect {
      const track = of(incident, proposal)
      const fenced = runOf(track).steps.get(step)
      must(fenced !== undefined, `${step} of ${proposal} had an effect before it was stored that it starts`)
      must(fenced.effect === null, `${step} of ${proposal} had two effects`)
      if (step === 'first')
        must(
          bulb === track.bulb,
          `${proposal} changed a target in state ${bulb}; people had agreed to state ${track.bulb}`,
        )
      for (const other of tracks.values()) {
        const beside = other !== track && holds(other) && !runOf(track).settled
        must(!beside, `${proposal} of ${incident} changed the target beside ${other.id} of ${other.incident}`)
      }
      fenced.effect = { bulb, ended: false }
      return fenced.effect
    },
  }

  function resolvedFreezes(): number {
    let n = 0
    for (const id of resolved) if (id.startsWith('keyturn:freeze')) n += 1
    return n
  }
}
