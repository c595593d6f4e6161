import { App, SocketModeReceiver } from '@slack/bolt'
import type { HomeView } from '@slack/types'
import type { FastifyPluginAsync } from 'fastify'
import type { Logger as Log } from 'pino'
import type { Freeze } from '../domain/freeze.ts'
import type { Incident } from '../domain/incident.ts'
import { isQuiet } from '../domain/ladder.ts'
import type { Policy } from '../domain/policy.ts'
import type { Clock, Handlers, Journal, Postbox, Pulse } from '../domain/ports.ts'
import { createPeople, LOOKUP_TIMEOUT } from './approvers.ts'
import { createInspection } from './inspect.ts'
import { listen, type Modals } from './interactions.ts'
import { createHttpReceiver } from './receiver.ts'
import { createReconciler, type RenderContext } from './reconcile.ts'
import { adviceOf } from './refusal.ts'
import { CALL_TIMEOUT, createSend, createWeb, sleep as realSleep, type Sleep, slackLogger } from './send.ts'
import type { Drawn } from './show.ts'
import { createTroubles } from './troubles.ts'

/** What a message may say besides the incident. */
export type ViewContext = RenderContext &
  Readonly<{
    policy: Policy
    /** Where people read a playbook, or null. */
    playbookUrl: (playbook: string) => string | null
    /** The Slack id of a playbook's owner, or null. */
    ownerId: (owner: string) => string | null
    /** The channel where what is handed to this owner is posted too, or null. */
    ownerChannel: (owner: string) => string | null
  }>

/** How the bot looks. */
export type Views = Readonly<{
  render(incident: Incident, context: ViewContext): readonly Drawn[]
  modals: Modals
  /** `troubles`: sentences about what keeps Keyturn from working with Slack as it should. */
  home(incidents: readonly Incident[], frozen: Freeze | null, troubles?: readonly string[]): HomeView
}>

/** How to reach Slack, as in keyturn.yaml; a key that ends in `From` names the environment variable of a secret. */
export type SlackSettings = Readonly<{
  /** `http`: Slack calls us, with signed requests. `socket`: we call Slack. */
  mode: 'http' | 'socket'
  botTokenFrom: string
  signingSecretFrom: string
  appTokenFrom: string
  apiUrl?: string | undefined
  /** The workspace whose people decide, where the app is installed for a whole organisation. */
  team?: string | undefined
  /** Ids by the names that playbooks use. */
  channels: { default: string } & Readonly<Record<string, string>>
  /** Ids by the names of owners in playbooks. */
  owners: Readonly<Record<string, string>>
  /** Ids of channels by the names of owners. */
  ownerChannels: Readonly<Record<string, string>>
}>

export type SlackDeps = Readonly<{
  settings: SlackSettings
  /** The value of an environment variable; throws if it is not set. */
  secret(environmentVariable: string): string
  handlers: Handlers
  journal: Pick<Journal, 'load' | 'watch' | 'active'>
  postbox: Postbox
  pulse: Pick<Pulse, 'read'>
  policy: Policy
  playbookUrl: ViewContext['playbookUrl']
  views: Views
  clock: Clock
  log: Log
  sleep?: Sleep
}>

/** The edge to people: what they press comes in by HTTP (`plugin`) or a socket, what they see goes out by the reconciler. */
export function createSlackEdge(deps: SlackDeps) {
  const { settings, secret, handlers, journal, postbox, policy, views, playbookUrl, clock, log } = deps
  const { apiUrl, channels, owners, ownerChannels } = settings
  const ownerId = (owner: string) => (Object.hasOwn(owners, owner) ? owners[owner]! : null)
  const ownerChannel = (owner: string) => (Object.hasOwn(ownerChannels, owner) ? ownerChannels[owner]! : null)
  const botToken = secret(settings.botTokenFrom)
  const connection = { token: botToken, log, ...(apiUrl ? { apiUrl } : {}) }
  const send = createSend({ web: createWeb(connection), clock, log, ...(deps.sleep ? { sleep: deps.sleep } : {}) })
  const troubles = createTroubles(log)
  const team = async () => {
    const { team, organisation } = await send.identity()
    return organisation ? (settings.team ?? null) : team
  }
  const sleep = deps.sleep ?? realSleep
  const asking = createWeb({ ...connection, timeout: LOOKUP_TIMEOUT })
  const people = createPeople({ web: asking, policy, team, log, troubles, clock, sleep })
  const inspect = createInspection({ web: asking, send, policy, team: settings.team, troubles, log, sleep })
  const halt = new AbortController()
  const reconciler = createReconciler({
    ...deps,
    frozen: handlers.frozen,
    send,
    render: (incident, context) => views.render(incident, { ...context, policy, playbookUrl, ownerId, ownerChannel }),
    channelId: (name) => (Object.hasOwn(channels, name) ? channels[name]! : channels.default),
    sleep,
    troubles,
  })

  const signingSecret = () => secret(settings.signingSecretFrom)
  const appToken = () => secret(settings.appTokenFrom)
  const http =
    settings.mode === 'http' ? createHttpReceiver({ signingSecret: signingSecret(), postbox, clock, log }) : null
  const socket = http ? null : createSocket({ appToken: appToken(), apiUrl, log })
  const app = new App({
    receiver: (http ?? socket!).receiver,
    // Asks nothing of Slack: Bolt acknowledges a click, and drops it, when this fails.
    authorize: async () => ({ botToken }),
    ignoreSelf: false,
    convoStore: false,
    logger: slackLogger(log),
    clientOptions: { ...(apiUrl ? { slackApiUrl: apiUrl } : {}), retryConfig: { retries: 0 }, timeout: CALL_TIMEOUT },
  })
  async function drawHome(user: string): Promise<void> {
    const incidents = await Promise.all((await journal.active()).map((id) => journal.load(id)))
    const open = incidents.filter((i) => i !== null && !isQuiet(i)) as Incident[]
    const drawn = await send.publish(user, views.home(open, await handlers.frozen(), troubles.all()))
    if (drawn.ok) return troubles.over('Home')
    if (drawn.fault.kind !== 'refused') return log.warn({ user, fault: drawn.fault }, 'home tab not drawn')
    const { error } = drawn.fault
    troubles.report('Home', `The Home tab cannot be drawn: ${adviceOf(error)}.`, { error })
  }
  listen(app, { handlers, postbox, people, send, policy, modals: views.modals, drawHome, log })
  app.event('app_home_opened', async ({ event }) => {
    if (event.tab === 'home') await drawHome(event.user)
  })

  return {
    /** `POST /slack/events`, in HTTP mode. */
    plugin: http?.plugin as FastifyPluginAsync | undefined,
    /** Whether Slack shows an incident as it is; if not, sees to it. */
    isShown: reconciler.isShown,
    /** Slack may be down meanwhile: everything is tried until it works. */
    async start(): Promise<void> {
      socket?.connect(app)
      void inspect(halt.signal)
      await reconciler.start()
    },
    async stop(): Promise<void> {
      halt.abort()
      if (socket) await socket.disconnect(app)
      await reconciler.stop()
    },
  }
}

/** Socket Mode that outlives an outage of Slack: its client ends the process when asking for a new address fails for good. */
function createSocket({ appToken, apiUrl, log }: { appToken: string; apiUrl: string | undefined; log: Log }) {
  let stopped = false
  const receiver = new SocketModeReceiver({
    appToken,
    logger: slackLogger(log),
    installerOptions: {
      clientOptions: {
        ...(apiUrl ? { slackApiUrl: apiUrl } : {}),
        retryConfig: { forever: true, minTimeout: 500, maxTimeout: 10_000, unref: true },
        timeout: CALL_TIMEOUT,
        // After the stop a retry that is still under way must not connect again.
        fetch: (url, init) => (stopped ? new Promise(() => {}) : fetch(url, init)),
      },
    },
  })
  return {
    receiver,
    connect(app: App): void {
      app.start().catch((err: unknown) => {
        if (!stopped)
          log.fatal(
            { err },
            'Socket Mode cannot start: check the app-level token and that Socket Mode is on for the app',
          )
      })
    },
    async disconnect(app: App): Promise<void> {
      stopped = true
      await app.stop()
    },
  }
}
