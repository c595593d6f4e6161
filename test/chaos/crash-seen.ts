import type { Entry } from '../../src/domain/event.ts'
import type { LogEntry } from '../../src/sandbox/slack/state.ts'
import { type Card, readCard } from './crash-cards.ts'
import type { Change } from './crash-target.ts'

/** A line of the webhook sender's log. `answer` is the HTTP status, 0 for none. */
export type Sent = Readonly<{ at: number; summary: string; status: 'firing' | 'resolved'; answer: number }>

/** What was seen of a run from outside, and the journal as it was exported. */
export type Seen = Readonly<{
  sent: readonly Sent[]
  slack: readonly LogEntry[]
  changes: readonly Change[]
  entries: readonly Entry[]
  /** What `keyturn journal verify` said with the heads that the threads show. */
  verified: Readonly<{ code: number | null; out: string }>
  freezes: readonly Readonly<{ from: number; to: number }>[]
  approvers: readonly string[]
  quorum: number
}>

/** A press of Approve or Reject as the person made it: `at` the press, `accepted` if Slack showed no error. */
export type Click = {
  user: string
  at: number
  accepted: boolean
  verdict: string
  incident: string
  proposal: string
  digest: string
}

/** A message as Slack was shown it at a time; `posted` says that it was new then. */
export type State = { at: number; posted: boolean; card: Card }

/** What Slack was shown, in the order in which it was: every state of every message. */
export function statesOf(slack: readonly LogEntry[]): State[] {
  const states: State[] = []
  for (const { kind, name, at, args = {}, response } of slack) {
    const posted = name === 'chat.postMessage'
    if (kind !== 'call' || response?.ok !== true || !(posted || name === 'chat.update')) continue
    const card = readCard(args, String(args.channel), String(posted ? response.ts : args.ts))
    if (card) states.push({ at, posted, card })
  }
  return states
}

/** The decisions that people submitted in a form. */
export function clicksOf(slack: readonly LogEntry[]): Click[] {
  return slack.flatMap(({ kind, name, status, args, response }) => {
    if (kind !== 'interaction' || name !== 'view_submission') return []
    const { view, user, trigger_id } = args as {
      view: object & { private_metadata?: unknown }
      user: { id: string }
      trigger_id: string
    }
    const state = JSON.parse(String(view.private_metadata)) as Record<string, string>
    if (state.kind !== 'decide') return []
    const { verdict = '', incident = '', proposal = '', digest = '' } = state
    const accepted = status === 200 && response?.response_action !== 'errors'
    return [{ user: user.id, at: Number.parseInt(trigger_id, 10), accepted, verdict, incident, proposal, digest }]
  })
}
