import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createEmulator, type Emulator } from 'emulate'
import { createSandboxSlack, type SandboxSlack } from '../../../src/sandbox/slack/server.ts'
import { SECRETS } from './sandbox.ts'

type Answer = { ok: boolean; error?: string; [field: string]: unknown }
type Call = (method: string, args?: Record<string, unknown>, token?: string | null) => Promise<Answer>
interface Slack {
  call: Call
  channel: string
  user: string
  archive(archived: boolean): Promise<unknown>
}

let sandbox: SandboxSlack
let emulator: Emulator
let ours: Slack
let theirs: Slack

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const caller =
  (base: string): Call =>
  async (method, args = {}, token = SECRETS.botToken) => {
    const body = new URLSearchParams()
    for (const [key, value] of Object.entries(args))
      body.set(key, typeof value === 'string' ? value : JSON.stringify(value))
    const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` }
    return (await fetch(base + method, { method: 'POST', headers, body })).json() as Promise<Answer>
  }

beforeAll(async () => {
  sandbox = await createSandboxSlack({ ...SECRETS, faults: { rateLimit: false } })
  ours = {
    call: caller(sandbox.apiUrl),
    channel: 'C0000DATAON',
    user: 'U0000ONCALL',
    archive: async (is_archived) => sandbox.setChannel('C0000DATAON', { is_archived }),
  }
  emulator = await createEmulator({
    service: 'slack',
    port: await freePort(),
    seed: {
      slack: {
        users: [{ name: 'ona' }],
        channels: [{ name: 'data-oncall' }],
        tokens: [{ token: SECRETS.botToken, type: 'bot', user: 'ona' }],
      },
    },
  })
  const call = caller(`${emulator.url}/api/`)
  const { channels } = (await call('conversations.list')) as unknown as { channels: { id: string; name: string }[] }
  const { members } = (await call('users.list')) as unknown as { members: { id: string; name: string }[] }
  theirs = {
    call,
    channel: channels.find(({ name }) => name === 'data-oncall')?.id ?? '',
    user: members.find(({ name }) => name === 'ona')?.id ?? '',
    archive: (archived) =>
      call(archived ? 'conversations.archive' : 'conversations.unarchive', { channel: theirs.channel }),
  }
})
afterAll(async () => {
  await sandbox.close()
  await emulator.close()
})

/** Where the sandbox and the emulator part on purpose: the sandbox follows Slack's documentation, or is stricter. */
const DIFFERENCES: Readonly<Record<string, { ours: string; theirs: string; why: string }>> = {
  'conversations.history without a channel': {
    ours: 'invalid_arguments',
    theirs: 'channel_not_found',
    why: 'Slack names the missing argument in response_metadata.messages.',
  },
  'conversations.replies of an unknown thread': {
    ours: 'thread_not_found',
    theirs: 'ok',
    why: 'conversations.replies documents thread_not_found.',
  },
  'a reply to a message that does not exist': {
    ours: 'cannot_reply_to_message',
    theirs: 'ok',
    why: 'Stricter: an orphan reply is a bug of the bot that a test must see.',
  },
  'blocks of an unknown type': {
    ours: 'invalid_blocks',
    theirs: 'ok',
    why: 'The emulator has no Block Kit checks; chat.postMessage documents invalid_blocks.',
  },
  'an unknown method': {
    ours: 'unknown_method',
    theirs: 'no error',
    why: 'Slack answers unknown_method; the emulator has HTTP 404 and a text of its own.',
  },
}

const CASES: Record<string, (slack: Slack) => Promise<Answer>> = {
  'auth.test': ({ call }) => call('auth.test'),
  'auth.test without a token': ({ call }) => call('auth.test', {}, null),
  'a message': ({ call, channel }) => call('chat.postMessage', { channel, text: 'hello' }),
  'a message without a token': ({ call, channel }) => call('chat.postMessage', { channel, text: 'hello' }, null),
  'a message to an unknown channel': ({ call }) => call('chat.postMessage', { channel: 'C0NOWHERE00', text: 'hello' }),
  'a message to no channel': ({ call }) => call('chat.postMessage', { text: 'hello' }),
  'a message without content': ({ call, channel }) => call('chat.postMessage', { channel }),
  'blocks that are no JSON list': ({ call, channel }) => call('chat.postMessage', { channel, attachments: '{' }),
  'a message of 40,001 characters': ({ call, channel }) =>
    call('chat.postMessage', { channel, text: 'x'.repeat(40_001) }),
  'an edit': async ({ call, channel }) => {
    const { ts } = await call('chat.postMessage', { channel, text: 'before' })
    return call('chat.update', { channel, ts: String(ts), text: 'after' })
  },
  'an edit of no message': ({ call, channel }) => call('chat.update', { channel, ts: '1.000001', text: 'x' }),
  'a deletion': async ({ call, channel }) => {
    const { ts } = await call('chat.postMessage', { channel, text: 'soon gone' })
    return call('chat.delete', { channel, ts: String(ts) })
  },
  'a deletion of no message': ({ call, channel }) => call('chat.delete', { channel, ts: '1.000001' }),
  'a permalink': async ({ call, channel }) => {
    const { ts } = await call('chat.postMessage', { channel, text: 'x' })
    return call('chat.getPermalink', { channel, message_ts: String(ts) })
  },
  'a permalink of no message': ({ call, channel }) => call('chat.getPermalink', { channel, message_ts: '1.000001' }),
  'an ephemeral message': ({ call, channel, user }) => call('chat.postEphemeral', { channel, user, text: 'psst' }),
  'an ephemeral message to nobody': ({ call, channel }) =>
    call('chat.postEphemeral', { channel, user: 'U0NOBODY000', text: 'psst' }),
  'conversations.info': ({ call, channel }) => call('conversations.info', { channel }),
  'conversations.info of no channel': ({ call }) => call('conversations.info', { channel: 'C0NOWHERE00' }),
  'conversations.list': ({ call }) => call('conversations.list'),
  'conversations.history': ({ call, channel }) => call('conversations.history', { channel }),
  'conversations.history without a channel': ({ call }) => call('conversations.history'),
  'conversations.replies of an unknown thread': ({ call, channel }) =>
    call('conversations.replies', { channel, ts: '1.000001' }),
  'a reply to a message that does not exist': ({ call, channel }) =>
    call('chat.postMessage', { channel, text: 'x', thread_ts: '1.000001' }),
  'blocks of an unknown type': ({ call, channel }) =>
    call('chat.postMessage', { channel, text: 'x', blocks: [{ type: 'blink' }] }),
  'users.info': ({ call, user }) => call('users.info', { user }),
  'users.info of nobody': ({ call }) => call('users.info', { user: 'U0NOBODY000' }),
  'users.list': ({ call }) => call('users.list'),
  'a home tab': ({ call, user }) => call('views.publish', { user_id: user, view: { type: 'home', blocks: [] } }),
  'a home tab of nobody': ({ call }) =>
    call('views.publish', { user_id: 'U0NOBODY000', view: { type: 'home', blocks: [] } }),
  'an edit of no view': ({ call }) =>
    call('views.update', { view_id: 'V0NOTHING00', view: { type: 'modal', title: title('x'), blocks: [] } }),
  'views.open with an unknown trigger': ({ call }) =>
    call('views.open', { trigger_id: '1.2.abc', view: { type: 'modal', title: title('x'), blocks: [] } }),
  'a place to upload to': ({ call }) => call('files.getUploadURLExternal', { filename: 'plan.md', length: 4 }),
  'a reaction': async ({ call, channel }) => {
    const { ts } = await call('chat.postMessage', { channel, text: 'x' })
    return call('reactions.add', { channel, timestamp: String(ts), name: 'eyes' })
  },
  'an unknown method': ({ call }) => call('no.such.method'),
}

const title = (text: string) => ({ type: 'plain_text', text })
const outcome = async (answer: Promise<Answer>) => {
  const { ok, error } = await answer
  return ok ? 'ok' : (error ?? 'no error')
}

describe('the sandbox and an independent Slack API agree about', () => {
  it.each(Object.keys(CASES))('%s', async (name) => {
    const run = CASES[name]!
    const [mine, other] = [await outcome(run(ours)), await outcome(run(theirs))]
    const known = DIFFERENCES[name]
    if (known) expect({ ours: mine, theirs: other }).toEqual({ ours: known.ours, theirs: known.theirs })
    else expect(mine).toBe(other)
  })

  it.each([
    'auth.test',
    'a message',
    'an edit',
    'a deletion',
    'a permalink',
    'conversations.info',
    'users.info',
    'a home tab',
    'a place to upload to',
  ])('the fields of %s', async (name) => {
    const [mine, other] = [await CASES[name]!(ours), await CASES[name]!(theirs)]
    const missing = shape(other).filter((field) => !shape(mine).includes(field))
    expect(missing.filter((field) => !EMULATOR_ONLY.includes(field))).toEqual([])
  })

  it('a thread: the root first, its reply count, then the replies', async () => {
    const thread = async ({ call, channel }: Slack) => {
      const root = await call('chat.postMessage', { channel, text: 'root' })
      for (const text of ['one', 'two']) await call('chat.postMessage', { channel, text, thread_ts: String(root.ts) })
      const { messages } = (await call('conversations.replies', { channel, ts: String(root.ts) })) as unknown as {
        messages: { text: string; thread_ts?: string; ts: string; reply_count?: number }[]
      }
      const history = (await call('conversations.history', { channel, limit: 1 })) as unknown as {
        messages: { text: string }[]
      }
      return {
        texts: messages.map((message) => message.text),
        count: messages[0]?.reply_count,
        inThread: messages.slice(1).every((message) => message.thread_ts === root.ts),
        newest: history.messages[0]?.text,
      }
    }
    const mine = await thread(ours)
    expect(mine).toEqual({ texts: ['root', 'one', 'two'], count: 2, inThread: true, newest: 'root' })
    expect(await thread(theirs)).toEqual(mine)
  })
})

type Messages = {
  text: string
  ts: string
  thread_ts?: string
  edited?: unknown
  blocks?: unknown[]
  files?: { name: string; title: string; size: number }[]
  metadata?: { event_type: string; event_payload: object }
}[]
const messagesOf = (answer: Answer) => answer.messages as Messages

/** Longer stories, told on both; each says what was seen, without ids and times. */
const STORIES: Record<string, (slack: Slack) => Promise<unknown>> = {
  'an edit that leaves blocks out, and one with none': async ({ call, channel }) => {
    const blocks = [{ type: 'section', text: { type: 'plain_text', text: 'x' } }]
    const { ts } = await call('chat.postMessage', { channel, text: 'before', blocks })
    const now = async () => {
      const { messages } = await call('conversations.history', { channel, latest: ts, oldest: ts, inclusive: true })
      const [one] = messages as Messages
      return [one?.text, one?.blocks?.length ?? 0, one?.edited !== undefined]
    }
    const seen = [await now()]
    await call('chat.update', { channel, ts, text: 'after', blocks })
    seen.push(await now())
    await call('chat.update', { channel, ts, text: 'last', blocks: [] })
    return [...seen, await now()]
  },
  'metadata, for those who ask for it': async ({ call, channel }) => {
    const metadata = { event_type: 'keyturn_message', event_payload: { incident: 'i1', key: 'root' } }
    const { ts } = await call('chat.postMessage', { channel, text: 'marked', metadata })
    const range = { channel, latest: ts, oldest: ts, inclusive: true }
    const asked = messagesOf(await call('conversations.history', { ...range, include_all_metadata: true }))
    return asked[0]?.metadata
  },
  'pages of a history, the newest first': async ({ call, channel }) => {
    for (const text of ['one', 'two', 'three']) await call('chat.postMessage', { channel, text })
    const first = await call('conversations.history', { channel, limit: 2 })
    const { next_cursor: cursor } = first.response_metadata as { next_cursor: string }
    const second = await call('conversations.history', { channel, limit: 1, cursor })
    return [...messagesOf(first), ...messagesOf(second)].map((message) => message.text).concat(String(first.has_more))
  },
  'a file in three steps, shared in a thread': async ({ call, channel }) => {
    const { ts } = await call('chat.postMessage', { channel, text: 'root of a file' })
    const slot = await call('files.getUploadURLExternal', { filename: 'plan.txt', length: 4 })
    const sent = await fetch(String(slot.upload_url), { method: 'POST', body: 'plan' })
    const files = [{ id: slot.file_id, title: 'Plan' }]
    const done = await call('files.completeUploadExternal', { files, channel_id: channel, thread_ts: ts })
    const [shared] = (done.files ?? []) as { title: string; name: string }[]
    return [sent.status, done.ok, shared?.title]
  },
  'a completed upload of no file': async ({ call, channel }) => {
    const { ok, error } = await call('files.completeUploadExternal', {
      files: [{ id: 'F0NOTHING00' }],
      channel_id: channel,
    })
    return [ok, error]
  },
  'a home tab that is drawn twice, and once on an old hash': async ({ call, user }) => {
    const view = { type: 'home', blocks: [] }
    const first = await call('views.publish', { user_id: user, view })
    const second = await call('views.publish', { user_id: user, view })
    const { hash } = first.view as { hash: string }
    const old = await call('views.publish', { user_id: user, view, hash })
    return [first.ok, second.ok, (first.view as { id: string }).id === (second.view as { id: string }).id, old.error]
  },
  'the members of a channel': async ({ call, channel, user }) => {
    const { members } = await call('conversations.members', { channel })
    return (members as string[]).includes(user)
  },
  'a channel that was archived': async (slack) => {
    const { call, channel } = slack
    const { ts } = await call('chat.postMessage', { channel, text: 'before it was archived' })
    await slack.archive(true)
    const posted = await call('chat.postMessage', { channel, text: 'too late' })
    const info = await call('conversations.info', { channel })
    const read = await call('conversations.history', { channel, limit: 1 })
    await slack.archive(false)
    const edited = await call('chat.update', { channel, ts, text: 'in time' })
    return [posted.error, (info.channel as { is_archived: boolean }).is_archived, read.ok, edited.ok]
  },
}

describe('the sandbox and an independent Slack API tell the same story of', () => {
  it.each(Object.keys(STORIES))('%s', async (name) => {
    const [mine, other] = [await STORIES[name]!(ours), await STORIES[name]!(theirs)]
    expect(mine).toEqual(other)
  })
})

/** Fields of the emulator that Slack does not document for these answers, or not for a public channel. */
const EMULATOR_ONLY: readonly string[] = [
  'app_id',
  'app_name',
  'channel.is_open',
  'channel.last_read',
  'message.client_msg_id',
]

/** The paths of all defined fields, two levels deep. */
function shape(answer: Answer): string[] {
  const defined = (value: object) => Object.entries(value).filter(([, field]) => field !== undefined)
  return defined(answer).flatMap(([key, value]) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? [key, ...defined(value).map(([inner]) => `${key}.${inner}`)]
      : [key],
  )
}
