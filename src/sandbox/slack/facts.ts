const read = '2026-11-28'
const GUIDE = 'https://docs.slack.dev/'
const page = (path: string) => `https://docs.slack.dev/reference/${path}`
const block = (name: string) => page(`block-kit/blocks/${name}-block`)
const method = (name: string) => page(`methods/${name}`)
const element = (name: string) => page(`block-kit/block-elements/${name}-element`)

const checked = [
  // Blocks and where they may stand.
  {
    says: 'A message has at most 50 blocks, a modal or Home tab 100.',
    source: page('block-kit/blocks'),
  },
  {
    says: 'alert stands in modals only; its text has at most 200 characters.',
    source: `${block('alert')}; slackapi/node-slack-sdk#2567, slackapi/python-slack-sdk#1865; AlertBlock.java of slackapi/java-slack-sdk#1624`,
  },
  {
    says: 'actions, context, divider, header, image, input, rich_text, section and video stand in messages, modals and Home tabs.',
    source:
      'https://docs.slack.dev/blocks.json (available-in-surfaces), as kept by TightknitAI/slack-block-kit-validator',
  },
  {
    says: 'markdown, plan, task_card and context_actions stand in messages only.',
    source:
      'https://docs.slack.dev/blocks.json (available-in-surfaces), as kept by TightknitAI/slack-block-kit-validator',
  },
  {
    says: 'A file block comes from Slack alone: no app can send one.',
    source: block('file'),
  },
  {
    says: 'A message has one table; a second one is refused as invalid_attachments with only_one_table_allowed.',
    source: `${block('table')}; skills/block-kit of slackapi/slack-skills-plugin`,
  },
  {
    says: 'A table has at most 100 rows of at most 20 cells.',
    source: '@slack/types 3.2 TableBlock',
  },
  {
    says: 'A markdown block has at most 12,000 characters, all of a message together too.',
    source: '@slack/types 3.2 MarkdownBlock; MarkdownBlock.java of slackapi/java-slack-sdk',
  },
  { says: 'A header has at most 150 characters of plain text.', source: '@slack/types 3.2 HeaderBlock' },
  {
    says: 'A section has a text of at most 3,000 characters, or up to 10 fields of 2,000.',
    source: '@slack/types 3.2 SectionBlock',
  },
  { says: 'actions has at most 25 elements, context 10.', source: '@slack/types 3.2 ActionsBlock, ContextBlock' },
  {
    says: 'A card needs a hero image, title, actions or body; its title has 150 characters, its body 200.',
    source: '@slack/types 3.2 CardBlock; CardBlock.java of slackapi/java-slack-sdk',
  },
  {
    says: 'A container has at most 10 children, a context_actions 5 elements.',
    source: '@slack/types 3.2.0 ContainerBlock, ContextActionsBlock',
  },
  { says: 'A carousel has 1 to 10 cards.', source: '@slack/types 3.2 CarouselBlock; slackapi/node-slack-sdk#2567' },
  {
    says: 'A plan has a title in plain text and task cards; a task is pending, in_progress, complete or error.',
    source: `${block('plan')}; ${block('task-card')}`,
  },
  {
    says: 'A video title has fewer than 200 characters, its author name fewer than 50.',
    source: '@slack/types 3.2 VideoBlock; VideoBlock.java of slackapi/java-slack-sdk',
  },
  {
    says: 'rich_text_quote stands on every surface, and may hold an emoji by its name beside text.',
    source: `${element('rich-text-quote')}; ${element('emoji')}`,
  },
  {
    says: 'file_input, email_text_input, number_input and url_text_input stand in modals, rich_text_input in modals and Home tabs, datetimepicker in messages and modals, workflow_button in messages.',
    source: `${page('block-kit/block-elements')} (available_in_surfaces of each page), as quoted by TightknitAI/slack-block-kit-validator`,
  },
  { says: 'A button has a text of 75 and a value of 2,000 characters.', source: '@slack/types 3.2 Button' },
  { says: 'block_id and action_id have at most 255 characters.', source: '@slack/types 3.2 Block, Actionable' },
  {
    says: 'A modal with an input has a submit button; title, submit and close have 24 characters, private_metadata 3,000.',
    source: '@slack/types 3.2 ModalView',
  },
  { says: 'A view has at most 250 kB (view_too_large).', source: method('views.open') },
  {
    says: 'blocks.validate takes one of blocks, message and view, and answers invalid_blocks, invalid_message or invalid_view with pointers.',
    source: method('blocks.validate'),
  },
  // Messages.
  { says: 'A message needs text, blocks or attachments (no_text).', source: method('chat.postMessage') },
  { says: 'Text of an edit has at most 4,000 characters (msg_too_long).', source: method('chat.update') },
  {
    says: 'A bot edits and deletes its own messages only (cant_update_message, cant_delete_message).',
    source: `${method('chat.update')}; ${method('chat.delete')}`,
  },
  { says: 'A workspace may forbid edits after a time (edit_window_closed).', source: method('chat.update') },
  {
    says: 'An archived channel takes no message (is_archived), a channel that the bot is not in neither (not_in_channel).',
    source: method('chat.postMessage'),
  },
  { says: 'At most 100 attachments (too_many_attachments).', source: method('chat.postMessage') },
  {
    says: 'An ephemeral message goes to somebody in the channel (user_not_in_channel).',
    source: method('chat.postEphemeral'),
  },
  {
    says: 'A thread is read with conversations.replies; one that is not there is thread_not_found.',
    source: method('conversations.replies'),
  },
  // Views.
  {
    says: 'A view that changed meanwhile is hash_conflict, one that is gone not_found.',
    source: method('views.update'),
  },
  // People.
  {
    says: 'usergroups.users.list answers no_such_subteam for a group that is not there.',
    source: method('usergroups.users.list'),
  },
  {
    says: 'usergroups.users.list and usergroups.list leave disabled groups out unless include_disabled is sent.',
    source: `${method('usergroups.users.list')}; ${method('usergroups.list')}`,
  },
  {
    says: 'An organisation’s token must send team_id to usergroups methods; for a workspace’s token it is not looked at.',
    source: `${method('usergroups.users.list')}; https://api.slack.com/enterprise/apps/changes-apis`,
  },
  { says: 'auth.test says is_enterprise_install and enterprise_id.', source: '@slack/web-api 8.2 AuthTestResponse' },
  {
    says: 'An organisation’s account may come without team_id, with enterprise_user.teams.',
    source: 'looker/lookerbot#184; errbotio/err-backend-slackv3#96',
  },
  {
    says: 'users.info marks guests, strangers, bots and deactivated accounts.',
    source: '@slack/web-api 8.2 UsersInfoResponse',
  },
  // Limits, signatures, delivery.
  {
    says: 'chat.postMessage: about one a second and channel; Tier 1 to 4: 1, 20, 50 and 100 a minute; 429 has Retry-After.',
    source: `${GUIDE}apis/web-api/rate-limits`,
  },
  {
    says: 'Requests are signed with v0, a timestamp and HMAC-SHA256 over both and the body.',
    source: '@slack/bolt 5.1, whose receiver takes them: test/sandbox/slack/bolt.test.ts',
  },
  {
    says: 'An interaction is answered within 3 s, or the person sees an error.',
    source: `${GUIDE}interactivity/handling-user-interaction#acknowledgment_response`,
  },
  {
    says: 'A trigger opens one view and expires in three seconds (exchanged_trigger_id, expired_trigger_id).',
    source: `${GUIDE}interactivity/handling-user-interaction#modal_responses; ${method('views.open')}`,
  },
  {
    says: 'A modal holds up to three views: after it is opened, two more are pushed (push_limit_reached).',
    source: `${GUIDE}surfaces/modals; ${method('views.push')}`,
  },
  {
    says: 'A response_url takes five answers within thirty minutes.',
    source: `${GUIDE}interactivity/handling-user-interaction#message_responses`,
  },
  {
    says: 'An event that was not taken comes again three times: nearly at once, after one minute and after five, with x-slack-retry-num.',
    source: `${GUIDE}apis/events-api/#retries`,
  },
  {
    says: 'Text of a post or an ephemeral message above 40,000 characters is cut, with a warning (message_truncated).',
    source: 'https://api.slack.com/changelog/2018-04-truncating-really-long-messages',
  },
  {
    says: 'A file goes up in three steps: ask for an address, send the bytes, complete.',
    source: `${method('files.getUploadURLExternal')}; ${method('files.completeUploadExternal')}`,
  },
  {
    says: 'A bot token may do what its scopes say (missing_scope, with needed and provided).',
    source: method('chat.postMessage'),
  },
].map((fact) => ({ ...fact, read }))

/** What this Slack enforces, and where that stands. A test holds it to the form that all facts have. */
export const facts = {
  of: 'Slack',
  enforcedBy: [
    'src/sandbox/slack/surfaces.ts',
    'src/sandbox/slack/blocks.ts',
    'src/sandbox/slack/elements.ts',
    'src/sandbox/slack/methods',
    'src/sandbox/slack/rate.ts',
    'src/sandbox/slack/delivery.ts',
  ],
  facts: checked,
  unchecked: [
    {
      says: 'A private channel that the bot is not in is channel_not_found.',
      why: 'From knowledge: the page of chat.postMessage says of it only that the channel is invalid.',
    },
    {
      says: 'Blocks that are left out of an edit stay; an empty list takes them away.',
      why: 'From knowledge: the part of chat.update’s page that tells it could not be opened again. Keyturn sends blocks with every edit.',
    },
    {
      says: 'A message takes some 13,297 characters of text in all blocks, less some 60 a block (msg_blocks_too_long).',
      why: 'Slack does not say; measured by users in slackapi/bolt-js#2509 and #2867.',
    },
    {
      says: 'Cards do not stand in modals, tables not in the Home tab, containers in neither.',
      why: 'Slack’s blocks.json names cards in modals and tables in the Home tab, others saw neither work; its pages differ about containers. Nothing that Keyturn sends rests on it.',
    },
    {
      says: 'An input in a message is taken.',
      why: 'blocks.json says so; it could not be tried. Keyturn sends none.',
    },
    {
      says: 'A block with a field that is not documented is refused.',
      why: 'Seen by users, not documented; blocks.validate tells with a token, see test/slack/validate.test.ts.',
    },
    {
      says: 'A plan has at most 50 tasks.',
      why: 'On no page that could be read, nor in @slack/types.',
    },
    {
      says: 'A disabled group is answered with no_such_subteam.',
      why: 'The page says what include_disabled lets in, not what is answered without it. An empty list would be read the same: nobody is in it.',
    },
    {
      says: 'auth.test of an organisation’s installation gives the organisation’s id as team_id.',
      why: 'Not documented; Keyturn does not look at it, see slack.team.',
    },
    {
      says: 'A reply to a message that is not there is cannot_reply_to_message.',
      why: 'The error is documented for messages that cannot have replies; which one comes for an unknown thread_ts is not. thread_not_found and invalid_thread_ts are read the same.',
    },
    {
      says: 'Deleting the root of a thread with replies leaves a tombstone.',
      why: 'Seen in Slack’s client; the page of chat.delete does not say it.',
    },
  ],
}
