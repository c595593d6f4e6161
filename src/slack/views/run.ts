import type { KnownBlock, PlanBlock, TaskCardBlock } from '@slack/types'
import { type Incident, landedSteps, type Proposal, type Run, stepOf } from '../../domain/incident.ts'
import { isSpare, nextRung } from '../../domain/ladder.ts'
import type { Subject } from '../../domain/plan.ts'
import type { Progress } from '../../domain/ports.ts'
import type { Drawn } from '../show.ts'
import { clean, count, cut, fallback, line, literal, moment, span, user } from '../text.ts'
import { actions, bold, button, fixed, type Level, lines, mono, notice, type Piece, said, small } from './blocks.ts'
import { STATUS } from './proposal.ts'

/** Slack takes 50 tasks in one plan; of a longer run a window is shown, with what is before and after it counted. */
const TASKS = 40

/** A run while it goes on, and how it ended: two messages, so that the end is at the bottom of the thread. */
export function runCards(incident: Incident, p: Proposal, progress: Progress | null): Drawn[] {
  const { run, subject } = p
  if (!run || !subject) return []
  const title = stepOf(incident, p.step)?.title ?? p.step
  const going = p.status === 'running'
  const card: Drawn = {
    key: `run:${p.id}`,
    kind: 'message',
    thread: true,
    text: fallback(`${going ? 'Running' : 'Ran'}: ${title} (${subject.environment})`),
    blocks: [
      tasks(p, run, subject, progress),
      small('Started ', moment(run.startedAt), ' by worker ', mono(run.worker, 100)),
      ...(going && run.cancelledBy
        ? [
            lines([
              user(run.cancelledBy.user, run.cancelledBy.name),
              ' asked to cancel. The step under way may still land.',
            ]),
          ]
        : []),
      ...(going && !run.cancelledBy ? [actions(cancelButton(incident, p))] : []),
    ],
  }
  return going ? [card] : [card, outcome(incident, p, run, subject, title)]
}

const cancelButton = (incident: Incident, p: Proposal) =>
  button(
    'Cancel the run',
    { kind: 'cancel', incident: incident.id, proposal: p.id },
    'danger',
    'No further step starts. The step under way may still land.',
  )

/** The steps as Slack's task list. */
function tasks(p: Proposal, run: Run, { plan, environment }: Subject, progress: Progress | null): PlanBlock {
  const before = new Set(p.resumes?.done ?? [])
  const landed = new Set(landedSteps(p))
  const all = plan.steps.map((s): TaskCardBlock => {
    const record = run.steps[s.id]
    const going = p.status === 'running' && record?.status === 'running'
    const broken = record?.status === 'running' && !going && !landed.has(s.id)
    const status = landed.has(s.id) ? 'complete' : going ? 'in_progress' : broken ? 'error' : 'pending'
    const note = before.has(s.id)
      ? 'done by the run before'
      : going && progress
        ? `${progress.done} of ${progress.total}${progress.note ? `: ${progress.note}` : ''}`
        : record?.doneAt
          ? `took ${span(record.startedAt, record.doneAt)}`
          : ''
    const title = cut(clean(s.title).replace(/\s+/g, ' ').trim(), 200) || s.id
    return { type: 'task_card', task_id: s.id, title, status, ...(note ? { details: lines([cut(note, 200)]) } : {}) }
  })
  const now = all.findIndex((t) => t.status !== 'complete')
  const from = all.length <= TASKS ? 0 : Math.max(0, Math.min((now < 0 ? all.length : now) - 10, all.length - TASKS))
  const rest = (n: number, where: string, status: TaskCardBlock['status']): TaskCardBlock[] =>
    n > 0 ? [{ type: 'task_card', task_id: `…${where}`, title: `${count(n, 'step')} ${where}`, status }] : []
  const word = p.status === 'running' ? 'Running' : STATUS[p.status]
  return {
    type: 'plan',
    title: `${word} in ${cut(clean(environment), 100)}: ${count(landed.size, 'step')} of ${plan.steps.length} done`,
    tasks: [
      ...rest(from, 'before these', 'complete'),
      ...all.slice(from, from + TASKS),
      ...rest(all.length - from - TASKS, 'after these', 'pending'),
    ],
  }
}

const LEVEL: Partial<Record<Proposal['status'], Level>> = {
  succeeded: 'success',
  cancelled: 'warning',
  settled: 'info',
}

function outcome(incident: Incident, p: Proposal, run: Run, subject: Subject, title: string): Drawn {
  const unknown = p.status === 'unknown' || p.status === 'settled'
  const unchecked = p.status === 'succeeded' && run.checks.length === 0
  const level = unchecked ? 'warning' : (LEVEL[p.status] ?? 'error')
  const words = unknown ? 'OUTCOME UNKNOWN' : STATUS[p.status]
  const blocks: KnownBlock[] = [
    notice(level, `${words}: ${title} in ${subject.environment}`),
    said(run.message, 1500),
    ...(run.checks.length > 0 ? [lines(...run.checks.slice(0, 20).map(checkLine))] : []),
    ...(run.findings.length > 0 ? [fixed(run.findings.map((f) => findingLine(f, subject)).join('\n'))] : []),
    ...(p.status === 'unknown' ? choices(incident, p, subject) : []),
    ...(run.settled ? [settledLine(run.settled)] : []),
    ...spare(incident, p),
    ...(run.endedAt ? [small(`Took ${span(run.startedAt, run.endedAt)}. `, ...recorded(run))] : []),
    ...(run.endedAt && p.status !== 'unknown' ? noted(incident, p, run, subject, title) : []),
  ]
  const text = fallback(`${words}: ${title} (${subject.environment}). ${run.message}`)
  return { key: `outcome:${p.id}`, kind: 'message', thread: true, text, blocks }
}

/** What became of it in one line, for the owner to copy into the playbook. */
function noted({ playbook }: Incident, p: Proposal, run: Run, { environment }: Subject, title: string): KnownBlock[] {
  if (!playbook) return []
  const took = span(run.startedAt, run.endedAt!)
  const end = run.settled
    ? `unknown after ${took}, then settled as “${CHOICE[run.settled.choice]}”`
    : `${p.status} in ${took}`
  const good = run.checks.filter((c) => c.ok).length
  const checks = run.checks.length > 0 ? `, ${good} of ${count(run.checks.length, 'check')} good` : ''
  const who = p.decisions.map((d) => (d.reason ? `${d.name} (${d.reason})` : d.name)).join(', ')
  const text = `- ${run.startedAt.slice(0, 10)}, ${environment}: ${title}: ${end}${checks}, approved by ${who}`
  return [lines(['For the owner to fold into ', mono(`${playbook.id}.md`, 200), ':']), fixed(line(text), 700)]
}

/** The checks are good, but only a person sees whether it helped: the rung for that is offered here. */
function spare(incident: Incident, p: Proposal): KnownBlock[] {
  const next = nextRung(incident)
  if (p !== incident.proposals.at(-1) || !next || !isSpare(incident, next)) return []
  const press = { kind: 'request', incident: incident.id, step: next.id } as const
  return [actions(button(`It did not help. Plan: ${next.title}`, press))]
}

const recorded = ({ entry }: Run): Piece[] =>
  entry ? [`Recorded as entry ${entry.seq} of the journal, `, mono(entry.hash)] : []

const checkLine = (c: Run['checks'][number]): Piece[] => [
  `${c.ok ? '✓' : '✗'} `,
  bold(c.title, 200),
  ...(c.detail ? [`  ${cut(c.detail, 300)}`] : []),
]

const findingLine = (f: Run['findings'][number], { plan }: Subject): string =>
  `${cut(line(plan.steps.find((s) => s.id === f.step)?.title ?? f.step), 200)}: ${{ yes: 'it landed', no: 'it did not land', cannot_tell: 'cannot tell whether it landed' }[f.landed]}. ${cut(f.detail, 300)}`

function choices(incident: Incident, p: Proposal, { plan }: Subject): KnownBlock[] {
  const on = { kind: 'settle', incident: incident.id, proposal: p.id } as const
  const landed = landedSteps(p)
  const next = plan.steps.find((s) => !landed.includes(s.id))
  const resume = next ? [button(`Resume from: ${next.title}`, { ...on, choice: 'resume' }, 'primary')] : []
  return [
    said('Nothing goes on by itself, and the target stays locked, until somebody who may approve looks and chooses.'),
    actions(
      button('It is done', { ...on, choice: 'done' }),
      ...resume,
      button('Abandon', { ...on, choice: 'abandon' }, 'danger'),
    ),
  ]
}

const CHOICE = { done: 'It is done', resume: 'Resume', abandon: 'Abandon' }
const settledLine = (s: NonNullable<Run['settled']>): KnownBlock =>
  lines([
    user(s.by.user, s.by.name),
    ' chose ',
    bold(CHOICE[s.choice]),
    ' ',
    moment(s.at),
    ': ',
    literal(cut(s.reason, 300), { italic: true }),
  ])
