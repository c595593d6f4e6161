import type { KnownBlock } from '@slack/types'
import { ACTIONS } from './actions.ts'
import type { Content } from './send.ts'

/** Errors that no other message would escape either, and what to do about them. */
export const ADVICE: Readonly<Record<string, string>> = {
  channel_not_found: 'check slack.channels in keyturn.yaml; into a private channel the bot must be invited',
  not_in_channel: 'invite the bot to the channel',
  is_archived: 'unarchive the channel, or name another one under slack.channels in keyturn.yaml',
  restricted_action: 'a setting of the workspace or channel keeps the bot from posting; allow it',
  missing_scope: 'add the scope to the app as in manifest.yaml, and install it again',
  invalid_auth: 'the bot token is not valid; put the current one into the environment and restart',
  not_authed: 'the bot token is empty; put it into the environment and restart',
  token_revoked: 'the bot token was revoked; install the app again and restart with the new token',
  token_expired: 'the bot token has expired; install the app again and restart with the new token',
  account_inactive: 'the bot was removed from the workspace; install the app again and restart with the new token',
  no_permission: 'the bot may not do this in the workspace; ask its owner',
}
/** Errors that mean: the message that a thread hangs on was deleted. */
export const ROOT_GONE = ['cannot_reply_to_message', 'thread_not_found', 'invalid_thread_ts']

/** Buttons without what they are about: nobody approves a plan that Slack has not shown, though anybody may reject it. */
function buttonsOf(blocks: readonly KnownBlock[]): { buttons: KnownBlock[]; unseen: string } {
  let unseen = ''
  const buttons = blocks.flatMap((block) => {
    if (block.type !== 'actions') return []
    const elements = block.elements.filter((e) => !('action_id' in e) || e.action_id !== ACTIONS.approve)
    if (elements.length < block.elements.length)
      unseen = ' Slack did not take what would run: it can be approved at a terminal, which shows it.'
    return elements.length > 0 ? [{ ...block, elements }] : []
  })
  return { buttons, unseen }
}

/** A message with less in it each time Slack refuses it: as drawn, text and buttons, a short text. */
export const PLAINER: ((content: Content) => Content)[] = [
  (content) => content,
  ({ text, blocks = [] }) => {
    const { buttons, unseen } = buttonsOf(blocks)
    const words = `${text.slice(0, 2900)}${unseen}`
    const section: KnownBlock = { type: 'section', text: { type: 'plain_text', text: words || '–' } }
    return { text: words, blocks: [section, ...buttons] }
  },
  ({ text }) => ({ text: text.slice(0, 1000), blocks: [] }),
]
