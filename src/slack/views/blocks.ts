import type { ActionsBlock, Button, KnownBlock } from '@slack/types'
import type { EvidenceBlock } from '../../domain/command.ts'
import { type Press, writePress } from '../actions.ts'
import { code, cut, exact, mrkdwn, plain } from '../text.ts'

/** A paragraph in which nothing is a mark, a mention or a link. */
export const said = (text: string, max = 2900): KnownBlock => ({ type: 'section', text: plain(text, max) })

/** Our own marks; foreign text in it has gone through `code`. At most 3,000 characters. */
export const marked = (text: string): KnownBlock => ({ type: 'section', text: mrkdwn(cut(text, 2990)) })

/** Small print in our own marks. */
export const small = (text: string): KnownBlock => ({ type: 'context', elements: [mrkdwn(cut(text, 1900))] })

export const header = (text: string): KnownBlock => ({ type: 'header', text: plain(text, 148) })

/** Foreign lines in a fixed-width font, by rich text, in which nothing is a mark. */
export const fixed = (text: string, max = 2400): KnownBlock => ({
  type: 'rich_text',
  elements: [
    { type: 'rich_text_preformatted', elements: [{ type: 'text', text: cut(exact(text), max) || '–' }], border: 0 },
  ],
})

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

const ROWS = 30
const BAR = 24

/** Evidence as blocks: tables as fixed-width text, which every client shows alike and no cell can break out of. */
export function evidenceBlock(block: EvidenceBlock): KnownBlock {
  if (block.type === 'text') return said(block.text)
  if (block.type === 'code') return fixed(block.text)
  if (block.type === 'chart') {
    const top = Math.max(...block.points.map((p) => p.value), 1e-9)
    const wide = Math.max(...block.points.map((p) => p.label.length), 0)
    const bars = block.points.map(
      (p) =>
        `${p.label.padEnd(wide)} ${'█'.repeat(Math.max(0, Math.round((p.value / top) * BAR)))} ${p.value} ${block.unit}`,
    )
    return fixed([block.title, ...bars].join('\n'))
  }
  const rows = block.rows.slice(0, ROWS).map((row) => row.map((cell) => cut(exact(cell).replace(/\s+/g, ' '), 60)))
  const widths = block.columns.map((c, i) => Math.max(c.length, ...rows.map((r) => (r[i] ?? '').length)))
  const lineOf = (cells: readonly string[]) =>
    cells
      .map((c, i) => c.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()
  const omitted = block.omitted + block.rows.length - rows.length
  const lines = [lineOf(block.columns), widths.map((w) => '─'.repeat(w)).join('  '), ...rows.map(lineOf)]
  return fixed([...lines, ...(omitted > 0 ? [`… and ${omitted} more`] : [])].join('\n'))
}

/** `*Name*  value` lines, values as code. */
export const facts = (entries: readonly (readonly [string, string])[]): KnownBlock =>
  marked(entries.map(([name, value]) => `*${name}*  ${code(value, 300)}`).join('\n') || '–')
