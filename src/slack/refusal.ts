import type { KnownBlock } from '@slack/types'
import { ACTIONS } from './actions.ts'
import type { Content, Fault } from './send.ts'

type Refused = Extract<Fault, { kind: 'refused' }>

/**
 * Refusals that are about what a message holds: another message may do. A closed list, from the errors of chat.postMessage,
 * chat.update and files.completeUploadExternal under https://docs.slack.dev/reference/methods (read 2026-11-28). Whatever is
 * not here waits for somebody to change a setting.
 */
const CONTENT = [
  'attachment_payload_limit_exceeded',
  'invalid_attachments',
  'invalid_blocks',
  'invalid_blocks_format',
  'markdown_text_conflict',
  'msg_blocks_too_long',
  'msg_too_long',
  'no_text',
  'too_many_attachments',
]
/** Slack names bad arguments by pointers; those into the content are about it. */
const POINTS_AT_CONTENT = /json-pointer:\/(attachments|blocks|text)\b/
export const isAboutContent = ({ error, detail }: Refused): boolean =>
  CONTENT.includes(error) || (error === 'invalid_arguments' && detail.some((line) => POINTS_AT_CONTENT.test(line)))

/** Refusals to upload a file that another time or setting need not change: its text is shown instead. */
const FILES = [
  'blocked_file_type',
  'file_not_found',
  'file_type_not_allowed',
  'file_update_failed',
  'file_upload_size_restricted',
  'file_uploads_disabled',
  'file_uploads_except_images_disabled',
  'invalid_arguments',
  'missing_argument',
  'missing_scope',
  'posting_to_channel_denied',
  'slack_connect_blocked_file_type',
  'slack_connect_file_upload_sharing_blocked',
  'snippet_too_large',
  'storage_limit_reached',
]
export const isAboutFile = ({ error }: Refused): boolean => FILES.includes(error) || CONTENT.includes(error)

/** Refusals of an edit that no later edit escapes: the message is replaced by a new one. */
export const CANNOT_EDIT = ['block_mismatch', 'cant_update_message', 'edit_window_closed', 'message_not_found']
/** Refusals that mean: the message that a thread hangs on was deleted, or nobody can reply to it any more. */
export const ROOT_GONE = [
  'cannot_reply_to_message',
  'invalid_thread_ts',
  'restricted_action_thread_locked',
  'thread_not_found',
]
/** Refusals of a channel that another one would escape. */
export const CHANNEL_GONE = ['channel_not_found', 'is_archived', 'is_inactive']

const NEW_TOKEN = 'install the app again, put its new bot token into the environment and restart the bot'
const CHANNEL = 'check slack.channels in keyturn.yaml; into a private channel the bot must be invited'
const ARCHIVED = 'the channel is archived: unarchive it, or name another one under slack.channels in keyturn.yaml'
const ADMIN = 'a setting of the workspace or the channel keeps the bot from posting: ask an administrator to allow it'
const PASSING = 'Slack does not take it just now'

/** What to do about a refusal. */
const ADVICE: Readonly<Record<string, string>> = {
  access_denied: ADMIN,
  accesslimited:
    'the workspace takes calls from some networks only: ask an administrator to allow the address of the bot',
  account_inactive: `the bot was removed from the workspace: ${NEW_TOKEN}`,
  app_access_restricted: ADMIN,
  channel_not_found: CHANNEL,
  ekm_access_denied: 'administrators have suspended messages to this channel: ask them',
  enterprise_is_restricted: 'the app may not act for the organisation: see slack.team in the README',
  external_channel_migrating: 'the channel is being moved; this passes',
  invalid_auth: 'the bot token is not valid; put the current one into the environment and restart',
  invalid_channel: CHANNEL,
  is_archived: ARCHIVED,
  is_inactive: ARCHIVED,
  message_limit_exceeded: 'the workspace sends too many messages; this passes',
  messages_tab_disabled: 'the channel is a direct message, which the app does not have: name a channel',
  missing_scope: 'add the scope to the app as in manifest.yaml, and install it again',
  no_permission: 'the bot may not do this in the workspace; ask its owner',
  not_allowed_token_type: 'this is no bot token (xoxb-…); put one into the environment and restart',
  not_enabled: 'turn the Home tab on under App Home in the settings of the app, as in manifest.yaml',
  not_authed: 'the bot token is empty; put it into the environment and restart',
  not_in_channel: 'invite the bot to the channel',
  org_login_required: 'the workspace is being moved into an organisation; this passes',
  restricted_action: ADMIN,
  restricted_action_non_threadable_channel: 'the channel takes no replies: name another one under slack.channels',
  restricted_action_read_only_channel: 'the channel is read-only: allow the bot to post, or name another one',
  restricted_action_thread_locked: 'administrators have locked the thread: ask them to unlock it',
  restricted_action_thread_only_channel: 'the channel takes replies only: name another one under slack.channels',
  team_access_not_granted:
    'the app was not given to the workspace of the channel: ask an administrator of the organisation',
  team_added_to_org: 'the workspace is being moved into an organisation; this passes',
  team_not_found: CHANNEL,
  token_expired: `the bot token has expired: ${NEW_TOKEN}`,
  token_revoked: `the bot token was revoked: ${NEW_TOKEN}`,
  two_factor_setup_required: 'the workspace asks for two factors first: ask an administrator',
  update_failed: PASSING,
  streaming_state_conflict: PASSING,
}
/** What to do about a refusal of Slack, as the end of a sentence. Slack's own code is for the log alone. */
export const adviceOf = (error: string): string =>
  ADVICE[error] ??
  'the reason is not one that Keyturn knows: the log of the bot has its code, and Slack’s page of the method says what it means'

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
