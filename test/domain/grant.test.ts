import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { BREAK_GLASS, type Decision, type Grant, signDecision, signGrant, verifyGrant } from '../../src/domain/grant.ts'
import { Policy } from '../../src/domain/policy.ts'

const bot = generateKeyPairSync('ed25519')
const stranger = generateKeyPairSync('ed25519')
const policy = Policy.parse({
  approvers: { data: { users: ['U0ADA', 'U0SAM', 'U0SAM2'] } },
  people: { sam: ['U0SAM', 'U0SAM2'] },
})
const decision = (user: string, patch: Partial<Decision> = {}): Decision => ({
  incident: 'i1',
  proposal: 'p1',
  digest: 'sha256:d',
  verdict: 'approve',
  user,
  name: user,
  via: ['data/user'],
  reason: 'because',
  at: '2026-01-02T03:04:05.000Z',
  ...patch,
})
const grantOf = (...approvals: Decision[]): Grant =>
  signGrant(
    {
      incident: 'i1',
      proposal: 'p1',
      digest: 'sha256:d',
      approvals: approvals.map((d) => signDecision(d, bot.privateKey)),
      issuedAt: '2026-01-02T03:04:05.000Z',
      expiresAt: '2026-01-02T03:19:05.000Z',
    },
    bot.privateKey,
  )
const judge = (grant: Grant, patch: Partial<Parameters<typeof verifyGrant>[1]> = {}) =>
  verifyGrant(grant, {
    key: bot.publicKey,
    policy,
    approvers: ['data'],
    risk: 'medium',
    incident: 'i1',
    proposal: 'p1',
    digest: 'sha256:d',
    requestedBy: null,
    now: Date.parse('2026-01-02T03:05:00Z'),
    ...patch,
  })

describe('a grant', () => {
  it('holds for the plan that an approver approved', () => expect(judge(grantOf(decision('U0ADA')))).toBeNull())
  it('holds for no other plan', () =>
    expect(judge(grantOf(decision('U0ADA')), { digest: 'sha256:e' })).toBe('digest_changed'))
  it('holds for no other incident', () =>
    expect(judge(grantOf(decision('U0ADA')), { incident: 'i2' })).toBe('grant_forged'))
  it('is forged when another key signed it', () =>
    expect(judge(grantOf(decision('U0ADA')), { key: stranger.publicKey })).toBe('grant_forged'))
  it('is forged when its expiry was moved', () =>
    expect(judge({ ...grantOf(decision('U0ADA')), expiresAt: '2027-01-01T00:00:00.000Z' })).toBe('grant_forged'))
  it('lapses', () =>
    expect(judge(grantOf(decision('U0ADA')), { now: Date.parse('2026-01-02T03:19:05Z') })).toBe('grant_expired'))
  it('carries no approval that the bot did not sign itself', () => {
    const { signature: _, ...grant } = grantOf(decision('U0ADA'))
    const approvals = [signDecision(decision('U0ADA'), stranger.privateKey)]
    expect(judge(signGrant({ ...grant, approvals }, bot.privateKey))).toBe('decision_forged')
  })
  it('takes an approval of this plan only, and no rejection for one', () => {
    expect(judge(grantOf(decision('U0ADA', { digest: 'sha256:e' })))).toBe('quorum_short')
    expect(judge(grantOf(decision('U0ADA', { verdict: 'reject' })))).toBe('quorum_short')
    expect(judge(grantOf(decision('U0ADA', { proposal: 'p2' })))).toBe('decision_forged')
    expect(judge(grantOf(decision('U0ADA', { incident: 'i2' })))).toBe('decision_forged')
  })
  it('carries each approval as the person gave it', () => {
    const { signature: _, ...grant } = grantOf(decision('U0ADA'))
    const approvals = grant.approvals.map((d) => ({ ...d, user: 'U0SAM' }))
    expect(judge(signGrant({ ...grant, approvals }, bot.privateKey))).toBe('decision_forged')
  })
  it('takes a member of a user group for an approver if its own policy names that group', () => {
    const member = grantOf(decision('U0MEM', { via: ['data/usergroup:S0DATA'] }))
    expect(judge(member)).toBe('quorum_short')
    const grouped = Policy.parse({ approvers: { data: { usergroups: ['S0DATA'] } } })
    expect(judge(member, { policy: grouped })).toBeNull()
    expect(judge(grantOf(decision('U0MEM', { via: ['data/usergroup:S0ELSE'] })), { policy: grouped })).toBe(
      'quorum_short',
    )
    expect(judge(grantOf(decision('U0MEM', { via: ['data/user'] })), { policy: grouped })).toBe('quorum_short')
  })
  it('asks who was on duty when the person decided, not when it runs', () => {
    const oncall = { primary: { users: ['U0DUTY', 'U0NEXT'], start: '2026-01-01T03:05:00.000Z', shiftHours: 24 } }
    const rota = Policy.parse({ approvers: { data: { oncall: ['primary'] } }, oncall })
    const now = Date.parse('2026-01-02T03:05:30Z')
    expect(judge(grantOf(decision('U0DUTY')), { policy: rota, now })).toBeNull()
    expect(judge(grantOf(decision('U0NEXT')), { policy: rota, now })).toBe('quorum_short')
  })
  it('counts the one who asked where its own policy says so, up to that risk', () => {
    const lenient: Policy = { ...policy, selfApproval: 'medium' }
    expect(judge(grantOf(decision('U0ADA')), { requestedBy: 'U0ADA', policy: lenient })).toBeNull()
    const two = grantOf(decision('U0ADA'), decision('U0SAM'))
    expect(judge(two, { requestedBy: 'U0ADA', policy: lenient, risk: 'high' })).toBe('quorum_short')
  })
  it('holds for nobody where no list counts, or one that is not configured', () => {
    for (const approvers of [[], ['nobody'], ['__proto__'], ['constructor']])
      expect(judge(grantOf(decision('U0ADA')), { approvers })).toBe('quorum_short')
  })
  it('needs an approver of the list', () => expect(judge(grantOf(decision('U0EVE')))).toBe('quorum_short'))
  it('needs a reason from medium risk on', () =>
    expect(judge(grantOf(decision('U0ADA', { reason: '' })))).toBe('quorum_short'))
  it('needs two humans for high risk', () => {
    expect(judge(grantOf(decision('U0ADA')), { risk: 'high' })).toBe('quorum_short')
    expect(judge(grantOf(decision('U0ADA'), decision('U0SAM')), { risk: 'high' })).toBeNull()
  })
  it('counts two accounts of one human once', () =>
    expect(judge(grantOf(decision('U0SAM'), decision('U0SAM2')), { risk: 'high' })).toBe('quorum_short'))
  it('does not count the one who asked', () =>
    expect(judge(grantOf(decision('U0SAM2')), { requestedBy: 'U0SAM' })).toBe('quorum_short'))
})

describe('a decision at a terminal', () => {
  const olf = generateKeyPairSync('ed25519')
  const own = Policy.parse({
    ...policy,
    breakGlass: { U0OLF: olf.publicKey.export({ format: 'der', type: 'spki' }).toString('base64') },
  })
  const made = (patch: Partial<Decision> = {}, key = olf.privateKey) =>
    signDecision(decision('U0OLF', { via: [BREAK_GLASS], ...patch }), key)
  const carrying = (approval: ReturnType<typeof made>) => {
    const { signature: _, ...grant } = grantOf(decision('U0ADA'))
    return signGrant({ ...grant, approvals: [approval] }, bot.privateKey)
  }
  it('counts by the key that the worker’s own policy has for the person', () => {
    expect(judge(carrying(made()), { policy: own })).toBeNull()
  })
  it('does not count by the bot’s key, by another person’s, for another person, or without the policy’s word', () => {
    expect(judge(carrying(made({}, bot.privateKey)), { policy: own })).toBe('decision_forged')
    expect(judge(carrying(made({}, stranger.privateKey)), { policy: own })).toBe('decision_forged')
    expect(judge(carrying(made({ user: 'U0ADA' })), { policy: own })).toBe('decision_forged')
    expect(judge(carrying(made()))).toBe('decision_forged')
    expect(judge(carrying(made({ digest: 'sha256:e' })), { policy: own })).toBe('quorum_short')
  })
  it('does not make the bot’s key good for what a person did not sign as such', () => {
    expect(judge(carrying(made({ via: ['data/user'] })), { policy: own })).toBe('decision_forged')
  })
})

it('a policy whose key for the terminal is none is refused', () => {
  expect(Policy.safeParse({ breakGlass: { U0OLF: 'bm9uZQ==' } }).error?.issues[0]?.message).toContain('keyturn keys')
})
