import { z } from 'zod'
import { type Method, method, SlackError } from './method.ts'

/** Who am I, does it work, and where is the socket. */
export const auth: Record<string, Method> = {
  'auth.test': method({
    tier: 'unlimited',
    args: z.object({}),
    call: (_, { state: { workspace } }) => ({
      url: `https://${workspace.team.domain}.slack.com/`,
      team: workspace.team.name,
      user: workspace.bot.name,
      // What Slack gives as the team of an organisation's installation is not documented.
      team_id: workspace.organisation?.id ?? workspace.team.id,
      user_id: workspace.bot.user_id,
      bot_id: workspace.bot.id,
      ...(workspace.organisation && { enterprise_id: workspace.organisation.id }),
      is_enterprise_install: workspace.organisation !== undefined,
    }),
  }),
  'api.test': method({
    tier: 'tier4',
    args: z.looseObject({ error: z.string().optional() }),
    call(args) {
      if (args.error) throw new SlackError(args.error, { args })
      return { args }
    },
  }),
  'apps.connections.open': method({
    token: 'app',
    scope: 'connections:write',
    tier: 'tier1',
    args: z.object({}),
    call: (_, context) => ({ url: context.socketUrl() }),
  }),
}
