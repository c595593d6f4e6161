import { type Entry, type HappeningOf, verifyChain } from '../../src/domain/event.ts'
import type { LogEntry } from '../../src/sandbox/slack/state.ts'
import { roomOf } from './crash-cards.ts'
import { limbo } from './crash-limbo.ts'
import { type Click, clicksOf, type Seen, type Sent, type State, statesOf } from './crash-seen.ts'
import { Violation } from './violation.ts'

type Json = Record<string, unknown>

/** A freeze holds from so many milliseconds on. */
const FREEZE_WITHIN = 1000
const OVER = /^(Expired|Withdrawn|Rejected|Refused)/

const must = (holds: boolean, what: string) => {
  if (!holds) throw new Violation(what)
}

/** Throws Violation where what was seen breaks a promise. Reads nothing that only Keyturn says, but its journal. */
export function check(seen: Seen): void {
  const { sent, slack, changes, entries, approvers } = seen
  const states = statesOf(slack)
  const latest = [...new Map(states.map((s) => [`${s.card.channel} ${s.card.ts}`, s.card])).values()]
  const clicks = clicksOf(slack)
  const of = (incident: string, key: string) => latest.find((c) => c.incident === incident && c.key === key)

  threads(sent, states, slack)
  const plans = effects(seen, states, clicks)
  for (const stuck of limbo(latest, sent)) throw new Violation(`in limbo after the heal: ${stuck}`)

  // Clicks: each accepted one counts once, and shows.
  const decided = entries.flatMap(({ event }) => (event.type === 'proposal.decided' ? [event.decision] : []))
  for (const c of clicks) {
    const same = decided.filter((d) =>
      ['incident', 'proposal', 'digest', 'user', 'verdict'].every((k) => at(d, k) === at(c, k)),
    )
    const who = `${c.verdict} of ${c.user} on ${c.incident} ${c.proposal}`
    must(same.length <= 1, `${who} counts ${same.length} times`)
    if (!c.accepted) continue
    must(approvers.includes(c.user), `${who} was accepted, though they may not decide`)
    must(same.length === 1, `${who} was accepted and is in no journal`)
    const shown = states.some(
      ({ card, at }) =>
        at >= c.at &&
        card.incident === c.incident &&
        card.key === `proposal:${c.proposal}` &&
        (card.shown.includes(`"user_id":"${c.user}"`) || card.shown.includes('Approvals given before do not count')),
    )
    must(shown, `${who} was accepted and does not show`)
  }
  for (const d of decided)
    must(
      clicks.some((c) => c.user === d.user && c.digest === d.digest && c.verdict === d.verdict),
      `nobody pressed: ${d.verdict} of ${d.user} on ${d.incident}`,
    )

  // Honesty: what the thread says in the end is what the target saw.
  for (const { incident, proposal, room, key } of plans.values()) {
    const began = changes.some((c) => c.key === key && c.room === room)
    const done = changes.some((c) => c.key === key && c.room === room && c.what === 'done')
    const outcome = of(incident, `outcome:${proposal}`)
    const where = `${incident} ${proposal} (${room})`
    if (!outcome) must(!began, `${where} says that nothing ran, and something did`)
    else if (outcome.text.startsWith('Succeeded')) must(done, `${where} says succeeded without an effect`)
    else if (/^(Failed|Cancelled)/.test(outcome.text))
      must(
        /had landed|answered 2/.test(outcome.text) ? done : !began,
        `${where} says "${outcome.text}", and the effect is ${done ? '' : 'not '}there`,
      )
    else must(outcome.text.startsWith('OUTCOME UNKNOWN'), `${where} ends with ${outcome.text}`)
  }

  journal(seen, states, [...plans.values()])
}

const at = (value: object, key: string): unknown => (value as Json)[key]

/** Every accepted alert has one thread; nothing is told twice; nothing is told that nobody sent. */
function threads(sent: readonly Sent[], states: readonly State[], slack: readonly LogEntry[]): void {
  const posts = states.filter((s) => s.posted).map((s) => s.card)
  for (const summary of new Set(sent.map((s) => s.summary))) {
    const roots = posts.filter((p) => p.key === 'root' && p.shown.includes(summary))
    const accepted = sent.some((s) => s.summary === summary && s.answer === 200)
    must(roots.length === 1 || (roots.length === 0 && !accepted), `${roots.length} threads of ${summary}`)
  }
  for (const p of posts) {
    const twice = posts.filter((other) => other.incident === p.incident && other.key === p.key)
    must(twice.length === 1, `${p.incident} ${p.key} was posted ${twice.length} times`)
    const known = p.key !== 'root' || /Frozen/.test(p.text) || sent.some((s) => p.shown.includes(s.summary))
    must(known, `a thread that nobody sent an alert for: ${p.text}`)
  }
  const shared = slack.filter((e) => e.name === 'files.completeUploadExternal' && e.response?.ok === true)
  const files = shared.map(
    ({ args = {} }) => `${args.thread_ts} ${JSON.stringify(args.files).replace(/F[A-Z0-9]{10}/, '')}`,
  )
  must(new Set(files).size === files.length, `a file was shared twice: ${files.join(', ')}`)
}

/** A plan as its card showed it. */
type Shown = { incident: string; proposal: string; digest: string; room: string; key: string }

/** Every effect follows a full quorum on exactly its plan, once a grant, not after its end, and alone on its target. */
function effects(seen: Seen, states: readonly State[], clicks: readonly Click[]): Map<string, Shown> {
  const plans = new Map<string, Shown>()
  for (const { card } of states) {
    const button = card.buttons.find((b) => b.action === 'keyturn:approve')
    const key = /idempotency-key: ([0-9a-f]{32})/.exec(card.shown)?.[1]
    if (!button || !key) continue
    const { i, p, d } = button.value as { i: string; p: string; d: string }
    plans.set(`${key} ${d}`, { incident: i, proposal: p, digest: d, room: roomOf(card) ?? '', key })
  }
  for (const change of seen.changes.filter((c) => c.what === 'begun')) {
    const about = [...plans.values()].filter((p) => p.key === change.key && p.room === change.room)
    must(about.length > 0, `an effect on ${change.room} that no card showed`)
    const full = about.filter((plan) => {
      const approvals = clicks.filter(
        (c) =>
          c.digest === plan.digest &&
          c.incident === plan.incident &&
          c.proposal === plan.proposal &&
          c.verdict === 'approve' &&
          c.at <= change.at,
      )
      return new Set(approvals.map((c) => c.user).filter((u) => seen.approvers.includes(u))).size >= seen.quorum
    })
    must(full.length === 1, `an effect on ${change.room} with ${full.length} approved plans`)
    const { incident, proposal } = full[0]!
    const again = seen.changes.filter((c) => c.what === 'begun' && c.key === change.key)
    must(again.length === 1, `${incident} ${proposal} had ${again.length} effects by one grant`)
    const ended = states.find(
      (s) =>
        s.at < change.at &&
        s.card.incident === incident &&
        (s.card.key === `outcome:${proposal}` || (s.card.key === `proposal:${proposal}` && OVER.test(s.card.text))),
    )
    must(!ended, `an effect on ${change.room} after "${ended?.card.text}"`)
    const frozen = seen.freezes.find((f) => change.at > f.from + FREEZE_WITHIN && change.at < f.to)
    must(!frozen, `an effect on ${change.room} ${change.at - (frozen?.from ?? 0)} ms into a freeze`)
  }
  const going = new Set<string>()
  for (const change of seen.changes) {
    if (change.what === 'done') going.delete(change.room)
    else {
      must(!going.has(change.room), `two changes of ${change.room} at once`)
      going.add(change.room)
    }
  }
  return plans
}

/** The journal verifies, also by what the threads show of it, and has everything that happened, in its order. */
function journal({ entries, verified, changes, sent }: Seen, states: readonly State[], plans: readonly Shown[]): void {
  must(verified.code === 0, `the journal does not verify: ${verified.out}`)
  const by = Map.groupBy(entries, (e) => e.incident)
  for (const [id, own] of by) must(verifyChain(id, own) === null, `${id} does not verify`)
  for (const { card } of states) must(by.has(card.incident), `${card.incident} has a message and no journal`)
  const all = JSON.stringify(entries.filter((e) => e.event.type === 'alerts.changed'))
  for (const s of sent.filter((one) => one.answer === 200))
    must(all.includes(s.summary), `${s.summary} was accepted and is in no journal`)

  for (const { incident, proposal, room, key } of plans) {
    const own = (by.get(incident) ?? []).filter(({ event }) => proposalIn(event) === proposal)
    const seq = (type: Entry['event']['type']) => own.filter((e) => e.event.type === type).map((e) => e.seq)
    const [granted, started, begun] = [seq('proposal.granted').at(-1), seq('run.started'), seq('step.started')]
    must(started.length <= 1 && begun.length <= 1, `${incident} ${proposal} started ${started.length} times`)
    const happened = changes.some((c) => c.key === key && c.room === room)
    const inOrder = granted !== undefined && started[0]! > granted && begun[0]! > started[0]!
    must(!happened || inOrder, `${incident} ${proposal} had an effect that its journal does not lead to`)
    const last = own.findLast((e) => e.event.type === 'run.finished')?.event as HappeningOf<'run.finished'> | undefined
    const told = states.findLast((s) => s.card.incident === incident && s.card.key === `outcome:${proposal}`)
    must(
      !last || told?.card.text.toLowerCase().startsWith(last.outcome) === true,
      `${incident} ${proposal} is ${last?.outcome} and tells ${told?.card.text}`,
    )
  }
}

const proposalIn = (event: Entry['event']): string | undefined =>
  event.type === 'proposal.decided'
    ? event.decision.proposal
    : event.type === 'proposal.granted'
      ? event.grant.proposal
      : 'proposal' in event
        ? event.proposal
        : undefined
