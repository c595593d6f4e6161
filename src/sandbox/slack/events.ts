import type { Clock } from './clock.ts'
import type { Delivery } from './delivery.ts'
import { type Json, type State, slackId } from './state.ts'

/** Slack tries again at once, after a minute and after five. https://docs.slack.dev/apis/events-api#retries */
const RETRY_AFTER_MS = [0, 60_000, 300_000]

/** The Events API: wraps what happened into an event_callback and brings it to the bot, with Slack's retries. */
export function createEvents(deps: { state: State; clock: Clock; delivery: Delivery; subscribed: readonly string[] }) {
  const { state, clock, delivery, subscribed } = deps
  const pending = new Set<() => void>()
  let closed = false

  async function attempt(payload: Json, name: string, num: number, reason: string): Promise<void> {
    const answer = await delivery.event(payload, { num, reason })
    if (closed) return
    state.record({
      kind: 'event',
      name,
      status: answer.status,
      error: answer.error,
      args: { ...payload, retry_num: num },
    })
    const delay = RETRY_AFTER_MS[num]
    if (!answer.error || delay === undefined || answer.headers['x-slack-no-retry'] === '1') return
    const cancel = clock.after(delay, () => {
      pending.delete(cancel)
      void attempt(payload, name, num + 1, answer.error ?? '')
    })
    pending.add(cancel)
  }

  return {
    /** Tells the bot of an event, if it subscribed to its type. */
    emit(event: Json): void {
      const name = String(event.type)
      if (!subscribed.includes(name)) return
      const { team, bot } = state.workspace
      const payload: Json = {
        token: 'verification-token',
        team_id: team.id,
        api_app_id: bot.app_id,
        event,
        type: 'event_callback',
        event_id: slackId('Ev'),
        event_time: Math.floor(clock.now() / 1000),
        authorizations: [
          { enterprise_id: null, team_id: team.id, user_id: bot.user_id, is_bot: true, is_enterprise_install: false },
        ],
        is_ext_shared_channel: false,
        event_context: slackId('4-'),
      }
      void attempt(payload, name, 0, '')
    },
    /** Whether the bot echoes the challenge, as Slack demands before it accepts a request URL. */
    async verifyUrl(): Promise<boolean> {
      const challenge = slackId('challenge')
      const answer = await delivery.event(
        { type: 'url_verification', token: 'verification-token', challenge },
        { num: 0, reason: '' },
      )
      const echoed = typeof answer.body === 'string' ? answer.body : (answer.body as Json | null)?.challenge
      return answer.status === 200 && echoed === challenge
    },
    close(): void {
      closed = true
      for (const cancel of pending) cancel()
    },
  }
}
export type Events = ReturnType<typeof createEvents>
