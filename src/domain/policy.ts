import { createPublicKey } from 'node:crypto'
import { z } from 'zod'
import type { Risk } from './command.ts'
import type { Reason } from './reason.ts'
import { FreezeWindow } from './window.ts'
import { instantOf, isTimeZone, wallOf } from './zone.ts'

/** Whether this is an Ed25519 public key: SPKI in base64. */
function isEd25519(base64: string): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'spki' })
    return key.asymmetricKeyType === 'ed25519'
  } catch {
    return false
  }
}

const USER = /^[UW][A-Z0-9]{2,}$/
const USER_FAULT = 'is not a Slack user id (U… or W…)'
const userIds = z.array(z.string().regex(USER, USER_FAULT)).default([])

/** Who may decide: named people, members of Slack user groups (read at the click), and whoever is on call now. */
export const ApproverList = z.strictObject({
  users: userIds,
  usergroups: z.array(z.string().regex(/^S[A-Z0-9]{2,}$/, 'is not a Slack user group id (S…)')).default([]),
  oncall: z.array(z.string()).default([]),
})
export type ApproverList = z.infer<typeof ApproverList>

/**
 * A rotation: each user in turn has a shift, the first one from `start`. With a `timeZone` the hand-over stays at the same time
 * of day when the clocks change; without one every shift has the same length.
 */
export const Rotation = z.strictObject({
  users: userIds.pipe(z.array(z.string()).min(1)),
  start: z.iso.datetime({ offset: true }),
  shiftHours: z.number().positive().default(168),
  timeZone: z.string().refine(isTimeZone, 'is not an IANA time zone such as Europe/Paris').optional(),
})
export type Rotation = z.infer<typeof Rotation>

/** The rules about who decides. The bot applies them at the click, the worker again before it runs. */
export const Policy = z.strictObject({
  approvers: z.record(z.string(), ApproverList).default({}),
  /** Lists for playbooks that name none. Empty means nobody. */
  defaultApprovers: z.array(z.string()).default([]),
  oncall: z.record(z.string(), Rotation).default({}),
  /** Accounts that belong to one human, so that they count once. */
  people: z.record(z.string(), userIds).default({}),
  /** Who may decide at a terminal when Slack is down: their user ids, and the public half of the key that each keeps. */
  breakGlass: z
    .record(
      z.string().regex(USER, USER_FAULT),
      z.string().refine(isEd25519, 'is not the public half of a pair of keys, as `keyturn keys` prints it'),
    )
    .default({}),
  /** When some changes are refused, unless two people override it with a reason. */
  freezeWindows: z.array(FreezeWindow).default([]),
  /** How many changes of one target may begin within an hour, unless two people override it; what undoes another is not held. */
  changesPerHour: z.number().int().min(1).max(1000).default(6),
  /** How many humans must approve, by the command's risk. */
  quorum: z
    .strictObject({
      low: z.number().int().min(1).default(1),
      medium: z.number().int().min(1).default(1),
      high: z.number().int().min(2).default(2),
    })
    .prefault({}),
  /** Up to which risk the person who asked for a plan may approve it too. */
  selfApproval: z.enum(['never', 'low', 'medium', 'high']).default('never'),
  /** Minutes that an open proposal waits for its decision. */
  proposalMinutes: z.number().positive().max(1440).default(60),
  /** Minutes after which people are reminded of a change that must be undone; then twice as long each time, up to a day. */
  undoMinutes: z.number().positive().max(1440).default(60),
  /** Minutes that a grant may wait for a worker. */
  grantMinutes: z.number().positive().max(120).default(15),
})
export type Policy = z.infer<typeof Policy>

/** What Slack says of a user at the moment of a click. */
export type Person = Readonly<{
  user: string
  name: string
  deleted: boolean
  bot: boolean
  guest: boolean
  /** Of another organisation: a shared channel's stranger, or a foreign team. */
  external: boolean
  /** Ids of those user groups named in the policy that list this user now. */
  usergroups: readonly string[]
}>

const RISKS = ['low', 'medium', 'high'] as const

/** What a risk asks for: how many humans, and whether each gives a reason. */
export function requirement(policy: Policy, risk: Risk): { quorum: number; reason: boolean } {
  return { quorum: policy.quorum[risk], reason: risk !== 'low' }
}

/** The human behind an account. */
export function humanOf(policy: Policy, user: string): string {
  return Object.entries(policy.people).find(([, accounts]) => accounts.includes(user))?.[0] ?? user
}

/** Who of a rotation has the shift at a time (milliseconds); null before its start. */
export function onDuty(rotation: Rotation, now: number): string | null {
  const shift = shiftAt(rotation, now)
  return shift < 0 ? null : (rotation.users[shift % rotation.users.length] ?? null)
}

/** The number of the shift at a time, negative before the start. */
function shiftAt({ start, shiftHours, timeZone }: Rotation, now: number): number {
  const length = shiftHours * 3_600_000
  const first = Date.parse(start)
  if (timeZone === undefined) return Math.floor((now - first) / length)
  const wall = wallOf(timeZone, first)
  // The clocks may show the start a second time, and it is the one that was meant.
  const begins = (shift: number) => (shift === 0 ? first : instantOf(timeZone, wall + shift * length))
  let shift = Math.floor((wallOf(timeZone, now) - wall) / length)
  // Where the clocks are put back, what they show is no order: the hand-overs themselves are.
  while (begins(shift) > now) shift -= 1
  while (begins(shift + 1) <= now) shift += 1
  return shift
}

/** The approver lists that count for a playbook; null for an incident without one. */
export function approverNames(policy: Policy, playbook: { approvers: readonly string[] } | null): readonly string[] {
  return playbook && playbook.approvers.length > 0 ? playbook.approvers : policy.defaultApprovers
}

/** How a user is an approver: `<list>/user`, `<list>/usergroup:<id>`, `<list>/oncall:<rotation>`; empty if not at all. */
export function standing(
  policy: Pick<Policy, 'approvers' | 'oncall'>,
  lists: readonly string[],
  who: { user: string; usergroups: readonly string[] },
  now: number,
): string[] {
  return lists.flatMap((name) => {
    const list = Object.hasOwn(policy.approvers, name) ? policy.approvers[name] : undefined
    if (!list) return []
    return [
      ...(list.users.includes(who.user) ? [`${name}/user`] : []),
      ...list.usergroups.filter((g) => who.usergroups.includes(g)).map((g) => `${name}/usergroup:${g}`),
      ...list.oncall
        .filter((r) => Object.hasOwn(policy.oncall, r) && onDuty(policy.oncall[r]!, now) === who.user)
        .map((r) => `${name}/oncall:${r}`),
    ]
  })
}

/** Whether this person may have a say at all; the reason if not. */
export function refusePerson(person: Person): Reason | null {
  if (person.deleted) return 'person_deactivated'
  if (person.bot) return 'person_is_bot'
  if (person.guest) return 'person_is_guest'
  if (person.external) return 'person_is_external'
  return null
}

/** Whether the one who asked for a plan may approve it. */
export function selfApprovalAllowed(policy: Policy, risk: Risk): boolean {
  return policy.selfApproval !== 'never' && RISKS.indexOf(risk) <= RISKS.indexOf(policy.selfApproval)
}
