import type { KnownBlock } from '@slack/types'
import { isFreeze } from '../../domain/freeze.ts'
import type { Incident } from '../../domain/incident.ts'
import { isSkippable, isSpare, nextRung } from '../../domain/ladder.ts'
import type { Drawn } from '../show.ts'
import { cut, exact } from '../text.ts'
import { actions, button, facts, header, small } from './blocks.ts'

/** Slack takes 12,000 characters of markdown, and some 13,000 of all text, in one message. */
const PROSE = 9000

/** What the playbook says, with a button for each look and for the next rung of the ladder. */
export function playbookCard(incident: Incident): Drawn[] {
  if (isFreeze(incident)) return []
  if (!incident.playbook) return draft(incident)
  const { intro, steps } = incident.playbook
  const prose = steps.map((s) => `**${s.title}**\n${s.prose}`)
  const text = cut([intro, ...prose].join('\n\n'), PROSE)
  const rung = nextRung(incident)
  const next = rung && !isSpare(incident, rung) ? rung : null
  const on = (step: string) => ({ kind: 'request', incident: incident.id, step }) as const
  // What has been looked at has its button beside what was found.
  const looks = steps.filter((s) => s.call?.effect === 'read' && !Object.hasOwn(incident.evidence, s.id))
  const skip = { kind: 'skip', incident: incident.id, step: next?.id ?? '' } as const
  const rungs = next ? [button(`Plan: ${next.title}`, on(next.id), 'primary')] : []
  if (next && isSkippable(incident, next))
    rungs.push(button(next.call?.rung === 'undoes' ? 'Undone by hand' : 'Not needed', skip))
  const buttons = looks.slice(0, 20).map((s) => button(`Look: ${s.title}`, on(s.id)))
  // A row each: Slack wants the action ids within one row to differ.
  const skipped = steps.flatMap((s) => {
    const said = Object.hasOwn(incident.skipped, s.id) ? incident.skipped[s.id] : undefined
    return said
      ? [
          small(
            `“${cut(exact(s.title), 100)}” ${s.call?.rung === 'undoes' ? 'was done by hand' : 'is not needed'}, said ${cut(exact(said.by.name), 60)}.`,
          ),
        ]
      : []
  })
  const blocks: KnownBlock[] = [
    { type: 'markdown', text: text || '–' },
    ...skipped.slice(0, 5),
    ...(rungs.length > 0 ? [actions(...rungs)] : []),
    ...buttons.map((b) => actions(b)),
  ]
  return [{ key: 'playbook', kind: 'message', thread: true, text: 'What the playbook says', blocks }]
}

/** Without a playbook: the alert's labels, and a file to begin one with. */
function draft(incident: Incident): Drawn[] {
  const alert = Object.values(incident.alerts)[0]
  const labels = Object.entries(alert?.labels ?? {}).slice(0, 20)
  const notes = Object.entries(alert?.annotations ?? {}).slice(0, 10)
  const name = cut((alert?.labels.alertname ?? 'alert').replace(/[^A-Za-z0-9]+/g, '-').toLowerCase(), 60)
  return [
    {
      key: 'playbook',
      kind: 'message',
      thread: true,
      text: 'No playbook matches this alert. Its labels are here',
      blocks: [
        header('No playbook matches this alert'),
        facts([...labels, ...notes].map(([k, v]) => [cut(k, 100), cut(exact(v), 300)])),
      ],
    },
    {
      key: 'draft',
      kind: 'file',
      thread: true,
      text: 'A playbook to begin with: finish it and put it under playbooks/',
      title: `A draft: ${name}.md`,
      filename: `${name}.md`,
      content: skeleton(alert?.labels ?? {}, alert?.annotations ?? {}),
    },
  ]
}

function skeleton(labels: Record<string, string>, annotations: Record<string, string>): string {
  const { alertname, ...others } = labels
  const match = alertname === undefined ? others : { alertname }
  const hints = Object.entries(alertname === undefined ? {} : others).map(
    ([k, v]) => `# also there: ${k}=${JSON.stringify(exact(v))}`,
  )
  return [
    '---',
    `title: ${JSON.stringify(exact(annotations.summary ?? alertname ?? 'What fails, in a few words'))}`,
    `match: ${JSON.stringify(match)}`,
    ...hints.map((h) => h.replace(/\s+/g, ' ')),
    'owner: "@the-team-that-knows"',
    '---',
    'What this alert means, what breaks for whom, and how you notice.',
    '',
    '## Look',
    'What to look at first, and what you expect to see.',
    '',
    '## 1. Recover',
    'What to do, what can go wrong, and when to stop and call somebody.',
    '',
  ].join('\n')
}
