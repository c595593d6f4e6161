import type { Command } from '../domain/command.ts'
import { fieldsOf, slots } from '../domain/playbook.ts'
import type { Body, Fence } from './body.ts'
import { quote, type Report } from './fault.ts'
import { nearest } from './nearest.ts'

/** A block whose info string makes it a call. */
export const isCall = (fence: Fence): boolean => /^ya?ml$/i.test(fence.lang) && fence.meta !== ''

/** Anything that could stand for a fence, `yaml`, and a name: `'''yaml kafka.x`, `> yaml kafka.x`, ```` ``yaml kafka.x ````. */
const CALL_LINE = /^[\s>*+-]*[^\p{L}\p{N}\s]{0,6}\s*ya?ml[\s:,]+([A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+)[^\p{L}\p{N}]*$/iu
/** A fence inside of another block. */
const INNER = /^\s*(?:`{3,}|~{3,})\s*(?:ya?ml[\s:,]+)?([A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+)/i
/** A line that is nothing but a name, as YAML would write it. */
const NAME_LINE =
  /^\s*(?:-\s+)?(?:(?:command|call|run|uses)\s*:\s*)?["']?([A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+)["']?\s*:?\s*$/i
/** A list in prose may well name commands. */
const ITEM = /^\s*[-*+]\s/
const PARAMETER = /^\s*([A-Za-z_][\w-]*)\s*:(?:\s|$)/
/** `##Skip it`: no heading in CommonMark, since there is no blank. */
const HEADING = /^ {0,3}##[^#\t ]/
/** A line of text, and one that makes it a heading in CommonMark, which is none here. */
const TEXT = /^ {0,3}(?![#>|]|[-*+] |\d+[.)] )\S/
const UNDERLINE = /^ {0,3}(?:-{2,}|={2,})[ \t]*$/

/**
 * Reports what looks like a call or a step and is none, so that nobody waits for a button that never comes: a command named in
 * another kind of block, parameters without a command, a fence that markdown does not take for one, a heading without a blank.
 */
export function checkLookalikes(
  body: Body,
  lines: readonly string[],
  commands: readonly Command[],
  report: Report,
): void {
  const named = finder(commands)
  const notACall = (line: number, what: string, id: string) =>
    report({ line }, `${what}, and it is no call`, `Write a block that begins with \`\`\`yaml ${id}`)
  for (const fence of body.fences) {
    if (isCall(fence)) continue
    const word = inInfo(fence, named)
    const id = inText(fence, named)
    if (word !== null)
      report(
        fence,
        `the block ${quote(`${fence.lang} ${fence.meta}`.trim())} is not a call`,
        `Write "yaml ${word}" after the fence`,
      )
    else if (id !== null) notACall(fence.line, `the block names the command ${quote(id)}`, id)
    else if (slots(fence.text).length > 0)
      report(
        fence,
        'the block holds a slot, and it is no call, so nothing fills it',
        'Name its command: ```yaml COMMAND',
      )
    else {
      const fits = /^(|ya?ml)$/i.test(fence.lang) ? parametersOf(fence.text, commands) : null
      if (fits !== null) notACall(fence.line, `the block holds the parameters of ${quote(fits)}`, fits)
    }
  }
  const inside = new Set(body.fences.flatMap((f) => Array.from({ length: f.end - f.line + 1 }, (_, i) => f.line + i)))
  for (const [i, line] of lines.entries()) {
    if (inside.has(i + 1) || body.hidden.has(i + 1)) continue
    if (HEADING.test(line))
      report({ line: i + 1 }, `${quote(line.trim())} is no heading, so it begins no step`, 'Put a blank after the "##"')
    else if (
      UNDERLINE.test(line) &&
      i > 0 &&
      TEXT.test(lines[i - 1]!) &&
      !PARAMETER.test(lines[i - 1]!) &&
      !inside.has(i)
    )
      report(
        { line: i },
        `${quote(lines[i - 1]!.trim())} with a line below it begins no step`,
        'Write "## " before it, or an empty line between the two',
      )
    const id =
      named(CALL_LINE.exec(line)?.[1] ?? INNER.exec(line)?.[1]) ??
      exact(ITEM.test(line) ? undefined : NAME_LINE.exec(line)?.[1], commands)
    if (id !== null) notACall(i + 1, `the line names the command ${quote(id)}`, id)
    else if (PARAMETER.test(line) && slots(line).length > 0 && !line.includes('`'))
      report({ line: i + 1 }, 'the line fills a parameter outside of a call', 'Put it into a block: ```yaml COMMAND')
  }
}

const exact = (name: string | undefined, commands: readonly Command[]): string | null =>
  commands.find((c) => c.id === name)?.id ?? null

/** Finds the command that a word is the name of, or nearly; null if it is none. */
function finder(commands: readonly Command[]): (word: string | undefined) => string | null {
  const ids = commands.map((c) => c.id)
  const known = new Map<string, string | null>()
  return (word) => {
    if (word === undefined || !word.includes('.')) return null
    const before = known.get(word)
    if (before !== undefined) return before
    const id = ids.includes(word) ? word : nearest(word, ids)
    known.set(word, id)
    return id
  }
}

type Named = (word: string | undefined) => string | null

const first = (words: readonly (string | undefined)[], named: Named): string | null => {
  for (const word of words) {
    const id = named(word)
    if (id !== null) return id
  }
  return null
}

/** The command that the words after the fence name. */
const inInfo = (fence: Fence, named: Named): string | null =>
  first(`${fence.lang} ${fence.meta}`.split(/[^A-Za-z0-9_.-]+/).slice(0, 20), named)

/** The command that the block's first line names, or a call that stands in it. */
function inText(fence: Fence, named: Named): string | null {
  const lines = fence.text.split('\n')
  const head = lines.find((line) => line.trim() !== '') ?? ''
  const heading =
    named(CALL_LINE.exec(head)?.[1]) ??
    named(fence.lang === '' || isYaml(fence) ? NAME_LINE.exec(head)?.[1] : undefined)
  return (
    heading ??
    first(
      lines.map((line) => INNER.exec(line)?.[1]),
      named,
    )
  )
}

const isYaml = (fence: Fence): boolean => /^ya?ml$/i.test(fence.lang)

/** The command whose parameters these lines are: all that it needs, nothing else, and at least two. */
function parametersOf(text: string, commands: readonly Command[]): string | null {
  const keys = text
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^\s*#/.test(line))
    .map((line) => PARAMETER.exec(line)?.[1])
  if (keys.length < 2 || keys.length > 30 || keys.some((key) => key === undefined)) return null
  const fits = commands.find((command) => {
    const fields = fieldsOf(command.params)
    return (
      keys.every((key) => fields.some((f) => f.name === key)) &&
      fields.every((f) => !f.required || keys.includes(f.name))
    )
  })
  return fits?.id ?? null
}
