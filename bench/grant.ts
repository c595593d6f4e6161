import { generateKeyPairSync } from 'node:crypto'
import { decide } from '../src/domain/decide.ts'
import { proposalOf } from '../src/domain/incident.ts'
import { context, ID, incidentOf, openWith, subjectOf } from '../test/slack/cards.ts'

/** A grant of one approval that holds, with what it is checked against. */
export function signedGrant() {
  const keys = generateKeyPairSync('ed25519')
  const incident = incidentOf(...openWith(subjectOf()))
  const digest = proposalOf(incident, 'p1')?.digest ?? ''
  const at = '2026-11-21T03:10:00.000Z'
  const person = {
    user: 'U0000000SAM',
    name: 'sam',
    deleted: false,
    bot: false,
    guest: false,
    external: false,
    usergroups: [],
  }
  const ruling = decide(
    incident,
    { proposal: 'p1', digest, verdict: 'approve', reason: 'why', person, at },
    context.policy,
    keys,
  )
  const granted = ruling.ok ? ruling.events.find((e) => e.type === 'proposal.granted') : undefined
  if (!granted) throw new Error('no grant')
  const wanted = {
    key: keys.publicKey,
    policy: context.policy,
    approvers: ['dba'],
    risk: 'medium',
    incident: ID,
    proposal: 'p1',
    digest,
    requestedBy: null,
    now: Date.parse(at),
  } as const
  return { keys, grant: granted.grant, wanted }
}
