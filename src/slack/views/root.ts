import type { KnownBlock } from '@slack/types'
import { freezeSentence, isFreeze } from '../../domain/freeze.ts'
import { type Incident, type Proposal, proposalsOf, remarksOf, stepOf } from '../../domain/incident.ts'
import { changesOf, nextRung, owedUndo } from '../../domain/ladder.ts'
import type { ViewContext } from '../app.ts'
import type { Drawn } from '../show.ts'
import { cut, fallback, line, link, moment, webUrl } from '../text.ts'
import { bold, facts, header, type Level, lines, mono, notice, type Piece, said, small } from './blocks.ts'

/** A freeze has a thread of its own. */
function freezeStatus(incident: Incident): Status {
  return incident.resolvedAt
    ? { words: 'the freeze is lifted', level: 'success', next: '' }
    : { words: 'FROZEN', level: 'error', next: 'lift it in the Home tab or with keyturn thaw, once it is safe' }
}

/** Ends of a proposal that say nothing about whether its step is the right one. */
const UNANSWERED: readonly Proposal['status'][] = ['withdrawn', 'expired', 'plan_failed']

type Status = { words: string; level: Level; next: string }

/** In words, how an incident stands, and what it waits for. */
export function status(incident: Incident): Status {
  if (isFreeze(incident)) return freezeStatus(incident)
  const first = (...of: Proposal['status'][]) => incident.proposals.find((p) => of.includes(p.status))
  const titled = (p: Proposal) => `“${stepOf(incident, p.step)?.title ?? p.step}”`
  const unknown = first('unknown')
  if (unknown)
    return {
      words: 'OUTCOME UNKNOWN',
      level: 'error',
      next: `look what ${titled(unknown)} left behind, and choose in the thread`,
    }
  const running = first('running')
  if (running)
    return {
      words: 'a recovery is running',
      level: 'info',
      next: `wait for ${titled(running)}; the thread can cancel it`,
    }
  const granted = first('granted')
  if (granted)
    return { words: 'approved, waiting for a worker', level: 'info', next: `wait for ${titled(granted)} to start` }
  const owed = owedUndo(incident)
  if (incident.resolvedAt && owed)
    return {
      words: 'resolved, but something is still to be undone',
      level: 'warning',
      next: `ask for “${owed.step.title}” in the thread, once it is time`,
    }
  if (incident.resolvedAt) return { words: 'resolved', level: 'success', next: '' }
  const open = first('open')
  if (open)
    return {
      words: 'firing, waiting for a decision',
      level: 'warning',
      next: `decide on ${titled(open)} in the thread`,
    }
  const planning = first('planning')
  if (planning) return { words: 'firing', level: 'error', next: `wait for the plan of ${titled(planning)}` }
  const rung = nextRung(incident)
  const last = incident.proposals.at(-1)
  if (last?.status === 'succeeded')
    return {
      words: 'firing, though a recovery succeeded',
      level: 'warning',
      next: `see whether the alert resolves now${rung ? `; if not, ask for “${rung.title}” in the thread` : ''}`,
    }
  if (rung)
    return { words: 'firing', level: 'error', next: `read the evidence, then ask for “${rung.title}” in the thread` }
  const again = changesOf(incident)
    .map((step) => proposalsOf(incident, step.id).at(-1))
    .find((p) => p && (UNANSWERED.includes(p.status) || (p.status === 'refused' && p.window !== null)))
  if (again) return { words: 'firing', level: 'error', next: `plan ${titled(again)} again in the thread` }
  const owner = incident.playbook?.owner
  const changes = changesOf(incident).length > 0
  if (owner && !changes)
    return { words: 'firing', level: 'error', next: `it is handed over to ${owner}, with the evidence in the thread` }
  return {
    words: 'firing',
    level: 'error',
    next: owner
      ? `the playbook has nothing further to offer; its owner is ${owner}`
      : 'look yourself: nothing is written for this alert',
  }
}

/** Remarks about what was sent that are shown; those on its alerts are as good as alike. */
const REMARKS = 3

/** The message in the channel: the state at a glance. */
export function rootCard(
  incident: Incident,
  { playbookUrl, frozen }: Pick<ViewContext, 'playbookUrl' | 'frozen'>,
): Drawn {
  const now = status(incident)
  const alerts = Object.values(incident.alerts)
  const firing = alerts.filter((a) => a.status === 'firing').length
  const environments = [...new Set(incident.proposals.flatMap((p) => p.subject?.environment ?? []))]
  const summary = alerts.map((a) => a.annotations.summary ?? a.annotations.description).find((s) => s)
  const { playbook } = incident
  const truncated = incident.truncated > 0 ? `; the source left out ${incident.truncated} more` : ''
  const blocks: KnownBlock[] = [
    ...(frozen && !isFreeze(incident) && !incident.resolvedAt ? [notice('error', freezeSentence(frozen))] : []),
    notice(now.level, now.words),
    header(incident.title),
    ...(summary ? [said(summary, 1000)] : []),
    ...(now.next ? [facts([['Next', now.next]])] : []),
    ...(isFreeze(incident)
      ? []
      : [
          facts([
            ['Severity', bold(incident.severity)],
            ...(environments.length > 0 ? [['Environment', bold(environments.join(', '))] as const] : []),
            ['Alerts', `${firing} firing of ${alerts.length}${truncated}`],
            ['Owner', playbook?.owner ?? 'nobody is named'],
            [
              'Playbook',
              playbook ? link(playbookUrl(playbook.id), playbook.id) : 'none matches; a draft is in the thread',
            ],
            ...remarksOf(incident)
              .slice(0, REMARKS)
              .map((remark) => ['Note', cut(line(remark), 300)] as const),
          ]),
        ]),
    lines(age(incident)),
    small(...links(incident), 'incident ', mono(incident.id)),
  ]
  return {
    key: 'root',
    kind: 'message',
    thread: false,
    text: fallback(`${incident.title}: ${now.words}. ${summary ?? ''}`),
    blocks,
  }
}

const age = ({ openedAt, reopenedAt, resolvedAt }: Incident): Piece[] => [
  'Opened ',
  moment(openedAt, '{ago}'),
  ...(reopenedAt ? [', again ', moment(reopenedAt, '{ago}')] : []),
  ...(resolvedAt ? [', resolved ', moment(resolvedAt, '{ago}')] : []),
]

/** The sender's own pages, with their host, so that none looks like another. */
const links = (incident: Incident): Piece[] => {
  const all = Object.values(incident.alerts).flatMap((a) => a.links)
  return [...new Map(all.map((l) => [l.url, l.title]))]
    .flatMap(([given, title]): Piece[] => {
      const url = webUrl(given)
      return url ? [link(url, `${cut(title, 60)} (${cut(new URL(url).host, 80)})`), '  ·  '] : []
    })
    .slice(0, 10)
}
