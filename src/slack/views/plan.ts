import type { KnownBlock, RichTextBlockElement } from '@slack/types'
import type { Proposal } from '../../domain/incident.ts'
import type { Subject } from '../../domain/plan.ts'
import { count, cut, exact, literal } from '../text.ts'
import { bold, facts, fixed, lines, type Piece, said, warning } from './blocks.ts'

/** A plan within these is on the card whole; a longer one is summed up there, and goes along whole as a file. */
const WHOLE = { targets: 12, steps: 12, warnings: 6, characters: 3000, line: 600 }

const value = (v: unknown): string => (typeof v === 'string' ? v : JSON.stringify(v))

/** Everything that a person decides on, as text in the order in which it runs. */
export function planText(subject: Subject, digest: string): string {
  const { plan } = subject
  const indent = (text: string) => exact(text).replaceAll('\n', '\n    ')
  const part = (title: string, all: readonly string[]) => (all.length > 0 ? ['', title, ...all] : [])
  return [
    plan.summary,
    '',
    `environment  ${subject.environment}`,
    `command      ${subject.command.id}`,
    `digest       ${digest}`,
    ...(subject.override === undefined ? [] : [`overrides    “${subject.override}”`]),
    ...part(
      'Parameters',
      Object.entries(subject.params).map(([k, v]) => `  ${k}: ${indent(value(v))}`),
    ),
    ...part(
      count(plan.targets.length, 'target'),
      plan.targets.flatMap((t) => [
        `- ${t.name}  (${t.id})`,
        ...Object.entries(t.details).map(([k, v]) => `    ${k}: ${indent(v)}`),
      ]),
    ),
    ...part(
      count(plan.steps.length, 'step'),
      plan.steps.map((s, i) => `${i + 1}. ${s.title}${s.detail ? `\n    ${indent(s.detail)}` : ''}`),
    ),
    ...part(
      'Warnings',
      plan.warnings.map((w) => `- ${w}`),
    ),
    ...(subject.resumes
      ? part(`Goes on after ${subject.resumes.proposal}`, [
          `not done again: ${subject.resumes.done.join(', ') || 'nothing'}`,
        ])
      : []),
    '',
  ]
    .map(exact)
    .join('\n')
}

/** Whether a plan is too long to be on the card whole. */
export function isLong({ subject, digest }: Proposal): boolean {
  if (!subject) return false
  const { targets, steps, warnings } = subject.plan
  return (
    targets.length > WHOLE.targets ||
    steps.length > WHOLE.steps ||
    warnings.length > WHOLE.warnings ||
    warnings.some((w) => exact(w).length > WHOLE.line) ||
    goesOn(subject).length > WHOLE.line ||
    planText(subject, digest ?? '').length > WHOLE.characters
  )
}

/** The plan on the card: whole, or its summary, its counts, and a look at the first targets. */
export function planBlocks(p: Proposal): KnownBlock[] {
  const { subject } = p
  if (!subject) return []
  const { plan } = subject
  const long = isLong(p)
  const params = Object.entries(subject.params).slice(0, long ? 8 : undefined)
  const resumes = subject.resumes ? [said(goesOn(subject), WHOLE.line)] : []
  const max = long ? 300 : 3000
  return [
    lines([bold(plan.summary, long ? 1000 : 3000)]),
    facts([
      ['Environment', bold(subject.environment)],
      ['Command', literal(subject.command.id, { code: true })],
      ...params.map(([k, v]) => [k, literal(cut(exact(value(v)), max), { code: true })] as const),
    ]),
    ...(long ? glance(subject) : [...targets(subject), steps(subject)]),
    ...plan.warnings.slice(0, WHOLE.warnings).map((w) => warning(cut(w, long ? 300 : WHOLE.line))),
    ...resumes,
  ]
}

const goesOn = ({ resumes }: Subject): string =>
  resumes ? `Goes on after ${resumes.proposal}. Not done again: ${resumes.done.join(', ') || 'nothing'}.` : ''

function glance({ plan }: Subject): KnownBlock[] {
  const first = plan.targets.slice(0, 5).map((t) => cut(exact(t.name), 120))
  const more = plan.targets.length > 5 ? [`… and ${plan.targets.length - 5} more`] : []
  const words = `${count(plan.targets.length, 'target')}, ${count(plan.steps.length, 'step')}, ${count(plan.warnings.length, 'warning')}. The whole plan is the file below this message.`
  return [lines([bold(words)]), fixed([...first, ...more].join('\n'))]
}

/** One target has a line for each of its facts; several have a paragraph each, which wraps on a phone as a table would not. */
function targets({ plan }: Subject): KnownBlock[] {
  const alone = plan.targets.length === 1
  return plan.targets.map((t) => {
    const facts = Object.entries(t.details).map(([k, v]): Piece[] => [`${k} `, literal(v, { code: true })])
    return alone
      ? lines([bold(t.name, 3000)], ...facts)
      : lines(
          [bold(t.name, 3000)],
          facts.flatMap((f, i) => (i > 0 ? [', ', ...f] : f)),
        )
  })
}

function steps({ plan }: Subject): KnownBlock {
  const elements = plan.steps.flatMap((s, i): RichTextBlockElement[] => [
    { type: 'rich_text_section', elements: [bold(`${i + 1}. ${s.title}`, 3000)] },
    ...(s.detail
      ? [
          {
            type: 'rich_text_preformatted' as const,
            elements: [{ type: 'text' as const, text: exact(s.detail) }],
            border: 0 as const,
          },
        ]
      : []),
  ])
  return { type: 'rich_text', elements }
}

/** What differs between what was approved and what is so now, as lines that begin with `-` and `+`. */
export function difference(before: Subject, now: Subject): string {
  const names = ({ plan }: Subject) => new Set(plan.targets.map((t) => t.name))
  const [had, has] = [names(before), names(now)]
  // Of a target that came or went one line says it all.
  const both = (name: string) => had.has(name) && has.has(name)
  const flat = ({ plan, environment, params }: Subject): Map<string, string> =>
    new Map([
      ['environment', environment],
      ...Object.entries(params).map(([k, v]): [string, string] => [`parameter ${k}`, value(v)]),
      ...plan.targets.flatMap((t): [string, string][] => [
        [`target ${t.name}`, t.fingerprint],
        ...(both(t.name) ? Object.entries(t.details) : []).map(([k, v]): [string, string] => [`${t.name}, ${k}`, v]),
      ]),
      ...plan.steps.map((s): [string, string] => [`step ${s.id}`, `${s.title} ${s.detail}`.trim()]),
      ...plan.warnings.map((w): [string, string] => [`warning ${w}`, '']),
    ])
  const [old, fresh] = [flat(before), flat(now)]
  const line = (mark: string, key: string, text: string) =>
    cut(exact(`${mark} ${key}: ${text}`).replace(/\s+/g, ' '), 200)
  const found = [...new Set([...old.keys(), ...fresh.keys()])].flatMap((key) => {
    const [was, is] = [old.get(key), fresh.get(key)]
    if (was === is) return []
    return [...(was === undefined ? [] : [line('-', key, was)]), ...(is === undefined ? [] : [line('+', key, is)])]
  })
  return found
    .slice(0, 20)
    .concat(found.length > 20 ? [`… and ${found.length - 20} more lines`] : [])
    .join('\n')
}
