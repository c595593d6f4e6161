import type { Policy } from '../../src/domain/policy.ts'

/**
 * Who may do what and when, written from the words of docs/architecture.md and docs/security.md, and from nothing in
 * src/: a second opinion that shares no line with the rules that it judges.
 */

export type Account = Readonly<{
  user: string
  /** What Slack says of it when it is asked; `silent` when Slack does not answer. */
  is: 'member' | 'guest' | 'deactivated' | 'bot' | 'external' | 'silent'
  groups: readonly string[]
}>

export type Approval = Readonly<{ account: Account; at: number; reason: string }>

/** Everything that a press depends on. Times are milliseconds. */
export type Scene = Readonly<{
  policy: Policy
  /** The approver lists that the playbook names. */
  lists: readonly string[]
  risk: 'low' | 'medium' | 'high'
  state: string
  plannedAt: number
  requester: string | null
  approvals: readonly Approval[]
  frozen: boolean
  /** Whether the button is on the message that it was drawn on, in its channel; or on another one of the same thread. */
  place: 'its message' | 'another message of the thread' | 'elsewhere'
  /** Whether the button carries the plan, or the freeze window, that is shown now. */
  digest: 'current' | 'older'
}>
export type Moment = Readonly<{ at: number; account: Account; reason: string }>

const RANK = { never: 0, low: 1, medium: 2, high: 3 }

/** Two accounts of one human are one human. */
function human(policy: Policy, user: string): string {
  for (const [name, accounts] of Object.entries(policy.people)) if (accounts.includes(user)) return `human ${name}`
  return user
}

/** Walks the shifts one by one. */
function onDuty(policy: Policy, rotation: string, at: number): string | undefined {
  const plan = policy.oncall[rotation]
  if (!plan) return undefined
  let end = Date.parse(plan.start)
  if (at < end) return undefined
  for (let i = 0; ; i++) {
    end += plan.shiftHours * 3_600_000
    if (at < end) return plan.users[i % plan.users.length]
  }
}

/** By which named lists an account is an approver at a time, and how. */
export function ways(policy: Policy, lists: readonly string[], account: Account, at: number): string[] {
  const found: string[] = []
  for (const name of lists) {
    const list = new Map(Object.entries(policy.approvers)).get(name)
    if (list?.users.includes(account.user)) found.push(`${name}/user`)
    for (const group of list?.usergroups ?? [])
      if (account.groups.includes(group)) found.push(`${name}/usergroup:${group}`)
    for (const rotation of list?.oncall ?? [])
      if (onDuty(policy, rotation, at) === account.user) found.push(`${name}/oncall:${rotation}`)
  }
  return found
}

const counts = (policy: Policy, scene: Scene) => (scene.lists.length > 0 ? scene.lists : policy.defaultApprovers)
const isMember = ({ account }: Moment) => account.is === 'member'
const isApprover = (scene: Scene, { account, at }: Moment) =>
  ways(scene.policy, counts(scene.policy, scene), account, at).length > 0
const mayApproveOwn = (policy: Policy, risk: Scene['risk']) => RANK[policy.selfApproval] >= RANK[risk]
const saysWhy = (scene: Scene, { reason }: Moment) => scene.risk === 'low' || reason.trim() !== ''

function isOpen(scene: Scene, { at }: Moment): boolean {
  const waits = scene.state === 'open' || scene.state === 'approved once'
  return waits && at < scene.plannedAt + scene.policy.proposalMinutes * 60_000 && scene.digest === 'current'
}

/** Whether a press (its form, if it has one, not yet filled) is taken further. */
export function mayApprove(scene: Scene, moment: Moment): boolean {
  const { policy } = scene
  const me = human(policy, moment.account.user)
  return (
    isMember(moment) &&
    isApprover(scene, moment) &&
    isOpen(scene, moment) &&
    !scene.frozen &&
    !scene.approvals.some((a) => human(policy, a.account.user) === me) &&
    (scene.requester === null || human(policy, scene.requester) !== me || mayApproveOwn(policy, scene.risk))
  )
}
export const mayReject = (scene: Scene, moment: Moment): boolean =>
  isMember(moment) && isApprover(scene, moment) && isOpen(scene, moment)

/** What is written into the journal when these people approve. */
export function approve(scene: Scene, moment: Moment): string[] {
  if (!mayApprove(scene, moment) || !saysWhy(scene, moment)) return []
  const humans = new Set([...scene.approvals, moment].map((a) => human(scene.policy, a.account.user)))
  const enough = humans.size >= scene.policy.quorum[scene.risk]
  return enough ? ['proposal.decided', 'proposal.granted'] : ['proposal.decided']
}
export const reject = (scene: Scene, moment: Moment): string[] =>
  mayReject(scene, moment) && saysWhy(scene, moment) ? ['proposal.decided'] : []

/** Stopping is the safe side: anybody of the organisation may. */
export const cancel = (scene: Scene, moment: Moment): string[] =>
  isMember(moment) && scene.state === 'running' ? ['run.cancel_requested'] : []

export function settle(scene: Scene, moment: Moment, choice: 'done' | 'resume' | 'abandon'): string[] {
  if (!isMember(moment) || !isApprover(scene, moment) || scene.state !== 'unknown' || moment.reason.trim() === '')
    return []
  return choice === 'resume' ? ['run.settled', 'proposal.requested'] : ['run.settled']
}

/** A plan changes nothing: anybody of the organisation may ask for one, once the last one has ended. */
export function request(scene: Scene, moment: Moment): string[] {
  const ended = ['rejected', 'expired', 'refused', 'in window', 'succeeded', 'failed', 'settled', 'none']
  return isMember(moment) && ended.includes(scene.state) ? ['proposal.requested'] : []
}

/** That a step is not needed changes nothing: anybody of the organisation may say so of the one that is offered next. */
export const skip = (scene: Scene, moment: Moment): string[] =>
  isMember(moment) && scene.state === 'none' ? ['step.skipped'] : []

/** Asking for the plan without some of its parts is asking for a plan; the one that is open makes room for it. */
export const narrow = (scene: Scene, moment: Moment): string[] => {
  const open = scene.state === 'open' || scene.state === 'approved once'
  return isMember(moment) && open && scene.digest === 'current' ? ['proposal.withdrawn', 'proposal.requested'] : []
}

/** Asking to override the freeze window that a plan was refused for is asking for a plan; two people decide on it. */
export const override = (scene: Scene, moment: Moment): string[] =>
  isMember(moment) && scene.state === 'in window' && scene.digest === 'current' ? ['proposal.requested'] : []

/** Whether the freeze stands afterwards. */
export const freeze = (scene: Scene, moment: Moment): boolean =>
  scene.frozen || (isMember(moment) && moment.reason.trim() !== '')
export const thaw = (scene: Scene, moment: Moment): boolean => {
  const any = ways(scene.policy, Object.keys(scene.policy.approvers), moment.account, moment.at).length > 0
  return scene.frozen && !(isMember(moment) && any && moment.reason.trim() !== '')
}

/** Whether a worker with a policy of its own runs what these approvals were given for. */
export function mayRun(scene: Scene, approvals: readonly Approval[], own: Policy, grantedAt: number, now: number) {
  if (now >= grantedAt + scene.policy.grantMinutes * 60_000) return false
  const humans = new Set<string>()
  for (const { account, at, reason } of approvals) {
    // What the bot has seen of groups: those that its own lists name.
    const seen = ways(scene.policy, counts(scene.policy, scene), account, at)
    const groups = seen.flatMap((way) => way.split('/usergroup:').slice(1))
    const asked = scene.requester !== null && human(own, scene.requester) === human(own, account.user)
    const approver = ways(own, counts(own, scene), { ...account, groups }, at).length > 0
    if (approver && (!asked || mayApproveOwn(own, scene.risk)) && (scene.risk === 'low' || reason !== ''))
      humans.add(human(own, account.user))
  }
  return humans.size >= own.quorum[scene.risk]
}
