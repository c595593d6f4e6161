import type { Code, Heading, Nodes } from 'mdast'
import { fromMarkdown } from 'mdast-util-from-markdown'

/** A fenced block. `line` is that of its opening fence, `end` that of its closing one. */
export type Fence = Readonly<{ lang: string; meta: string; text: string; line: number; end: number; closed: boolean }>

/** What stands under a `##` heading, or before the first one (`title` is null). `end` is its last line. */
export type Section = Readonly<{ title: string | null; line: number; first: number; end: number; fences: Fence[] }>

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
export function readBody(text: string): Section[] {
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
  const fences = children.flatMap((child) => codes(child)).filter((code) => isFenced(code, lines))
  return [{ title: null, line: 1, first: 1 }, ...marks].map((mark, i) => {
    const end = (marks[i]?.line ?? lines.length + 1) - 1
    const own = fences.filter((f) => f.position!.start.line >= mark.first && f.position!.start.line <= end)
    return { ...mark, end, fences: own.map((code) => fenceOf(code, lines)) }
  })
}

function codes(node: Nodes): Code[] {
  if (node.type === 'code') return [node]
  return 'children' in node ? node.children.flatMap((child) => codes(child)) : []
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
