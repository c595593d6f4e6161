import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Clock } from './clock.ts'
import { ContentArgs, NO_FALLBACK, parseContent } from './methods/content.ts'
import { flag, SlackError } from './methods/method.ts'
import type { Json, Message, State } from './state.ts'

const USES = 5
const LIFETIME_MS = 30 * 60_000

const Body = ContentArgs.extend({
  response_type: z.enum(['in_channel', 'ephemeral']).default('ephemeral'),
  replace_original: flag.optional(),
  delete_original: flag.optional(),
  thread_ts: z.string().optional(),
})

/** response_url: five answers within thirty minutes of the click, without a token. */
export function createResponseUrls(state: State, clock: Clock, url: () => string) {
  const open = new Map<string, { message: Message; user: string; uses: number; expires: number }>()
  return {
    create(message: Message, user: string): string {
      const token = randomUUID()
      open.set(token, { message, user, uses: 0, expires: clock.now() + LIFETIME_MS })
      return `${url()}/response/${token}`
    },
    /** Handles a POST; throws SlackError `used_url` or `expired_url` as Slack answers 404. */
    use(token: string, raw: Json): void {
      const grant = open.get(token)
      if (!grant || grant.expires < clock.now()) throw new SlackError('expired_url')
      if (grant.uses >= USES) throw new SlackError('used_url')
      const body = Body.parse(raw)
      const { warnings, ...content } = parseContent(body)
      grant.uses += 1
      const { message } = grant
      if (body.delete_original) {
        const list = state.messages.get(message.channel) ?? []
        state.messages.set(
          message.channel,
          list.filter((one) => one !== message),
        )
      } else if (body.replace_original) {
        const next = { text: content.text ?? NO_FALLBACK, blocks: content.blocks, attachments: content.attachments }
        const edited = { user: state.workspace.bot.user_id, ts: `${Math.floor(clock.now() / 1000)}.000000` }
        Object.assign(message, next, { edited, pings: state.pings(next) })
      } else {
        state.post(
          message.channel,
          { ...content, text: content.text ?? NO_FALLBACK },
          {
            user: state.workspace.bot.user_id,
            bot: true,
            thread_ts: body.thread_ts,
            ephemeral_to: body.response_type === 'ephemeral' ? grant.user : undefined,
          },
        )
      }
      state.record({ kind: 'response_url', name: token, status: 200, args: raw })
    },
  }
}
export type ResponseUrls = ReturnType<typeof createResponseUrls>
