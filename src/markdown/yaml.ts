import { type ErrorCode, isAlias, isMap, isScalar, isSeq, LineCounter, type ParsedNode, parseDocument } from 'yaml'
import { type Place, quote, type Report } from './fault.ts'

/** YAML as playbooks may use it: plain JSON values with their places. `faulty` stands for what is reported already. */
export type Tree = Readonly<
  { at: Place } & (
    | { kind: 'scalar'; value: string | number | boolean | null }
    | { kind: 'list'; items: readonly Tree[] }
    | { kind: 'map'; entries: readonly Entry[] }
    | { kind: 'faulty' }
  )
>
export type Entry = Readonly<{ key: string; at: Place; value: Tree }>

/** A mapping whose values hold lists or mappings of scalars is the deepest that a playbook needs. */
const DEEPEST = 2
const QUOTES = 'Put the whole value in quotes'
/** What the slips in use mean, and what to do, by the code of the library. */
const EXPLAINED: Partial<Record<ErrorCode, readonly [what: string, remedy: string]>> = {
  BAD_SCALAR_START: ['a value begins with a character that YAML keeps for itself (@, ` or %)', QUOTES],
  BLOCK_AS_IMPLICIT_KEY: ['a value holds ": "', QUOTES],
  MULTIPLE_DOCS: ['a line "---" or "..." begins a second document', 'Keep one'],
  TAB_AS_INDENT: ['a line begins with a tab', 'Write blanks instead'],
}
/** One slip can make YAML's parser complain on each line that follows. */
const MOST_ERRORS = 10

/**
 * Reads a block of YAML 1.2 that must be a mapping. `place` turns a line and column of `text` into those of the file.
 * No aliases, tags, merge keys or second documents; null if there is nothing to read on with.
 */
export function readMapping(
  text: string,
  place: (line: number, column: number) => Place,
  report: Report,
): Entry[] | null {
  const counter = new LineCounter()
  const at = (offset: number): Place => {
    const { line, col } = counter.linePos(offset)
    return place(Math.max(line, 1), Math.max(col, 1))
  }
  try {
    const doc = parseDocument(text, {
      lineCounter: counter,
      schema: 'core',
      merge: false,
      // Compared here instead: the library compares each key with all others, seconds for a hostile file.
      uniqueKeys: false,
      prettyErrors: false,
    })
    const lines = new Set<number>()
    for (const error of doc.errors) {
      const where = at(error.pos[0])
      if (lines.has(where.line) || lines.size === MOST_ERRORS) continue
      lines.add(where.line)
      const [what, remedy] = EXPLAINED[error.code] ?? [quote(error.message.split('\n', 1)[0]!), 'Correct it']
      report(where, `the YAML does not parse: ${what}`, remedy)
    }
    if (doc.errors.length > 0) return null
    if (doc.contents === null || (isScalar(doc.contents) && doc.contents.value === null)) return []
    const tree = read(doc.contents, 0, at, report)
    if (tree.kind === 'map') return [...tree.entries]
    if (tree.kind !== 'faulty') report(tree.at, 'the YAML is not a mapping', 'Write "key: value" lines')
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    report(place(1, 1), 'the YAML is nested too deeply', `Nest at most ${DEEPEST} levels`)
  }
  return null
}

function read(node: ParsedNode, depth: number, offset: (n: number) => Place, report: Report): Tree {
  const at = offset(node.range[0])
  const faulty = (what: string, remedy: string): Tree => {
    report(at, what, remedy)
    return { at, kind: 'faulty' }
  }
  if (isAlias(node)) return faulty(`the YAML uses the alias ${quote(`*${node.source}`)}`, 'Write the value out')
  if (node.tag) return faulty(`the YAML uses the tag ${quote(node.tag)}`, 'Write a plain value without a tag')
  if (isScalar(node)) {
    const { value } = node
    if (typeof value === 'number' && (Number.isInteger(value) ? !Number.isSafeInteger(value) : !Number.isFinite(value)))
      return faulty(`${quote(node.source)} is no number that JSON can hold exactly`, 'Quote it if it is a name')
    if (typeof value === 'string' && !value.isWellFormed())
      return faulty('the text is not Unicode', 'Take the escape of half a character out')
    if (value === null || ['string', 'number', 'boolean'].includes(typeof value))
      return { at, kind: 'scalar', value: value as string | number | boolean | null }
    return faulty('the value is no plain JSON value', 'Write text, a number, true, false or a list')
  }
  if (depth === DEEPEST) return faulty('the YAML is nested too deeply', `Nest at most ${DEEPEST} levels`)
  if (isSeq(node)) {
    const items = (node.items as ParsedNode[]).map((item) => read(item, depth + 1, offset, report))
    return { at, kind: 'list', items }
  }
  if (!isMap(node)) return faulty('the value is no plain JSON value', 'Write text, a number, true, false or a list')
  const seen = new Map<string, Place>()
  const entries: Entry[] = []
  for (const pair of node.items as { key: ParsedNode; value: ParsedNode | null }[]) {
    const { key } = pair
    const keyAt = key ? offset(key.range[0]) : at
    if (!isScalar(key) || key.tag || typeof key.value !== 'string' || key.value === '') {
      report(keyAt, 'a key is not text', 'Write a plain name, in quotes if it looks like a number')
      continue
    }
    const first = seen.get(key.value)
    if (first) {
      report(keyAt, `the key ${quote(key.value)} is here twice, first in line ${first.line}`, 'Keep one of them')
      continue
    }
    seen.set(key.value, keyAt)
    const value: Tree = pair.value
      ? read(pair.value, depth + 1, offset, report)
      : { at: keyAt, kind: 'scalar', value: null }
    entries.push({ key: key.value, at: keyAt, value })
  }
  return { at, kind: 'map', entries }
}
