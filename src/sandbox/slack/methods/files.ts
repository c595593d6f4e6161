import { z } from 'zod'
import { formatFile } from '../format.ts'
import { type SlackFile, slackId } from '../state.ts'
import { limit, type Method, method, objectsFromJson, SlackError } from './method.ts'

const MEGABYTE = 1024 * 1024
const FileRef = z.object({ id: z.string(), title: z.string().optional() })

const mimetypeOf = (name: string) =>
  ({ md: 'text/markdown', txt: 'text/plain', json: 'application/json', csv: 'text/csv', png: 'image/png' })[
    name.split('.').at(-1) ?? ''
  ] ?? 'application/octet-stream'

/** Uploading a file in Slack's three steps: ask for a URL, send the bytes there, share it. */
export const files: Record<string, Method> = {
  'files.getUploadURLExternal': method({
    scope: 'files:write',
    tier: 'tier4',
    args: z.object({ filename: z.string().min(1), length: limit(1024 * MEGABYTE, 1) }),
    call({ filename, length }, { state, url }) {
      const id = slackId('F')
      const file: SlackFile = {
        id,
        name: filename,
        title: filename,
        mimetype: mimetypeOf(filename),
        size: length,
        content: Buffer.alloc(0),
        uploaded: false,
        completed: false,
      }
      state.files.set(id, file)
      return { upload_url: `${url}/files/upload/${id}`, file_id: id }
    },
  }),

  'files.completeUploadExternal': method({
    scope: 'files:write',
    tier: 'tier4',
    args: z.object({
      files: z.unknown().optional(),
      channel_id: z.string().optional(),
      thread_ts: z.string().optional(),
      initial_comment: z.string().optional(),
    }),
    call(args, context) {
      const { state, url } = context
      const refs = z.array(FileRef).min(1).safeParse(objectsFromJson(args.files, 'invalid_arguments'))
      if (!refs.success) throw new SlackError('invalid_arguments')
      const shared = refs.data.map(({ id, title }) => {
        const file = state.files.get(id)
        if (!file?.uploaded || file.completed) throw new SlackError('file_not_found')
        return Object.assign(file, { title: title ?? file.title })
      })
      const channel = args.channel_id ? state.channel(args.channel_id) : undefined
      if (args.channel_id && !channel) throw new SlackError('channel_not_found')
      if (channel && !channel.members.includes(state.workspace.bot.user_id)) throw new SlackError('not_in_channel')
      if (channel && args.thread_ts && !state.message(channel.id, args.thread_ts))
        throw new SlackError('invalid_thread_ts')
      for (const file of shared) file.completed = true
      if (channel)
        state.post(
          channel.id,
          { text: args.initial_comment ?? '' },
          { user: state.workspace.bot.user_id, bot: true, thread_ts: args.thread_ts, files: shared },
        )
      return { files: shared.map((file) => formatFile(file, url)) }
    },
  }),

  'reactions.add': method({
    scope: 'reactions:write',
    tier: 'tier3',
    args: z.object({ channel: z.string(), timestamp: z.string(), name: z.string().min(1) }),
    call({ channel: key, timestamp, name }, { state }) {
      const channel = state.channel(key)
      if (!channel) throw new SlackError('channel_not_found')
      const message = state.message(channel.id, timestamp)
      if (!message || message.ephemeral_to) throw new SlackError('message_not_found')
      const bot = state.workspace.bot.user_id
      const known = message.reactions.find((reaction) => reaction.name === name)
      if (known?.users.includes(bot)) throw new SlackError('already_reacted')
      if (known) known.users.push(bot)
      else message.reactions.push({ name, users: [bot], count: 0 })
      for (const reaction of message.reactions) reaction.count = reaction.users.length
      state.changed()
      return {}
    },
  }),
}
