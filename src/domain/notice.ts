import { type Alert, alertKey, groupKey, type SenderGroup, WARNING } from './alert.ts'
import type { Happening } from './event.ts'
import { type Incident, isOver, proposalOf, proposalsOf, slotValues, stepOf } from './incident.ts'
import { isSkippable, isStuckUndo, nextRung, owedUndo } from './ladder.ts'
import { type Call, fill, type Playbook, type Step } from './playbook.ts'
import { allow, type Ruling, refuse } from './rule.ts'

/** What the first alert of an incident decides for good. */
export type Opening = Readonly<{
  group: string
  title: string
  severity: string
  channel: string
  playbook: Playbook | null
}>

const same = (a: Alert | undefined, b: Alert) => a !== undefined && JSON.stringify(a) === JSON.stringify(b)

/**
 * Older news than what is known: a late resolve of an earlier firing, delivered out of order. That the same firing
 * began earlier than first said is no such thing; Alertmanager learns that when an alert is sent again.
 */
function stale(known: Alert | undefined, news: Alert): boolean {
  // The time of receipt says nothing of the time at the sender.
  if (!known || known.undated || news.undated || news.startsAt >= known.startsAt) return false
  return news.status === 'resolved' ? (news.endsAt ?? '') <= known.startsAt : known.status === 'resolved'
}

/** The next id of a proposal in this incident: p1, p2, … */
export const nextProposalId = (incident: Incident, ahead = 0): string => `p${incident.proposals.length + 1 + ahead}`

/** The call of a step with what the alerts fill, or null if something must be asked for. */
export function completeParams(incident: Pick<Incident, 'alerts'>, call: Call) {
  const { params, missing } = fill(call, slotValues(incident))
  return missing.length === 0 ? params : null
}

/** What a request said beside its alerts: which sender's group it was about (a `groupKey`), and what could not be read. */
export type Message = Readonly<{ from?: string; unread?: readonly string[] }>

/** Whether people know already what this message left out, or need not: nothing of its group is here. */
function isTold(incident: Incident | null, truncated: number, { from, unread = [] }: Message): boolean {
  if (from === undefined) return (incident?.truncated ?? 0) >= truncated
  const alerts = Object.values(incident?.alerts ?? {})
  if (!alerts.some((a) => [groupKey(a.source), groupKey(a.source, a.group)].includes(from))) return true
  const told = incident?.leftOut[from]
  return (told?.truncated ?? 0) === truncated && JSON.stringify(told?.unread ?? []) === JSON.stringify(unread)
}

/** Alerts came. Opens, updates, resolves or reopens the incident, and asks for the evidence and the first plan. */
export function notice(
  incident: Incident | null,
  alerts: readonly Alert[],
  truncated: number,
  opening: Opening,
  message: Message = {},
): Ruling {
  // One batch may tell of an alert twice: each word is judged by the one before it.
  const known = new Map(Object.entries(incident?.alerts ?? {}))
  const news = alerts.flatMap((sent) => {
    const before = known.get(alertKey(sent))
    // What is sent once more, or ends, without a time began when it was received first.
    const goesOn = before?.status === sent.status || sent.status === 'resolved'
    const a = sent.undated && before && goesOn ? { ...sent, startsAt: before.startsAt } : sent
    if (same(before, a) || stale(before, a)) return []
    known.set(alertKey(a), a)
    return [a]
  })
  const after = Object.fromEntries(known)
  const firing = Object.values(after).some((a) => a.status === 'firing')
  if (!incident && !firing) return allow()
  if (news.length === 0 && isTold(incident, truncated, message)) return allow()
  const events: Happening[] = []
  if (!incident) events.push({ type: 'incident.opened', ...opening })
  const { from, unread = [] } = message
  events.push({
    type: 'alerts.changed',
    alerts: news,
    truncated,
    ...(from === undefined ? {} : { from }),
    ...(unread.length === 0 ? {} : { unread: [...unread] }),
  })
  if (!incident) return allow(...events, ...firstLook({ alerts: after }, opening.playbook))
  if (!firing && incident.resolvedAt === null) {
    events.push({ type: 'incident.resolved' })
    const undo = owedUndo(incident)?.step.id
    for (const p of incident.proposals) {
      if (p.step !== undo && !isOver(p) && p.status !== 'running' && p.status !== 'unknown')
        events.push({ type: 'proposal.withdrawn', proposal: p.id, reason: 'The alert has resolved.' })
    }
  }
  if (firing && incident.resolvedAt !== null)
    events.push({ type: 'incident.reopened' }, ...lookAgain({ ...incident, alerts: after, resolvedAt: null }))
  return allow(...events)
}

/**
 * The alerts of an incident that have ended with their sender's group although the message did not name them: it had left
 * them out, or the word of their end was lost. `named` are those of the message. None if the message is older than what
 * is known, or does not speak of them.
 */
export function endedWith(
  incident: Pick<Incident, 'alerts'>,
  group: SenderGroup,
  named: readonly Alert[],
  complete: boolean,
): Alert[] {
  if (!group.over || named.some((a) => incident.alerts[alertKey(a)]?.status === 'firing')) return []
  const ends = named.map((a) => a.endsAt)
  const last = ends.every((end) => end !== null) ? (ends.toSorted().at(-1) ?? null) : null
  return (
    Object.values(incident.alerts)
      .filter((a) => a.status === 'firing' && isOf(group, a))
      // It names all that fired then: what began after the last of them ended is of a later time.
      .filter((a) => !complete || last === null || a.startsAt <= last)
      .map((a) => ({ ...a, status: 'resolved', endsAt: last ?? a.endsAt }))
  )
}

/** An alert stored by an earlier version has no group: it is of this one if it has what the group has in common. */
function isOf({ source, key, labels }: SenderGroup, alert: Alert): boolean {
  if (alert.source !== source) return false
  if (alert.group !== undefined) return alert.group === key
  const wanted = Object.entries(labels)
  return wanted.length > 0 && wanted.every(([name, value]) => alert.labels[name] === value)
}

/** The alerts that fire, ended because their source was taken out of every configuration: nobody can tell of their end. */
export function abandoned(
  incident: Pick<Incident, 'alerts'>,
  isGone: (source: string) => boolean,
  at: string,
): Alert[] {
  return Object.values(incident.alerts)
    .filter((a) => a.status === 'firing' && isGone(a.source))
    .map((a) => ({
      ...a,
      status: 'resolved',
      endsAt: at,
      annotations: {
        ...a.annotations,
        [WARNING]: `The source “${a.source}” is not configured any more, so nothing tells when this alert ends: look yourself.`,
      },
    }))
}

/** All evidence whose parameters are known, and the first change of the ladder if its parameters are. */
function firstLook(incident: Pick<Incident, 'alerts'>, playbook: Playbook | null): Happening[] {
  const events: Happening[] = []
  const first = playbook?.steps.find((s) => s.call && s.call.effect !== 'read')
  for (const step of playbook?.steps ?? []) {
    if (!step.call || (step.call.effect !== 'read' && step !== first)) continue
    const params = completeParams(incident, step.call)
    if (!params) continue
    if (step.call.effect === 'read') events.push({ type: 'evidence.requested', step: step.id, params, by: null })
    else events.push({ type: 'proposal.requested', proposal: 'p1', step: step.id, params, by: null, resumes: null })
  }
  return events
}

/** After a reopening: fresh evidence; a plan only on a click. */
function lookAgain(incident: Incident): Happening[] {
  return firstLook(incident, incident.playbook).filter((e) => e.type === 'evidence.requested')
}

/** Somebody asks for a step: evidence is gathered anew, a change is planned. `given` comes from a modal. */
export function request(
  incident: Incident,
  intent: {
    step: string
    params: Record<string, never> | Parameters<typeof fill>[2]
    by: { user: string; name: string }
    /** The freeze window that the last plan of this step was refused for. */
    override?: string
  },
): Ruling {
  const step = stepOf(incident, intent.step)
  if (!step) return refuse('no_such_step')
  if (!step.call) return refuse('step_prose')
  if (intent.override !== undefined) return overriding(incident, step, intent.override, intent.by)
  const { params, missing } = fill(step.call, slotValues(incident), intent.params)
  if (missing.length > 0) return refuse('params_invalid')
  if (step.call.effect === 'read') {
    const running = incident.evidence[step.id]
    if (running && running.result === null) return allow()
    return allow({ type: 'evidence.requested', step: step.id, params, by: intent.by })
  }
  const mine = proposalsOf(incident, step.id)
  if (mine.some((p) => !isOver(p))) return allow()
  if (isClosed(incident, step)) return refuse('incident_resolved')
  const isNext = nextRung(incident)?.id === step.id || Object.hasOwn(incident.skipped, step.id)
  if (mine.length === 0 && !isNext) return refuse('not_offered_yet')
  return allow({
    type: 'proposal.requested',
    proposal: nextProposalId(incident),
    step: step.id,
    params,
    by: intent.by,
    resumes: null,
  })
}

/**
 * Somebody says that the ladder's next change is not needed here. Asking for it later is still possible. That something was
 * undone by hand is for an approver to say.
 */
export function skip(
  incident: Incident,
  intent: { step: string; by: { user: string; name: string }; approver?: boolean },
): Ruling {
  const step = stepOf(incident, intent.step)
  if (!step) return refuse('no_such_step')
  const stuck = isStuckUndo(incident, step)
  if (Object.hasOwn(incident.skipped, step.id) && !stuck) return allow()
  if (stuck && !intent.approver) return refuse('not_an_approver')
  if (!isSkippable(incident, step)) return refuse('not_skippable')
  return allow({ type: 'step.skipped', step: step.id, by: intent.by })
}

/** Somebody wants the plan without some of its parts: another one is made, which needs its own decision. */
export function narrow(
  incident: Incident,
  intent: { proposal: string; digest: string; names: readonly string[]; by: { user: string; name: string } },
): Ruling {
  const proposal = proposalOf(incident, intent.proposal)
  if (!proposal) return refuse('no_such_proposal')
  if (proposal.status !== 'open') return refuse('not_open')
  if (proposal.digest !== intent.digest) return refuse('digest_changed')
  const parts = proposal.subject?.plan.leaveOut
  const names = parts?.names.filter((name) => intent.names.includes(name)) ?? []
  if (!parts || names.length === 0 || names.length === parts.names.length) return refuse('leaves_nothing')
  const { step, resumes, override } = proposal
  const already = Object.hasOwn(proposal.params, parts.param) ? String(proposal.params[parts.param]) : ''
  const params = { ...proposal.params, [parts.param]: [already, ...names].filter((n) => n !== '').join(', ') }
  return allow(
    {
      type: 'proposal.withdrawn',
      proposal: proposal.id,
      reason: `A plan without ${names.length} of its parts takes its place.`,
    },
    {
      type: 'proposal.requested',
      proposal: nextProposalId(incident),
      step,
      params: params as Record<string, never>,
      by: intent.by,
      resumes,
      ...(override === null ? {} : { override }),
    },
  )
}

/** Whether it is too late for a change: the alert has resolved, and this is not what must be undone. */
const isClosed = (incident: Incident, step: Step): boolean =>
  incident.resolvedAt !== null && nextRung(incident)?.id !== step.id

/** The same plan once more, in spite of the freeze window that it was refused for. */
function overriding(incident: Incident, step: Step, window: string, by: { user: string; name: string }): Ruling {
  const last = proposalsOf(incident, step.id).at(-1)
  if (isClosed(incident, step)) return refuse('incident_resolved')
  if (last?.status !== 'refused' || last.window !== window) return refuse('not_in_window')
  const { params, resumes } = last
  return allow({
    type: 'proposal.requested',
    proposal: nextProposalId(incident),
    step: step.id,
    params: params as Record<string, never>,
    by,
    resumes,
    override: window,
  })
}
