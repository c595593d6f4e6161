import { setTimeout as delay } from 'node:timers/promises'
import type { HomeView, KnownBlock, ModalView } from '@slack/types'
import {
  type Logger,
  LogLevel,
  WebAPIHTTPError,
  WebAPIPlatformError,
  WebAPIRateLimitedError,
  WebAPIRequestError,
  WebClient,
  type WebClientOptions,
} from '@slack/web-api'
import type { Logger as Log } from 'pino'
import type { Clock } from '../domain/ports.ts'
import { fitBlocks, fitView, TEXT } from './limits.ts'
import { cut } from './text.ts'

/** Waits so many milliseconds; rejects when the signal aborts. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>
export const sleep: Sleep = async (ms, signal) => {
  await delay(ms, undefined, { signal })
}

/** How long one call may take, in milliseconds. Shorter than the lease of an incident, so that nobody else takes over meanwhile. */
export const CALL_TIMEOUT = 7000

/**
 * Why a call has no result. `refused`: Slack said no, nothing happened. `limited`: nothing happened, try after `wait` ms.
 * `unsent`: the request never left. `failed`: the server broke, it may have taken effect. `lost`: it may still take effect.
 */
export type Fault =
  | { kind: 'refused'; error: string; detail: readonly string[] }
  | { kind: 'limited'; wait: number }
  | { kind: 'unsent' | 'failed' | 'lost'; cause: unknown }
export type Result<T> = { ok: true; value: T } | { ok: false; fault: Fault }

/** What a message shows. */
export type Content = Readonly<{ text: string; blocks?: readonly KnownBlock[] }>
/** Where a message stands; `thread` is the root's ts, null for a root. */
export type Place = Readonly<{ channel: string; thread: string | null }>
/** Marks a message as ours, so that it is found again after a lost reply. */
export type Mark = Readonly<{ incident: string; key: string; hash: string }>
/** Who we are in Slack. */
export type Identity = Readonly<{
  /** The workspace; of an app that is installed for an organisation nothing is known of what Slack gives here. */
  team: string
  user: string
  bot: string
  /** Whether the app is installed for a whole organisation (Enterprise Grid). */
  organisation: boolean
  /** Where the workspace is read, with a slash at its end. */
  url: string
  /** What the token may do; empty if Slack did not say. */
  scopes: readonly string[]
}>

const EVENT_TYPE = 'keyturn_message'
/** Tier 3, https://docs.slack.dev/apis/web-api/rate-limits: 50 edits a minute and workspace; the rest is for other bots. */
const EDIT_EVERY = 1250
const EDIT_BURST = 20
/** How far back to look for a message whose reply was lost: two clocks may differ. */
const SKEW_SECONDS = 300
/**
 * How long in all somebody who pressed a button is made to wait for what Slack limits, in milliseconds. A trigger lives
 * 3 s: https://docs.slack.dev/interactivity/handling-user-interaction#modal_responses
 */
const PATIENCE = { open: 2000, replace: 10_000, tell: 60_000 }
/** Answers that say nothing about whether the call took effect. */
const BROKEN = ['internal_error', 'fatal_error', 'service_unavailable', 'request_timeout', 'team_added_to_org']
const NEVER_LEFT = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']

/** A client that tries once: what is retried, when and how, is decided by its caller. Close by dropping it. */
export function createWeb(options: {
  token: string
  apiUrl?: string
  log: Log
  timeout?: number
  fetch?: WebClientOptions['fetch']
}): WebClient {
  return new WebClient(options.token, {
    ...(options.apiUrl ? { slackApiUrl: options.apiUrl } : {}),
    ...(options.fetch ? { fetch: options.fetch } : {}),
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    allowAbsoluteUrls: false,
    timeout: options.timeout ?? CALL_TIMEOUT,
    logger: slackLogger(options.log),
  })
}

/** Slack's libraries log through ours. Their debug lines hold whole requests and are dropped. */
export function slackLogger(log: Log): Logger {
  const say = (level: 'info' | 'warn' | 'error', parts: unknown[]) =>
    log[level]({ part: 'slack' }, parts.map((p) => (p instanceof Error ? p.message : String(p))).join(' '))
  return {
    debug: () => {},
    info: () => {},
    warn: (...parts) => say('info', parts),
    error: (...parts) => say('warn', parts),
    setLevel: () => {},
    getLevel: () => LogLevel.WARN,
    setName: () => {},
  }
}

/** A field of an answer; without it nothing is known of what the call did. */
function given(value: string | undefined | null, method: string, field: string): string {
  if (!value) throw new Error(`${method} was answered without ${field}`)
  return value
}

const foundInCause = (error: unknown): string => {
  for (let e = error; e instanceof Error; e = e.cause) {
    const code = (e as NodeJS.ErrnoException).code
    if (code && NEVER_LEFT.includes(code)) return code
  }
  return ''
}

/** Reads an error of the client as a fault; anything that is not one is a bug and thrown. */
export function faultOf(error: unknown): Fault {
  if (error instanceof WebAPIRateLimitedError) return { kind: 'limited', wait: error.retryAfter * 1000 }
  if (error instanceof WebAPIPlatformError) {
    const code = error.data.error
    if (!/^[a-z0-9_]+$/.test(code) || BROKEN.includes(code)) return { kind: 'failed', cause: error }
    if (code === 'ratelimited' || code === 'rate_limited') return { kind: 'limited', wait: 1000 }
    return { kind: 'refused', error: code, detail: error.data.response_metadata?.messages ?? [] }
  }
  if (error instanceof WebAPIHTTPError) return { kind: 'failed', cause: error }
  if (error instanceof WebAPIRequestError)
    return { kind: foundInCause(error) === '' ? 'lost' : 'unsent', cause: error.original }
  return { kind: 'lost', cause: error }
}

/** The one place from which Slack's Web API is called for messages and views. */
export function createSend({
  web,
  clock,
  log,
  sleep: pause = sleep,
  fetch = globalThis.fetch,
}: {
  web: WebClient
  clock: Clock
  log: Log
  sleep?: Sleep
  /** Uploads the bytes of files. */
  fetch?: typeof globalThis.fetch
}) {
  const closedUntil = new Map<string, number>()
  let editSlot = 0
  let identity: Promise<Identity> | null = null

  /** Calls unless Slack has asked to wait with this kind of call. */
  async function call<T>(gate: string, work: () => Promise<T>): Promise<Result<T>> {
    const wait = (closedUntil.get(gate) ?? 0) - clock()
    if (wait > 0) return { ok: false, fault: { kind: 'limited', wait } }
    closedUntil.delete(gate)
    try {
      return { ok: true, value: await work() }
    } catch (error) {
      const fault = faultOf(error)
      if (fault.kind === 'limited') closedUntil.set(gate, clock() + fault.wait)
      return { ok: false, fault }
    }
  }

  /** Calls for somebody who waits: again after each wait that Slack asks for, as long as the patience lasts. */
  async function callPatiently<T>(gate: keyof typeof PATIENCE, work: () => Promise<T>): Promise<Result<T>> {
    for (let left = PATIENCE[gate]; ; ) {
      const result = await call(gate, work)
      if (result.ok || result.fault.kind !== 'limited' || result.fault.wait > left) return result
      left -= result.fault.wait
      await pause(result.fault.wait)
    }
  }

  const metadata = (mark: Mark) => ({ event_type: EVENT_TYPE, event_payload: { ...mark } })
  // Names, channels and links in our texts are never guessed, and nothing is fetched for a preview.
  const quiet = { unfurl_links: false, unfurl_media: false, link_names: false, parse: 'none' as const }
  const body = ({ text, blocks }: Content) => ({
    text: cut(text, TEXT),
    ...(blocks ? { blocks: fitBlocks(blocks) } : {}),
  })

  async function whoAmI(): Promise<Identity> {
    const { team_id, user_id, bot_id, is_enterprise_install, url, response_metadata } = await web.auth.test()
    if (!team_id || !user_id) throw new Error('auth.test did not say which team and user the bot token belongs to')
    return {
      team: team_id,
      user: user_id,
      bot: bot_id ?? '',
      organisation: is_enterprise_install === true,
      url: url ?? 'https://slack.com/',
      scopes: response_metadata?.scopes ?? [],
    }
  }

  return {
    /** Who the token belongs to; asked once, again after a failure. */
    identity(): Promise<Identity> {
      identity ??= whoAmI().catch((error: unknown) => {
        identity = null
        throw error
      })
      return identity
    },

    /** Posts; the value is the message's ts. */
    post: (at: Place, content: Content, mark: Mark): Promise<Result<string>> =>
      call(`post:${at.channel}`, async () => {
        const where = { channel: at.channel, ...(at.thread ? { thread_ts: at.thread } : {}) }
        const sent = await web.chat.postMessage({ ...where, ...quiet, ...body(content), metadata: metadata(mark) })
        return given(sent.ts, 'chat.postMessage', 'ts')
      }),

    /** Edits in place, within the pace that Slack allows for edits. */
    async edit(channel: string, ts: string, content: Content, mark: Mark): Promise<Result<void>> {
      const now = clock()
      const wait = editSlot - EDIT_BURST * EDIT_EVERY - now
      if (wait > 0) return { ok: false, fault: { kind: 'limited', wait } }
      editSlot = Math.max(editSlot, now) + EDIT_EVERY
      return call('edit', async () => {
        const { text, blocks = [] } = body(content)
        const { link_names, parse } = quiet
        await web.chat.update({
          channel,
          ts,
          text,
          blocks,
          link_names,
          parse,
          metadata: metadata(mark),
        })
      })
    },

    /** Uploads the bytes of a file that nobody sees yet; the value is its id. */
    stage: (file: { filename: string; content: string }): Promise<Result<string>> =>
      call('upload', async () => {
        const bytes = Buffer.from(file.content)
        const slot = await web.files.getUploadURLExternal({ filename: file.filename, length: bytes.length })
        const answer = await fetch(given(slot.upload_url, 'files.getUploadURLExternal', 'upload_url'), {
          method: 'POST',
          body: bytes,
          signal: AbortSignal.timeout(CALL_TIMEOUT),
        })
        if (!answer.ok) throw new Error(`the upload of ${file.filename} was answered with ${answer.status}`)
        return given(slot.file_id, 'files.getUploadURLExternal', 'file_id')
      }),

    /** Shows an uploaded file in a thread. */
    share: (at: Place, file: { id: string; title: string; comment: string }): Promise<Result<void>> =>
      call('share', async () => {
        const thread = at.thread ? { thread_ts: at.thread } : {}
        const comment = file.comment ? { initial_comment: file.comment } : {}
        const files: [{ id: string; title: string }] = [{ id: file.id, title: file.title }]
        await web.files.completeUploadExternal({ files, channel_id: at.channel, ...thread, ...comment })
      }),

    /**
     * Looks for our own message in a channel or thread from `since` (milliseconds) on: by its mark, or by the file's
     * name. The value is its ts (a file's id), or null.
     */
    async find(
      at: Place,
      since: number,
      wanted: { incident: string; key: string; hash?: string; filename?: string },
    ): Promise<Result<string | null>> {
      return call(at.thread ? 'replies' : 'history', async () => {
        const { user } = await this.identity()
        const oldest = String(Math.floor(since / 1000) - SKEW_SECONDS)
        const range = { channel: at.channel, oldest, include_all_metadata: true, limit: 200 }
        let cursor: string | undefined
        do {
          const page = at.thread
            ? await web.conversations.replies({ ...range, ts: at.thread, ...(cursor ? { cursor } : {}) })
            : await web.conversations.history({ ...range, ...(cursor ? { cursor } : {}) })
          for (const message of page.messages ?? []) {
            // Anybody may write our mark into a message of theirs.
            if (message.user !== user) continue
            if (wanted.filename) {
              const file = message.files?.find((f) => f.name === wanted.filename)
              if (file?.id) return file.id
            }
            const { event_type, event_payload } = message.metadata ?? {}
            const mark = event_payload as Partial<Mark> | undefined
            const ours = event_type === EVENT_TYPE && mark?.incident === wanted.incident && mark.key === wanted.key
            // One that this was to take the place of has the same key.
            if (ours && (wanted.hash === undefined || mark.hash === wanted.hash)) return message.ts ?? null
          }
          cursor = page.response_metadata?.next_cursor || undefined
          if (page.has_more && !cursor) throw new Error('Slack has more messages, and does not say how to read them')
        } while (cursor)
        return null
      })
    },

    /** Takes a message of ours away. */
    remove: (channel: string, ts: string): Promise<Result<void>> =>
      call('remove', async () => void (await web.chat.delete({ channel, ts }))),

    /** The address of a message; Slack's own, without the workspace, if it cannot be asked. */
    async permalink(channel: string, ts: string): Promise<string> {
      const base = await this.identity().then(
        ({ url }) => url,
        () => 'https://slack.com/',
      )
      return `${base}archives/${channel}/p${ts.replace('.', '')}`
    },

    /** Tells one person, and nobody else, in a thread. Best effort: a failure is logged. */
    async tell(at: Place, user: string, text: string): Promise<void> {
      const thread = at.thread ? { thread_ts: at.thread } : {}
      const sent = await callPatiently('tell', () =>
        web.chat.postEphemeral({ channel: at.channel, ...thread, user, text, link_names: false, parse: 'none' }),
      )
      if (!sent.ok) log.warn({ channel: at.channel, user, fault: sent.fault }, 'a person could not be told')
    },

    /** Opens a modal within 3 s of the click; the value is the view's id. */
    open: (trigger: string, view: ModalView): Promise<Result<string>> =>
      callPatiently('open', async () => {
        const opened = await web.views.open({ trigger_id: trigger, view: fitView(view) })
        return given(opened.view?.id, 'views.open', 'view.id')
      }),

    /** Puts another content into an open modal. */
    replace: (id: string, view: ModalView): Promise<Result<void>> =>
      callPatiently('replace', async () => void (await web.views.update({ view_id: id, view: fitView(view) }))),

    /** Draws a person's home tab. */
    publish: (user: string, view: HomeView): Promise<Result<void>> =>
      call('publish', async () => void (await web.views.publish({ user_id: user, view: fitView(view) }))),
  }
}
export type Send = ReturnType<typeof createSend>
