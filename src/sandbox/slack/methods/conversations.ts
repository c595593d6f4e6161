import { z } from 'zod'
import { formatChannel, formatMessage } from '../format.ts'
import type { Message } from '../state.ts'
import type { Channel } from '../workspace.ts'
import { type Context, flag, limit, type Method, method, page, SlackError } from './method.ts'

const cursor = z.string().optional()

/** The channel if the bot can see it; with `member`, only if it is in it. */
function visible(key: string, { state }: Context, member = false): Channel {
  const channel = state.channel(key)
  const isMember = channel?.members.includes(state.workspace.bot.user_id)
  if (!channel || (channel.is_private && !isMember)) throw new SlackError('channel_not_found')
  if (member && !isMember) throw new SlackError('not_in_channel')
  return channel
}

const RangeArgs = z.object({
  channel: z.string(),
  cursor,
  latest: z.string().optional(),
  oldest: z.string().optional(),
  inclusive: flag.optional(),
  include_all_metadata: flag.optional(),
  include_metadata: flag.optional(),
})

function within({ latest, oldest, inclusive }: z.output<typeof RangeArgs>, { ts }: Message): boolean {
  const [at, from, to] = [Number(ts), Number(oldest ?? 0), latest ? Number(latest) : Number.POSITIVE_INFINITY]
  return inclusive ? at >= from && at <= to : at > from && at < to
}

/** One page of messages; ephemeral ones are never part of any history. */
function answer(messages: Message[], args: z.output<typeof RangeArgs> & { limit: number }, { state, url }: Context) {
  const { items, next } = page(messages, args.cursor, args.limit)
  const withMetadata = args.include_all_metadata || args.include_metadata
  return {
    messages: items.map((message) => formatMessage(message, state, url, withMetadata)),
    has_more: next !== '',
    ...(next && { response_metadata: { next_cursor: next } }),
  }
}

/** Channels and what was said in them. */
export const conversations: Record<string, Method> = {
  'conversations.info': method({
    scope: 'channels:read',
    tier: 'tier3',
    args: z.object({ channel: z.string() }),
    call: (args, context) => ({ channel: formatChannel(visible(args.channel, context), context.state) }),
  }),

  'conversations.list': method({
    scope: 'channels:read',
    tier: 'tier2',
    args: z.object({
      cursor,
      limit: limit(1000, 100),
      exclude_archived: flag.optional(),
      types: z.string().default('public_channel'),
    }),
    call(args, { state }) {
      const types = args.types.split(',').map((type) => type.trim())
      const bot = state.workspace.bot.user_id
      const shown = state.workspace.channels.filter((channel) => {
        if (channel.is_archived && args.exclude_archived) return false
        if (channel.is_private && !channel.members.includes(bot)) return false
        return types.includes(channel.is_im ? 'im' : channel.is_private ? 'private_channel' : 'public_channel')
      })
      const { items, next } = page(shown, args.cursor, args.limit)
      return {
        channels: items.map((channel) => formatChannel(channel, state)),
        response_metadata: { next_cursor: next },
      }
    },
  }),

  'conversations.history': method({
    scope: 'channels:history',
    tier: 'tier3',
    args: RangeArgs.extend({ limit: limit(999, 100) }),
    call(args, context) {
      const channel = visible(args.channel, context, true)
      const shown = (context.state.messages.get(channel.id) ?? []).filter(
        (message) =>
          !message.ephemeral_to &&
          (!message.thread_ts || message.thread_ts === message.ts || message.broadcast) &&
          within(args, message),
      )
      const newestFirst = shown.reverse()
      return { ...answer(newestFirst, args, context), pin_count: 0, channel_actions_ts: null, channel_actions_count: 0 }
    },
  }),

  'conversations.replies': method({
    scope: 'channels:history',
    tier: 'tier3',
    args: RangeArgs.extend({ ts: z.string(), limit: limit(1000, 1000) }),
    call(args, context) {
      const { state } = context
      const channel = visible(args.channel, context, true)
      const all = state.messages.get(channel.id) ?? []
      const root = all.find((message) => message.ts === args.ts && !message.ephemeral_to)
      if (!root) throw new SlackError('thread_not_found')
      // The root is on every first page, whatever the range.
      const replies = root.thread_ts ? [] : state.replies(channel.id, root.ts).filter((one) => within(args, one))
      return answer([root, ...replies], args, context)
    },
  }),

  'conversations.join': method({
    scope: 'channels:join',
    tier: 'tier3',
    args: z.object({ channel: z.string() }),
    call(args, context) {
      const channel = visible(args.channel, context)
      if (channel.is_archived) throw new SlackError('is_archived')
      if (channel.is_private || channel.is_im) throw new SlackError('method_not_supported_for_channel_type')
      const bot = context.state.workspace.bot.user_id
      const already = channel.members.includes(bot)
      if (!already) channel.members.push(bot)
      context.state.changed()
      return {
        channel: formatChannel(channel, context.state),
        ...(already && { warning: 'already_in_channel', response_metadata: { warnings: ['already_in_channel'] } }),
      }
    },
  }),

  'conversations.open': method({
    scope: 'im:write',
    tier: 'tier3',
    args: z.object({ users: z.string().optional(), channel: z.string().optional() }),
    call(args, { state }) {
      const user = args.users?.split(',')[0] ?? args.channel ?? ''
      const channel = state.channel(user)
      if (!channel) throw new SlackError('user_not_found')
      return { channel: { id: channel.id } }
    },
  }),

  'conversations.members': method({
    scope: 'channels:read',
    tier: 'tier4',
    args: z.object({ channel: z.string(), cursor, limit: limit(1000, 100) }),
    call(args, context) {
      const { items, next } = page(visible(args.channel, context).members, args.cursor, args.limit)
      return { members: items, response_metadata: { next_cursor: next } }
    },
  }),
}
