import type { Code, Heading, Nodes } from 'mdast'
import { fromMarkdown } from 'mdast-util-from-markdown'

/** A fenced block. `line` is that of its opening fence, `end` that of its closing one. */
export type Fence = Readonly<{ lang: string; meta: string; text: string; line: number; end: number; closed: boolean }>

/** What stands under a `##` heading, or before the first one (`title` is null). `end` is its last line. */
export type Section = Readonly<{ title: string | null; line: number; first: number; end: number; fences: Fence[] }>

/** All of a body: its sections, its blocks of code (also those that are only indented), and the lines of comments. */
export type Body = Readonly<{ sections: Section[]; fences: readonly Fence[]; hidden: ReadonlySet<number> }>

/**
 * What is inside a line is shown as it stands and never looked into, and a step's heading begins with `##`. Hostile runs
 * of these constructs take up to a minute to parse.
 */
const UNREAD = [
  'attention',
  'autolink',
  'codeText',
  'htmlText',
  'labelEnd',
  'labelStartImage',
  'labelStartLink',
  'setextUnderline',
]

/** Cuts markdown into sections at its `##` headings. Lines count from 1. */
export function readBody(text: string): Body {
  const lines = text.split('\n')
  const { children } = fromMarkdown(text, { extensions: [{ disable: { null: UNREAD } }] })
  const headings = children.filter((n): n is Heading => n.type === 'heading' && n.depth === 2)
  const marks = headings.map((h) => ({
    title: h.children
      .map((c) => ('value' in c ? c.value : ''))
      .join('')
      .replaceAll(/\s+/g, ' ')
      .trim(),
    line: h.position!.start.line,
    first: h.position!.end.line + 1,
  }))
  const blocks = children.flatMap((child) => of('code', child))
  const fences = blocks.filter((code) => isFenced(code, lines))
  const sections = [{ title: null, line: 1, first: 1 }, ...marks].map((mark, i) => {
    const end = (marks[i]?.line ?? lines.length + 1) - 1
    const own = fences.filter((f) => f.position!.start.line >= mark.first && f.position!.start.line <= end)
    return { ...mark, end, fences: own.map((code) => fenceOf(code, lines)) }
  })
  const comments = children.flatMap((child) => of('html', child)).filter(({ value }) => value.startsWith('<!--'))
  const hidden = comments.flatMap(({ position }) => {
    const { start, end } = position!
    return Array.from({ length: end.line - start.line + 1 }, (_, i) => start.line + i)
  })
  return { sections, fences: blocks.map((code) => fenceOf(code, lines)), hidden: new Set(hidden) }
}

function of<T extends Nodes['type']>(type: T, node: Nodes): Extract<Nodes, { type: T }>[] {
  if (node.type === type) return [node as Extract<Nodes, { type: T }>]
  return 'children' in node ? node.children.flatMap((child) => of(type, child)) : []
}

const opening = (code: Code, lines: readonly string[]): string =>
  /^(`{3,}|~{3,})/.exec(lines[code.position!.start.line - 1]!.slice(code.position!.start.column - 1))?.[1] ?? ''

const isFenced = (code: Code, lines: readonly string[]): boolean => opening(code, lines) !== ''

function fenceOf(code: Code, lines: readonly string[]): Fence {
  const { start, end } = code.position!
  const fence = opening(code, lines)
  const last = /(`{3,}|~{3,})[ \t]*$/.exec(lines[end.line - 1]!)?.[1] ?? ''
  const closed = end.line > start.line && last.startsWith(fence)
  return { lang: code.lang ?? '', meta: code.meta ?? '', text: code.value, line: start.line, end: end.line, closed }
}
