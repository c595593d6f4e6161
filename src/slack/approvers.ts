import type { WebClient } from '@slack/web-api'
import type { Logger as Log } from 'pino'
import type { Person, Policy } from '../domain/policy.ts'

/** What Slack says of a person now, or that it cannot say. */
export type LookUp = { ok: true; person: Person } | { ok: false; reason: 'lookup_failed' }

/** How long the look-ups of one click may take together; Slack waits 3 s for the answer to it. */
export const LOOKUP_TIMEOUT = 2000

/**
 * Looks people up at the moment of a click; nothing is remembered. Any error, gap or delay is `lookup_failed`, which is
 * a refusal. `web` tries once and has its own time limit.
 */
export function createPeople(deps: {
  web: WebClient
  policy: Pick<Policy, 'approvers'>
  /** The team that the bot belongs to. */
  team: () => Promise<string>
  log: Log
  timeout?: number
}) {
  const { web, log, timeout = LOOKUP_TIMEOUT } = deps
  const groups = [...new Set(Object.values(deps.policy.approvers).flatMap((list) => list.usergroups))]

  async function memberOf(user: string): Promise<string[]> {
    const lists = await Promise.all(
      groups.map(async (usergroup) => {
        const { users } = await web.usergroups.users.list({ usergroup })
        if (!users) throw new Error(`Slack did not list the members of ${usergroup}`)
        return users.includes(user) ? [usergroup] : []
      }),
    )
    return lists.flat()
  }

  async function ask(id: string): Promise<Person> {
    const [team, { user }, usergroups] = await Promise.all([deps.team(), web.users.info({ user: id }), memberOf(id)])
    if (!user || user.id !== id || !user.team_id) throw new Error(`Slack did not describe user ${id}`)
    // In an Enterprise Grid a colleague's home may be another workspace of the same organisation.
    const ours = user.team_id === team || (user.enterprise_user?.teams ?? []).includes(team)
    const flags = user as typeof user & { is_workflow_bot?: boolean }
    return {
      user: id,
      name: user.profile?.display_name || user.profile?.real_name || user.real_name || user.name || id,
      deleted: user.deleted === true,
      bot: user.is_bot === true || flags.is_workflow_bot === true || id === 'USLACKBOT',
      guest: user.is_restricted === true || user.is_ultra_restricted === true,
      external: user.is_stranger === true || !ours,
      usergroups,
    }
  }

  return {
    async lookUp(user: string): Promise<LookUp> {
      const late = Promise.withResolvers<never>()
      const timer = setTimeout(() => late.reject(new Error(`Slack took longer than ${timeout} ms`)), timeout)
      try {
        return { ok: true, person: await Promise.race([ask(user), late.promise]) }
      } catch (err) {
        log.warn({ err, user }, 'person not looked up, so the click is refused')
        return { ok: false, reason: 'lookup_failed' }
      } finally {
        clearTimeout(timer)
      }
    },
  }
}
export type People = ReturnType<typeof createPeople>
