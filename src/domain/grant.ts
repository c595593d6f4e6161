import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import canonicalize from 'canonicalize'
import { z } from 'zod'
import type { Risk } from './command.ts'
import { humanOf, type Policy, requirement, selfApprovalAllowed, standing } from './policy.ts'
import type { Reason } from './reason.ts'

/** How a person is an approver who decided at a terminal, with a key of their own. */
export const BREAK_GLASS = 'break-glass'

/** One person's say on one plan digest, signed by the bot that read the click, or with the person's own key. */
export const Decision = z.object({
  incident: z.string(),
  proposal: z.string(),
  digest: z.string(),
  verdict: z.enum(['approve', 'reject']),
  user: z.string(),
  name: z.string(),
  /** How the user was an approver at the click, see `standing`. */
  via: z.array(z.string()),
  reason: z.string(),
  at: z.iso.datetime(),
})
export type Decision = z.infer<typeof Decision>

const Signature = z.base64url()
export const SignedDecision = Decision.extend({ signature: Signature })
export type SignedDecision = z.infer<typeof SignedDecision>

/** The signed approval of one plan digest: the only thing that a worker obeys. */
export const Grant = z.object({
  incident: z.string(),
  proposal: z.string(),
  digest: z.string(),
  approvals: z.array(SignedDecision).min(1),
  issuedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  signature: Signature,
})
export type Grant = z.infer<typeof Grant>

const bytes = (purpose: 'decision' | 'grant', value: unknown) =>
  Buffer.from(`keyturn/${purpose}/v1\n${canonicalize(value)}`)

/** Signs with the Ed25519 private key of the bot, or of a person at a terminal. */
export function signDecision(decision: Decision, key: KeyObject): SignedDecision {
  return { ...decision, signature: sign(null, bytes('decision', decision), key).toString('base64url') }
}

/** Whether exactly this decision was signed: by the bot with this public key, or by the person with the policy's key. */
export function verifyDecision({ signature, ...decision }: SignedDecision, bot: KeyObject, policy: Policy): boolean {
  const key = decision.via.includes(BREAK_GLASS) ? ownKey(policy, decision.user) : bot
  return key !== null && verify(null, bytes('decision', decision), key, Buffer.from(signature, 'base64url'))
}

/** The public key that a person keeps for the terminal; null if there is none. Throws when the policy holds no such key. */
export function ownKey(policy: Policy, user: string): KeyObject | null {
  const own = Object.hasOwn(policy.breakGlass, user) ? policy.breakGlass[user] : undefined
  return own === undefined ? null : createPublicKey({ key: Buffer.from(own, 'base64'), format: 'der', type: 'spki' })
}

/** How a decision's person was an approver when it was made; empty if not at all. Its signature has been verified. */
export function entitlement(policy: Policy, lists: readonly string[], d: Decision): string[] {
  if (d.via.includes(BREAK_GLASS)) return [BREAK_GLASS]
  const usergroups = d.via.flatMap((via) => via.split('/usergroup:').slice(1))
  return standing(policy, lists, { user: d.user, usergroups }, Date.parse(d.at))
}

/** When the last person approved, in milliseconds; what was decided at a terminal may have been granted much later. */
export const approvedAt = (grant: Grant): number =>
  Math.min(Date.parse(grant.issuedAt), Math.max(...grant.approvals.map((d) => Date.parse(d.at))))

/** Signs with the bot's Ed25519 private key. */
export function signGrant(grant: Omit<Grant, 'signature'>, key: KeyObject): Grant {
  return { ...grant, signature: sign(null, bytes('grant', grant), key).toString('base64url') }
}

/** Whether the bot signed this grant as it is: for exactly this digest, whatever has become of its people and its time. */
export const isSigned = ({ signature, ...grant }: Grant, key: KeyObject): boolean =>
  verify(null, bytes('grant', grant), key, Buffer.from(signature, 'base64url'))

/** The approvals among some decisions that count: signed, on this digest, one a human. */
export function countable(decisions: readonly SignedDecision[], digest: string, policy: Policy): SignedDecision[] {
  const seen = new Set<string>()
  return decisions.filter((d) => {
    const human = humanOf(policy, d.user)
    if (d.verdict !== 'approve' || d.digest !== digest || seen.has(human)) return false
    seen.add(human)
    return true
  })
}

/**
 * Checks a grant as if nothing but the key and the worker's own policy could be trusted. Membership in a user group
 * was read by the bot at the click; the worker checks that its policy names that group.
 */
export function verifyGrant(
  grant: Grant,
  expected: {
    key: KeyObject
    policy: Policy
    approvers: readonly string[]
    risk: Risk
    incident: string
    proposal: string
    digest: string
    requestedBy: string | null
    now: number
  },
): Reason | null {
  const { key, policy, risk } = expected
  if (!isSigned(grant, key)) return 'grant_forged'
  if (grant.incident !== expected.incident || grant.proposal !== expected.proposal) return 'grant_forged'
  if (grant.digest !== expected.digest) return 'digest_changed'
  if (expected.now >= Date.parse(grant.expiresAt)) return 'grant_expired'
  const about = (d: SignedDecision) => d.incident === grant.incident && d.proposal === grant.proposal
  if (!grant.approvals.every((d) => about(d) && verifyDecision(d, key, policy))) return 'decision_forged'
  const need = requirement(policy, risk)
  const good = grant.approvals.filter((d) => {
    const self = expected.requestedBy !== null && humanOf(policy, d.user) === humanOf(policy, expected.requestedBy)
    return (
      entitlement(policy, expected.approvers, d).length > 0 &&
      (!self || selfApprovalAllowed(policy, risk)) &&
      (!need.reason || d.reason !== '')
    )
  })
  // Judged before they are counted: of one human's accounts another may be the approver.
  const approvals = countable(good, grant.digest, policy)
  return approvals.length >= need.quorum ? null : 'quorum_short'
}
