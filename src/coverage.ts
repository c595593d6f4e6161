import { isFreeze } from './domain/freeze.ts'
import type { Incident, Proposal } from './domain/incident.ts'
import type { Playbook } from './domain/playbook.ts'
import { count, cut, line } from './slack/text.ts'

type Ran = Readonly<{ proposal: Proposal; at: string; hash: string }>

const day = (iso: string): string => iso.slice(0, 10)
const name = (text: string): string => cut(line(text), 200)
const latest = (dates: readonly string[]): string => dates.toSorted().at(-1) ?? ''
const tally = (words: readonly string[]): string =>
  [...new Set(words)].map((word) => `${words.filter((w) => w === word).length} ${word}`).join(', ')

/**
 * What incidents opened since `since` (ISO 8601) say of the playbooks: which alerts none matched, what each playbook was good
 * for, and which of them may be stale. Lines to print.
 */
export function coverage(all: readonly Incident[], playbooks: readonly Playbook[], since: string): string[] {
  const incidents = all.filter((i) => !isFreeze(i) && i.openedAt >= since)
  const without = Map.groupBy(
    incidents.filter((i) => !i.playbook),
    (i) => name(Object.values(i.alerts)[0]?.labels.alertname ?? i.title),
  )
  const used = Map.groupBy(
    incidents.filter((i) => i.playbook),
    (i) => i.playbook!.id,
  )
  const now = new Map(playbooks.map((p) => [p.id, p.hash]))
  const idle = playbooks.filter((p) => !used.has(p.id)).map((p) => p.id)
  const matched = [...used.values()].flat().length
  return [
    `Since ${day(since)}: ${count(incidents.length, 'incident')}, ${matched} of them with a playbook.`,
    ...section(
      'No playbook matched',
      [...without]
        .sort(([, a], [, b]) => b.length - a.length)
        .map(([alert, those]) => `${alert}: ${those.length}, the last on ${day(latest(those.map((i) => i.openedAt)))}`),
    ),
    ...section('Used', [...used].sort(byName).map(usage)),
    ...section(
      'May be stale',
      [...used].sort(byName).flatMap(([id, those]) => doubts(id, those, now.get(id))),
    ),
    ...section('Not used since then', idle.sort()),
  ]
}

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length > 0 ? ['', `${title}:`, ...lines.map((l) => `  ${l}`)] : []

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1)

const runsOf = (incidents: readonly Incident[]): Ran[] =>
  incidents
    .flatMap((i) =>
      i.proposals.flatMap((proposal) =>
        proposal.run ? [{ proposal, at: proposal.run.startedAt, hash: i.playbook!.hash }] : [],
      ),
    )
    .sort((a, b) => (a.at < b.at ? -1 : 1))

function usage([id, incidents]: readonly [string, readonly Incident[]]): string {
  const runs = runsOf(incidents)
  const ends = runs.length > 0 ? ` (${tally(runs.map((r) => r.proposal.status))})` : ''
  return `${id}: ${count(incidents.length, 'incident')}, ${count(runs.length, 'run')}${ends}`
}

/** Why the playbook may not be true any more, one line a doubt. `hash` is of the file as it is now. */
function doubts(id: string, incidents: readonly Incident[], hash: string | undefined): string[] {
  if (hash === undefined) return [`${id}: is not there any more`]
  const runs = runsOf(incidents)
  const last = runs.at(-1)
  const worked = runs.filter((r) => r.proposal.status === 'succeeded').at(-1)
  const broken = incidents
    .flatMap((i) => [
      ...i.proposals.filter((p) => p.status === 'plan_failed').map((p) => ({ step: p.step, at: p.requestedAt })),
      ...Object.values(i.evidence).flatMap((e) =>
        e.result?.status === 'failed' ? [{ step: e.step, at: e.result.at }] : [],
      ),
    ])
    .sort((a, b) => (a.at < b.at ? -1 : 1))
    .at(-1)
  return [
    ...(last && last !== worked
      ? [`the last run, of ${last.proposal.step} on ${day(last.at)}: ${last.proposal.status}`]
      : []),
    ...(worked && worked.hash !== hash ? [`changed since it last worked, on ${day(worked.at)}`] : []),
    ...(broken ? [`${broken.step} could not be looked up or planned on ${day(broken.at)}`] : []),
  ].map((doubt) => `${id}: ${doubt}`)
}
