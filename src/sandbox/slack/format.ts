import type { Json, Message, SlackFile, State, View } from './state.ts'
import type { Channel, User } from './workspace.ts'

/** A file as it appears in a message. */
export function formatFile(file: SlackFile, url: string): Json {
  const { id, name, title, mimetype, size } = file
  return {
    id,
    name,
    title,
    mimetype,
    size,
    mode: 'hosted',
    url_private: `${url}/files/${id}`,
    url_private_download: `${url}/files/${id}`,
  }
}

/** A message as the Web API returns it; metadata only for those who ask. */
export function formatMessage(message: Message, state: State, url: string, includeMetadata = false): Json {
  const { workspace } = state
  const { ts, channel, user, text, thread_ts, blocks, attachments, edited, files, reactions, username } = message
  const replies = state.replies(channel, ts)
  const author = state.user(user)
  const { bot } = workspace
  return {
    type: 'message',
    ...(message.broadcast && { subtype: 'thread_broadcast' }),
    ...(message.deleted && { subtype: 'tombstone', hidden: true }),
    user,
    ts,
    ...(message.bot && {
      bot_id: bot.id,
      app_id: bot.app_id,
      bot_profile: { id: bot.id, app_id: bot.app_id, name: bot.name, deleted: false, team_id: workspace.team.id },
    }),
    ...(username && { username }),
    text,
    team: author?.team_id ?? workspace.team.id,
    ...(blocks && { blocks }),
    ...(attachments && { attachments }),
    ...(thread_ts && { thread_ts, parent_user_id: state.message(channel, thread_ts)?.user }),
    ...(replies.length > 0 && {
      thread_ts: ts,
      reply_count: replies.length,
      reply_users: [...new Set(replies.map((reply) => reply.user))],
      reply_users_count: new Set(replies.map((reply) => reply.user)).size,
      latest_reply: replies.at(-1)?.ts,
      is_locked: false,
      subscribed: false,
    }),
    ...(edited && { edited }),
    ...(files && { files: files.map((file) => formatFile(file, url)) }),
    ...(reactions.length > 0 && { reactions }),
    ...(includeMetadata && message.metadata && { metadata: message.metadata }),
  }
}

/** A view as the Web API and interaction payloads carry it. */
export function formatView(view: View, { workspace }: State): Json {
  return {
    id: view.id,
    team_id: workspace.team.id,
    type: view.type,
    title: null,
    submit: null,
    close: null,
    private_metadata: '',
    callback_id: '',
    external_id: '',
    clear_on_close: false,
    notify_on_close: false,
    ...view.definition,
    state: { values: view.values },
    hash: view.hash,
    root_view_id: view.root_view_id,
    previous_view_id: view.previous_view_id,
    app_id: workspace.bot.app_id,
    app_installed_team_id: workspace.team.id,
    bot_id: workspace.bot.id,
  }
}

/** A person as `users.info` describes them. */
export function formatUser(user: User, { workspace }: State): Json {
  const { id, team_id, name, real_name, deleted, is_bot, email, tz } = user
  const flags = {
    is_admin: false,
    is_owner: false,
    is_primary_owner: false,
    is_restricted: user.is_restricted,
    is_ultra_restricted: user.is_ultra_restricted,
    ...(user.is_stranger && { is_stranger: true }),
  }
  const { organisation } = workspace
  const account = (organisation || user.teams) && {
    enterprise_user: {
      id,
      enterprise_id: organisation?.id ?? 'E0000ORG',
      enterprise_name: 'Organisation',
      teams: user.teams ?? [team_id],
    },
  }
  return {
    id,
    // An organisation's account may have no team of its own.
    ...(user.teams ? {} : { team_id }),
    ...account,
    name,
    deleted,
    color: '9f69e7',
    real_name,
    tz,
    tz_label: tz,
    tz_offset: 0,
    profile: {
      title: '',
      real_name,
      real_name_normalized: real_name,
      display_name: name,
      display_name_normalized: name,
      status_text: '',
      status_emoji: '',
      team: team_id,
      ...(!user.is_stranger && !is_bot && { email }),
      ...(is_bot && { api_app_id: workspace.bot.app_id, bot_id: workspace.bot.id }),
    },
    ...(deleted ? {} : flags),
    is_bot,
    is_app_user: false,
    updated: 1_700_000_000,
    ...(!deleted && { is_email_confirmed: true }),
  }
}

/** A channel as `conversations.info` describes it to the bot. */
export function formatChannel(channel: Channel, { workspace }: State): Json {
  const { id, name, members } = channel
  const is_im = channel.is_im ?? false
  const is_private = channel.is_private ?? false
  return {
    id,
    ...(is_im ? { user: members.find((one) => one !== workspace.bot.user_id) } : { name, name_normalized: name }),
    is_channel: !is_im,
    is_group: false,
    is_im,
    is_mpim: false,
    is_private: is_private || is_im,
    is_archived: channel.is_archived ?? false,
    is_general: false,
    is_shared: false,
    is_ext_shared: false,
    is_org_shared: false,
    is_member: members.includes(workspace.bot.user_id),
    created: 1_700_000_000,
    creator: members[0],
    topic: { value: '', creator: '', last_set: 0 },
    purpose: { value: '', creator: '', last_set: 0 },
    num_members: members.length,
  }
}
