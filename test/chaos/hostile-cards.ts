import type { Happening } from '../../src/domain/event.ts'
import { refuseBlocks, refuseView } from '../../src/sandbox/slack/blocks.ts'
import { pingsOf } from '../../src/sandbox/slack/pings.ts'
import { fitBlocks } from '../../src/slack/limits.ts'
import { render } from '../../src/slack/render.ts'
import { webUrl } from '../../src/slack/text.ts'
import { home } from '../../src/slack/views/home.ts'
import { alertOf, context, incidentOf, STATES, type subjectOf } from '../slack/cards.ts'
import { text } from './mutate.ts'
import { randomOf } from './scheduler.ts'
import { Violation } from './violation.ts'

/** What our templates link and mention themselves, in the states of test/slack/cards. */
const OURS = /^(https:\/\/(wiki|alerts)\.example\.com\/.*|U0000000SAM|U0000ONCALL|S0000DATA|S0000PLAT)$/
/** The signs before our own lines; an emoji that an alert names is never one, since its text is literal. */
const SIGNS = ['information_source', 'warning', 'red_circle', 'white_check_mark'].map((name) =>
  JSON.stringify({ type: 'emoji', name }),
)
const NOBODY = JSON.stringify({ users: [], groups: [], here: false, channel: false, everyone: false })

/** Every link, mention, ping and mark that blocks hold. */
function live(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return []
  const { type, url, user_id, usergroup_id, range } = node as Record<string, unknown>
  const own =
    type === 'link'
      ? [String(url)]
      : type === 'user'
        ? [String(user_id)]
        : type === 'usergroup'
          ? [String(usergroup_id)]
          : type === 'broadcast'
            ? [String(range)]
            : type === 'mrkdwn' || type === 'emoji' || type === 'channel'
              ? [JSON.stringify(node)]
              : []
  return [...own, ...Object.values(node).flatMap(live)]
}

const KEPT = new Set([
  'window',
  'override',
  'type',
  'step',
  'proposal',
  'digest',
  'choice',
  'verdict',
  'outcome',
  'landed',
  'at',
  'status',
])
const IDS = new Set([
  'user',
  'via',
  'signature',
  'incident',
  'requestedAt',
  'issuedAt',
  'expiresAt',
  'startsAt',
  'endsAt',
])

/** An incident in any state, all of whose foreign text is hostile: no card of it pings, links or is too much for Slack. */
export function hostileCards(seed: number): void {
  const random = randomOf(seed)
  const evil = () =>
    (random.chance(0.1)
      ? random.pick(['x', 'word ', '<!here>', '&']).repeat(random.below(3000))
      : text(random, 1500)
    ).toWellFormed()
  /** The same happening with hostile text wherever text may be foreign. */
  const spoil = (value: unknown, name = ''): unknown => {
    if (typeof value === 'string') return KEPT.has(name) || IDS.has(name) || random.chance(0.2) ? value : evil()
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map((v) => spoil(v, name))
    if (name === 'playbook') return value
    const entries = Object.entries(value)
    const free = name === 'labels' || name === 'annotations' || name === 'details'
    const more = free ? Array.from({ length: random.below(6) }, () => [evil(), evil()] as const) : []
    return Object.fromEntries([...entries.map(([key, v]) => [key, spoil(v, key)] as const), ...more])
  }
  const state = random.pick(Object.values(STATES))
  const alert = alertOf({
    links: [
      { title: evil(), url: evil() },
      { title: evil(), url: 'https://alerts.example.com/a' },
    ],
  })
  const events = state.map((event): Happening => {
    if (event.type === 'alerts.changed') return { ...event, alerts: [spoil(alert, '') as typeof alert] }
    if (event.type === 'plan.made') {
      const subject = spoil(event.subject) as ReturnType<typeof subjectOf>
      return {
        ...event,
        subject: {
          ...subject,
          plan: {
            ...subject.plan,
            steps: event.subject.plan.steps.map((s) => ({ ...s, title: evil(), detail: evil() })),
          },
        },
      }
    }
    return spoil(event) as Happening
  })
  const incident = incidentOf(...events)
  const own = Object.values(incident.alerts).flatMap((a) => a.links.map((l) => webUrl(l.url)))
  const say = (what: string, key: string) =>
    new Violation(`${what} in ${key} of ${JSON.stringify(events).slice(0, 2000)}`)
  for (const drawn of render(incident, { ...context, progress: { p1: { done: 1, total: 2, note: evil() } } })) {
    if (JSON.stringify(pingsOf({ text: drawn.text }, new Map())) !== NOBODY) throw say('a ping', drawn.key)
    if (/https?:\/\//.test(drawn.text)) throw say('a link in the text', drawn.key)
    if (drawn.kind === 'file') continue
    const foreign = live(drawn.blocks).filter((one) => !OURS.test(one) && !SIGNS.includes(one) && !own.includes(one))
    if (foreign.length > 0) throw say(`${foreign[0]} is live`, drawn.key)
    const no = refuseBlocks(fitBlocks(drawn.blocks ?? []))
    if (no) throw say(`Slack refuses: ${JSON.stringify(no)}`, drawn.key)
  }
  const no = refuseView(
    home([incident], random.chance(0.5) ? { by: evil(), reason: evil(), since: '', until: null } : null),
  )
  if (no) throw say(`Slack refuses: ${JSON.stringify(no)}`, 'the Home tab')
}
