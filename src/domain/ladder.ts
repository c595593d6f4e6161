import { hasRun, type Incident, isOver, landedSteps, type Proposal, proposalsOf, type Run } from './incident.ts'
import type { Step } from './playbook.ts'

/** The steps that change something, in the order of the ladder. */
export const changesOf = ({ playbook }: Pick<Incident, 'playbook'>): Step[] =>
  (playbook?.steps ?? []).filter((s) => s.call && s.call.effect !== 'read')

/** The change that a rung follows; undefined for the first. */
export function changeBefore(incident: Incident, step: string): Step | undefined {
  const changes = changesOf(incident)
  return changes[changes.findIndex((s) => s.id === step) - 1]
}

const isDone = (p: Proposal): boolean => p.status === 'succeeded' || p.run?.settled?.choice === 'done'

/** Whether anything of it is there, as its worker, the probe or a person said. */
const hasLanded = (p: Proposal): boolean => landedSteps(p).length > 0 || p.run?.settled?.choice === 'done'

const endOf = (run: Run | null | undefined): number => run?.entry?.seq ?? 0

/** A change that must be taken back and has not been, here or by hand: by which step, and since when. Null if there is none. */
export function owedUndo(incident: Incident): { step: Step; change: Step; since: string } | null {
  for (const step of changesOf(incident)) {
    const change = changeBefore(incident, step.id)
    if (step.call?.rung !== 'undoes' || !change) continue
    const landed = proposalsOf(incident, change.id).findLast((p) => p.run?.endedAt && hasLanded(p))?.run
    // By the order of the journal: the times in it are from the clocks of several machines.
    const undone = proposalsOf(incident, step.id).some((p) => isDone(p) && endOf(p.run) > endOf(landed))
    const byHand = Object.hasOwn(incident.skipped, step.id) && (incident.skipped[step.id]?.seq ?? 0) > endOf(landed)
    if (landed?.endedAt && !undone && !byHand) return { step, change, since: landed.endedAt }
  }
  return null
}

/**
 * The step that the ladder offers next: the first change that has no proposal, once every change before it has run,
 * was rejected by a person, was refused by its guard, or is not needed, as a person said. What must be undone is offered
 * until it is, also when the alert has resolved.
 */
export function nextRung(incident: Incident): Step | null {
  const owed = owedUndo(incident)?.step
  for (const step of changesOf(incident)) {
    const last = proposalsOf(incident, step.id).at(-1)
    if (step.call?.rung === 'undoes') {
      if (step.id === owed?.id && (!last || isOver(last))) return step
      if (!last) continue
    } else if (incident.resolvedAt !== null) continue
    if (Object.hasOwn(incident.skipped, step.id) && (!last || isOver(last))) continue
    if (!last) return step
    // A freeze window is no answer: it ends, or is overridden.
    if (last.window !== null) return null
    if (!hasRun(last) && !['rejected', 'refused', 'settled'].includes(last.status)) return null
  }
  return null
}

/** Whether this rung is for a change that does not help, and the one before did as far as its checks say. */
export function isSpare(incident: Incident, step: Step): boolean {
  const before = changeBefore(incident, step.id)
  const last = before && proposalsOf(incident, before.id).at(-1)
  return step.call?.rung === 'otherwise' && last !== undefined && isDone(last)
}

/**
 * Whether this is what must be undone, and its plan cannot be made: the playbook was changed or taken away meanwhile, or its
 * guard refuses. An incident would stay open for it for ever, unless an approver says that it was done by hand.
 */
export function isStuckUndo(incident: Incident, step: Step): boolean {
  const last = proposalsOf(incident, step.id).at(-1)
  const failed = last?.status === 'plan_failed' || (last?.status === 'refused' && last.window === null)
  return failed && owedUndo(incident)?.step.id === step.id
}

/**
 * Whether a person may say that this change is not needed, so that the next one is offered: it is the ladder's next, and
 * another one follows that does not undo it. Or it undoes what was changed, and cannot.
 */
export function isSkippable(incident: Incident, step: Step): boolean {
  if (isStuckUndo(incident, step)) return true
  const changes = changesOf(incident)
  const after = changes.slice(changes.findIndex((s) => s.id === step.id) + 1)
  return (
    step.call?.rung !== 'undoes' && nextRung(incident)?.id === step.id && after.some((s) => s.call?.rung !== 'undoes')
  )
}

/** Whether an incident needs nobody's attention: resolved, nothing granted, running or in question, nothing to be undone. */
export const isQuiet = (incident: Incident): boolean =>
  incident.resolvedAt !== null && incident.proposals.every(isOver) && owedUndo(incident) === null
