import type { KnownBlock } from '@slack/types'
import { BREAK_GLASS } from '../../domain/grant.ts'
import { type Incident, type Proposal, riskOf, stepOf } from '../../domain/incident.ts'
import { nextRung } from '../../domain/ladder.ts'
import { shortDigest } from '../../domain/plan.ts'
import { approverNames, type Policy, requirement } from '../../domain/policy.ts'
import type { ViewContext } from '../app.ts'
import type { Drawn } from '../show.ts'
import { count, cut, fallback, literal, moment, user, usergroup } from '../text.ts'
import { actions, bold, button, facts, fixed, header, lines, notice, type Piece, small } from './blocks.ts'
import { difference, isLong, planBlocks, planText } from './plan.ts'

/** What a proposal's state is called, everywhere. */
export const STATUS: Record<Proposal['status'], string> = {
  planning: 'Making the plan…',
  refused: 'Refused: nothing will run',
  plan_failed: 'The plan could not be made',
  open: 'Waiting for a decision',
  rejected: 'Rejected: nothing will run',
  expired: 'Expired: nobody decided in time, nothing has run',
  withdrawn: 'Withdrawn: nothing has run',
  granted: 'Approved: waiting for a worker',
  running: 'Running',
  succeeded: 'Succeeded',
  failed: 'Failed',
  cancelled: 'Cancelled',
  unknown: 'OUTCOME UNKNOWN',
  settled: 'Settled by a person',
}
/** What comes before the title in a notification. */
const brief = (status: Proposal['status']) => STATUS[status].replace(/:.*|…$/, '')
const OVER = ['refused', 'plan_failed', 'rejected', 'expired', 'withdrawn']

/** Who may approve, as mentions made from the configuration's ids. */
export function approverMentions(policy: Policy, incident: Incident): Piece[] {
  const lists = approverNames(policy, incident.playbook).flatMap((n) =>
    Object.hasOwn(policy.approvers, n) ? policy.approvers[n]! : [],
  )
  const ids = <T>(pick: (list: (typeof lists)[number]) => readonly T[]) => [...new Set(lists.flatMap(pick))]
  const mentions: Piece[] = [
    ...ids((l) => l.usergroups).map(usergroup),
    ...ids((l) => l.users).map((u) => user(u)),
    ...ids((l) => l.oncall).map((r) => `on call for ${r}`),
  ]
  if (mentions.length === 0) return ['nobody: no approver is configured']
  return mentions.flatMap((m, i) => (i > 0 ? [', ', m] : [m]))
}

const asks = (policy: Policy, incident: Incident, p: Proposal): string => {
  const risk = riskOf(incident, p)
  const need = requirement(policy, risk)
  const who = need.quorum > 1 ? ' of different people' : ''
  return `${risk}: ${count(need.quorum, 'approval')}${who}${need.reason ? ', with a reason' : ''}`
}

/** The card that a person decides on, and the file with the plan when it is too long for the card. */
export function proposalCard(
  incident: Incident,
  p: Proposal,
  { policy, frozen }: Pick<ViewContext, 'policy' | 'frozen'>,
): Drawn[] {
  const title = stepOf(incident, p.step)?.title ?? p.step
  const moved = p.voided > 0 && p.status === 'open'
  const blocks: KnownBlock[] = [
    header(title),
    ...(moved
      ? [notice('warning', `${p.note} Approvals given before do not count any more.`)]
      : OVER.includes(p.status)
        ? [notice(p.status === 'plan_failed' ? 'error' : 'warning', `${STATUS[p.status]}. ${p.note}`.trim())]
        : [lines([bold(STATUS[p.status])])]),
    ...(p.override !== null && p.status === 'open' ? [notice('warning', `This overrides “${p.override}”.`)] : []),
    ...(moved && p.previous && p.subject ? [fixed(difference(p.previous, p.subject))] : []),
    ...planBlocks(p),
    facts([
      ['Risk', asks(policy, incident, p)],
      ...(p.digest ? [['Plan', literal(shortDigest(p.digest), { code: true })] as const] : []),
      ...(p.requestedBy ? [['Asked for by', user(p.requestedBy.user, p.requestedBy.name)] as const] : []),
    ]),
    ...(p.decisions.length > 0 ? [lines(...p.decisions.slice(0, 10).map(decisionLine))] : []),
    ...buttons(incident, p, policy, frozen === null),
  ]
  const where = p.subject ? ` (${p.subject.environment})` : ''
  const text = fallback(`${brief(p.status)}: ${title}${where}. ${p.subject?.plan.summary ?? p.note}`)
  const card: Drawn = { key: `proposal:${p.id}`, kind: 'message', thread: true, text, blocks }
  if (!p.subject || !p.digest || !isLong(p)) return [card]
  const name = shortDigest(p.digest)
  const file: Drawn = {
    key: `plan-file:${p.id}:${name}`,
    kind: 'file',
    thread: true,
    text: `The whole plan ${name}`,
    title: `Plan ${name}`,
    filename: `plan-${incident.id}-${p.id}-${name}.txt`,
    content: planText(p.subject, p.digest),
  }
  return [card, file]
}

const decisionLine = (d: Proposal['decisions'][number]): Piece[] => [
  d.verdict === 'approve' ? '✓ Approved by ' : '✗ Rejected by ',
  user(d.user, d.name),
  d.via.includes(BREAK_GLASS) ? ' at a terminal ' : ' ',
  moment(d.at),
  ...(d.reason ? [': ', literal(cut(d.reason, 300), { italic: true })] : []),
]

/** Parts of the plan can be left out, which takes another plan. */
const narrower = (incident: string, { id, digest, subject }: Proposal) =>
  digest && (subject?.plan.leaveOut?.names.length ?? 0) > 1
    ? [button('Leave some out', { kind: 'narrow', incident, proposal: id, digest })]
    : []

function buttons(incident: Incident, p: Proposal, policy: Policy, warm: boolean): KnownBlock[] {
  const on = { incident: incident.id }
  if (p.status === 'open' && p.digest && p.plannedAt) {
    const until = new Date(Date.parse(p.plannedAt) + policy.proposalMinutes * 60_000).toISOString()
    const decide = { kind: 'decide', ...on, proposal: p.id, digest: p.digest } as const
    const environment = p.subject?.environment ?? 'unknown'
    const high = riskOf(incident, p) === 'high'
    const confirm = high ? `This is high risk and runs in ${environment}.` : undefined
    const approve = button(
      `Approve in ${environment}`,
      { ...decide, verdict: 'approve' },
      high ? 'danger' : 'primary',
      confirm,
    )
    return [
      small('May decide: ', ...approverMentions(policy, incident), '. Expires ', moment(until), '.'),
      ...(warm ? [] : [notice('error', 'Everything is frozen: nobody can approve now.')]),
      actions(
        ...(warm ? [approve] : []),
        button('Reject', { ...decide, verdict: 'reject' }),
        ...narrower(on.incident, p),
      ),
    ]
  }
  const wanted = incident.resolvedAt === null || nextRung(incident)?.id === p.step
  const again = OVER.includes(p.status) && wanted && stepOf(incident, p.step)
  if (!again) return []
  const ask = { kind: 'request', ...on, step: p.step } as const
  const override =
    p.window === null
      ? []
      : [
          button(
            `Override “${p.window}”`,
            { ...ask, override: p.window },
            'danger',
            'It is planned in spite of that. Two approvers, each with a reason, must agree before it runs.',
          ),
        ]
  return [actions(button('Plan again', ask), ...override)]
}
