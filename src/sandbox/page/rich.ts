import { createElement as h, type ReactNode } from 'react'
import { type Block, Message, type MessageProps } from 'slack-blocks-to-jsx'
import { formatDate } from './date.ts'
import { icon } from './icons.ts'
import { type Json, type Look, plain, safeUrl, string, type UiState } from './model.ts'
import { literalTextOf, richTextOf } from './mrkdwn.ts'

/** What rendering needs to know beside the block: the workspace, who looks, and when. */
export interface Scene {
  state: UiState
  look: Look
  now: Date
  hooks: NonNullable<MessageProps['hooks']>
  data: NonNullable<MessageProps['data']>
}

/** Emoji that notices begin with, drawn here: not every machine has a font that shows them. */
const SIGNS: Readonly<Record<string, 'info' | 'warning' | 'error' | 'success'>> = {
  information_source: 'info',
  warning: 'warning',
  red_circle: 'error',
  white_check_mark: 'success',
}

/** A scene for one rendering of a state; mentions get their names from it, and only safe addresses become links. */
export function sceneOf(state: UiState, look: Look, now: Date): Scene {
  const groups = new Map(state.usergroups.map((group) => [group.id, group]))
  const mention = (said: string, mine: boolean) => h('span', { className: mine ? 'mention mine' : 'mention' }, said)
  const hooks: Scene['hooks'] = {
    user: ({ id, name }) => mention(`@${name || id}`, id === look.as),
    channel: ({ id, name }) =>
      h('a', { className: 'mention', href: `/?as=${look.as}&channel=${id}` }, `#${name || id}`),
    usergroup: ({ id, name }) =>
      mention(`@${groups.get(id)?.handle ?? name ?? id}`, groups.get(id)?.users.includes(look.as) ?? false),
    atHere: () => mention('@here', true),
    atChannel: () => mention('@channel', true),
    atEveryone: () => mention('@everyone', true),
    emoji: (emoji, parse) => {
      const sign = Object.hasOwn(SIGNS, emoji.name) ? SIGNS[emoji.name] : undefined
      if (sign)
        return h(
          'span',
          { role: 'img', className: `sign ${sign}`, 'aria-label': emoji.name.replaceAll('_', ' ') },
          icon(sign),
        )
      const said = parse(emoji)
      return said === emoji.name ? `:${said}:` : h('span', { role: 'img', 'aria-label': emoji.name }, said)
    },
    date: ({ timestamp, format, link, fallback }) => {
      const at = new Date(Number(timestamp) * 1000)
      if (Number.isNaN(at.getTime())) return fallback
      const time = h('time', { dateTime: at.toISOString(), title: fallback }, formatDate(at, format, now))
      return link ? linkTo(link, time) : time
    },
    link: ({ href, children }) => linkTo(href, children),
  }
  const data: Scene['data'] = {
    users: state.users.map(({ id, name }) => ({ id, name })),
    channels: state.channels,
    user_groups: state.usergroups.map(({ id, handle }) => ({ id, name: handle })),
  }
  return { state, look, now, hooks, data }
}

/** A block that the library draws as it is. */
export function drawn(block: Json, scene: Scene): ReactNode {
  const blocks = [block as unknown as Block]
  return h(Message, { blocks, name: '', logo: '', withoutWrapper: true, hooks: scene.hooks, data: scene.data })
}

/** A text object (mrkdwn, plain_text), or a bare string as mrkdwn, in running text. */
export function textOf(text: unknown, scene: Scene): ReactNode {
  return drawn({ type: 'rich_text', elements: elementsOf(text) }, scene)
}

/** The rich_text elements that show a text object, or a bare string as mrkdwn. */
export function elementsOf(text: unknown): Json[] {
  const object = typeof text === 'object' && text !== null ? (text as Json) : {}
  if (typeof text === 'string' || object.type === 'mrkdwn')
    return richTextOf(plain(text), { verbatim: object.verbatim === true })
  return literalTextOf(plain(text) || string(object.value), object.type === 'plain_text' && object.emoji !== false)
}

function linkTo(address: string | undefined, children: ReactNode): ReactNode {
  const url = safeUrl(address ?? '')
  if (!url) return h('span', null, children)
  const local = url.startsWith('/')
  return h('a', { href: url, ...(local ? {} : { target: '_blank', rel: 'noopener noreferrer' }) }, children)
}
