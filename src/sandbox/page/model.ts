/** A JSON object of Block Kit: a block, an element or a composition object. */
export type Json = Record<string, unknown>

/** A person, or the bot, as the page needs them; `role` is a free label such as "approver". */
export interface User {
  id: string
  name: string
  real_name: string
  role: string
}

/** A file that a message carries; `url_private` gives its bytes. */
export interface SharedFile {
  id: string
  name: string
  title: string
  mimetype: string
  size: number
  url_private: string
}

/** A message of a channel or thread; only `ephemeral_to` sees it when that is set. */
export interface Message {
  ts: string
  thread_ts?: string
  user: string
  bot_id?: string
  username?: string
  text: string
  blocks?: Json[]
  edited?: { ts: string }
  files?: SharedFile[]
  reply_count?: number
  ephemeral_to?: string
  /** Set on what is left of a deleted message. */
  hidden?: boolean
}

/** A modal or home tab; `errors` are the field errors of the last submit, by block id. */
export interface View {
  id: string
  callback_id?: string
  title?: Json
  submit?: Json | null
  close?: Json | null
  blocks: Json[]
  state?: Json | null
  errors?: Record<string, string>
}

/** What `GET /ui/state` answers: everything that a workspace shows. */
export interface UiState {
  version: number
  team: { id: string; name: string }
  bot: { id: string; user_id: string; name: string }
  users: User[]
  channels: { id: string; name: string }[]
  messages: Record<string, Message[]>
  modals: Record<string, View | null>
  homes: Record<string, View | null>
  usergroups: { id: string; handle: string; name: string; users: string[] }[]
}

/** What `GET /ui/panel` answers: the demo's alerts to fire, faults to switch, and targets as tables, first and now. */
export interface Panel {
  /** `resolve` is the id of the press that resolves an alert which fires. */
  alerts: { id: string; title: string; note?: string; resolve?: string }[]
  faults: { id: string; title: string; note?: string; on?: boolean }[]
  targets: { id: string; title: string; columns: string[]; rows: string[][]; before?: string[][]; note?: string }[]
}

/** Who looks at what; it is the query string of the page. `pane` decides what a phone shows. */
export interface Look {
  as: string
  channel: string
  thread: string
  pane: 'nav' | 'channel' | 'thread' | 'home' | 'demo'
}

/** The user-visible text of a text object, a bare string, or nothing. */
export function plain(text: unknown): string {
  if (typeof text === 'string') return text
  const value = (text as Json | null | undefined)?.text
  return typeof value === 'string' ? value : ''
}

/** The list of objects under a key of an untrusted object; empty if it is something else. */
export function objects(value: unknown): Json[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'object' && one !== null) : []
}

/** A string field of an untrusted object; empty if it is something else. */
export function string(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : ''
}

/** The address if it is one that a person may follow (http, https, mailto, or a path of this page), else null. */
export function safeUrl(url: string): string | null {
  return /^(https?:\/\/|mailto:|\/(?![/\\]))/i.test(url.trim()) ? url.trim() : null
}

/** The link of a look, relative to the page. */
export function hrefOf(look: Look, change: Partial<Look>): string {
  const next = { ...look, ...change }
  const query = new URLSearchParams({ as: next.as, channel: next.channel })
  if (next.thread) query.set('thread', next.thread)
  query.set('pane', next.pane)
  return `/?${query}`
}

/** The look that a query string asks for, with what is missing or unknown filled in from the state. */
export function lookOf(query: Record<string, unknown>, state: UiState): Look {
  const people = peopleOf(state)
  const as = people.find((user) => user.id === query.as) ?? people[0]
  const channels = channelsOf(state, as?.id ?? '')
  const channel = channels.find((one) => one.id === query.channel) ?? channels[0]
  const ts = string(query.thread)
  const thread = (state.messages[channel?.id ?? ''] ?? []).some((one) => one.ts === ts) ? ts : ''
  const panes = ['nav', 'channel', 'home', 'demo', 'thread'] as const
  const asked = panes.find((pane) => pane === query.pane) ?? (thread ? 'thread' : 'channel')
  const pane = asked === 'thread' && !thread ? 'channel' : asked
  return { as: as?.id ?? '', channel: channel?.id ?? '', thread, pane }
}

/** The users that somebody can be: not the bot, not those who left. */
export function peopleOf(state: UiState): User[] {
  return state.users.filter((user) => user.id !== state.bot.user_id && !['bot', 'deactivated'].includes(user.role))
}

/** The channels that a person sees: all of them, and only their own direct messages. */
export function channelsOf(state: UiState, as: string): UiState['channels'] {
  return state.channels.filter((channel) => !channel.id.startsWith('D') || channel.id === `D${as.slice(1)}`)
}
