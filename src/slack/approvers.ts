import type { WebClient } from '@slack/web-api'
import type { Logger as Log } from 'pino'
import { type Person, type Policy, standing } from '../domain/policy.ts'
import type { Clock } from '../domain/ports.ts'
import { adviceOf } from './refusal.ts'
import { type Fault, faultOf, sleep as realSleep, type Sleep } from './send.ts'
import { createTroubles, type Troubles } from './troubles.ts'

/** Why Slack could not say who somebody is. */
type Unknown = 'lookup_failed' | 'lookup_limited' | 'lookup_refused' | 'organisation_unclear'
/** What Slack says of a person now, or why it cannot say. */
export type LookUp = { ok: true; person: Person } | { ok: false; reason: Unknown }

/** How long the look-ups of one click may take together; Slack waits 3 s for the answer to it. */
export const LOOKUP_TIMEOUT = 2000
/** Before a look-up that broke is made once more, in milliseconds. */
const PAUSE = 100
/** A group with one of these answers is one that nobody is in: https://docs.slack.dev/reference/methods/usergroups.users.list. */
const GONE = ['no_such_subteam', 'plan_upgrade_required']

class Unanswered extends Error {
  readonly fault: Fault
  constructor(fault: Fault) {
    super(fault.kind === 'refused' ? `Slack answered ${fault.error}` : `the look-up was ${fault.kind}`, {
      cause: 'cause' in fault ? fault.cause : undefined,
    })
    this.fault = fault
  }
}

/**
 * Looks people up at the moment of a click; nothing is remembered beyond it. What Slack does not say is a refusal: any error,
 * gap or delay of who somebody is, and of a group too unless the person may decide without it. `web` tries once and has its
 * own time limit; what broke or was limited is asked again here while there is time.
 */
export function createPeople(deps: {
  web: WebClient
  policy: Pick<Policy, 'approvers'> & Partial<Pick<Policy, 'oncall'>>
  /** The workspace whose people decide; null if the app is installed for an organisation and none is named. */
  team: () => Promise<string | null>
  log: Log
  troubles?: Troubles
  timeout?: number
  clock?: Clock
  sleep?: Sleep
}) {
  const { web, log, timeout = LOOKUP_TIMEOUT, clock = Date.now, sleep = realSleep } = deps
  const troubles = deps.troubles ?? createTroubles(log)
  const policy = { approvers: deps.policy.approvers, oncall: deps.policy.oncall ?? {} }

  /** Reads, and once more what broke, or what was limited for less than the time that is left. */
  async function patiently<T>(until: number, read: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await read()
      } catch (error) {
        const fault = faultOf(error)
        const wait = fault.kind === 'limited' ? fault.wait : fault.kind === 'refused' || tries > 1 ? Infinity : PAUSE
        if (clock() + wait >= until) throw new Unanswered(fault)
        await sleep(wait)
      }
    }
  }

  /** Who is in a group now; nobody if there is no such group any more. */
  async function membersOf(usergroup: string, team: string, until: number): Promise<readonly string[]> {
    try {
      const all: string[] = []
      let cursor: string | undefined
      do {
        // Pages of a group are not documented, their errors are: a list that was cut is not taken for the whole.
        const page = { usergroup, team_id: team, ...(cursor ? { cursor } : {}) }
        const { users, response_metadata } = await patiently(until, () => web.usergroups.users.list(page))
        if (!users) throw new Error(`Slack did not list the members of ${usergroup}`)
        all.push(...users)
        cursor = response_metadata?.next_cursor || undefined
      } while (cursor)
      troubles.over(`group ${usergroup}`)
      return all
    } catch (error) {
      const fault = error instanceof Unanswered ? error.fault : null
      if (fault?.kind !== 'refused' || !GONE.includes(fault.error)) throw error
      troubles.report(`group ${usergroup}`, goneSentence(usergroup, policy, fault.error))
      return []
    }
  }

  async function ask(id: string, lists: readonly string[], until: number): Promise<LookUp> {
    const team = await deps.team()
    if (team === null) return { ok: false, reason: 'organisation_unclear' }
    const named = lists.flatMap((name) => (Object.hasOwn(policy.approvers, name) ? policy.approvers[name]! : []))
    const groups = [...new Set(named.flatMap((list) => list.usergroups))]
    const [{ user }, ...asked] = await Promise.all([
      patiently(until, () => web.users.info({ user: id })),
      ...groups.map((group) =>
        membersOf(group, team, until).then(
          (users) => ({ group, member: users.includes(id) }),
          (error: unknown) => ({ group, error }),
        ),
      ),
    ])
    // In an organisation a colleague's home may be another of its workspaces, or none that is named.
    const homes = [user?.team_id, ...(user?.enterprise_user?.teams ?? [])].filter((home) => home !== undefined)
    if (!user || user.id !== id || homes.length === 0) throw new Error(`Slack did not describe user ${id}`)
    const usergroups = asked.flatMap((one) => ('member' in one && one.member ? [one.group] : []))
    for (const one of asked) {
      if (!('error' in one)) continue
      if (standing(policy, lists, { user: id, usergroups }, clock()).length === 0) throw one.error
      log.warn({ err: one.error, group: one.group }, 'a group could not be asked; who pressed may decide without it')
    }
    if (asked.every((one) => 'member' in one)) troubles.over('look-ups')
    const flags = user as typeof user & { is_workflow_bot?: boolean }
    const person: Person = {
      user: id,
      name: user.profile?.display_name || user.profile?.real_name || user.real_name || user.name || id,
      deleted: user.deleted === true,
      bot: user.is_bot === true || flags.is_workflow_bot === true || id === 'USLACKBOT',
      guest: user.is_restricted === true || user.is_ultra_restricted === true,
      external: user.is_stranger === true || !homes.includes(team),
      usergroups,
    }
    return { ok: true, person }
  }

  return {
    /** Who this is, and in which groups of these approver lists; of all lists if none are given. */
    async lookUp(user: string, lists: readonly string[] = Object.keys(policy.approvers)): Promise<LookUp> {
      const late = Promise.withResolvers<never>()
      const timer = setTimeout(() => late.reject(new Error(`Slack took longer than ${timeout} ms`)), timeout)
      try {
        return await Promise.race([ask(user, lists, clock() + timeout), late.promise])
      } catch (err) {
        log.warn({ err, user }, 'person not looked up, so the click is refused')
        const fault = err instanceof Unanswered ? err.fault : null
        if (fault?.kind === 'refused') {
          const { error, detail } = fault
          // About this one person, and no trouble of all.
          if (!error.startsWith('user_'))
            troubles.report(
              'look-ups',
              `Decisions are refused, since Slack does not say who somebody is: ${adviceOf(error)}.`,
              { error, detail },
            )
          return { ok: false, reason: 'lookup_refused' }
        }
        return { ok: false, reason: fault?.kind === 'limited' ? 'lookup_limited' : 'lookup_failed' }
      } finally {
        clearTimeout(timer)
      }
    },
  }
}
export type People = Pick<ReturnType<typeof createPeople>, 'lookUp'>

/** What to do about a group that nobody is in any more. `why` is Slack's code, or `disabled`. */
export function goneSentence(group: string, { approvers }: Pick<Policy, 'approvers'>, why: string): string {
  const lists = Object.keys(approvers).filter((name) => approvers[name]!.usergroups.includes(group))
  const what =
    why === 'plan_upgrade_required'
      ? "cannot be asked for, since the workspace's plan has no user groups"
      : why === 'disabled'
        ? 'is disabled'
        : 'does not exist (any more), or is disabled'
  const where = lists.map((name) => `“${name}”`).join(', ')
  return `The user group ${group} of ${where} ${what}: nobody decides by it. Enable it, or change policy.approvers in keyturn.yaml.`
}
