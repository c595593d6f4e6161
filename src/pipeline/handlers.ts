import { decide, type Keys, mayDecide, settle } from '../domain/decide.ts'
import { type Incident, proposalOf, riskOf, slotValues, stepOf } from '../domain/incident.ts'
import { narrow, request, skip } from '../domain/notice.ts'
import { fill } from '../domain/playbook.ts'
import { approverNames, type Policy, refusePerson, requirement, standing } from '../domain/policy.ts'
import type { Bell, Clock, Handlers, Journal, Locks } from '../domain/ports.ts'
import type { Ruling } from '../domain/rule.ts'
import { requestCancel } from '../domain/run.ts'
import { pendingWork } from '../domain/work.ts'
import type { Freezer } from './freezer.ts'
import { type Ids, transact } from './transact.ts'

/** What people do, with every answer stored before it is given. */
export function createHandlers(deps: {
  journal: Journal
  bell: Bell
  locks: Locks
  clock: Clock
  ids: Ids
  policy: Policy
  keys: Keys
  freezer: Freezer
  /** Says per field what is wrong with parameters; empty when a command takes them. */
  faultsOf: (command: string, params: Record<string, unknown>) => Record<string, string>
  onError: (error: unknown) => void
}): Handlers {
  const { journal, policy } = deps
  const now = () => new Date(deps.clock()).toISOString()

  async function act(id: string, rule: (incident: Incident) => Ruling) {
    const result = await transact(deps, id, rule)
    if (result.ok) await deps.bell.ring(pendingWork(result.incident)).catch(deps.onError)
    return result
  }

  return {
    load: journal.load,
    frozen: deps.freezer.stored,
    freeze: ({ reason, person }) => deps.freezer.freeze({ by: person.name, reason, person }),
    thaw: ({ reason, person }) => deps.freezer.thaw({ by: person.name, reason, person }),
    async mayDecide(intent) {
      const incident = await journal.load(intent.incident)
      if (!incident) return { ok: false, reason: 'no_such_incident' }
      const no = mayDecide(incident, { ...intent, at: now() }, policy)
      if (no) return { ok: false, reason: no }
      if (intent.verdict === 'approve' && (await deps.freezer.state())) return { ok: false, reason: 'frozen' }
      const proposal = proposalOf(incident, intent.proposal)!
      const needsReason = intent.verdict === 'reject' || requirement(policy, riskOf(incident, proposal)).reason
      return { ok: true, incident, needsReason }
    },
    async decide(intent) {
      if (intent.verdict === 'approve' && (await deps.freezer.state())) return { ok: false, reason: 'frozen' }
      const result = await act(intent.incident, (i) => decide(i, { ...intent, at: now() }, policy, deps.keys))
      return result.ok ? { ok: true } : result
    },
    async request(intent) {
      const no = refusePerson(intent.person)
      if (no) return { ok: false, reason: no }
      const incident = await journal.load(intent.incident)
      if (!incident) return { ok: false, reason: 'no_such_incident' }
      const call = stepOf(incident, intent.step)?.call
      const { override } = intent
      if (call && override === undefined) {
        const { params, missing } = fill(call, slotValues(incident), intent.params)
        if (missing.length > 0) return { ok: false, reason: 'params_invalid', ask: missing }
        const errors = deps.faultsOf(call.command, params)
        const ask = call.fields.filter((f) => Object.hasOwn(errors, f.name))
        if (Object.keys(errors).length > 0) return { ok: false, reason: 'params_invalid', errors, ask }
      }
      const by = { user: intent.person.user, name: intent.person.name }
      const result = await act(intent.incident, (i) =>
        request(i, { step: intent.step, params: intent.params, by, ...(override === undefined ? {} : { override }) }),
      )
      return result.ok ? { ok: true } : result
    },
    async skip(intent) {
      const no = refusePerson(intent.person)
      if (no) return { ok: false, reason: no }
      const by = { user: intent.person.user, name: intent.person.name }
      const result = await act(intent.incident, (i) => {
        const lists = standing(policy, approverNames(policy, i.playbook), intent.person, deps.clock())
        return skip(i, { step: intent.step, by, approver: lists.length > 0 })
      })
      return result.ok ? { ok: true } : result
    },
    async narrow(intent) {
      const no = refusePerson(intent.person)
      if (no) return { ok: false, reason: no }
      const by = { user: intent.person.user, name: intent.person.name }
      const result = await act(intent.incident, (i) => narrow(i, { ...intent, by }))
      return result.ok ? { ok: true } : result
    },
    async cancel(intent) {
      const result = await act(intent.incident, (i) => requestCancel(i, intent.proposal, intent.person))
      return result.ok ? { ok: true } : result
    },
    async settle(intent) {
      const result = await act(intent.incident, (i) => settle(i, { ...intent, at: now() }, policy))
      if (!result.ok) return result
      const targets = proposalOf(result.incident, intent.proposal)?.subject?.plan.targets ?? []
      const holder = { incident: intent.incident, proposal: intent.proposal }
      await deps.locks
        .release(
          targets.map((t) => t.id),
          holder,
        )
        .catch(deps.onError)
      return { ok: true }
    },
  }
}
