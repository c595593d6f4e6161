import { isFreeze } from '../domain/freeze.ts'
import { BREAK_GLASS, type SignedDecision } from '../domain/grant.ts'
import { type Incident, type Proposal, stepOf } from '../domain/incident.ts'
import { changeBefore, changesOf, nextRung, owedUndo } from '../domain/ladder.ts'
import type { ViewContext } from './app.ts'
import type { Drawn } from './show.ts'
import { count, cut, fallback, literal, moment, user, usergroup } from './text.ts'
import { actions, bold, button, header, lines, notice } from './views/blocks.ts'
import { evidenceCard } from './views/evidence.ts'
import { playbookCard } from './views/playbook.ts'
import { approverMentions, proposalCard } from './views/proposal.ts'
import { rootCard } from './views/root.ts'
import { runCards } from './views/run.ts'

/** An incident as its thread should be, in order: the root first, then the story. Depends on nothing but its arguments. */
export function render(incident: Incident, context: ViewContext): Drawn[] {
  const story: { at: string; drawn: Drawn[] }[] = [
    ...Object.values(incident.evidence).map((e) => ({ at: e.requestedAt, drawn: [evidenceCard(incident, e)] })),
    ...incident.proposals.flatMap((p) => [
      { at: p.requestedAt, drawn: proposalCard(incident, p, context) },
      ...(p.run ? [{ at: p.run.startedAt, drawn: runCards(incident, p, context.progress[p.id] ?? null) }] : []),
      ...p.decisions.flatMap((d) =>
        d.via.includes(BREAK_GLASS) ? [{ at: d.at, drawn: [atTerminal(d, incident, context)] }] : [],
      ),
      ...(p.reminded && p.plannedAt ? [{ at: p.plannedAt, drawn: [reminder(incident, p, context)] }] : []),
    ]),
    ...undoReminders(incident, context),
    ...handover(incident, context),
    ...(incident.resolvedAt ? [{ at: incident.resolvedAt, drawn: [ending(incident, incident.resolvedAt)] }] : []),
  ]
  // Asked for at the same moment, evidence comes first: sorting keeps the order of equals.
  const told = story.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
  // Last, so that nothing in the thread waits for another channel.
  const away = elsewhere(incident, context)
  return [rootCard(incident, context), ...playbookCard(incident), ...told.flatMap((s) => s.drawn), ...away]
}

const reminder = (incident: Incident, p: Proposal, { policy }: ViewContext): Drawn => ({
  key: `note:remind:${p.id}:${p.voided}`,
  kind: 'message',
  thread: true,
  text: 'Still waiting for a decision',
  blocks: [lines(['Still waiting for a decision: ', ...approverMentions(policy, incident)])],
})

/** A decision that was not made here is told loudly, as soon as Slack can be told anything. */
const atTerminal = (d: SignedDecision, incident: Incident, { policy }: ViewContext): Drawn => {
  const words = `${d.verdict === 'approve' ? 'Approved' : 'Rejected'} at a terminal, not in Slack`
  return {
    key: `note:terminal:${d.proposal}:${d.user}`,
    kind: 'message',
    thread: true,
    text: fallback(`${words}, by ${d.name}: ${d.reason}`),
    blocks: [
      notice('warning', `${words}, with a key of its own.`),
      lines([user(d.user, d.name), ' ', moment(d.at), ': ', literal(cut(d.reason, 300), { italic: true })]),
      lines(['Look whether this was right: ', ...approverMentions(policy, incident)]),
    ],
  }
}

/** A change that must be undone is mentioned until it is. */
function undoReminders(incident: Incident, { policy }: ViewContext): { at: string; drawn: Drawn[] }[] {
  const owed = owedUndo(incident)
  return incident.undoReminders.map(({ step, at }, n) => {
    const title = stepOf(incident, step)?.title ?? step
    const change = changeBefore(incident, step)?.title ?? title
    const last = owed?.step.id === step && n === incident.undoReminders.length - 1
    const ask = button(`Plan: ${title}`, { kind: 'request', incident: incident.id, step }, 'primary')
    const drawn: Drawn = {
      key: `note:undo:${n}`,
      kind: 'message',
      thread: true,
      text: fallback(`Still to be undone: ${change}`),
      blocks: [
        lines(['Still to be undone: ', bold(change), '. ', ...approverMentions(policy, incident)]),
        ...(last && nextRung(incident)?.id === step ? [actions(ask)] : []),
      ],
    }
    return { at, drawn: [drawn] }
  })
}

/** Whose incident it is, where no change of the playbook mends it and all of what it looks at was found; else null. */
function heir({ playbook, evidence }: Incident, { ownerId }: ViewContext) {
  if (!playbook || !(playbook.handOver || changesOf({ playbook }).length === 0)) return null
  if (Object.values(evidence).some((e) => !e.result)) return null
  const id = ownerId(playbook.owner)
  return {
    name: playbook.owner,
    mention: id === null ? playbook.owner : id.startsWith('S') ? usergroup(id) : user(id),
    why: playbook.handOver
      ? 'what can be done in the thread does not mend the cause'
      : 'nothing from here recovers this',
  }
}

/** Once all that was looked for is there, it is handed to the owner. */
function handover(incident: Incident, context: ViewContext): { at: string; drawn: Drawn[] }[] {
  const owner = heir(incident, context)
  if (!owner) return []
  const words = `: ${owner.why}. It is yours, with what was found above.`
  const found = Object.values(incident.evidence).flatMap((e) => e.result?.at ?? [])
  const at = found.toSorted().at(-1) ?? incident.openedAt
  const text = fallback(`Handed over to ${owner.name}`)
  return [
    {
      at,
      drawn: [{ key: 'note:handover', kind: 'message', thread: true, text, blocks: [lines([owner.mention, words])] }],
    },
  ]
}

/** The same in the owner's own channel, with what was found, and without buttons: those work in the thread alone. */
function elsewhere(incident: Incident, context: ViewContext): Drawn[] {
  const owner = heir(incident, context)
  const channel = owner && context.ownerChannel(owner.name)
  if (!owner || !channel) return []
  const found = Object.values(incident.evidence).map((record) => {
    const card = evidenceCard(incident, record)
    const blocks = card.kind === 'message' ? (card.blocks ?? []).filter((b) => b.type !== 'actions') : []
    return { ...card, key: `away:${card.key}`, kind: 'message' as const, thread: false, channel, blocks }
  })
  const words = `: ${owner.why}. It is yours, with what was found. Incident ${incident.id}, opened `
  const text = fallback(`Handed over to ${owner.name}: ${incident.title}`)
  const blocks = [header(incident.title), lines([owner.mention, words, moment(incident.openedAt)])]
  return [{ key: 'away:handover', kind: 'message', thread: false, channel, text, blocks }, ...found]
}

function ending(incident: Incident, at: string): Drawn {
  const n = Object.keys(incident.alerts).length
  const notes = Object.values(incident.alerts)[0]?.annotations ?? {}
  const text = isFreeze(incident)
    ? `Lifted by ${notes['thawed by'] ?? 'somebody'}: ${notes['thawed because'] ?? ''}`
    : `Resolved: ${n === 1 ? 'the alert does' : `all ${count(n, 'alert')} do`} not fire any more.`
  return {
    key: `note:resolved:${at}`,
    kind: 'message',
    thread: true,
    text: fallback(text),
    blocks: [lines([`${text} `, moment(at)])],
  }
}
