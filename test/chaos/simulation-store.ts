import { type Entry, genesis, type Happening, seal } from '../../src/domain/event.ts'
import { evolve } from '../../src/domain/evolve.ts'
import { signDecision, signGrant } from '../../src/domain/grant.ts'
import type { Incident, Proposal } from '../../src/domain/incident.ts'
import type { Job } from '../../src/domain/job.ts'
import type { Holder, Journal } from '../../src/domain/ports.ts'
import type { Bug } from './bugs.ts'
import type { Process, Scheduler } from './scheduler.ts'
import { keys, policy } from './simulation-cast.ts'

const isSame = (a: Holder, b: Holder) => a.incident === b.incident && a.proposal === b.proposal

/** The incident as a worker takes it that looks at no signature. */
const resign = (incident: Incident): Incident => ({
  ...incident,
  proposals: incident.proposals.map((p) => {
    if (!p.grant) return p
    const { signature: _, ...grant } = p.grant
    const approvals = grant.approvals.map(({ signature: __, ...d }) => signDecision(d, keys.privateKey))
    return { ...p, grant: signGrant({ ...grant, approvals }, keys.privateKey) }
  }),
})

/** The store of all processes, whose calls are ordered by chance, and which can lose its power. `time.now` is in milliseconds. */
export function createStore(scheduler: Scheduler, time: { now: number }, bug: Bug) {
  const journals = new Map<string, Entry[]>()
  const states = new Map<string, Incident>()
  const ops = new Set<string>()
  const locks = new Map<string, Holder>()
  const beats = new Map<string, number>()
  const jobs: Job[] = []
  const storedAt = new WeakMap<Entry, number>()
  let counter = 0
  const nextId = () => `op-${counter++}`

  function put(id: string, at: string, op: string, events: readonly Happening[]): Incident {
    const entries = journals.get(id) ?? []
    let state = states.get(id) ?? null
    ops.add(op)
    for (const event of events.filter(bug.keeps)) {
      const prev = entries.at(-1)?.hash ?? genesis(id)
      const entry = seal({ incident: id, seq: entries.length + 1, at, op, event, prev })
      entries.push(entry)
      storedAt.set(entry, time.now)
      state = evolve(state, entry)
    }
    journals.set(id, entries)
    if (state) states.set(id, state)
    return state!
  }

  function journalOf(process: Process): Journal {
    const call = <T>(work: () => T) => scheduler.call(process, work)
    return {
      load: (id) =>
        call(() => {
          const state = states.get(id)
          return state ? bug.views(bug.believes ? resign(state) : state, process.name) : null
        }),
      append: (id, version, op, events) => {
        // Taken before the way to the store, as the real one does.
        const at = new Date(time.now).toISOString()
        return call(() => {
          if (ops.has(op)) return { ok: false as const, reason: 'duplicate' as const }
          const entries = journals.get(id) ?? []
          if (entries.length !== version) return { ok: false as const, reason: 'conflict' as const }
          return { ok: true as const, incident: put(id, at, op, events) }
        })
      },
      current: (group) => call(() => [...states.values()].findLast((i) => i.group === group)?.id ?? null),
      active: () => call(() => [...states.keys()]),
      retire: () => call(() => {}),
      entries: (id) => call(() => journals.get(id) ?? []),
      all: () => call(() => [...journals.keys()]),
      watch: () => () => {},
      forget: () => {},
    }
  }

  /** The ports of a process. */
  function common(process: Process) {
    const call = <T>(work: () => T) => scheduler.call(process, work)
    return {
      journal: journalOf(process),
      bell: { ring: (all: readonly Job[]) => call(() => void jobs.push(...all)) },
      locks: {
        acquire: (targets: readonly string[], holder: Holder) =>
          call(() => {
            for (const target of targets) {
              const theirs = locks.get(target)
              if (theirs && !isSame(theirs, holder)) return { ok: false as const, target, holder: theirs }
            }
            const fresh = targets.filter((target) => !locks.has(target))
            for (const target of targets) locks.set(target, holder)
            return { ok: true as const, fresh }
          }),
        release: (targets: readonly string[], holder: Holder) =>
          call(() => {
            for (const target of targets) {
              const theirs = locks.get(target)
              if (theirs && isSame(theirs, holder) && (holder.take ?? theirs.take) === theirs.take) locks.delete(target)
            }
          }),
        began: () => call(() => {}),
        crowded: () => call(() => []),
      },
      pulse: {
        beat: (incident: string, proposal: string) => call(() => void beats.set(`${incident}/${proposal}`, time.now)),
        alive: (incident: string, proposal: string) =>
          call(() => time.now - (beats.get(`${incident}/${proposal}`) ?? 0) < 5000),
        progress: () => call(() => {}),
        read: () => call(() => null),
      },
      clock: () => time.now,
      ids: nextId,
      policy: bug.policy(policy),
      onError: () => {},
    }
  }

  /** The store's machine loses its power: what was not on disk is gone. */
  function cutPower(): void {
    const safe = bug.fsync === 'always' ? time.now : time.now - 1000
    for (const [id, entries] of journals) {
      const kept = entries.filter((e) => storedAt.get(e)! <= safe)
      for (const e of entries.slice(kept.length)) ops.delete(e.op)
      if (kept.length === 0) states.delete(id)
      else states.set(id, kept.reduce<Incident | null>(evolve, null)!)
      if (kept.length === 0) journals.delete(id)
      else journals.set(id, kept)
    }
  }

  return {
    journals,
    states,
    jobs,
    nextId,
    put,
    common,
    cutPower,
    ofStatus: (status: Proposal['status']) =>
      [...states.values()].flatMap((i) => i.proposals.filter((p) => p.status === status).map((p) => ({ i, p }))),
  }
}
export type Store = ReturnType<typeof createStore>
