import type { KnownBlock } from '@slack/types'
import { landedSteps } from '../../domain/decide.ts'
import { type Incident, type Proposal, riskOf, stepOf } from '../../domain/incident.ts'
import { shortDigest } from '../../domain/plan.ts'
import { approverNames, type Policy, requirement } from '../../domain/policy.ts'
import type { Progress } from '../../domain/ports.ts'
import type { Drawn } from '../show.ts'
import { code, count, date, fallback, span } from '../text.ts'
import { actions, button, facts, fixed, header, marked, said, small } from './blocks.ts'

/** Longer plans are summed up on the card, and go along whole as a file. */
const SHORT = { targets: 8, steps: 10, detail: 2200 }

/** The whole plan as text, in the order in which it runs. */
export function planText({ subject, digest }: Proposal): string {
  if (!subject) return ''
  const { plan } = subject
  const targets = plan.targets.map((t) =>
    [`- ${t.name} (${t.id})`, ...Object.entries(t.details).map(([k, v]) => `    ${k}: ${v}`)].join('\n'),
  )
  const steps = plan.steps.map(
    (s, i) => `${i + 1}. ${s.title}${s.detail ? `\n    ${s.detail.replaceAll('\n', '\n    ')}` : ''}`,
  )
  return [plan.summary, `digest ${digest}`, 'Targets', ...targets, 'Steps', ...steps].join('\n')
}

const isLong = (p: Proposal): boolean =>
  p.subject !== null &&
  (p.subject.plan.targets.length > SHORT.targets ||
    p.subject.plan.steps.length > SHORT.steps ||
    planText(p).length > SHORT.detail)

/** Who may approve, as mentions made from the configuration's ids. */
export function approverMentions(policy: Policy, incident: Incident): string {
  const lists = approverNames(policy, incident.playbook).flatMap((n) => policy.approvers[n] ?? [])
  const mentions = lists.flatMap((l) => [
    ...l.usergroups.map((g) => `<!subteam^${g}>`),
    ...l.users.map((u) => `<@${u}>`),
    ...l.oncall.map((r) => `on call: ${code(r)}`),
  ])
  return [...new Set(mentions)].join(' ') || 'nobody (no approver is configured)'
}

function planBlocks(p: Proposal): KnownBlock[] {
  const { subject } = p
  if (!subject) return []
  const { plan } = subject
  const long = isLong(p)
  const body = long
    ? [
        said(
          `${count(plan.targets.length, 'target')}, ${count(plan.steps.length, 'step')}. The whole plan is the file below this message.`,
        ),
        fixed(
          plan.targets
            .slice(0, 5)
            .map((t) => `${t.name}`)
            .concat(plan.targets.length > 5 ? [`… and ${plan.targets.length - 5} more`] : [])
            .join('\n'),
        ),
      ]
    : [
        fixed(
          plan.targets
            .map((t) => [t.name, ...Object.entries(t.details).map(([k, v]) => `  ${k}: ${v}`)].join('\n'))
            .join('\n'),
        ),
        fixed(plan.steps.map((s, i) => `${i + 1}. ${s.title}${s.detail ? `\n   ${s.detail}` : ''}`).join('\n')),
      ]
  const params = Object.entries(subject.params).map(
    ([k, v]) => [k, typeof v === 'string' ? v : JSON.stringify(v)] as const,
  )
  return [
    facts([['Command', subject.command.id], ['Environment', subject.environment], ...params.slice(0, 12)]),
    said(plan.summary),
    ...body,
    ...plan.warnings.slice(0, 5).map((w) => said(`⚠ ${w}`, 600)),
    ...(subject.resumes
      ? [
          said(
            `Continues ${subject.resumes.proposal}. Not done again: ${subject.resumes.done.join(', ') || 'nothing'}.`,
          ),
        ]
      : []),
  ]
}

const STATUS: Record<Proposal['status'], string> = {
  planning: 'Making the plan…',
  refused: 'Refused: nothing will run',
  plan_failed: 'The plan could not be made',
  open: 'Waiting for a decision',
  rejected: 'Rejected',
  expired: 'Expired: nobody decided in time, nothing has run',
  withdrawn: 'Withdrawn',
  granted: 'Approved: waiting for a worker',
  running: 'Running',
  succeeded: 'Succeeded',
  failed: 'Failed',
  cancelled: 'Cancelled',
  unknown: 'OUTCOME UNKNOWN',
  settled: 'Settled by a person',
}

/** The card that a person decides on. */
export function proposalCard(incident: Incident, p: Proposal, policy: Policy): Drawn[] {
  const step = stepOf(incident, p.step)
  const title = step?.title ?? p.step
  const environment = p.subject?.environment ?? 'unknown'
  const risk = riskOf(incident, p)
  const need = requirement(policy, risk)
  const blocks: KnownBlock[] = [header(title)]
  const status = `*${STATUS[p.status]}*  ·  risk *${risk}*  ·  needs ${count(need.quorum, 'approval')}${need.reason ? ' with a reason' : ''}`
  blocks.push(marked(p.digest ? `${status}  ·  plan \`${shortDigest(p.digest)}\`` : status))
  if (p.note)
    blocks.push(
      said(p.voided > 0 && p.status === 'open' ? `${p.note} Earlier approvals do not count any more.` : p.note),
    )
  blocks.push(...planBlocks(p))
  for (const d of p.decisions.slice(0, 10))
    blocks.push(
      marked(
        `${d.verdict === 'approve' ? '✓ Approved' : '✗ Rejected'} by <@${d.user}> ${date(d.at)}${d.reason ? `: ${code(d.reason, 300)}` : ''}`,
      ),
    )
  const { id } = incident
  const again =
    step && incident.resolvedAt === null
      ? [actions(button('Plan again', { kind: 'request', incident: id, step: step.id }))]
      : []
  if (p.status === 'open' && p.digest && p.plannedAt) {
    const until = new Date(Date.parse(p.plannedAt) + policy.proposalMinutes * 60_000).toISOString()
    blocks.push(small(`May decide: ${approverMentions(policy, incident)}  ·  expires ${date(until)}`))
    const on = { kind: 'decide', incident: id, proposal: p.id, digest: p.digest } as const
    const confirm = risk === 'high' ? `This is high risk and runs in ${environment}.` : undefined
    blocks.push(
      actions(
        button(
          `Approve in ${environment}`,
          { ...on, verdict: 'approve' },
          risk === 'high' ? 'danger' : 'primary',
          confirm,
        ),
        button('Reject', { ...on, verdict: 'reject' }),
      ),
    )
  } else if (['refused', 'plan_failed', 'rejected', 'expired', 'withdrawn'].includes(p.status)) blocks.push(...again)
  const text = fallback(`${STATUS[p.status]}: ${title} (${environment}). ${p.subject?.plan.summary ?? p.note}`)
  const card: Drawn = { key: `proposal:${p.id}`, kind: 'message', thread: true, text, blocks }
  if (!isLong(p) || !p.digest) return [card]
  const name = shortDigest(p.digest)
  const file = {
    key: `plan-file:${p.id}:${name}`,
    kind: 'file',
    thread: true,
    text: 'The whole plan',
    title: `Plan ${name}`,
  } as const
  return [card, { ...file, filename: `plan-${id}-${p.id}-${name}.txt`, content: planText(p) }]
}

/** A run while it goes on, and how it ended. */
export function runCard(incident: Incident, p: Proposal, progress: Progress | null): Drawn[] {
  const { run, subject } = p
  if (!run || !subject) return []
  const on = { incident: incident.id, proposal: p.id } as const
  const steps = subject.plan.steps.map((s) => {
    const record = run.steps[s.id]
    const skipped = p.resumes?.done.includes(s.id)
    const state = skipped || record?.status === 'done' ? '✓' : record ? (p.status === 'running' ? '▶' : '✗') : '·'
    return `${state} ${s.title}${skipped ? ' (done before)' : ''}`
  })
  const blocks: KnownBlock[] = [
    marked(`*Run in ${code(subject.environment)}* by ${code(run.worker, 60)}, started ${date(run.startedAt)}`),
  ]
  blocks.push(fixed(steps.join('\n')))
  if (p.status === 'running') {
    if (progress) blocks.push(said(`${progress.done} of ${progress.total} ${progress.note}`))
    if (run.cancelledBy) blocks.push(marked(`<@${run.cancelledBy.user}> asked to cancel.`))
    else
      blocks.push(
        actions(button('Cancel the run', { kind: 'cancel', ...on }, 'danger', 'The step under way may still land.')),
      )
  }
  const drawn: Drawn[] = [
    {
      key: `run:${p.id}`,
      kind: 'message',
      thread: true,
      text: fallback(`Run of ${p.step}: ${STATUS[p.status]}`),
      blocks,
    },
  ]
  if (p.status === 'running') return drawn
  const unknown = p.status === 'unknown' || p.status === 'settled'
  const end: KnownBlock[] = [header(unknown ? 'OUTCOME UNKNOWN' : STATUS[p.status]), said(run.message)]
  if (run.checks.length > 0)
    end.push(
      fixed(run.checks.map((c) => `${c.ok ? '✓' : '✗'} ${c.title}${c.detail ? `: ${c.detail}` : ''}`).join('\n')),
    )
  if (run.findings.length > 0)
    end.push(fixed(run.findings.map((f) => `${f.step}: landed? ${f.landed.replace('_', ' ')}. ${f.detail}`).join('\n')))
  if (p.status === 'unknown') {
    const left = subject.plan.steps.find((s) => !landedSteps(p).includes(s.id))
    end.push(said('The target stays locked until somebody who may approve chooses.'))
    end.push(
      actions(
        button('It is done', { kind: 'settle', choice: 'done', ...on }),
        button(`Resume from: ${left?.title ?? 'the end'}`, { kind: 'settle', choice: 'resume', ...on }, 'primary'),
        button('Abandon', { kind: 'settle', choice: 'abandon', ...on }, 'danger'),
      ),
    )
  }
  if (run.settled)
    end.push(
      marked(
        `<@${run.settled.by.user}> chose *${run.settled.choice}* ${date(run.settled.at)}: ${code(run.settled.reason, 300)}`,
      ),
    )
  if (run.endedAt) end.push(small(`took ${span(run.startedAt, run.endedAt)}`))
  const text = fallback(`${unknown ? 'OUTCOME UNKNOWN' : STATUS[p.status]}: ${p.step}. ${run.message}`)
  return [...drawn, { key: `outcome:${p.id}`, kind: 'message', thread: true, text, blocks: end }]
}
