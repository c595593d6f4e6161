import { z } from 'zod'
import { formatMessage } from '../format.ts'
import type { Channel } from '../workspace.ts'
import { ContentArgs, NO_FALLBACK, parseContent } from './content.ts'
import { type Context, flag, type Method, method, SlackError } from './method.ts'

const scope = 'chat:write'
const id = z.string().default('')

/** The channel that the bot may write to, or the error that Slack gives. */
function writable(key: string, { state, scopes }: Context): Channel {
  const channel = state.channel(key)
  const member = channel?.members.includes(state.workspace.bot.user_id)
  if (!channel || (channel.is_private && !member)) throw new SlackError('channel_not_found')
  if (channel.is_archived) throw new SlackError('is_archived')
  if (!member && !scopes.includes('chat:write.public')) throw new SlackError('not_in_channel')
  return channel
}

/** The root of the thread that `thread_ts` names; a reply's own ts leads to its root. */
function threadRoot(channel: Channel, thread_ts: string | undefined, { state }: Context): string | undefined {
  if (!thread_ts) return undefined
  const root = state.messages.get(channel.id)?.find((one) => one.ts === thread_ts && !one.ephemeral_to)
  if (!root) throw new SlackError('cannot_reply_to_message')
  return root.thread_ts ?? root.ts
}

const PostArgs = ContentArgs.extend({
  channel: id,
  thread_ts: z.string().optional(),
  reply_broadcast: flag.optional(),
  username: z.string().optional(),
})

const hasContent = ({ text, blocks, attachments }: { text?: string; blocks?: unknown[]; attachments?: unknown[] }) =>
  Boolean(text?.trim()) || Boolean(blocks?.length) || Boolean(attachments?.length)

/** Posting, changing and removing messages. */
export const chat: Record<string, Method> = {
  'chat.postMessage': method({
    scope,
    tier: 'message',
    args: PostArgs,
    call(args, context) {
      const { state, url, scopes } = context
      const { warnings, ...content } = parseContent(args)
      const channel = writable(args.channel, context)
      if (!hasContent(content)) throw new SlackError('no_text')
      const thread_ts = threadRoot(channel, args.thread_ts, context)
      const bot = state.workspace.bot
      const message = state.post(
        channel.id,
        { ...content, text: content.text || NO_FALLBACK },
        {
          user: bot.user_id,
          bot: true,
          thread_ts,
          broadcast: Boolean(thread_ts && args.reply_broadcast),
          username: scopes.includes('chat:write.customize') ? args.username : undefined,
        },
      )
      const formatted = formatMessage(message, state, url, true)
      context.event({
        ...formatted,
        channel: channel.id,
        channel_type: channel.is_im ? 'im' : 'channel',
        event_ts: message.ts,
      })
      return { channel: channel.id, ts: message.ts, message: formatted, ...warnings }
    },
  }),

  'chat.update': method({
    scope,
    tier: 'tier3',
    args: ContentArgs.extend({ channel: id, ts: id, reply_broadcast: flag.optional() }),
    call(args, context) {
      const { state, url } = context
      const { warnings, ...content } = parseContent(args)
      const channel = writable(args.channel, context)
      const message = state.message(channel.id, args.ts)
      if (!message || message.ephemeral_to) throw new SlackError('message_not_found')
      if (!message.bot) throw new SlackError('cant_update_message')
      // Slack measures the text of an edit in bytes, after escaping.
      if (Buffer.byteLength(content.text ?? '') > 4000) throw new SlackError('msg_too_long')
      if (!hasContent(content)) throw new SlackError('no_text')
      // What is not sent stays; an empty list removes, as the documentation of chat.update says.
      const keep = <T>(sent: T[] | undefined, known: T[] | undefined) =>
        sent?.length === 0 ? undefined : (sent ?? known)
      const next = {
        text: content.text ?? message.text,
        blocks: keep(content.blocks, message.blocks),
        attachments: keep(content.attachments, message.attachments),
        metadata: content.metadata ?? message.metadata,
        linkNames: content.linkNames,
      }
      Object.assign(message, next, {
        edited: { user: state.workspace.bot.user_id, ts: `${Math.floor(context.clock.now() / 1000)}.000000` },
        pings: state.pings(next),
        broadcast: message.broadcast || Boolean(message.thread_ts && args.reply_broadcast),
      })
      state.changed()
      const formatted = formatMessage(message, state, url, true)
      return { channel: channel.id, ts: message.ts, text: message.text, message: formatted, ...warnings }
    },
  }),

  'chat.delete': method({
    scope,
    tier: 'tier3',
    args: z.object({ channel: id, ts: id }),
    call(args, context) {
      const { state } = context
      const channel = writable(args.channel, context)
      const message = state.message(channel.id, args.ts)
      if (!message || message.ephemeral_to) throw new SlackError('message_not_found')
      if (!message.bot) throw new SlackError('cant_delete_message')
      // The root of a thread with replies stays as a tombstone.
      if (state.replies(channel.id, message.ts).length > 0)
        Object.assign(message, {
          deleted: true,
          text: 'This message was deleted.',
          blocks: undefined,
          metadata: undefined,
        })
      else
        state.messages.set(
          channel.id,
          (state.messages.get(channel.id) ?? []).filter((one) => one !== message),
        )
      state.changed()
      return { channel: channel.id, ts: message.ts }
    },
  }),

  'chat.postEphemeral': method({
    scope,
    tier: 'tier4',
    args: PostArgs.extend({ user: id }),
    call(args, context) {
      const { state } = context
      const { warnings, ...content } = parseContent(args)
      const channel = writable(args.channel, context)
      if (!hasContent(content)) throw new SlackError('no_text')
      if (!state.user(args.user)) throw new SlackError('user_not_found')
      if (!channel.members.includes(args.user)) throw new SlackError('user_not_in_channel')
      const message = state.post(
        channel.id,
        { ...content, text: content.text || NO_FALLBACK },
        {
          user: state.workspace.bot.user_id,
          bot: true,
          thread_ts: threadRoot(channel, args.thread_ts, context),
          ephemeral_to: args.user,
        },
      )
      return { message_ts: message.ts, ...warnings }
    },
  }),

  'chat.getPermalink': method({
    tier: 'unlimited',
    args: z.object({ channel: id, message_ts: id }),
    call(args, { state }) {
      const channel = state.channel(args.channel)
      if (!channel) throw new SlackError('channel_not_found')
      const message = state.message(channel.id, args.message_ts)
      if (!message || message.ephemeral_to) throw new SlackError('message_not_found')
      const link = `https://${state.workspace.team.domain}.slack.com/archives/${channel.id}/p${message.ts.replace('.', '')}`
      const query = message.thread_ts ? `?thread_ts=${message.thread_ts}&cid=${channel.id}` : ''
      return { channel: channel.id, permalink: link + query }
    },
  }),
}
