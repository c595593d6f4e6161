import { complete, elapse, type Keys } from '../domain/decide.ts'
import { isFreeze } from '../domain/freeze.ts'
import type { Incident } from '../domain/incident.ts'
import { isQuiet } from '../domain/ladder.ts'
import { abandoned, notice } from '../domain/notice.ts'
import type { Policy } from '../domain/policy.ts'
import type { Bell, Clock, Journal, Pulse } from '../domain/ports.ts'
import { pendingWork } from '../domain/work.ts'
import type { Freezer } from './freezer.ts'
import { type Ids, transact } from './transact.ts'

/** The bot's round: expires and reminds, grants what was decided at a terminal, rings again for work that nobody does, lets quiet incidents go. */
export function createBotTick(deps: {
  journal: Journal
  bell: Bell
  clock: Clock
  ids: Ids
  policy: Policy
  keys: Keys
  freezer: Pick<Freezer, 'state'>
  /** Makes Slack show an incident; true when it does. */
  isShown: (incident: string) => Promise<boolean>
  /** Says that this bot has its sources, and of which no bot has had for long. Left out: all are there. */
  attendance?: Readonly<{ attend(): Promise<void>; isGone(source: string): Promise<boolean> }> | undefined
  onError: (error: unknown) => void
}) {
  /** Ends what nothing can tell the end of any more. */
  async function abandon(incident: Incident): Promise<void> {
    if (!deps.attendance || isFreeze(incident)) return
    const firing = Object.values(incident.alerts).filter((a) => a.status === 'firing')
    const gone = new Set<string>()
    for (const source of new Set(firing.map((a) => a.source)))
      if (await deps.attendance.isGone(source)) gone.add(source)
    if (gone.size === 0) return
    const at = new Date(deps.clock()).toISOString()
    const isGone = (source: string) => gone.has(source)
    await transact(deps, incident.id, (i) => notice(i, abandoned(i, isGone, at), 0, i))
  }

  return async function tick(): Promise<void> {
    const frozen = await deps.freezer.state()
    // A user of Redis from before may not have the right; nothing else waits for it.
    await deps.attendance?.attend().catch(deps.onError)
    for (const id of await deps.journal.active()) {
      try {
        const result = await transact(deps, id, (i) => elapse(i, deps.policy, deps.clock()))
        if (!result.ok) continue
        await abandon(result.incident).catch(deps.onError)
        const decided = frozen
          ? result
          : await transact(deps, id, (i) => complete(i, deps.policy, deps.keys, deps.clock()))
        if (!decided.ok) continue
        await deps.bell.ring(pendingWork(decided.incident))
        if ((await deps.isShown(id)) && isQuiet(decided.incident)) await deps.journal.retire(id)
      } catch (error) {
        deps.onError(error)
      }
    }
  }
}

/** A worker's round: rings for a probe where a run has lost its pulse. */
export function createWorkerTick(deps: {
  journal: Journal
  bell: Bell
  pulse: Pulse
  onError: (error: unknown) => void
}) {
  return async function tick(): Promise<void> {
    for (const id of await deps.journal.active()) {
      try {
        const incident = await deps.journal.load(id)
        for (const p of incident?.proposals ?? []) {
          if (p.status === 'running' && !(await deps.pulse.alive(id, p.id)))
            await deps.bell.ring([{ kind: 'probe', incident: id, proposal: p.id }])
        }
      } catch (error) {
        deps.onError(error)
      }
    }
  }
}
