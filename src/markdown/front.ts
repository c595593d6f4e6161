import type { Matcher, Playbook } from '../domain/playbook.ts'
import type { AlertLabels } from './call.ts'
import { type Place, quote, type Report } from './fault.ts'
import { misspelt } from './misspelt.ts'
import { instead } from './nearest.ts'
import { whyNot } from './regex.ts'
import type { Entry, Tree } from './yaml.ts'

/** What the front matter says, and where its `match` stands. */
export type Front = Pick<
  Playbook,
  'title' | 'match' | 'groupBy' | 'owner' | 'approvers' | 'severity' | 'channel' | 'handOver'
> & {
  matchLine: number
}

const REQUIRED = ['title', 'match', 'group_by', 'owner', 'approvers']
const KEYS = [...REQUIRED, 'severity', 'channel', 'hand_over']
/**
 * Why this is no name of a label, or null: it may be any text (https://prometheus.io/docs/concepts/data_model). `<<` is a merge
 * key, which is not what it seems.
 */
const notALabel = (name: string): string | null =>
  name.length <= LIMITS_NAME &&
  /^[^\p{Cc}]+$/u.test(name) &&
  name.isWellFormed() &&
  name.trim() === name &&
  name !== '<<'
    ? null
    : `${quote(name)} is not the name of a label`
/** What nobody sees, or takes for a blank, and copied text is full of. */
const UNSEEN = /[\p{Cf}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u
const named = (character: string): string =>
  `a character that nobody sees (U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')})`
const UNSEEN_REMEDY = 'Type it anew; if the label has it, write a pattern such as "/a.b/"'
/** Longer names are cut when an alert comes. */
const LIMITS_NAME = 256
const LABEL_REMEDY =
  'Write the name as the alert has it, in quotes if it holds more than letters, digits, "_", "." and "-"'
/** Slack's `header` and `card` blocks take a title of 150 characters: https://docs.slack.dev/reference/block-kit/blocks */
export const LONGEST_TITLE = 150

const EXAMPLE: Record<string, string> = {
  title: 'title: What fails, in one line',
  match: 'match: { alertname: KafkaConsumerCrashLoop }',
  group_by: 'group_by: [topic]',
  owner: 'owner: "@data-platform"',
  approvers: 'approvers: ["@data-oncall"]',
  severity: 'severity: critical',
  channel: 'channel: data-incidents',
  hand_over: 'hand_over: true',
}

/** Names that the configuration knows. What is left out is not checked. */
export type Names = Readonly<{ approvers?: readonly string[]; channels?: readonly string[] }>

/** Reads the entries of the front matter. With faults the result is of no use. */
export function readFront(entries: readonly Entry[], names: Names, report: Report): Front {
  const by = new Map(entries.map((e) => [e.key, e]))
  for (const { key, at } of entries)
    if (!KEYS.includes(key)) report(at, `the front matter has an unknown key ${quote(key)}`, instead(key, KEYS))
  for (const key of REQUIRED)
    if (!by.has(key)) report({ line: 1 }, `the front matter has no ${quote(key)}`, `Add a line like ${EXAMPLE[key]}`)

  const text = (key: string): string => {
    const entry = by.get(key)
    if (!entry || entry.value.kind === 'faulty') return ''
    const { value } = entry
    if (value.kind === 'scalar' && typeof value.value === 'string' && /^[^\n]*\S[^\n]*$/.test(value.value)) {
      if (value.value.length > LONGEST_TITLE)
        report(entry.at, `${quote(key)} is longer than ${LONGEST_TITLE} characters`, 'Shorten it')
      return value.value.trim()
    }
    report(entry.at, `${quote(key)} is not one line of text`, `Write ${EXAMPLE[key]}`)
    return ''
  }
  const texts = (key: string, check: (text: string, at: Place) => void): string[] => {
    const entry = by.get(key)
    if (!entry || entry.value.kind === 'faulty') return []
    if (entry.value.kind !== 'list') {
      report(entry.at, `${quote(key)} is not a list`, `Write ${EXAMPLE[key]}`)
      return []
    }
    const seen = new Set<string>()
    for (const item of entry.value.items) {
      if (item.kind === 'faulty') continue
      if (item.kind !== 'scalar' || typeof item.value !== 'string')
        report(item.at, `an item of ${quote(key)} is not text`, 'Quote it')
      else if (seen.has(item.value)) report(item.at, `${quote(item.value)} is here twice`, 'Keep one of them')
      else {
        seen.add(item.value)
        check(item.value, item.at)
      }
    }
    return [...seen]
  }

  const title = text('title')
  const match = readMatch(by.get('match'), report)
  const groupBy = texts('group_by', (name, at) => {
    const no = notALabel(name)
    const meant = misspelt(name, Object.keys(match))
    if (no) report(at, no, LABEL_REMEDY)
    else if (meant !== null)
      report(
        at,
        `"group_by" has ${quote(name)}, and "match" has ${quote(meant)}`,
        `Write ${quote(meant)} if that was meant`,
      )
    else if (absentOf(match).includes(name))
      report(at, `"group_by" has ${quote(name)}, and "match" says that it is not there`, 'Take it out of one of them')
  })
  const owner = text('owner')
  const approvers = texts('approvers', (name, at) => {
    if (!/^@[A-Za-z0-9_.-]+$/.test(name))
      report(at, `the approver ${quote(name)} is not a name with "@"`, 'Write it like "@data-oncall", in quotes')
    else if (names.approvers && !names.approvers.includes(name.slice(1)))
      report(
        at,
        `the configuration has no approvers ${quote(name)}`,
        instead(
          name,
          names.approvers.map((n) => `@${n}`),
        ),
      )
  }).map((name) => name.replace(/^@/, ''))
  const severity = by.has('severity') ? text('severity') : null
  const channel = by.has('channel') ? text('channel') : null
  if (channel && names.channels && !names.channels.includes(channel))
    report(
      by.get('channel')!.at,
      `the configuration has no channel ${quote(channel)}`,
      instead(channel, names.channels),
    )
  const wanted = by.get('hand_over')
  const handOver = wanted?.value.kind === 'scalar' && wanted.value.value === true
  if (wanted && !handOver && wanted.value.kind !== 'faulty')
    report(wanted.at, '"hand_over" is not true', `Write ${EXAMPLE.hand_over}, or leave it out`)
  const matchLine = by.get('match')?.at.line ?? 1
  return { title, match, groupBy, owner, approvers, severity, channel, ...(handOver && { handOver }), matchLine }
}

const absentOf = (match: Front['match']): string[] =>
  Object.entries(match).flatMap(([name, m]) => (m.kind === 'equals' && m.value === '' ? [name] : []))

/** What the front matter says of the labels that fill slots. */
export const labelsOf = ({ match, groupBy }: Pick<Front, 'match' | 'groupBy'>): AlertLabels => ({
  known: [...Object.keys(match), ...groupBy, 'alertname', 'severity'],
  absent: absentOf(match),
})

function readMatch(entry: Entry | undefined, report: Report): Record<string, Matcher> {
  if (!entry || entry.value.kind === 'faulty') return {}
  if (entry.value.kind !== 'map' || entry.value.entries.length === 0) {
    report(entry.at, '"match" names no label', `Write ${EXAMPLE.match}`)
    return {}
  }
  // A label may be called `__proto__`: an own property here, not a prototype.
  return Object.fromEntries(
    entry.value.entries.flatMap(({ key, at, value }): [string, Matcher][] => {
      const no = notALabel(key)
      const unseen = UNSEEN.exec(key)?.[0]
      if (no) report(at, no, LABEL_REMEDY)
      else if (unseen !== undefined) report(at, `the label ${quote(key)} holds ${named(unseen)}`, 'Type it anew')
      const matcher = readMatcher(key, value, report)
      return matcher ? [[key, matcher]] : []
    }),
  )
}

function readMatcher(label: string, value: Tree, report: Report): Matcher | null {
  if (value.kind === 'faulty') return null
  if (value.kind === 'scalar' && value.value === true) return { kind: 'present' }
  if (value.kind !== 'scalar' || typeof value.value !== 'string') {
    const remedy =
      'Write text (numbers and false in quotes), "/a regex/", true for "is there", or "" for "is not there"'
    report(value.at, `the matcher of ${quote(label)} is neither text nor true`, remedy)
    return null
  }
  if (/\$\{|\{\{/.test(value.value))
    report(value.at, `the matcher of ${quote(label)} holds a slot, which nothing fills`, 'Write what the label must be')
  const unseen = UNSEEN.exec(value.value)?.[0]
  if (unseen !== undefined) {
    report(value.at, `the matcher of ${quote(label)} holds ${named(unseen)}`, UNSEEN_REMEDY)
    return null
  }
  if (/^[“”„‘’‚«].*[“”‘’»]$/.test(value.value)) {
    report(value.at, `the matcher of ${quote(label)} stands in quotes that are none in YAML`, 'Write straight ones')
    return null
  }
  const flagged = /^\/(.+)\/([gimsuy]{1,3})$/.exec(value.value)
  if (flagged && (flagged[2]!.includes('i') || /[*+?()|^$[\]{}\\]/.test(flagged[1]!))) {
    const remedy =
      'Put letters for all of a pattern at its beginning, as in "/(?i)lag.*/"; a path that ends so is "/\\/mnt\\/i/"'
    report(value.at, `the matcher of ${quote(label)} has letters after the pattern, so it is none`, remedy)
    return null
  }
  const pattern = /^\/(.*)\/$/s.exec(value.value)?.[1]
  if (pattern === undefined) return { kind: 'equals', value: value.value }
  const why = pattern === '' ? 'it is empty' : whyNot(pattern)
  if (why === null) return { kind: 'regex', pattern }
  const remedy = 'Write RE2 syntax: no look-around, no back-references (github.com/google/re2/wiki/Syntax)'
  report(value.at, `the pattern of ${quote(label)} does not compile: ${why}`, remedy)
  return null
}
