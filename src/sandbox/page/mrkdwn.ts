import type { Json } from './model.ts'
import { safeUrl } from './model.ts'

/*
 * Slack's mrkdwn becomes rich_text here, because the rendering library unescapes `&lt;!channel&gt;` before it parses
 * and so shows pings and links where Slack shows text. https://docs.slack.dev/messaging/formatting-message-text
 */

type Style = { bold?: true; italic?: true; strike?: true; code?: true }

const MARKS = { '*': 'bold', _: 'italic', '~': 'strike' } as const
const TOKEN =
  /<([^<>\n]+)>|`([^`\n]+)`|(?<![\p{L}\p{N}:]):([a-z][a-z0-9_+-]*|[+-]1):(?![\p{L}\p{N}])|(https?:\/\/[^\s<>|]+[^\s<>|.,;:!?'")\]}])|(?<![\p{L}\p{N}*_~])([*_~])(?=\S)((?:(?!\5)[^\n])*[^\s])\5(?![\p{L}\p{N}*_~])/gu

/** The rich_text elements (section, preformatted, quote) that show a mrkdwn string the way Slack does. */
export function richTextOf(mrkdwn: string, options: { verbatim?: boolean } = {}): Json[] {
  const blocks: Json[] = []
  for (const [index, part] of mrkdwn.split('```').entries()) {
    const fenced = index % 2 === 1
    if (fenced) blocks.push({ type: 'rich_text_preformatted', elements: [text(part.replace(/^\n|\n$/g, ''), {})] })
    else blocks.push(...paragraphs(part, options.verbatim === true))
  }
  return blocks
}

/** The rich_text elements of a plain_text string: literal, but for emoji names. */
export function literalTextOf(value: string, emoji = true): Json[] {
  const elements: Json[] = []
  let from = 0
  if (emoji)
    for (const match of value.matchAll(TOKEN))
      if (match[3]) {
        if (match.index > from) elements.push({ type: 'text', text: value.slice(from, match.index) })
        elements.push({ type: 'emoji', name: match[3] })
        from = match.index + match[0].length
      }
  if (from < value.length) elements.push({ type: 'text', text: value.slice(from) })
  return [{ type: 'rich_text_section', elements }]
}

/** The text that a notification shows for a mrkdwn string: marks gone, names and labels in their place. */
export function notificationOf(mrkdwn: string, names: Record<string, string>): string {
  const said = (element: Json): string => {
    if (element.type === 'text') return String(element.text)
    if (element.type === 'link') return String(element.text ?? element.url)
    if (element.type === 'emoji') return `:${element.name}:`
    if (element.type === 'date') return String(element.fallback)
    if (element.type === 'broadcast') return `@${element.range}`
    const id = String(element.user_id ?? element.channel_id ?? element.usergroup_id)
    return `${element.type === 'channel' ? '#' : '@'}${names[id] ?? id}`
  }
  return richTextOf(mrkdwn)
    .map((block) => (block.elements as Json[]).map(said).join(''))
    .join('\n')
}

function paragraphs(part: string, verbatim: boolean): Json[] {
  const blocks: Json[] = []
  let kind = ''
  let lines: string[] = []
  const flush = () => {
    const body = lines.join('\n').replace(/^\n|\n$/g, '')
    if (body !== '') blocks.push({ type: kind, elements: inline(body, {}, verbatim) })
    lines = []
  }
  for (const line of part.split('\n')) {
    const quoted = /^(?:&gt;|>) ?(.*)$/s.exec(line)
    const next = quoted ? 'rich_text_quote' : 'rich_text_section'
    if (next !== kind) flush()
    kind = next
    lines.push(quoted?.[1] ?? line)
  }
  flush()
  return blocks
}

function inline(source: string, style: Style, verbatim: boolean): Json[] {
  const elements: Json[] = []
  let from = 0
  for (const match of source.matchAll(TOKEN)) {
    const [whole, angle, code, emoji, url, mark, inner] = match
    if (url && verbatim) continue
    if (match.index > from) elements.push(text(source.slice(from, match.index), style))
    from = match.index + whole.length
    if (angle !== undefined) elements.push(special(angle, style))
    else if (code !== undefined) elements.push(text(code, { ...style, code: true }))
    else if (emoji !== undefined) elements.push({ type: 'emoji', name: emoji })
    else if (url !== undefined) elements.push({ type: 'link', url: unescaped(url), style })
    else elements.push(...inline(inner ?? '', { ...style, [MARKS[mark as keyof typeof MARKS]]: true }, verbatim))
  }
  if (from < source.length) elements.push(text(source.slice(from), style))
  return elements
}

function special(token: string, style: Style): Json {
  const [target = '', label] = token.split(/\|(.*)/s)
  const id = target.slice(1)
  if (target.startsWith('@')) return { type: 'user', user_id: id, style }
  if (target.startsWith('#')) return { type: 'channel', channel_id: id, style }
  if (/^!(here|channel|everyone)$/.test(target)) return { type: 'broadcast', range: id, style }
  if (target.startsWith('!subteam^')) return { type: 'usergroup', usergroup_id: target.slice(9), style }
  if (target.startsWith('!date^')) {
    const [, seconds, format, url] = target.split('^')
    const fallback = unescaped(label ?? '')
    return { type: 'date', timestamp: Number(seconds), format: unescaped(format ?? ''), url, fallback }
  }
  const url = safeUrl(unescaped(target))
  if (!url) return text(label ?? `<${token}>`, style)
  return { type: 'link', url, text: label === undefined ? undefined : unescaped(label), style }
}

function text(value: string, style: Style): Json {
  return { type: 'text', text: unescaped(value), style }
}

function unescaped(value: string): string {
  return value.replace(/&(lt|gt|amp);/g, (_, name: 'lt' | 'gt' | 'amp') => ({ lt: '<', gt: '>', amp: '&' })[name])
}
