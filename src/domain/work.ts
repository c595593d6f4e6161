import type { Incident } from './incident.ts'
import type { Job } from './job.ts'

/** What workers still owe this incident. Rung after each change and again by the tick, so a lost job does no harm. */
export function pendingWork(incident: Incident): Job[] {
  const evidence = Object.values(incident.evidence).flatMap((e): Job[] =>
    e.result ? [] : [{ kind: 'evidence', incident: incident.id, step: e.step, requestedAt: e.requestedAt }],
  )
  const proposals = incident.proposals.flatMap((p): Job[] => {
    if (p.status === 'planning') return [{ kind: 'plan', incident: incident.id, proposal: p.id }]
    return p.status === 'granted' ? [{ kind: 'run', incident: incident.id, proposal: p.id }] : []
  })
  return [...evidence, ...proposals]
}
