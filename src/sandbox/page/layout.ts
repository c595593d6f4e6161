import { createElement as h, type ReactNode } from 'react'
import { renderToStaticMarkup } from 'react-dom/server'
import { blocksOf } from './blocks.ts'
import { icon } from './icons.ts'
import { avatar, messageList, senderOf } from './message.ts'
import {
  channelsOf,
  hrefOf,
  type Look,
  type Message,
  type Panel,
  peopleOf,
  plain,
  type UiState,
  type View,
} from './model.ts'
import { notificationOf } from './mrkdwn.ts'
import { panelOf } from './panel.ts'
import { type Scene, sceneOf } from './rich.ts'

/** The HTML of everything inside `<body>` for one look at a state; all foreign text is escaped by React. */
export function renderApp(state: UiState, panel: Panel, look: Look, now: Date): string {
  const scene = sceneOf(state, look, now)
  const note = latestNote(scene)
  const app = h(
    'div',
    {
      id: 'app',
      'data-pane': look.pane,
      'data-as': look.as,
      'data-thread': look.thread || undefined,
      'data-note': note ? JSON.stringify(note) : undefined,
    },
    topbar(scene),
    sidebar(scene),
    look.pane === 'home' ? home(scene) : channel(scene),
    look.thread ? thread(scene) : null,
    panelOf(panel, look),
    modal(state.modals[look.as] ?? null, scene),
  )
  // The library gives every block the same id, breaks code in mid-word by an inline style, and leaves links without an
  // address where it refused one. Text cannot look like this: React escapes its quotes.
  return renderToStaticMarkup(app).replaceAll(/ id="slack_blocks_to_jsx"| style="word-wrap:[^"]*"| href=""/g, '')
}

/** The messages of a channel that a person sees: roots, or one thread with its root first. */
export function visible(state: UiState, look: Look, thread = ''): Message[] {
  const mine = (state.messages[look.channel] ?? []).filter((one) => isVisible(one, look.as))
  if (thread) return mine.filter((one) => one.ts === thread || one.thread_ts === thread)
  return mine.filter((one) => !one.thread_ts || one.thread_ts === one.ts)
}

/** Everything that was not deleted, and of what is for one person only what is for this one. */
function isVisible(message: Message, as: string): boolean {
  return !message.hidden && (!message.ephemeral_to || message.ephemeral_to === as)
}

function topbar({ state, look }: Scene): ReactNode {
  const people = peopleOf(state)
  return h(
    'header',
    { className: 'topbar' },
    h('h1', null, state.team.name),
    h('span', { className: 'offline', role: 'status' }, 'Connection lost, trying again…'),
    h(
      'label',
      { className: 'who' },
      h('span', null, 'You are'),
      h(
        'select',
        { 'data-who': '', defaultValue: look.as, 'data-key': `who-${look.as}` },
        people.map((user) =>
          h('option', { key: user.id, value: user.id }, `${user.real_name || user.name} · ${user.role}`),
        ),
      ),
    ),
  )
}

function sidebar(scene: Scene): ReactNode {
  const { state, look } = scene
  const all = channelsOf(state, look.as)
  const item = (id: string, name: string) => {
    const roots = visible(state, { ...look, channel: id })
    const current = look.channel === id && look.pane !== 'home'
    const href = hrefOf(look, { channel: id, thread: '', pane: 'channel' })
    return h(
      'a',
      {
        key: id,
        href,
        'data-go': '',
        'data-unread': id,
        'data-latest': roots.at(-1)?.ts ?? '0',
        'aria-current': current ? 'page' : undefined,
      },
      h('span', { className: 'hash', 'aria-hidden': true }, id.startsWith('D') ? '@' : '#'),
      name,
      h('span', { className: 'dot', role: 'img', 'aria-label': 'unread' }),
    )
  }
  const you = state.users.find((user) => user.id === look.as)
  return h(
    'nav',
    { className: 'sidebar', 'aria-label': 'Channels' },
    h(
      'div',
      { className: 'you' },
      avatar(you, scene, 'small'),
      h('span', null, you?.real_name, h('small', null, you?.role)),
    ),
    h('h2', null, 'Channels'),
    all.filter((one) => !one.id.startsWith('D')).map((one) => item(one.id, one.name)),
    h('h2', null, 'Apps'),
    h(
      'a',
      {
        href: hrefOf(look, { thread: '', pane: 'home' }),
        'data-go': '',
        'data-home': '',
        'aria-current': look.pane === 'home' ? 'page' : undefined,
      },
      avatar(undefined, scene, 'small'),
      state.bot.name,
    ),
    all.filter((one) => one.id.startsWith('D')).map((one) => item(one.id, `${state.bot.name} messages`)),
    h(
      'a',
      { className: 'to-demo', href: hrefOf(look, { pane: 'demo' }), 'data-go': '' },
      icon('flask'),
      'Demo controls',
    ),
  )
}

function channel(scene: Scene): ReactNode {
  const { state, look } = scene
  const name = state.channels.find((one) => one.id === look.channel)?.name ?? ''
  const messages = visible(state, look)
  return h(
    'main',
    { className: 'channel', 'data-key': `channel-${look.channel}`, 'aria-label': `Channel ${name}` },
    head(hrefOf(look, { pane: 'nav' }), 'Back to channels', h('h2', null, h('span', { className: 'hash' }, '#'), name)),
    h(
      'div',
      { className: 'scroll', tabIndex: 0, role: 'log', 'aria-label': `Messages in ${name}` },
      h(
        'div',
        { className: 'messages' },
        messages.length
          ? messageList(messages, scene, 'channel')
          : h(
              'p',
              { className: 'empty' },
              `This is the very beginning of #${name}. Fire an alert in the `,
              h('a', { href: hrefOf(look, { pane: 'demo' }), 'data-go': '' }, 'demo controls'),
              '.',
            ),
      ),
    ),
    composer(`Message #${name}`, look.channel, ''),
  )
}

function thread(scene: Scene): ReactNode {
  const { state, look } = scene
  const name = state.channels.find((one) => one.id === look.channel)?.name ?? ''
  const closed = hrefOf(look, { thread: '', pane: 'channel' })
  return h(
    'aside',
    { className: 'thread', 'data-key': `thread-${look.thread}`, 'aria-label': 'Thread' },
    head(closed, 'Back to channel', h('h2', null, 'Thread ', h('small', null, `#${name}`)), closed),
    h(
      'div',
      { className: 'scroll', tabIndex: 0, role: 'log', 'aria-label': 'Messages in thread' },
      h('div', { className: 'messages' }, messageList(visible(state, look, look.thread), scene, 'thread')),
    ),
    composer('Reply…', look.channel, look.thread),
  )
}

function home(scene: Scene): ReactNode {
  const { state, look } = scene
  const view = state.homes[look.as]
  return h(
    'main',
    { className: 'home', 'data-key': 'home', 'data-view': view?.id, 'aria-label': `${state.bot.name} home` },
    head(
      hrefOf(look, { pane: 'nav' }),
      'Back to channels',
      h('h2', null, avatar(undefined, scene, 'small'), state.bot.name),
    ),
    h(
      'div',
      { className: 'scroll', tabIndex: 0 },
      h(
        'div',
        { className: 'home-view' },
        view
          ? blocksOf(view.blocks, { prefix: 'home', view }, scene)
          : h('p', { className: 'empty' }, `${state.bot.name} shows nothing here yet.`),
      ),
    ),
  )
}

function modal(view: View | null, scene: Scene): ReactNode {
  if (!view) return null
  return h(
    'dialog',
    { 'data-key': `view-${view.id}`, 'data-view': view.id, className: 'modal', 'aria-labelledby': 'modal-title' },
    h(
      'form',
      { method: 'dialog', noValidate: true },
      h(
        'header',
        null,
        avatar(undefined, scene, 'small'),
        h('h2', { id: 'modal-title' }, plain(view.title)),
        h('button', { type: 'button', className: 'bare', 'data-close': '', 'aria-label': 'Close' }, icon('close')),
      ),
      h('div', { className: 'scroll' }, blocksOf(view.blocks, { prefix: view.id, view }, scene)),
      h(
        'footer',
        null,
        h('p', { className: 'submit-error', role: 'alert', 'data-keep': '' }),
        h(
          'button',
          { type: 'button', className: 'btn', 'data-close': '' },
          plain(view.close) || (view.submit ? 'Cancel' : 'Close'),
        ),
        view.submit ? h('button', { type: 'submit', className: 'btn primary' }, plain(view.submit)) : null,
      ),
    ),
  )
}

function head(back: string, label: string, title: ReactNode, close?: string): ReactNode {
  return h(
    'header',
    { className: 'head' },
    h('a', { className: 'bare back', href: back, 'data-go': '', 'aria-label': label }, icon('back')),
    title,
    close
      ? h('a', { className: 'bare shut', href: close, 'data-go': '', 'aria-label': 'Close thread' }, icon('close'))
      : null,
  )
}

function composer(placeholder: string, channelId: string, threadTs: string): ReactNode {
  return h(
    'form',
    { className: 'composer', 'data-say': channelId, 'data-thread': threadTs },
    h('textarea', { rows: 1, placeholder, 'aria-label': placeholder }),
    h('button', { type: 'submit', className: 'bare send', 'aria-label': 'Send' }, icon('send')),
  )
}

function latestNote(scene: Scene) {
  const { state, look } = scene
  const names = Object.fromEntries([
    ...state.users.map((user) => [user.id, user.name]),
    ...state.channels.map((one) => [one.id, one.name]),
    ...state.usergroups.map((group) => [group.id, group.handle]),
  ])
  let latest: { ts: string; channel: string; thread: string; where: string; from: string; text: string } | undefined
  for (const { id, name } of channelsOf(state, look.as)) {
    const mine = (state.messages[id] ?? []).filter((one) => isVisible(one, look.as))
    const last = mine.filter((one) => one.user !== look.as).at(-1)
    if (!last || (latest && Number(last.ts) <= Number(latest.ts))) continue
    const threadTs = last.thread_ts && last.thread_ts !== last.ts ? last.thread_ts : ''
    const from = senderOf(last, scene).name
    latest = {
      ts: last.ts,
      channel: id,
      thread: threadTs,
      where: `#${name}`,
      from,
      text: notificationOf(last.text, names),
    }
  }
  return latest
}
