import { randomBytes } from 'node:crypto'
import type { Clock } from './clock.ts'
import { type Faults, NO_FAULTS } from './faults.ts'
import { type Pings, pingsOf } from './pings.ts'
import type { Channel, User, Workspace } from './workspace.ts'

/** A JSON object whose fields nobody has looked at yet. */
export type Json = Record<string, unknown>

/** A file after `files.completeUploadExternal`, or between the two calls while `channel` is unset. */
export interface SlackFile {
  id: string
  name: string
  title: string
  mimetype: string
  size: number
  content: Buffer
  uploaded: boolean
  completed: boolean
}

/** What a message consists of, apart from where and when. */
export interface Content {
  text: string
  blocks?: Json[]
  attachments?: Json[]
  metadata?: { event_type: string; event_payload: Json }
  linkNames?: boolean
}

/** A stored message; `inputs` are the values that people chose in it, `ephemeral_to` the only one who sees it. */
export interface Message extends Content {
  ts: string
  channel: string
  user: string
  bot: boolean
  thread_ts?: string
  username?: string
  broadcast?: boolean
  deleted?: boolean
  edited?: { user: string; ts: string }
  files?: SlackFile[]
  reactions: { name: string; users: string[]; count: number }[]
  ephemeral_to?: string
  inputs: Record<string, Record<string, Json>>
  pings: Pings
}

/** A modal or home tab of one user. */
export interface View {
  id: string
  user: string
  type: 'modal' | 'home'
  hash: string
  root_view_id: string
  previous_view_id: string | null
  definition: Json & { blocks: Json[]; callback_id?: string; external_id?: string; private_metadata?: string }
  values: Record<string, Record<string, Json>>
  errors?: Record<string, string>
}

/** One line of the append-only log: a call of the Web API, an interaction, an event, a use of a response_url. */
export interface LogEntry {
  at: number
  kind: 'call' | 'interaction' | 'event' | 'response_url' | 'socket'
  name: string
  status: number
  error?: string
  args?: Json
  response?: Json
}

/** What a person's click came to: the bot's HTTP status (0: unreachable or late) and the error the person saw. */
export interface Press {
  at: number
  user: string
  action_id: string
  status: number
  error?: string
}

/** All that the sandbox remembers, in memory, and who wants to hear of changes. */
export function createState(workspace: Workspace, clock: Clock) {
  let version = 0
  const listeners = new Set<() => void>()
  const lastMicros = new Map<string, number>()
  const messages = new Map<string, Message[]>(workspace.channels.map((channel) => [channel.id, []]))
  const state = {
    workspace,
    messages,
    /** The open modals of each user, bottom first. */
    modals: new Map<string, View[]>(),
    homes: new Map<string, View>(),
    files: new Map<string, SlackFile>(),
    triggers: new Map<string, { user: string; expires: number; used: boolean; view?: string }>(),
    faults: { ...NO_FAULTS } as Faults,
    log: [] as LogEntry[],
    presses: [] as Press[],
    get version() {
      return version
    },
    changed() {
      version += 1
      for (const listener of [...listeners]) listener()
    },
    /** Calls `listener` after each change; returns how to stop. */
    subscribe(listener: () => void) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    record(entry: Omit<LogEntry, 'at'>) {
      state.log.push({ at: clock.now(), ...entry })
      state.changed()
    },
    user: (id: string): User | undefined => workspace.users.find((user) => user.id === id),
    /** By id, by #name, or the direct message with a user id. */
    channel(key: string): Channel | undefined {
      const found = workspace.channels.find((one) => one.id === key || `#${one.name}` === key)
      const user = found ? undefined : state.user(key)
      if (found || !user || user.deleted || user.is_bot) return found
      const im = { id: `D${user.id.slice(1)}`, name: user.name, members: [user.id, workspace.bot.user_id], is_im: true }
      const known = workspace.channels.find((one) => one.id === im.id)
      if (!known) workspace.channels.push(im)
      messages.set(im.id, messages.get(im.id) ?? [])
      return known ?? im
    },
    message: (channel: string, ts: string): Message | undefined =>
      messages.get(channel)?.find((message) => message.ts === ts && !message.deleted),
    replies: (channel: string, ts: string): Message[] =>
      (messages.get(channel) ?? []).filter((one) => one.thread_ts === ts && one.ts !== ts && !one.ephemeral_to),
    /** The next timestamp of a channel: its id, unique and increasing there. */
    ts(channel: string): string {
      const micros = Math.max(clock.now() * 1000 + 100, (lastMicros.get(channel) ?? 0) + 100)
      lastMicros.set(channel, micros)
      return `${Math.floor(micros / 1e6)}.${String(micros % 1e6).padStart(6, '0')}`
    },
    pings(content: Content): Pings {
      const names = new Map<string, { user?: string; group?: string }>()
      for (const user of workspace.users) names.set(user.name, { user: user.id })
      for (const group of workspace.usergroups) names.set(group.handle, { group: group.id })
      return pingsOf(content, names)
    },
    post(
      channel: string,
      content: Content,
      rest: Pick<Message, 'user' | 'bot'> & Partial<Omit<Message, keyof Content>>,
    ): Message {
      const message: Message = {
        reactions: [],
        inputs: {},
        ...content,
        ...rest,
        channel,
        ts: state.ts(channel),
        pings: state.pings(content),
      }
      const list = messages.get(channel) ?? []
      list.push(message)
      messages.set(channel, list)
      state.changed()
      return message
    },
    /** A one-time ticket to open a modal, good for 3 s. */
    trigger(user: string, view?: string): string {
      const id = `${clock.now()}.${workspace.team.id.replace(/\D/g, '') || '1'}.${randomBytes(16).toString('hex')}`
      state.triggers.set(id, { user, expires: clock.now() + 3000, used: false, view })
      return id
    },
    view: (id: string): View | undefined =>
      [...state.homes.values(), ...[...state.modals.values()].flat()].find((view) => view.id === id),
  }
  return state
}
export type State = ReturnType<typeof createState>

/** A new id in Slack's manner: a letter and ten of A-Z and 0-9. */
export function slackId(prefix: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
  return prefix + [...randomBytes(10)].map((byte) => alphabet[byte % 36]).join('')
}
