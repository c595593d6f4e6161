import { createElement as h, type ReactNode } from 'react'
import { blocksOf } from './blocks.ts'
import { agoOf, clockOf, dayOf } from './date.ts'
import { icon } from './icons.ts'
import { hrefOf, type Message, type SharedFile, safeUrl, type User } from './model.ts'
import { type Scene, textOf } from './rich.ts'

/** Messages one after the other with day lines; what the same sender says within 5 minutes shares one head. */
export function messageList(messages: Message[], scene: Scene, place: 'channel' | 'thread'): ReactNode {
  return messages.map((message, index) => {
    const before = messages[index - 1]
    const day = dayOf(timeOf(message.ts), scene.now)
    const newDay = place === 'channel' && (!before || dayOf(timeOf(before.ts), scene.now) !== day)
    const isReply = place === 'thread' && index === 1
    const close = before && before.user === message.user && Number(message.ts) - Number(before.ts) < 300
    const follows = close && !newDay && !isReply && !before.reply_count && before.ephemeral_to === message.ephemeral_to
    const count = messages.length - 1
    return [
      newDay && h('div', { key: `day-${message.ts}`, className: 'day', role: 'separator' }, h('span', null, day)),
      isReply &&
        h('div', { key: 'replies', className: 'day replies', role: 'separator' }, h('span', null, replies(count))),
      messageRow(message, scene, place, Boolean(follows)),
    ]
  })
}

/** The moment that a Slack timestamp (seconds with six decimals) names. */
export function timeOf(ts: string): Date {
  return new Date(Number(ts) * 1000)
}

/** A coloured square with a person's initial, or with the key for the bot. */
export function avatar(user: Pick<User, 'id' | 'name'> | undefined, scene: Scene, size = ''): ReactNode {
  if (!user || user.id === scene.state.bot.user_id)
    return h('span', { className: `avatar bot ${size}`, 'aria-hidden': true }, icon('key'))
  const hue = [...user.id].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 8
  return h('span', { className: `avatar hue${hue} ${size}`, 'aria-hidden': true }, user.name.slice(0, 1).toUpperCase())
}

/** Who sent a message: the name that it shows, and the person if there is one. */
export function senderOf(message: Message, scene: Scene): { name: string; user?: User; app: boolean } {
  const user = scene.state.users.find((one) => one.id === message.user)
  const app = Boolean(message.bot_id) || message.user === scene.state.bot.user_id
  const name = message.username || (app ? scene.state.bot.name : user?.real_name || user?.name) || message.user
  return { name, user: app ? undefined : user, app }
}

function messageRow(message: Message, scene: Scene, place: 'channel' | 'thread', follows: boolean): ReactNode {
  const { name, user, app } = senderOf(message, scene)
  const at = timeOf(message.ts)
  const time = h('time', { dateTime: at.toISOString(), title: at.toString() }, clockOf(at))
  const prefix = `${place}-${message.ts}`
  return h(
    'article',
    {
      key: message.ts,
      'data-key': message.ts,
      'data-ts': message.ts,
      'data-channel': scene.look.channel,
      className: `message${follows ? ' follows' : ''}${message.ephemeral_to ? ' ephemeral' : ''}`,
      'aria-label': `${name}, ${clockOf(at)}`,
    },
    follows ? h('span', { className: 'gutter' }, time) : avatar(user, scene),
    h(
      'div',
      { className: 'content' },
      message.ephemeral_to ? h('p', { className: 'only-you' }, icon('eye'), 'Only visible to you') : null,
      follows
        ? null
        : h('header', null, h('b', null, name), app ? h('span', { className: 'app' }, 'APP') : null, ' ', time),
      message.blocks?.length
        ? blocksOf(message.blocks, { prefix }, scene)
        : message.text
          ? h('div', { className: 'block section' }, h('div', { className: 'body' }, textOf(message.text, scene)))
          : null,
      message.edited
        ? h('span', { className: 'edited', title: timeOf(message.edited.ts).toString() }, '(edited)')
        : null,
      message.files?.map((file) => fileCard(file)),
      place === 'channel' && message.reply_count ? threadLink(message, scene) : null,
    ),
  )
}

function threadLink(message: Message, scene: Scene): ReactNode {
  const all = (scene.state.messages[scene.look.channel] ?? []).filter(
    (one) => one.thread_ts === message.ts && one.ts !== message.ts && !one.ephemeral_to,
  )
  const last = all.at(-1)
  const senders = new Map(all.map((one) => [one.user, senderOf(one, scene)]))
  return h(
    'a',
    { className: 'thread-link', href: hrefOf(scene.look, { thread: message.ts, pane: 'thread' }), 'data-go': '' },
    [...senders].slice(0, 4).map(([id, { user }]) => h('span', { key: id }, avatar(user, scene, 'small'))),
    h('b', null, replies(message.reply_count ?? all.length)),
    last ? h('span', null, `Last reply ${agoOf(timeOf(last.ts), scene.now)}`) : null,
  )
}

function fileCard(file: SharedFile): ReactNode {
  const url = safeUrl(file.url_private)?.replace(/^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?\//, '/')
  const readable = /^(text\/|application\/(json|yaml|x-ndjson))/.test(file.mimetype)
  const title = file.title || file.name
  return h(
    'div',
    { key: file.id, 'data-key': file.id, className: 'file-card' },
    h(
      'div',
      { className: 'file-head' },
      icon('file'),
      h('span', null, h('b', null, title), h('small', null, `${file.mimetype} · ${sizeOf(file.size)}`)),
      url
        ? h(
            'a',
            { className: 'btn', href: url, download: file.name, 'aria-label': `Download ${title}` },
            icon('download'),
          )
        : null,
    ),
    url && readable ? h('pre', { 'data-preview': url, 'data-keep': '', tabIndex: 0 }) : null,
  )
}

function sizeOf(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}

function replies(count: number): string {
  return count === 1 ? '1 reply' : `${count} replies`
}
