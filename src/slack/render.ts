import type { KnownBlock } from '@slack/types'
import { type EvidenceRecord, type Incident, nextRung, type Proposal } from '../domain/incident.ts'
import type { ViewContext } from './app.ts'
import type { Drawn } from './show.ts'
import { code, count, cut, date, fallback, webUrl } from './text.ts'
import { actions, button, evidenceBlock, facts, header, marked, said, small } from './views/blocks.ts'
import { approverMentions, proposalCard, runCard } from './views/proposal.ts'

/** An incident as its thread should be, in order: the root first, then the story. Depends on nothing but its arguments. */
export function render(incident: Incident, context: ViewContext): Drawn[] {
  const story: { at: string; drawn: Drawn[] }[] = [
    ...Object.values(incident.evidence).map((e) => ({ at: e.requestedAt, drawn: [evidence(incident, e)] })),
    ...incident.proposals.flatMap((p) => [
      { at: p.requestedAt, drawn: proposalCard(incident, p, context.policy) },
      ...(p.run ? [{ at: p.run.startedAt, drawn: runCard(incident, p, context.progress[p.id] ?? null) }] : []),
      ...(p.reminded && p.plannedAt ? [{ at: p.plannedAt, drawn: [reminder(incident, p, context)] }] : []),
    ]),
  ]
  // Asked for at the same moment, evidence comes first.
  const told = story.map((s, i) => ({ ...s, i })).sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : a.i - b.i))
  return [root(incident, context), playbook(incident), ...told.flatMap((s) => s.drawn), ...ending(incident)]
}

const message = (key: string, text: string, blocks: KnownBlock[]): Drawn => ({
  key,
  kind: 'message',
  thread: key !== 'root',
  text: fallback(text),
  blocks,
})

/** In words, what this waits for. */
export function status(incident: Incident): { words: string; level: 'error' | 'warning' | 'info' | 'success' } {
  const has = (...of: Proposal['status'][]) => incident.proposals.some((p) => of.includes(p.status))
  if (has('unknown')) return { words: 'OUTCOME UNKNOWN: a person must look', level: 'error' }
  if (has('running')) return { words: 'a recovery is running', level: 'info' }
  if (has('granted')) return { words: 'approved, waiting for a worker', level: 'info' }
  if (incident.resolvedAt) return { words: 'resolved', level: 'success' }
  if (has('open')) return { words: 'firing, waiting for a decision', level: 'warning' }
  return { words: 'firing', level: 'error' }
}

function root(incident: Incident, { playbookUrl }: ViewContext): Drawn {
  const now = status(incident)
  const alerts = Object.values(incident.alerts)
  const firing = alerts.filter((a) => a.status === 'firing').length
  const environments = [...new Set(incident.proposals.flatMap((p) => p.subject?.environment ?? []))]
  const url = incident.playbook && playbookUrl(incident.playbook.id)
  const summary = alerts.map((a) => a.annotations.summary ?? a.annotations.description).find((s) => s)
  const links = alerts
    .flatMap((a) => a.links)
    .flatMap((l) => (webUrl(l.url) ? [`<${webUrl(l.url)}|${l.title.replace(/[^\w ]/g, '')}>`] : []))
  const truncated = incident.truncated > 0 ? ` (the source left out ${incident.truncated} more)` : ''
  const blocks: KnownBlock[] = [
    { type: 'alert', level: now.level, text: { type: 'plain_text', text: `${now.words}`, emoji: false } } as KnownBlock,
    header(incident.title),
    ...(summary ? [said(summary, 1000)] : []),
    facts([
      ['Severity', incident.severity],
      ...(environments.length > 0 ? [['Environment', environments.join(', ')] as const] : []),
      ['Alerts', `${firing} firing of ${alerts.length}${truncated}`],
      ['Owner', incident.playbook?.owner ?? 'nobody is named'],
    ]),
    marked(
      incident.playbook
        ? `*Playbook*  ${url ? `<${url}|${incident.playbook.id}>` : code(incident.playbook.id)}  ·  opened ${date(incident.openedAt, '{ago}')}`
        : `*No playbook matches this alert.* Write one: a markdown file under \`playbooks/\` whose \`match\` names its labels.  ·  opened ${date(incident.openedAt, '{ago}')}`,
    ),
    small([`incident \`${incident.id}\``, ...new Set(links)].slice(0, 8).join('  ·  ')),
  ]
  return message('root', `${incident.title}: ${now.words}. ${summary ?? ''}`, blocks)
}

function playbook(incident: Incident): Drawn {
  if (!incident.playbook) {
    const labels = Object.entries(Object.values(incident.alerts)[0]?.labels ?? {}).slice(0, 20)
    return message('playbook', 'The labels of the alert', [facts(labels)])
  }
  const { intro, steps } = incident.playbook
  const prose = steps.map((s) => `**${s.title}**\n${s.prose}`)
  const blocks: KnownBlock[] = [{ type: 'markdown', text: cut([intro, ...prose].join('\n\n'), 9000) || '–' }]
  const reads = steps.filter((s) => s.call?.effect === 'read').slice(0, 3)
  const next = nextRung(incident)
  const on = (id: string) => ({ kind: 'request', incident: incident.id, step: id }) as const
  const buttons = [
    ...(next ? [button(`Plan: ${next.title}`, on(next.id), 'primary')] : []),
    ...reads.map((s) => button(`Look: ${s.title}`, on(s.id))),
  ]
  if (buttons.length > 0) blocks.push(actions(...buttons))
  return message('playbook', 'What the playbook says', blocks)
}

function evidence(incident: Incident, record: EvidenceRecord): Drawn {
  const title = incident.playbook?.steps.find((s) => s.id === record.step)?.title ?? record.step
  const key = `evidence:${record.step}`
  const { result } = record
  if (!result) return message(key, `${title}: looking…`, [header(title), said('Looking…')])
  if (result.status === 'failed')
    return message(key, `${title}: could not be read`, [header(title), said(`Could not be read: ${result.error}`)])
  const blocks = result.evidence.blocks.slice(0, 6).map(evidenceBlock)
  const when = small(`read ${date(result.at)}`)
  return message(key, `${title}: ${result.evidence.summary}`, [
    header(title),
    said(result.evidence.summary),
    ...blocks,
    when,
  ])
}

function reminder(incident: Incident, p: Proposal, { policy }: ViewContext): Drawn {
  return message(`note:remind:${p.id}:${p.voided}`, 'Still waiting for a decision', [
    marked(`Still waiting for a decision: ${approverMentions(policy, incident)}`),
  ])
}

function ending(incident: Incident): Drawn[] {
  if (!incident.resolvedAt) return []
  const n = Object.keys(incident.alerts).length
  const text = `Resolved: ${n === 1 ? 'the alert does' : `all ${count(n, 'alert')} do`} not fire any more.`
  return [message(`note:resolved:${incident.resolvedAt}`, text, [marked(`${text} ${date(incident.resolvedAt)}`)])]
}
