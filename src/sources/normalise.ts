import { createHash } from 'node:crypto'
import { type Alert, type Labels, WARNING } from '../domain/alert.ts'
import { digest } from '../domain/plan.ts'
import type { Origin } from './source.ts'

/** What an alert may hold, per set of labels or annotations, in UTF-16 code units. The sender's surplus is cut, not refused. */
export const LIMITS = { entries: 64, name: 256, label: 1_024, annotation: 8_192, url: 3_000 } as const

/** More entries of a record than this are not even looked at: a body of nothing but names would take its time. */
const MOST_READ = 2_000

/** The first entries of what should be a record, and how many more there are. What is no record comes back as it is. */
export function firstOf(record: unknown): { few: unknown; surplus: number } {
  if (typeof record !== 'object' || record === null || Array.isArray(record)) return { few: record, surplus: 0 }
  const names = Object.keys(record)
  if (names.length <= MOST_READ) return { few: record, surplus: 0 }
  const few = names.slice(0, MOST_READ).map((name) => [name, (record as Labels)[name]])
  return { few: Object.fromEntries(few), surplus: names.length - MOST_READ }
}

export { WARNING }

/** An alert as a source's decode found it, before limits. */
export type Found = Readonly<{
  /** Empty: the digest of all labels takes its place. */
  fingerprint: string
  status: Alert['status']
  labels: Labels
  annotations: Labels
  startsAt: string | null
  endsAt: string | null
  /** How many labels and annotations there were beyond these. */
  surplus?: Readonly<{ labels: number; annotations: number }>
  /** Those that are not plain http(s) addresses are dropped. */
  links: readonly Readonly<{ title: string; url: string | undefined }>[]
  /** What was guessed of it, one sentence each, for people. */
  notes?: readonly string[]
  /** The sender's own group. */
  group?: string | undefined
}>

/**
 * Makes an alert that fits the limits. Senders such as Alertmanager drop what is refused for good, so nothing is refused
 * here: long annotations are cut; long label values and names, which tell alerts apart, end in a hash of the whole.
 */
export function normalise(found: Found, origin: Origin): Alert {
  const { labels: moreLabels = 0, annotations: moreAnnotations = 0 } = found.surplus ?? {}
  const labels = bound(found.labels, 'label', moreLabels, (value) => cutToHash(value, LIMITS.label))
  const annotations = bound(found.annotations, 'annotation', moreAnnotations, (value) =>
    cutToMark(value, LIMITS.annotation),
  )
  const changes = [...labels.changes, ...annotations.changes]
  const notes = [
    ...(changes.length === 0 ? [] : [`Cut to fit: ${changes.join(', ')}.`]),
    ...(found.notes ?? []).map(clean),
  ]
  return {
    source: origin.source,
    fingerprint: cutToHash(clean(found.fingerprint), LIMITS.name) || digest(labels.whole),
    status: found.status,
    labels: labels.kept,
    annotations: notes.length === 0 ? annotations.kept : { ...annotations.kept, [WARNING]: notes.join(' ') },
    startsAt: found.startsAt ?? origin.receivedAt.toISOString(),
    endsAt: found.endsAt,
    links: found.links.flatMap(({ title, url }) => {
      const href = webAddress(url)
      return href ? [{ title: clean(title), url: href }] : []
    }),
    ...(found.startsAt === null ? { undated: true as const } : {}),
    ...(found.group === undefined ? {} : { group: groupName(found.group) }),
  }
}

/** A sender's name for a group, of a length that can be kept with each alert. */
export const groupName = (name: string): string => cutToHash(clean(name), LIMITS.name)

/** Names that mean something else to some JavaScript object; no sender needs them. */
const UNSAFE = new Set(['__proto__', 'constructor', 'prototype', WARNING])

function bound(record: Labels, noun: string, surplus: number, cut: (value: string) => string) {
  const cleaned = Object.entries(record).map(([name, value]) => [clean(name), clean(value)] as const)
  // An empty label means that there is none: https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels
  const entries = cleaned
    .filter(([name, value]) => !UNSAFE.has(name) && !(noun === 'label' && value === ''))
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  const kept = entries
    .slice(0, LIMITS.entries)
    .map(([name, value]) => [cutToHash(name, LIMITS.name), cut(value)] as const)
  const count = (n: number, what: string) => (n === 0 ? [] : [`${n} ${noun}${n === 1 ? '' : 's'} ${what}`])
  return {
    whole: Object.fromEntries(entries),
    kept: Object.fromEntries(kept),
    changes: [
      ...count(entries.length - kept.length + surplus, `left out (${LIMITS.entries} are kept)`),
      ...count(
        kept.filter(([name, value], i) => name !== entries[i]![0] || value !== entries[i]![1]).length,
        'shortened',
      ),
    ],
  }
}

/** Foreign text without NUL and without halves of surrogate pairs, which stores and hashes refuse or change. */
export const clean = (text: string): string => text.replaceAll('\0', '').toWellFormed()

/** An http(s) address in its normal form; null for anything else, and for one that hides its host behind a user name. */
function webAddress(text: string | undefined): string | null {
  const url = text ? URL.parse(clean(text)) : null
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.href.length > LIMITS.url)
    return null
  return url.href
}

function cutToMark(text: string, max: number): string {
  const mark = `… (cut, ${text.length} characters)`
  return text.length <= max ? text : start(text, max - mark.length) + mark
}

function cutToHash(text: string, max: number): string {
  const mark = () => `…${createHash('sha256').update(text).digest('hex').slice(0, 16)}`
  return text.length <= max ? text : start(text, max - 17) + mark()
}

const start = (text: string, length: number): string => text.slice(0, length).replace(/[\uD800-\uDBFF]$/, '')
