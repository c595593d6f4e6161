import type { WebClient } from '@slack/web-api'
import type { Logger as Log } from 'pino'
import type { Policy } from '../domain/policy.ts'
import { goneSentence } from './approvers.ts'
import { adviceOf } from './refusal.ts'
import { faultOf, type Send, type Sleep } from './send.ts'
import type { Troubles } from './troubles.ts'

/** What the app may do, as in manifest.yaml: https://docs.slack.dev/reference/scopes. */
export const SCOPES = [
  'channels:history',
  'chat:write',
  'files:read',
  'files:write',
  'groups:history',
  'usergroups:read',
  'users:read',
]
/** Until Slack is asked again after it could not be, in milliseconds. */
const AGAIN = 30_000

/**
 * Looks, once after the start, at what keeps people from deciding and what only Slack can tell: for whom the app is installed,
 * what it may do, and whether the user groups of the policy are there. What is wrong is said; nothing is stopped by it.
 */
export function createInspection(deps: {
  web: WebClient
  send: Pick<Send, 'identity'>
  policy: Pick<Policy, 'approvers'>
  /** The workspace that keyturn.yaml names. */
  team: string | undefined
  troubles: Troubles
  log: Log
  sleep: Sleep
}) {
  const { web, send, policy, troubles, log, sleep } = deps
  const groups = [...new Set(Object.values(policy.approvers).flatMap((list) => list.usergroups))]

  async function look(): Promise<void> {
    const { team, organisation, scopes } = await send.identity()
    troubles.over('Slack')
    const named = deps.team
    if (organisation && named === undefined)
      troubles.report(
        'organisation',
        'Nobody can decide: the app is installed for a whole organisation, and slack.team in keyturn.yaml does not name the workspace (T…) whose people and user groups decide.',
      )
    if (!organisation && named !== undefined && named !== team)
      troubles.report(
        'organisation',
        `The bot token belongs to workspace ${team}, and slack.team in keyturn.yaml names ${named}. Put the token of that workspace into the environment, or take slack.team out.`,
      )
    const missing = scopes.length > 0 ? SCOPES.filter((scope) => !scopes.includes(scope)) : []
    if (missing.length > 0)
      troubles.report(
        'scopes',
        `The app may not do all that it must: add ${missing.join(', ')} to its bot scopes as in manifest.yaml, and install it again.`,
      )
    if (groups.length === 0 || (organisation && named === undefined)) return
    const workspace = organisation ? named : team
    const { usergroups, response_metadata } = await web.usergroups.list({ include_disabled: true, team_id: workspace })
    // What is not in a list that was cut may be there all the same; the next press tells.
    if (!usergroups || response_metadata?.next_cursor) return
    for (const group of groups) {
      const found = usergroups.find((one) => one.id === group)
      if (!found) troubles.report(`group ${group}`, goneSentence(group, policy, 'no_such_subteam'))
      else if (found.date_delete) troubles.report(`group ${group}`, goneSentence(group, policy, 'disabled'))
      else troubles.over(`group ${group}`)
    }
  }

  return async function inspect(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        return await look()
      } catch (error) {
        const fault = faultOf(error)
        if (fault.kind === 'refused') troubles.report('Slack', `Slack refuses Keyturn: ${adviceOf(fault.error)}`, fault)
        else log.info({ err: error }, 'Slack could not be looked at yet; it is asked again')
      }
      await sleep(AGAIN, signal).catch(() => {})
    }
  }
}
