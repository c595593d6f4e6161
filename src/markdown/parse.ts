import type { Command } from '../domain/command.ts'
import { digest } from '../domain/plan.ts'
import { type Call, type Playbook, RUNGS, type Step } from '../domain/playbook.ts'
import { type Fence, readBody, type Section } from './body.ts'
import { type AlertLabels, readCall } from './call.ts'
import { type Fault, type Place, quote, type Report, sortFaults } from './fault.ts'
import { LONGEST_TITLE, labelsOf, type Names, readFront } from './front.ts'
import { checkLookalikes, isCall } from './lookalike.ts'
import { instead } from './nearest.ts'
import { readMapping } from './yaml.ts'

/** What a playbook may name: every command, and the approvers and channels of the configuration if they are known. */
export type Known = Names & Readonly<{ commands: readonly Command[] }>

/** `matchLine` is where `match` stands, for faults that only two files together have. */
export type Parsed = { ok: true; playbook: Playbook; matchLine: number } | { ok: false; faults: Fault[] }

/** 1 MB of YAML flow blocks for seconds; no playbook that a person reads comes near this. In bytes of UTF-8. */
export const LARGEST = 64 * 1024
/** Deep nesting of markdown needs a long line, and takes time that grows with its square. */
const LONGEST_LINE = 1000

const PATH = /^([a-z0-9][a-z0-9-]*\/[a-z0-9][a-z0-9-]*)\.md$/

/**
 * Parses one markdown file into a playbook, or says everything that is wrong with it. `file` is the name in faults,
 * `path` the one below the directory of playbooks: `<system>/<slug>.md`.
 */
export function parsePlaybook(
  file: string,
  text: string,
  known: Known,
  path: string = file.split('/').slice(-2).join('/'),
): Parsed {
  const faults: Fault[] = []
  const report: Report = (at, what, remedy) => faults.push({ file, ...at, what, remedy })
  const parsed = parse(path, text, known, report)
  return faults.length > 0 || !parsed ? { ok: false, faults: sortFaults(faults) } : { ok: true, ...parsed }
}

function parse(path: string, text: string, known: Known, report: Report) {
  const id = PATH.exec(path.replaceAll('\\', '/'))?.[1]
  if (!id)
    report({ line: 0 }, 'the path is not <system>/<slug>.md', 'Name folder and file with small letters, digits and "-"')
  if (Buffer.byteLength(text) > LARGEST) {
    report({ line: 0 }, `the file is larger than ${LARGEST / 1024} KiB`, 'Split it into several playbooks')
    return null
  }
  if (!text.isWellFormed()) {
    report({ line: 0 }, 'the file is not Unicode text', 'Save it as UTF-8')
    return null
  }
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/)
  const long = lines.flatMap((line, i) => (line.length > LONGEST_LINE ? [i + 1] : []))
  for (const line of long) report({ line }, `the line is longer than ${LONGEST_LINE} characters`, 'Break it')
  if (long.length > 0) return null

  const end = frontEnd(lines, report)
  if (end === null) return null
  const place = (line: number, column: number) => ({ line: line + 1, column })
  const entries = end > 0 ? readMapping(lines.slice(1, end).join('\n'), place, report) : null
  const front = entries && readFront(entries, known, report)

  // The front matter's lines stay as empty ones, so that lines of the body count from the file's beginning.
  const body = lines.map((line, i) => (end > 0 && i <= end ? '' : line))
  const read = readBody(body.join('\n'))
  const [intro, ...sections] = read.sections
  checkLookalikes(read, body, known.commands, report)
  const labels = front && labelsOf(front)
  for (const fence of intro!.fences) {
    checkFence(fence, report)
    if (isCall(fence)) report(fence, 'the call stands before the first step', 'Put a "## " heading above it')
  }
  const steps = sections.map((section) => stepOf(section, body, known, labels, report))
  if (steps.length === 0)
    report(
      { line: lines.length - (lines.length > 1 && lines.at(-1) === '' ? 1 : 0) },
      'the playbook has no step',
      'Add a "## " heading',
    )
  checkIds(steps, report)
  const changes = steps.filter((s) => s.call && s.call.effect !== 'read')
  const [lowest] = changes
  if (lowest?.call?.rung)
    report(
      { line: lowest.line },
      `the first change is marked ${quote(lowest.call.rung)}`,
      'Leave the word out: no change comes before it',
    )
  if (!front || !id) return null
  const { matchLine, ...rest } = front
  const playbook: Playbook = { id, hash: digest(text), ...rest, intro: proseOf(intro!, body, []), steps }
  return { playbook, matchLine }
}

/** Index of the line that closes the front matter; 0 if there is none, null if the file can't be read on. */
function frontEnd(lines: readonly string[], report: Report): number | null {
  const first = lines[0]!.trimEnd()
  if (first !== '---') {
    const what = first.startsWith('---') ? `the front matter begins with ${quote(first)}` : 'there is no front matter'
    report({ line: 1 }, what, 'Begin the file with a line "---", YAML, and a line "---"')
    return first.startsWith('---') ? null : 0
  }
  const end = lines.findIndex((line, i) => i > 0 && line.trimEnd() === '---')
  if (end > 0) return end
  report({ line: 1 }, 'the front matter does not end', 'Close it with a line "---"')
  return null
}

/** Whether the closing fence was forgotten, so that headings or other fences became part of a call. */
const runsOn = (fence: Fence): boolean => isCall(fence) && /^\s*(##\s|`{3}|~{3})/m.test(fence.text)

function checkFence(fence: Fence, report: Report): void {
  if (!fence.closed || runsOn(fence))
    report(fence, 'the fenced block does not end', 'Close it with the same fence on a line of its own')
}

function stepOf(
  section: Section,
  body: readonly string[],
  known: Known,
  labels: AlertLabels | null,
  report: Report,
): Step {
  const title = section.title!
  const at = { line: section.line }
  if (title.length > LONGEST_TITLE)
    report(at, `the heading is longer than ${LONGEST_TITLE} characters`, 'Shorten it and write the rest below')
  const id = slug(title)
  if (id === '') report(at, 'the heading has no letter and no digit', 'Say what the step does')
  for (const fence of section.fences) checkFence(fence, report)
  const [first, ...more] = section.fences.filter(isCall)
  for (const fence of more)
    report(fence, `the step has a second call, the first is in line ${first!.line}`, 'Make it a step of its own')
  const calls = [first, ...more].map((fence) => fence && callOf(fence, body, known, labels, report))
  return { id, title, line: section.line, prose: proseOf(section, body, first ? [first] : []), call: calls[0] ?? null }
}

function callOf(
  fence: Fence,
  body: readonly string[],
  known: Known,
  labels: AlertLabels | null,
  report: Report,
): Call | null {
  const ids = known.commands.map((c) => c.id)
  const [name = '', ...words] = fence.meta.trim().split(/\s+/)
  if (fence.lang !== 'yaml') report(fence, `the call is marked ${quote(fence.lang)}`, 'Write "yaml" in small letters')
  const command = known.commands.find((c) => c.id === name)
  if (!command) report(fence, `there is no command ${quote(name)}`, instead(name, ids))
  const values = fence.text.split('\n')
  const place = (line: number, column: number): Place => {
    const source = body[fence.line + line - 1] ?? ''
    const indent = Math.max(source.length - (values[line - 1]?.length ?? 0), 0)
    return { line: Math.min(fence.line + line, fence.end), column: indent + column }
  }
  const entries = runsOn(fence) ? null : readMapping(fence.text, place, report)
  const call = command && entries ? readCall(command, entries, { line: fence.line }, report, labels) : null
  const rung = RUNGS.find((word) => word === words[0])
  if (words.length > (rung ? 1 : 0))
    report(
      fence,
      `${quote(words.slice(rung ? 1 : 0).join(' '))} stands after the command`,
      `Leave it out, or write one of: ${RUNGS.join(', ')}`,
    )
  if (rung && command?.effect === 'read')
    report(fence, `a command that reads is marked ${quote(rung)}`, 'Leave the word out')
  return call && rung ? { ...call, rung } : call
}

/** The heading without its leading number, as an id: `1. Skip it` → `skip-it`. */
const slug = (title: string): string =>
  title
    .replace(/^\d+[.)]\s+/, '')
    .normalize('NFC')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, '-')
    .replaceAll(/^-|-$/g, '')

function checkIds(steps: readonly Step[], report: Report): void {
  const seen = new Map<string, number>()
  for (const { id, line } of steps) {
    const first = seen.get(id)
    if (first === undefined) seen.set(id, line)
    else if (id !== '') report({ line }, `the step ${quote(id)} is here twice, first in line ${first}`, 'Rename one')
  }
}

/** The markdown of a section as it was written, without its call. */
function proseOf(section: Section, body: readonly string[], calls: readonly Fence[]): string {
  const own = body.slice(section.first - 1, section.end)
  const shown = own.filter((_, i) => !calls.some((c) => section.first + i >= c.line && section.first + i <= c.end))
  return shown
    .join('\n')
    .replace(/^\s*\n/, '')
    .trimEnd()
}
