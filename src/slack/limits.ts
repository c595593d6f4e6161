import type { ActionsBlock, HomeView, KnownBlock, ModalView, TableBlock, TextObject } from '@slack/types'
import { cut } from './text.ts'

/** Where blocks are shown. */
export type Surface = 'message' | 'modal' | 'home'
type BlockType = KnownBlock['type']

const EVERYWHERE = ['actions', 'context', 'divider', 'header', 'image', 'rich_text', 'section'] as const

/**
 * The block types that we send to each surface: those whose page under https://docs.slack.dev/reference/block-kit/blocks names
 * the surface (read 2026-11-28). A type whose surfaces could not be made sure of is sent nowhere.
 */
export const TAKES: Readonly<Record<Surface, ReadonlySet<BlockType>>> = {
  message: new Set<BlockType>([...EVERYWHERE, 'markdown', 'plan', 'table']),
  modal: new Set<BlockType>([...EVERYWHERE, 'alert', 'input']),
  home: new Set<BlockType>(EVERYWHERE),
}
/** Blocks in all: https://docs.slack.dev/reference/block-kit/blocks. */
const MOST: Readonly<Record<Surface, number>> = { message: 50, modal: 100, home: 100 }

/**
 * Slack's limits of a message (https://docs.slack.dev/reference/block-kit/blocks, @slack/types 3.2). One text too long
 * costs the whole message, buttons included. The sum of all text is not documented; users measured 13,297 characters
 * less some 60 a block (slackapi/bolt-js#2509, #2867).
 */
const LIMITS = { text: 3000, alert: 200, fields: 10, field: 2000, header: 150, context: 10, cells: 20, rows: 100 }
/** Of a message's own text, which notifications show: https://docs.slack.dev/reference/methods/chat.postMessage. */
export const TEXT = 4000
const TABLE = 10_000
const SUM = 13_200
const PER_BLOCK = 60
const TASKS = 50
const ELEMENTS = 25

const isActions = (block: KnownBlock): block is ActionsBlock => block.type === 'actions'

/** The characters of every text in a block. */
function weight(node: unknown): number {
  if (typeof node !== 'object' || node === null) return 0
  return Object.entries(node).reduce(
    (sum, [key, value]) =>
      sum +
      (typeof value === 'string' ? (['text', 'title', 'fallback'].includes(key) ? value.length : 0) : weight(value)),
    0,
  )
}
const total = (blocks: readonly KnownBlock[]) => blocks.reduce((sum, b) => sum + weight(b) + PER_BLOCK, 0)

const shorter = <T extends TextObject>(text: T, max: number): T => ({ ...text, text: cut(text.text, max) })

/** One block within the limits of its type. */
function fitBlock(block: KnownBlock): KnownBlock {
  switch (block.type) {
    case 'header':
      return { ...block, text: shorter(block.text, LIMITS.header) }
    case 'alert':
      return { ...block, text: shorter(block.text, LIMITS.alert) }
    case 'section': {
      const text = block.text ? { text: shorter(block.text, LIMITS.text) } : {}
      const fields = block.fields
        ? { fields: block.fields.slice(0, LIMITS.fields).map((f) => shorter(f, LIMITS.field)) }
        : {}
      return { ...block, ...text, ...fields }
    }
    case 'context':
      return { ...block, elements: block.elements.slice(0, LIMITS.context) }
    case 'markdown':
      return { ...block, text: cut(block.text, 12_000) }
    case 'plan':
      return { ...block, ...(block.tasks ? { tasks: block.tasks.slice(0, TASKS) } : {}) }
    case 'actions':
      return { ...block, elements: block.elements.slice(0, ELEMENTS) }
    case 'table': {
      const cell = (c: TableBlock['rows'][number][number]) =>
        c.type === 'raw_text' ? { ...c, text: cut(c.text, LIMITS.text) } : c
      const rows = block.rows.slice(0, LIMITS.rows).map((row) => row.slice(0, LIMITS.cells).map(cell))
      while (rows.length > 1 && weight(rows) > TABLE) rows.pop()
      return { ...block, rows }
    }
    default:
      return block
  }
}

/** The same with about half of its text: its longest text is cut, a table loses rows. Null if there is nothing to cut. */
function half(block: KnownBlock): KnownBlock | null {
  if (block.type === 'table')
    return block.rows.length > 2 ? { ...block, rows: block.rows.slice(0, Math.ceil(block.rows.length / 2)) } : null
  const longest = Math.max(...texts(block).map((t) => t.length), 0)
  if (longest < 80) return null
  const shrink = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(shrink)
    if (typeof node !== 'object' || node === null) return node
    return Object.fromEntries(
      Object.entries(node).map(([key, value]) => [
        key,
        key === 'text' && typeof value === 'string' && value.length === longest
          ? cut(value, Math.ceil(longest / 2))
          : shrink(value),
      ]),
    )
  }
  return shrink(block) as KnownBlock
}

function texts(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([key, value]) =>
    key === 'text' && typeof value === 'string' ? [value] : texts(value),
  )
}

/** Why a surface does not take a block, as a block that it takes: its words as plain text. */
function inWords(block: KnownBlock): KnownBlock[] {
  const words = texts(block).join(' ').trim()
  return words === '' ? [] : [{ type: 'section', text: { type: 'plain_text', text: cut(words, LIMITS.text) } }]
}

/** Each block within its limits, and those that the surface does not take as their words. */
const fitting = (all: readonly KnownBlock[], surface: Surface): KnownBlock[] =>
  all.flatMap((block) => (TAKES[surface].has(block.type) ? fitBlock(block) : inWords(block)))

/**
 * Blocks of a message that Slack takes: what is too much is cut, the longest first, and what cannot be cut is left out from
 * the end. Buttons always stay. What a person decides on is never near these limits: a longer plan goes along as a file.
 */
export function fitBlocks(all: readonly KnownBlock[]): KnownBlock[] {
  let tables = 0
  let blocks = fitting(all, 'message').filter((b) => b.type !== 'table' || ++tables === 1)
  while (blocks.length > MOST.message)
    blocks.splice(
      blocks.findLastIndex((b) => !isActions(b)),
      1,
    )
  while (total(blocks) > SUM) {
    const heaviest = blocks
      .map((block, i) => ({ block, i, weight: isActions(block) ? -1 : weight(block) }))
      .reduce((a, b) => (b.weight > a.weight ? b : a))
    const less = half(heaviest.block)
    blocks = less ? blocks.with(heaviest.i, less) : blocks.toSpliced(heaviest.i, 1)
  }
  return blocks
}

/** A modal or Home tab that Slack takes: blocks that its surface has, each within its limits, and no more than fit. */
export function fitView<V extends ModalView | HomeView>(view: V): V {
  const surface = view.type === 'home' ? 'home' : 'modal'
  return { ...view, blocks: fitting(view.blocks as KnownBlock[], surface).slice(0, MOST[surface]) }
}
