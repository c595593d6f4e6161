/** Whom a message would notify: user and group ids, and the three broadcasts. */
export interface Pings {
  users: string[]
  groups: string[]
  here: boolean
  channel: boolean
  everyone: boolean
}

interface Content {
  text?: string
  blocks?: readonly unknown[]
  attachments?: readonly unknown[]
  /** `link_names` or `parse: full`: plain `@name` counts as well. */
  linkNames?: boolean
}

const MENTION = /<(?:@([UW][A-Z0-9]+)|!subteam\^(S[A-Z0-9]+)|!(here|channel|everyone|group))(?:[|^][^>]*)?>/g

/**
 * The pings of a message, from its mrkdwn text, markdown blocks and rich text elements. Plain text never pings. Where
 * Slack's behaviour is not documented (mentions in code, or in the fallback text beside blocks) they count, so that a
 * test of hostile text is strict.
 */
export function pingsOf(content: Content, names: ReadonlyMap<string, { user?: string; group?: string }>): Pings {
  const users = new Set<string>()
  const groups = new Set<string>()
  const broadcasts = new Set<string>()
  const scan = (text: string) => {
    for (const [, user, group, broadcast] of text.matchAll(MENTION)) {
      if (user) users.add(user)
      if (group) groups.add(group)
      if (broadcast) broadcasts.add(broadcast === 'group' ? 'channel' : broadcast)
    }
    if (!content.linkNames) return
    for (const [, name = ''] of text.matchAll(/@([a-z0-9._-]+)/gi)) {
      if (['here', 'channel', 'everyone'].includes(name)) broadcasts.add(name)
      const known = names.get(name)
      if (known?.user) users.add(known.user)
      if (known?.group) groups.add(known.group)
    }
  }
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    const { type, text, user_id, usergroup_id, range } = node as Record<string, unknown>
    if ((type === 'mrkdwn' || type === 'markdown') && typeof text === 'string') scan(text)
    if (type === 'user' && typeof user_id === 'string') users.add(user_id)
    if (type === 'usergroup' && typeof usergroup_id === 'string') groups.add(usergroup_id)
    if (type === 'broadcast' && typeof range === 'string') broadcasts.add(range)
    for (const value of Object.values(node)) walk(value)
  }
  if (content.text) scan(content.text)
  walk(content.blocks ?? [])
  for (const attachment of content.attachments ?? []) {
    walk(attachment)
    const { text, pretext, fields } = (attachment ?? {}) as { text?: unknown; pretext?: unknown; fields?: unknown }
    for (const part of [text, pretext]) if (typeof part === 'string') scan(part)
    for (const field of Array.isArray(fields) ? fields : []) if (typeof field?.value === 'string') scan(field.value)
  }
  return {
    users: [...users],
    groups: [...groups],
    here: broadcasts.has('here'),
    channel: broadcasts.has('channel'),
    everyone: broadcasts.has('everyone'),
  }
}
