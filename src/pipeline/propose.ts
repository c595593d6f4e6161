import { Refused } from '../domain/command.ts'
import { planReady } from '../domain/decide.ts'
import { proposalOf } from '../domain/incident.ts'
import { isFinal } from './gather.ts'
import { transact } from './transact.ts'
import { makeSubject, messageOf, refusedBy, type Workbench } from './workbench.ts'

/** Makes the plan of a proposal and stores it. Read-only: throws, to be tried again, unless this is the last try. */
export function createPropose(bench: Workbench) {
  return async function propose(id: string, proposalId: string, lastTry: boolean): Promise<void> {
    const incident = await bench.journal.load(id)
    const proposal = incident && proposalOf(incident, proposalId)
    if (proposal?.status !== 'planning') return
    const result = await makeSubject(bench, incident!, proposal).then(
      (subject) => ({ subject }),
      (error: unknown) => {
        if (error instanceof Refused) return refusedBy(bench, error)
        if (!lastTry && !isFinal(error)) throw error
        return { failed: messageOf(bench, error) }
      },
    )
    await transact(bench, id, (i) => planReady(i, proposalId, result))
  }
}
