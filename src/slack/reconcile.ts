import type { Logger as Log } from 'pino'
import type { Freeze } from '../domain/freeze.ts'
import type { Incident } from '../domain/incident.ts'
import { digest } from '../domain/plan.ts'
import type { Clock, Journal, Postbox, Progress, Pulse } from '../domain/ports.ts'
import type { Send, Sleep } from './send.ts'
import { createShow, type Drawn, type Memory, newMemory, type View } from './show.ts'
import { createTroubles, type Troubles } from './troubles.ts'

export type RenderContext = Readonly<{
  /** Of the runs that are going on, by proposal. */
  progress: Readonly<Record<string, Progress>>
  /** The freeze that stands, or null. */
  frozen: Freeze | null
}>

/** Another bot has the lease: look again whether it has shown it all. */
const BUSY = 1000
/** The first wait after a failure, and the longest, in milliseconds. */
const BACKOFF = [500, 15_000] as const

/**
 * Makes Slack match the journal. Each incident has a loop of its own while something is to be done for it, so that a slow
 * channel or a refused message holds up no other. Nothing is queued: a try shows what is true when it comes to it.
 */
export function createReconciler(deps: {
  journal: Pick<Journal, 'load' | 'watch' | 'active'>
  postbox: Postbox
  pulse: Pick<Pulse, 'read'>
  send: Send
  frozen(): Promise<Freeze | null>
  render(incident: Incident, context: RenderContext): readonly Drawn[]
  /** The id of the channel that an incident names. */
  channelId(name: string): string
  clock: Clock
  sleep: Sleep
  log: Log
  troubles?: Troubles
}) {
  const { journal, postbox, pulse, sleep, log } = deps
  const troubles = deps.troubles ?? createTroubles(log)
  const halt = new AbortController()
  const wanted = new Set<string>()
  const loops = new Map<string, Promise<void>>()
  const memories = new Map<string, Memory>()
  let unwatch = () => {}

  async function look(id: string): Promise<View | null> {
    const incident = await journal.load(id)
    if (!incident) return null
    const progress: Record<string, Progress> = {}
    for (const { id: proposal, status } of incident.proposals) {
      const read = status === 'running' ? await pulse.read(id, proposal) : null
      if (read) progress[proposal] = read
    }
    const drawn = deps.render(incident, { progress, frozen: await deps.frozen() })
    return { incident, drawn, mark: digest({ head: incident.head, version: incident.version, drawn }) }
  }

  const channelOf = (incident: Incident) => deps.channelId(incident.channel)
  const show = createShow({ ...deps, troubles, look, channelOf, signal: halt.signal })

  async function turn(id: string) {
    const view = await look(id)
    if (!view || (await postbox.rendered(id)) === view.mark) return 'shown' as const
    const lease = await postbox.lease(id)
    if (!lease) return { wait: BUSY }
    const memory = memories.get(id) ?? newMemory()
    memories.set(id, memory)
    try {
      const outcome = await show(id, lease, memory)
      const running = view.incident.proposals.some((p) => p.status === 'running')
      // What was put off is not tried again before its time.
      if (outcome === 'shown' && !running && memory.later.size === 0) memories.delete(id)
      return outcome
    } finally {
      await lease.release().catch((err: unknown) => log.warn({ err, incident: id }, 'lease not released; it lapses'))
    }
  }

  async function loop(id: string): Promise<void> {
    let failures = 0
    while (!halt.signal.aborted) {
      wanted.delete(id)
      const outcome = await turn(id).catch((err: unknown) => {
        if (!halt.signal.aborted) log.warn({ err, incident: id }, 'incident not shown yet; it is tried again')
        return 'failed' as const
      })
      if (outcome === 'shown' && !wanted.has(id)) break
      failures = outcome === 'failed' ? failures + 1 : 0
      const [first, longest] = BACKOFF
      const pause =
        outcome === 'shown' ? 0 : outcome === 'failed' ? Math.min(longest, first * 2 ** (failures - 1)) : outcome.wait
      if (pause > 0) await sleep(pause, halt.signal).catch(() => {})
    }
    // In the same breath as the last look at `wanted`, so that no ring falls between.
    loops.delete(id)
  }

  /** Resolves when Slack shows the incident as it is, or when the reconciler was stopped. */
  function reconcile(id: string): Promise<void> {
    wanted.add(id)
    const running = loops.get(id)
    if (running) return running
    const started = loop(id)
    loops.set(id, started)
    return started
  }

  return {
    reconcile,

    /** Whether Slack shows the incident as it is; if not, sees to it without waiting. */
    async isShown(id: string): Promise<boolean> {
      const view = await look(id)
      if (!view || (await postbox.rendered(id)) === view.mark) return true
      void reconcile(id)
      return false
    },

    /** Follows the journal from now on, and catches up with what was missed. */
    async start(): Promise<void> {
      unwatch = journal.watch((id) => void reconcile(id))
      for (const id of await journal.active()) void reconcile(id)
    },

    /** Ends after the calls that are going on; what is not shown yet is shown by the next start. */
    async stop(): Promise<void> {
      unwatch()
      halt.abort()
      await Promise.allSettled(loops.values())
    },
  }
}
