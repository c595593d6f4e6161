import { type Alert, alertKey, groupKey, valueIn } from './alert.ts'
import type { Entry, HappeningOf } from './event.ts'
import type { Incident, Proposal, ProposalStatus, Run, StepRecord } from './incident.ts'
import { worst } from './severity.ts'

const change = (incident: Incident, id: string, patch: (p: Proposal) => Partial<Proposal>): Partial<Incident> => ({
  proposals: incident.proposals.map((p) => (p.id === id ? { ...p, ...patch(p) } : p)),
})

const changeRun = (incident: Incident, id: string, patch: (r: Run) => Partial<Run>, status?: ProposalStatus) =>
  change(incident, id, (p) => ({
    ...(p.run ? { run: { ...p.run, ...patch(p.run) } } : {}),
    ...(status ? { status } : {}),
  }))

const changeStep = (incident: Incident, id: string, step: string, record: (r?: StepRecord) => StepRecord) =>
  changeRun(incident, id, (run) => ({ steps: { ...run.steps, [step]: record(run.steps[step]) } }))

/** What an incident shows of its alerts as they are now. */
function tell(incident: Incident, event: HappeningOf<'alerts.changed'>): Partial<Incident> {
  const alerts = { ...incident.alerts, ...Object.fromEntries(event.alerts.map((a) => [alertKey(a), a])) }
  const firing = Object.values(alerts).filter((a) => a.status === 'firing')
  const leftOut = leftOutAfter(incident, event, Object.values(alerts))
  return {
    alerts,
    leftOut,
    truncated: Object.values(leftOut).reduce((sum, { truncated }) => sum + truncated, 0),
    severity: worst(severitiesOf(firing, incident)) ?? incident.severity,
  }
}

const severitiesOf = (firing: readonly Alert[], { playbook }: Incident): string[] =>
  firing.flatMap((a) => valueIn(a.labels, 'severity') ?? playbook?.severity ?? [])

/** A journal of an earlier version does not say which group left alerts out: its number stands until a message does. */
const UNNAMED = ''

function leftOutAfter(
  { leftOut }: Incident,
  { from, truncated, unread = [] }: HappeningOf<'alerts.changed'>,
  alerts: readonly Alert[],
): Incident['leftOut'] {
  if (from === undefined) {
    const most = Math.max(leftOut[UNNAMED]?.truncated ?? 0, truncated)
    return most === 0 ? leftOut : { ...leftOut, [UNNAMED]: { truncated: most, unread: [] } }
  }
  // A group whose alerts come with another one since sends no further message that would take its number back.
  const alive = new Set(alerts.flatMap((a) => [groupKey(a.source), groupKey(a.source, a.group)]))
  const told = { ...leftOut, [from]: { truncated, unread: [...unread] } }
  return Object.fromEntries(
    Object.entries(told).filter(
      ([key, left]) => key !== UNNAMED && alive.has(key) && (left.truncated > 0 || left.unread.length > 0),
    ),
  )
}

function apply(incident: Incident, { event, at, seq, hash }: Entry): Partial<Incident> {
  switch (event.type) {
    case 'incident.opened': {
      const { type: _, ...rest } = event
      return { ...rest, openedAt: at }
    }
    case 'alerts.changed':
      return tell(incident, event)
    case 'incident.resolved':
      return { resolvedAt: at }
    case 'incident.reopened':
      return { resolvedAt: null, reopenedAt: at }
    case 'evidence.requested': {
      const { step, params, by } = event
      return { evidence: { ...incident.evidence, [step]: { step, params, by, requestedAt: at, result: null } } }
    }
    case 'evidence.gathered':
    case 'evidence.failed': {
      const record = Object.hasOwn(incident.evidence, event.step) ? incident.evidence[event.step] : undefined
      if (!record) return {}
      const result =
        event.type === 'evidence.gathered'
          ? { status: 'gathered' as const, evidence: event.evidence, at }
          : { status: 'failed' as const, error: event.error, at }
      return { evidence: { ...incident.evidence, [event.step]: { ...record, result } } }
    }
    case 'proposal.requested': {
      const proposal: Proposal = {
        id: event.proposal,
        step: event.step,
        params: event.params,
        status: 'planning',
        requestedBy: event.by,
        requestedAt: at,
        resumes: event.resumes,
        override: event.override ?? null,
        plannedAt: null,
        subject: null,
        digest: null,
        note: '',
        window: null,
        voided: 0,
        previous: null,
        decisions: [],
        grant: null,
        reminded: false,
        endedAt: null,
        run: null,
      }
      return { proposals: [...incident.proposals, proposal] }
    }
    case 'plan.made':
      return change(incident, event.proposal, () => ({
        status: 'open',
        subject: event.subject,
        digest: event.digest,
        plannedAt: at,
      }))
    case 'plan.refused':
      return change(incident, event.proposal, () => ({
        status: 'refused',
        note: event.reason,
        window: event.window ?? null,
        endedAt: at,
      }))
    case 'plan.failed':
      return change(incident, event.proposal, () => ({ status: 'plan_failed', note: event.error, endedAt: at }))
    case 'proposal.decided':
      return change(incident, event.decision.proposal, (p) => ({
        decisions: [...p.decisions, event.decision],
        ...(event.decision.verdict === 'reject' ? { status: 'rejected', endedAt: at } : {}),
      }))
    case 'proposal.granted':
      return change(incident, event.grant.proposal, () => ({ status: 'granted', grant: event.grant }))
    case 'proposal.reminded':
      return change(incident, event.proposal, () => ({ reminded: true }))
    case 'undo.reminded':
      return { undoReminders: [...incident.undoReminders, { step: event.step, at }] }
    case 'step.skipped':
      return { skipped: { ...incident.skipped, [event.step]: { by: event.by, at, seq } } }
    case 'proposal.expired':
      return change(incident, event.proposal, () => ({ status: 'expired', endedAt: at }))
    case 'proposal.withdrawn':
      return change(incident, event.proposal, () => ({ status: 'withdrawn', note: event.reason, endedAt: at }))
    case 'run.voided':
      return change(incident, event.proposal, (p) => ({
        note: event.reason,
        voided: p.voided + 1,
        previous: p.subject,
        grant: null,
        // Whoever approved what does not run any more still stands on its card.
        ...(event.subject && event.digest
          ? {
              status: 'open',
              subject: event.subject,
              digest: event.digest,
              decisions: [],
              plannedAt: at,
              reminded: false,
            }
          : { status: 'refused', window: event.window ?? null, endedAt: at }),
      }))
    case 'run.started':
      return change(incident, event.proposal, () => ({
        status: 'running',
        run: {
          worker: event.worker,
          startedAt: at,
          endedAt: null,
          entry: null,
          steps: {},
          cancelledBy: null,
          message: '',
          checks: [],
          findings: [],
          settled: null,
        },
      }))
    case 'step.started':
      return changeStep(incident, event.proposal, event.step, () => ({
        status: 'running',
        startedAt: at,
        doneAt: null,
        result: null,
      }))
    case 'step.done':
      return changeStep(incident, event.proposal, event.step, (r) => ({
        status: 'done',
        startedAt: r?.startedAt ?? at,
        doneAt: at,
        result: event.result,
      }))
    case 'run.cancel_requested':
      return changeRun(incident, event.proposal, () => ({ cancelledBy: event.by }))
    case 'run.finished': {
      const { message, checks, outcome } = event
      return changeRun(
        incident,
        event.proposal,
        () => ({ endedAt: at, entry: { seq, hash }, message, checks }),
        outcome,
      )
    }
    case 'run.unknown': {
      const { message, findings } = event
      return changeRun(
        incident,
        event.proposal,
        () => ({ endedAt: at, entry: { seq, hash }, message, findings }),
        'unknown',
      )
    }
    case 'run.settled': {
      const { choice, by, reason } = event
      return changeRun(incident, event.proposal, () => ({ settled: { choice, by, reason, at } }), 'settled')
    }
  }
}

const blank = (id: string): Incident => ({
  id,
  version: 0,
  head: '',
  group: '',
  title: '',
  severity: '',
  channel: '',
  openedAt: '',
  resolvedAt: null,
  reopenedAt: null,
  playbook: null,
  alerts: {},
  truncated: 0,
  leftOut: {},
  undoReminders: [],
  skipped: {},
  evidence: {},
  proposals: [],
})

/** The state after one more entry of the journal. */
export function evolve(incident: Incident | null, entry: Entry): Incident {
  const before = incident ?? blank(entry.incident)
  return { ...before, ...apply(before, entry), version: entry.seq, head: entry.hash }
}
