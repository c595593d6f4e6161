import { Evidence, type ReadCommand, Refused } from '../domain/command.ts'
import { allow } from '../domain/rule.ts'
import { transact } from './transact.ts'
import {
  askedFor,
  messageOf,
  ownCall,
  PlaybookDiffers,
  READ_DEADLINE,
  struck,
  type Workbench,
  withContext,
} from './workbench.ts'

/** Whether trying again could help. */
export const isFinal = (error: unknown): boolean => error instanceof Refused || error instanceof PlaybookDiffers

/** Reads the evidence of a step and stores it. Throws, to be tried again, unless this is the last try. */
export function createGather(bench: Workbench) {
  return async function gather(id: string, stepId: string, lastTry: boolean): Promise<void> {
    const incident = await bench.journal.load(id)
    // A job may name anything, what every object has included.
    const record = incident && Object.hasOwn(incident.evidence, stepId) ? incident.evidence[stepId] : undefined
    if (!incident || !record || record.result) return
    try {
      const { command } = ownCall(bench, incident, stepId)
      if (command.effect !== 'read') throw new PlaybookDiffers(`${command.id} changes things; it gathers no evidence.`)
      const params = command.params.parse(record.params)
      const found = await withContext(
        bench,
        askedFor(id, { ...record, requestedBy: record.by }),
        READ_DEADLINE,
        (ctx) => (command as ReadCommand).read(params, ctx),
      )
      const evidence = Evidence.parse(struck(bench, found))
      await transact(bench, id, (i) =>
        i.evidence[stepId]?.result ? allow() : allow({ type: 'evidence.gathered', step: stepId, evidence }),
      )
    } catch (error) {
      if (!lastTry && !isFinal(error)) throw error
      await transact(bench, id, (i) =>
        i.evidence[stepId]?.result
          ? allow()
          : allow({ type: 'evidence.failed', step: stepId, error: messageOf(bench, error) }),
      )
    }
  }
}
