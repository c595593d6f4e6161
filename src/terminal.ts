import type { KeyObject } from 'node:crypto'
import { decideAtTerminal } from './domain/decide.ts'
import { BREAK_GLASS, signDecision } from './domain/grant.ts'
import { proposalOf, stepOf } from './domain/incident.ts'
import { digest, shortDigest } from './domain/plan.ts'
import type { Policy } from './domain/policy.ts'
import type { Answer, Clock, Journal } from './domain/ports.ts'
import { sentence } from './domain/reason.ts'
import { createFreezer } from './pipeline/freezer.ts'
import { type Ids, transact } from './pipeline/transact.ts'
import { exact } from './slack/text.ts'
import { planText } from './slack/views/plan.ts'

/** Who approves, on which plan (its digest, or the short form that is shown), and why. */
export type Approval = Readonly<{ user: string; digest: string; reason: string }>

/** Decisions without Slack: what is open, what a plan would do, and an approval with a key of one's own. */
export function createTerminal(deps: {
  journal: Journal
  policy: Policy
  clock: Clock
  ids: Ids
  incidentId: (group: string, n: number) => string
  ordinal: (incident: string) => number
}) {
  const { journal, policy, clock } = deps
  const freezer = createFreezer(deps)
  return {
    /** A line for each plan that waits for a decision. */
    async open(): Promise<string[]> {
      const incidents = await Promise.all((await journal.active()).map((id) => journal.load(id)))
      const lines = incidents.flatMap((i) =>
        (i?.proposals ?? [])
          .filter((p) => p.status === 'open')
          .map((p) =>
            exact(`${i!.id} ${p.id}  ${p.subject?.environment}: ${i!.title}: ${p.subject?.plan.summary}`).replace(
              /\n/g,
              ' ',
            ),
          ),
      )
      return lines.length > 0 ? lines : ['No plan waits for a decision.']
    },
    /** What was found, the whole plan, and what to type to approve exactly it. */
    async show(id: string, proposalId: string): Promise<string[]> {
      const incident = await journal.load(id)
      const proposal = incident && proposalOf(incident, proposalId)
      if (!incident || !proposal) return [sentence('no_such_proposal')]
      if (proposal.status !== 'open' || !proposal.subject || !proposal.digest) return [sentence('not_open')]
      // What is typed covers what is shown, whoever may have written to Redis.
      if (digest(proposal.subject) !== proposal.digest) return [sentence('digest_changed')]
      const found = Object.values(incident.evidence).flatMap((e) =>
        e.result?.status === 'gathered' ? [`${stepOf(incident, e.step)?.title}: ${e.result.evidence.summary}`] : [],
      )
      return [
        ...found.map(exact),
        exact(planText(proposal.subject, proposal.digest)),
        '',
        'To approve exactly this:',
        `keyturn approve ${id} ${proposalId} --as YOUR_SLACK_USER_ID --digest ${shortDigest(proposal.digest)} --reason "…"`,
      ]
    },
    /** Stores the decision; the bot grants what it completes. */
    async approve(
      intent: Approval & { incident: string; proposal: string; name: string; privateKey: KeyObject },
    ): Promise<Answer> {
      if (await freezer.state()) return { ok: false, reason: 'frozen' }
      const known = await journal.load(intent.incident)
      const current = (known && proposalOf(known, intent.proposal)?.digest) ?? ''
      if (intent.digest !== current && intent.digest !== shortDigest(current))
        return { ok: false, reason: 'digest_changed' }
      const { incident, proposal, user, name, reason } = intent
      const at = new Date(clock()).toISOString()
      const decision = signDecision(
        { incident, proposal, digest: current, verdict: 'approve', user, name, via: [BREAK_GLASS], reason, at },
        intent.privateKey,
      )
      const stored = await transact(deps, incident, (i) => decideAtTerminal(i, decision, policy))
      return stored.ok ? { ok: true } : stored
    },
  }
}
