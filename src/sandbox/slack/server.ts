import { timingSafeEqual } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import fastify, { type FastifyPluginAsync } from 'fastify'
import { apiRoutes, readArgs } from './api.ts'
import { type Clock, systemClock } from './clock.ts'
import { createDelivery } from './delivery.ts'
import { createEvents } from './events.ts'
import { Faults } from './faults.ts'
import { fileRoutes } from './files.ts'
import { formatMessage } from './format.ts'
import { createInteractions } from './interactions.ts'
import { SlackError } from './methods/method.ts'
import { createResponseUrls } from './response-url.ts'
import { createSocketHub } from './socket.ts'
import { createState } from './state.ts'
import { type Panel, type People, type Snapshot, snapshot, uiRoutes } from './ui.ts'
import { type Channel, defaultWorkspace, type User, type Workspace } from './workspace.ts'

/** How a sandbox is made. Without `requestUrl` the bot is reached through Socket Mode. */
export interface SandboxOptions {
  /** 0 takes a free port. */
  port?: number
  host?: '127.0.0.1' | '::1'
  signingSecret: string
  botToken: string
  appToken: string
  /** Where signed events and interactions are POSTed, such as http://127.0.0.1:3000/slack/events. */
  requestUrl?: string
  workspace?: Workspace
  /** What the bot token may do. */
  scopes?: readonly string[]
  /** Event types that the app subscribed to; `message` also brings the bot's own messages, as in Slack. */
  events?: readonly string[]
  faults?: Partial<Faults>
  panel?: Panel
  /** The page at `/` and `/assets`. */
  page?: FastifyPluginAsync
  clock?: Clock
  /** 0 to 1, for `errorRate`. */
  random?: () => number
}

const SCOPES =
  'app_mentions:read channels:history channels:join channels:read chat:write files:read files:write groups:history groups:read im:history im:read im:write reactions:write usergroups:read users:read users:read.email'.split(
    ' ',
  )

/** Starts a Slack on loopback that enforces Slack's limits, signs what it sends, and forgets everything on close. */
export async function createSandboxSlack(options: SandboxOptions) {
  const { signingSecret, botToken, appToken, requestUrl, panel, clock = systemClock, random = Math.random } = options
  const state = createState(structuredClone(options.workspace ?? defaultWorkspace()), clock)
  Object.assign(state.faults, Faults.partial().parse(options.faults ?? {}))
  const app = fastify({ forceCloseConnections: true, bodyLimit: 64 * 1024 * 1024 })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))

  let url = ''
  const here = () => url
  const socket = createSocketHub(state, clock)
  const delivery = createDelivery({ signingSecret, clock, socket, requestUrl })
  const events = createEvents({
    state,
    clock,
    delivery,
    subscribed: options.events ?? ['app_home_opened', 'app_mention'],
  })
  const responseUrls = createResponseUrls(state, clock, here)
  const interactions = createInteractions({ state, clock, delivery, responseUrls, url: here })

  const userOf = (id: string): User => {
    const user = state.user(id)
    if (!user) throw new Error(`no user ${id} in this workspace`)
    return user
  }
  const people: People = {
    ...interactions,
    say(userId, key, text, thread_ts) {
      const user = userOf(userId)
      const channel = state.channel(key)
      if (user.deleted || !channel?.members.includes(user.id)) throw new Error(`${user.name} is not in channel ${key}`)
      const message = state.post(channel.id, { text }, { user: user.id, bot: false, thread_ts })
      const event = { ...formatMessage(message, state, url), channel: channel.id, event_ts: message.ts }
      events.emit({ ...event, channel_type: channel.is_im ? 'im' : 'channel' })
      if (message.pings.users.includes(state.workspace.bot.user_id)) events.emit({ ...event, type: 'app_mention' })
      return message.ts
    },
    openHome(userId) {
      const user = userOf(userId)
      const channel = state.channel(user.id)?.id ?? ''
      const event_ts = `${(clock.now() / 1000).toFixed(6)}`
      events.emit({ type: 'app_home_opened', user: user.id, channel, tab: 'home', event_ts })
    },
    faults(set) {
      Object.assign(state.faults, Faults.partial().parse(set))
      if (state.faults.outage && state.faults.methods.length === 0) socket.cut()
      state.changed()
    },
  }

  const isBotToken = (header = '') => {
    const [given, wanted] = [Buffer.from(header), Buffer.from(`Bearer ${botToken}`)]
    return given.length === wanted.length && timingSafeEqual(given, wanted)
  }
  apiRoutes(app, {
    state,
    clock,
    random,
    botToken,
    appToken,
    context: () => ({
      state,
      clock,
      url,
      scopes: options.scopes ?? SCOPES,
      event: events.emit,
      socketUrl: () => url.replace('http', 'ws') + socket.ticket(),
    }),
  })
  fileRoutes(app, state, isBotToken)
  app.post<{ Params: { token: string } }>('/response/:token', async (request, reply) => {
    if (state.faults.outage) return reply.code(503).send('down')
    try {
      responseUrls.use(request.params.token, readArgs(request))
      return { ok: true }
    } catch (cause) {
      if (!(cause instanceof SlackError)) throw cause
      return reply.code(404).send({ ok: false, error: cause.code, ...cause.extra })
    }
  })
  uiRoutes(app, state, people, here, panel)
  if (options.page) await app.register(options.page)
  socket.attach(app.server)
  await app.listen({ port: options.port ?? 0, host: options.host ?? '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  url = `http://${options.host === '::1' ? '[::1]' : '127.0.0.1'}:${port}`

  return {
    url,
    /** For `slackApiUrl` of the Slack clients. */
    apiUrl: `${url}/api/`,
    ...people,
    /** Sends a request that no click made; see Delivery. */
    forge: delivery.forge,
    replay: delivery.replay,
    sent: delivery.sent,
    setRequestUrl: delivery.setRequestUrl,
    verifyUrl: events.verifyUrl,
    refreshSockets: socket.refresh,
    connections: () => socket.connections,
    /** Append-only: every call, interaction, event and use of a response_url. */
    log: state.log as readonly (typeof state.log)[number][],
    state: (): Snapshot => snapshot(state, url),
    /** The messages of one thread, root first, without those that only one person sees. */
    thread: (channel: string, ts: string) =>
      (snapshot(state, url).messages[state.channel(channel)?.id ?? ''] ?? []).filter(
        (message) => (message.ts === ts || message.thread_ts === ts) && !message.ephemeral_to,
      ),
    /** Changes a person while everything runs: deactivates, makes a guest. */
    setUser(id: string, change: Partial<Omit<User, 'id'>>): void {
      Object.assign(userOf(id), change)
      state.changed()
    },
    /** Changes who is in a user group. */
    setUsergroup(id: string, users: string[]): void {
      const group = state.workspace.usergroups.find((one) => one.id === id)
      if (!group) throw new Error(`no user group ${id} in this workspace`)
      group.users = users
      state.changed()
    },
    /** A user group that somebody deleted, switched off, or switched on again. */
    dropUsergroup(id: string): void {
      state.workspace.usergroups = state.workspace.usergroups.filter((one) => one.id !== id)
      state.changed()
    },
    disableUsergroup(id: string, disabled = true): void {
      for (const group of state.workspace.usergroups) if (group.id === id) group.disabled = disabled
      state.changed()
    },
    /** Archives a channel, takes the bot out of it, and the like. */
    setChannel(id: string, change: Partial<Omit<Channel, 'id'>>): void {
      const channel = state.channel(id)
      if (!channel) throw new Error(`no channel ${id} in this workspace`)
      Object.assign(channel, change)
      state.changed()
    },
    /** Resolves with the state as soon as `predicate` holds; rejects after `timeoutMs`, with the last state. */
    waitFor(predicate: (now: Snapshot) => boolean, timeoutMs = 5000): Promise<Snapshot> {
      return new Promise((resolve, reject) => {
        const finish = (act: () => void) => {
          clearTimeout(timer)
          stop()
          act()
        }
        const look = () => {
          try {
            const now = snapshot(state, url)
            if (predicate(now)) finish(() => resolve(now))
          } catch (cause) {
            finish(() => reject(cause))
          }
        }
        const timer = setTimeout(() => {
          const { messages, presses } = snapshot(state, url)
          const last = JSON.stringify({ messages, presses }).slice(-2000)
          finish(() => reject(new Error(`nothing matched within ${timeoutMs} ms; the sandbox ends with …${last}`)))
        }, timeoutMs)
        const stop = state.subscribe(look)
        look()
      })
    },
    async close(): Promise<void> {
      events.close()
      await socket.close()
      await app.close()
    },
  }
}
export type SandboxSlack = Awaited<ReturnType<typeof createSandboxSlack>>
