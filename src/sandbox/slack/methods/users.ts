import { z } from 'zod'
import { formatUser } from '../format.ts'
import type { Usergroup, Workspace } from '../workspace.ts'
import { flag, limit, type Method, method, page, SlackError } from './method.ts'

/** The groups of a workspace. An organisation's token must name it; for any other it is not looked at. */
function groupsIn(workspace: Workspace, team: string | undefined, disabled: boolean | undefined): Usergroup[] {
  const { organisation } = workspace
  if (organisation && !team) throw new SlackError('missing_argument')
  if (organisation && team !== workspace.team.id) return []
  return workspace.usergroups.filter((group) => disabled || !group.disabled)
}

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
    args: z.object({
      include_users: flag.optional(),
      include_count: flag.optional(),
      include_disabled: flag.optional(),
      team_id: z.string().optional(),
    }),
    call: (args, { state: { workspace } }) => ({
      usergroups: groupsIn(workspace, args.team_id, args.include_disabled).map(
        ({ id, handle, name, users: members, disabled }) => ({
          id,
          team_id: workspace.team.id,
          is_usergroup: true,
          name,
          handle,
          description: '',
          is_external: false,
          date_delete: disabled ? 1_700_000_000 : 0,
          ...(args.include_users && { users: members }),
          ...(args.include_count && { user_count: members.length }),
        }),
      ),
    }),
  }),

  'usergroups.users.list': method({
    scope: 'usergroups:read',
    tier: 'tier2',
    args: z.object({
      usergroup: z.string().default(''),
      include_disabled: flag.optional(),
      team_id: z.string().optional(),
      cursor: z.string().optional(),
    }),
    call(args, { state: { workspace, faults } }) {
      const group = groupsIn(workspace, args.team_id, args.include_disabled).find((one) => one.id === args.usergroup)
      if (!group) throw new SlackError('no_such_subteam')
      if (faults.groupPage === 0) return { users: group.users }
      const { items, next } = page(group.users, args.cursor, faults.groupPage)
      return { users: items, response_metadata: { next_cursor: next } }
    },
  }),
}
