import type {
  ActionsBlock,
  AlertBlock,
  Button,
  HeaderBlock,
  KnownBlock,
  RichTextBlock,
  RichTextElement,
  SectionBlock,
  TableBlock,
} from '@slack/types'
import { type Press, writePress } from '../actions.ts'
import { cut, exact, literal, plain } from '../text.ts'

/** A string is literal text; nothing in it is a mark, a mention or a link. */
export type Piece = string | RichTextElement
const element = (piece: Piece): RichTextElement => (typeof piece === 'string' ? literal(piece) : piece)

/** Lines of rich text. */
export const lines = (...all: readonly (readonly Piece[])[]): RichTextBlock => ({
  type: 'rich_text',
  elements: [
    {
      type: 'rich_text_section',
      elements: all.flatMap((pieces, i) => [...(i > 0 ? [newline] : []), ...pieces.map(element)]),
    },
  ],
})
const newline: RichTextElement = { type: 'text', text: '\n' }

export const bold = (text: string, max = 1000): RichTextElement => literal(cut(text, max), { bold: true })
export const mono = (text: string, max = 1000): RichTextElement =>
  literal(cut(exact(text).replace(/\s+/g, ' ').trim(), max), { code: true })

/** A paragraph in which nothing is a mark, a mention or a link. */
export const said = (text: string, max = 2900): SectionBlock => ({ type: 'section', text: plain(text, max) })

/** Small print. */
export const small = (...pieces: readonly Piece[]): RichTextBlock => lines(pieces)

export const header = (text: string): HeaderBlock => ({ type: 'header', text: plain(text, 148) })

/** How much something matters: a sign and, where the sentence does not say it itself, a word. */
export type Level = 'info' | 'warning' | 'error' | 'success'
const SIGN: Readonly<Record<Level, string>> = {
  info: 'information_source',
  warning: 'warning',
  error: 'red_circle',
  success: 'white_check_mark',
}

/** Lines that are seen first, in a message or the Home tab: behind a bar, after a sign. Only modals have boxes. */
export const notice = (level: Level, text: string, ...rest: readonly Piece[]): RichTextBlock => ({
  type: 'rich_text',
  elements: [
    {
      type: 'rich_text_quote',
      elements: [{ type: 'emoji', name: SIGN[level] }, literal(' '), bold(text, 2900), ...rest.map(element)],
    },
  ],
})

/** What the plan warns of: the word is said, and the sentence is not bold, since there may be several. */
export const warning = (text: string): RichTextBlock => notice('warning', 'Warning:', ` ${cut(exact(text), 2900)}`)

/** A box that is seen first, in a modal: https://docs.slack.dev/reference/block-kit/blocks/alert-block, 200 characters. */
export const box = (level: Level, text: string): AlertBlock => ({ type: 'alert', level, text: plain(text, 200) })

/** Foreign lines in a fixed-width font. */
export const fixed = (text: string, max = 2400): RichTextBlock => ({
  type: 'rich_text',
  elements: [
    { type: 'rich_text_preformatted', elements: [{ type: 'text', text: cut(exact(text), max) || '–' }], border: 0 },
  ],
})

/** Rows under their column names, every cell literal and whole. At most 20 columns and 99 rows: the caller sees to it. */
export const table = (columns: readonly string[], rows: readonly (readonly string[])[]): TableBlock => {
  const row = (cells: readonly string[]) =>
    columns.map((_, i) => ({ type: 'raw_text' as const, text: exact(cells[i] ?? '').trim() || '–' }))
  return {
    type: 'table',
    rows: [row(columns), ...rows.map(row)],
    column_settings: columns.map(() => ({ is_wrapped: true })),
  }
}

/** `Name  value` lines. */
export const facts = (entries: readonly (readonly [string, Piece])[]): RichTextBlock =>
  lines(...entries.map(([name, value]) => [bold(name), '  ', value]))

/** A button. The label of one that changes something names the environment. */
export function button(label: string, press: Press, style?: 'primary' | 'danger', confirm?: string): Button {
  return {
    type: 'button',
    text: plain(label, 74),
    ...writePress(press),
    ...(style ? { style } : {}),
    ...(confirm
      ? {
          confirm: {
            title: plain('Are you sure?'),
            text: plain(confirm, 290),
            confirm: plain('Yes'),
            deny: plain('No'),
          },
        }
      : {}),
  }
}

export const actions = (...elements: Button[]): ActionsBlock => ({ type: 'actions', elements })

/** Whether a block carries buttons, which a message never loses. */
export const isActions = (block: KnownBlock): block is ActionsBlock => block.type === 'actions'
