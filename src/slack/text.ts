import type { MrkdwnElement, PlainTextElement, RichTextElement } from '@slack/types'

/** What has no shape of its own (zero-width, bidi, tags, fillers) and what is not text (controls, lone surrogates). */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800]/gu

const breaks = (text: string) => text.replace(/\r\n?|[\u0085\u2028\u2029]/g, '\n').replaceAll('\t', '  ')

/** Foreign text without what cannot be seen. Line breaks stay. */
export const clean = (text: string): string => breaks(text).replace(INVISIBLE, (c) => (c === '\n' ? c : ''))

/** Foreign text on one line. */
export const line = (text: string): string => clean(text).replace(/\s+/g, ' ').trim()

/** Text that a decision rests on: what cannot be seen is spelt out as `\u{200B}` instead of dropped. */
export const exact = (text: string): string =>
  breaks(text).replace(INVISIBLE, (c) => (c === '\n' ? c : `\\u{${c.codePointAt(0)!.toString(16).toUpperCase()}}`))

/** At most `max` UTF-16 units, ending in `…` if something is left out, never in half a character. */
export function cut(text: string, max: number): string {
  if (text.length <= max) return text
  const end = max - 1
  const half = /[\uD800-\uDBFF]/.test(text.charAt(end - 1))
  return `${text.slice(0, Math.max(0, half ? end - 1 : end))}…`
}

/** Escapes the three characters that start Slack's own marks. https://docs.slack.dev/messaging/formatting-message-text */
export const escapeMarks = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** A plain text object: nothing in it is a mark, a mention, a link or an emoji. `–` stands for nothing. */
export const plain = (text: string, max = 3000): PlainTextElement => ({
  type: 'plain_text',
  text: cut(clean(text).trim(), max) || '–',
  emoji: false,
})

/** Our own marks. Only what `code`, `mention` or `date` made may go into it; names and links in it are not guessed. */
export const mrkdwn = (text: string): MrkdwnElement => ({ type: 'mrkdwn', text, verbatim: true })

/** Foreign text as a code span in mrkdwn, on one line. A backtick would end the span, so it becomes its look-alike. */
export function code(text: string, max = 200): string {
  const inner = cut(exact(text).replace(/\s+/g, ' ').trim().replaceAll('`', 'ˋ'), max)
  return inner === '' ? '–' : `\`${escapeMarks(inner)}\``
}

/** The fallback text of a message: one line of at most 300 characters in which nothing is a mark or a link. */
export const fallback = (text: string): string =>
  cut(
    escapeMarks(
      cut(
        line(text)
          .replace(/(https?|ftp|slack|mailto|tel):/gi, '$1: ')
          .replace(/[*_~`]/g, ' '),
        280,
      ),
    ).replace(/\s+/g, ' '),
    400,
  )

const USER = /^[UW][A-Z0-9]{2,}$/
const GROUP = /^S[A-Z0-9]{2,}$/

/** A mention made by our templates from an id; anything that is not an id is shown as text. */
export const user = (id: string, name = id): RichTextElement =>
  USER.test(id) ? { type: 'user', user_id: id } : literal(name, { bold: true })
export const usergroup = (id: string): RichTextElement =>
  GROUP.test(id) ? { type: 'usergroup', usergroup_id: id } : literal(id)

type Style = { bold?: boolean; italic?: boolean; code?: boolean; strike?: boolean }

/** A literal text element of rich text: marks, mentions and links in it are only characters. */
export const literal = (text: string, style?: Style): RichTextElement => ({
  type: 'text',
  text: exact(text) || '–',
  ...(style ? { style } : {}),
})

/** A link to an address of ours or one that `webUrl` has let through; anything else is shown as text. */
export const link = (url: string | null, text: string): RichTextElement =>
  url === null ? literal(text) : { type: 'link', url, text: clean(text) || url }

/** A point in time that the reader's client shows in its own zone; `{ago}` counts along. */
export const moment = (iso: string, format = '{date_short_pretty} at {time}'): RichTextElement => ({
  type: 'date',
  timestamp: Math.floor(Date.parse(iso) / 1000),
  format,
  fallback: utc(iso),
})

/** `2026-01-02 03:04 UTC` */
export const utc = (iso: string): string => `${new Date(iso).toISOString().slice(0, 16).replace('T', ' ')} UTC`

/** `1 h 5 min`, `2 min 3 s`, `0.4 s`, `under 0.1 s`: between two ISO times. */
export function span(from: string, to: string): string {
  const s = Math.max(0, Date.parse(to) - Date.parse(from)) / 1000
  if (s < 0.05) return 'under 0.1 s'
  if (s < 10) return `${Number(s.toFixed(1))} s`
  if (s < 60) return `${Math.round(s)} s`
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`
}

/** A web address that may be linked, or null: http and https without a login in it. */
export function webUrl(url: string): string | null {
  if (!URL.canParse(url)) return null
  const parsed = new URL(url)
  const web = ['http:', 'https:'].includes(parsed.protocol) && parsed.username === '' && parsed.password === ''
  return web && parsed.href.length <= 2000 ? parsed.href : null
}

/** `1 target`, `3 targets`. */
export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`
