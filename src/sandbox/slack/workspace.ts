/** A person or bot as `users.info` tells about them; `role` is a label for the page and never reaches the bot. */
export interface User {
  id: string
  team_id: string
  name: string
  real_name: string
  role: string
  tz: string
  email: string
  deleted: boolean
  is_bot: boolean
  is_restricted: boolean
  is_ultra_restricted: boolean
  is_stranger: boolean
  /** Of an organisation's account: the workspaces that it is in. */
  teams?: string[]
}

/** A channel; `members` are user ids, the bot's among them where it may post. */
export interface Channel {
  id: string
  name: string
  members: string[]
  is_private?: boolean
  is_archived?: boolean
  is_im?: boolean
}

/** A user group: `<!subteam^id>` pings every one of `users`. */
export interface Usergroup {
  id: string
  handle: string
  name: string
  users: string[]
  /** Switched off by somebody; its members stay on record. */
  disabled?: boolean
}

/** Everything that exists before the first message. */
export interface Workspace {
  team: { id: string; name: string; domain: string }
  /** The organisation that the app is installed for, if it is not for one workspace alone. */
  organisation?: { id: string }
  bot: { id: string; user_id: string; app_id: string; name: string }
  users: User[]
  channels: Channel[]
  usergroups: Usergroup[]
}

const TEAM = 'T0KEYTURN01'
const BOT = 'U0000KEYTRN'

/** A full member of the default team; `overrides` make a guest, an outsider or a deactivated account of them. */
export function person(id: string, name: string, role: string, overrides: Partial<User> = {}): User {
  return {
    id,
    team_id: TEAM,
    name,
    real_name: name.charAt(0).toUpperCase() + name.slice(1),
    role,
    tz: 'Europe/Berlin',
    email: `${name}@example.com`,
    deleted: false,
    is_bot: false,
    is_restricted: false,
    is_ultra_restricted: false,
    is_stranger: false,
    ...overrides,
  }
}

/** The workspace of the demo and of most tests: three colleagues, a guest, an outsider, one who left, three channels. */
export function defaultWorkspace(): Workspace {
  const everyone = ['U0000ONCALL', 'U0000000ADA', 'U0000000SAM', 'U0000000GUS', 'U0000000OLF']
  return {
    team: { id: TEAM, name: 'Keyturn Sandbox', domain: 'keyturn-sandbox' },
    bot: { id: 'B0000KEYTRN', user_id: BOT, app_id: 'A0000KEYTRN', name: 'keyturn' },
    users: [
      person('U0000ONCALL', 'ona', 'on-call'),
      person('U0000000ADA', 'ada', 'approver'),
      person('U0000000SAM', 'sam', 'second approver'),
      person('U0000000GUS', 'gus', 'guest', { is_restricted: true }),
      person('U0000000OLF', 'olaf', 'outsider', {
        team_id: 'T0000OTHER1',
        is_stranger: true,
        email: 'olaf@example.net',
      }),
      person('U0000000DEE', 'dee', 'deactivated', { deleted: true }),
      person(BOT, 'keyturn', 'bot', { is_bot: true }),
    ],
    channels: [
      { id: 'C0000DATAON', name: 'data-oncall', members: [...everyone, BOT] },
      { id: 'C0000PLATON', name: 'platform-oncall', members: [...everyone, BOT] },
      { id: 'C0000HANDOV', name: 'handover', members: [...everyone, BOT] },
    ],
    usergroups: [
      {
        id: 'S0000DATA',
        handle: 'data-oncall',
        name: 'Data on-call',
        users: ['U0000ONCALL', 'U0000000ADA', 'U0000000SAM'],
      },
      { id: 'S0000PLAT', handle: 'platform-oncall', name: 'Platform on-call', users: ['U0000000ADA', 'U0000000SAM'] },
    ],
  }
}
