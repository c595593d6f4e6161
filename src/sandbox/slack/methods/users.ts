import { z } from 'zod'
import { formatUser } from '../format.ts'
import { flag, limit, type Method, method, page, SlackError } from './method.ts'

/** People and groups of people. */
export const users: Record<string, Method> = {
  'users.info': method({
    scope: 'users:read',
    tier: 'tier4',
    args: z.object({ user: z.string().default('') }),
    call(args, { state }) {
      const user = state.user(args.user)
      if (!user) throw new SlackError('user_not_found')
      return { user: formatUser(user, state) }
    },
  }),

  'users.list': method({
    scope: 'users:read',
    tier: 'tier2',
    args: z.object({ cursor: z.string().optional(), limit: limit(1000, 1000) }),
    call(args, { state, clock }) {
      const { items, next } = page(state.workspace.users, args.cursor, args.limit)
      return {
        members: items.map((user) => formatUser(user, state)),
        cache_ts: Math.floor(clock.now() / 1000),
        response_metadata: { next_cursor: next },
      }
    },
  }),

  'usergroups.list': method({
    scope: 'usergroups:read',
    tier: 'tier2',
    args: z.object({ include_users: flag.optional(), include_count: flag.optional() }),
    call: (args, { state: { workspace } }) => ({
      usergroups: workspace.usergroups.map(({ id, handle, name, users: members }) => ({
        id,
        team_id: workspace.team.id,
        is_usergroup: true,
        name,
        handle,
        description: '',
        is_external: false,
        date_delete: 0,
        ...(args.include_users && { users: members }),
        ...(args.include_count && { user_count: members.length }),
      })),
    }),
  }),

  'usergroups.users.list': method({
    scope: 'usergroups:read',
    tier: 'tier2',
    args: z.object({ usergroup: z.string().default(''), include_disabled: flag.optional() }),
    call(args, { state: { workspace } }) {
      const group = workspace.usergroups.find((one) => one.id === args.usergroup)
      if (!group) throw new SlackError('no_such_subteam')
      return { users: group.users }
    },
  }),
}
