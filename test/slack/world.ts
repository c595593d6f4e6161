import { setImmediate as turn } from 'node:timers/promises'
import pino from 'pino'
import type { Happening } from '../../src/domain/event.ts'
import { genesis, seal } from '../../src/domain/event.ts'
import { evolve } from '../../src/domain/evolve.ts'
import type { Incident } from '../../src/domain/incident.ts'
import type { Journal, Progress } from '../../src/domain/ports.ts'
import { createFakeClock } from '../../src/sandbox/slack/clock.ts'
import { createSandboxSlack, type SandboxOptions } from '../../src/sandbox/slack/server.ts'
import { createReconciler } from '../../src/slack/reconcile.ts'
import { createSend, createWeb, type Sleep } from '../../src/slack/send.ts'
import type { Drawn } from '../../src/slack/show.ts'
import { createTroubles } from '../../src/slack/troubles.ts'
import { createMemoryPostbox } from './postbox.ts'

export const SECRETS = { signingSecret: 'signing-secret', botToken: 'xoxb-sandbox', appToken: 'xapp-sandbox' }
export const DATA = 'C0000DATAON'
export const PLATFORM = 'C0000PLATON'
export const [ONA, ADA, SAM, GUS, OLF, DEE] = [
  'U0000ONCALL',
  'U0000000ADA',
  'U0000000SAM',
  'U0000000GUS',
  'U0000000OLF',
  'U0000000DEE',
]
export const BOT = 'U0000KEYTRN'

/** A log that keeps its lines. */
export function createLines() {
  const lines: { level: string; msg: string }[] = []
  const write = (line: string) => void lines.push(JSON.parse(line))
  const log = pino({ level: 'debug', base: undefined, formatters: { level: (level) => ({ level }) } }, { write })
  return {
    log,
    lines,
    has: (level: string, text: string | RegExp) => lines.some((l) => l.level === level && l.msg.match(text)),
  }
}

/** A journal in memory: versions, chained entries, watchers. */
export function createMemoryJournal(clock: () => number) {
  const states = new Map<string, Incident>()
  const listeners = new Set<(id: string) => void>()
  const ops = new Set<string>()
  const journal = {
    load: async (id: string) => {
      if (journal.down) throw new Error('the store cannot be reached')
      return states.get(id) ?? null
    },
    active: async () => [...states.keys()],
    current: async (group: string) => [...states.values()].findLast((i) => i.group === group)?.id ?? null,
    watch(listener: (id: string) => void) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    /** Lets events happen. */
    add(id: string, ...events: Happening[]) {
      for (const event of events) {
        const before = states.get(id) ?? null
        const at = new Date(clock()).toISOString()
        const seq = (before?.version ?? 0) + 1
        states.set(
          id,
          evolve(before, seal({ incident: id, seq, at, op: `${id}/${seq}`, event, prev: before?.head || genesis(id) })),
        )
      }
      journal.ring(id)
    },
    async append(id: string, version: number, op: string, events: readonly Happening[]) {
      if (journal.down || journal.readOnly) throw new Error('the store cannot be reached')
      if (ops.has(op)) return { ok: false as const, reason: 'duplicate' as const }
      if ((states.get(id)?.version ?? 0) !== version) return { ok: false as const, reason: 'conflict' as const }
      ops.add(op)
      journal.add(id, ...events)
      return { ok: true as const, incident: states.get(id)! }
    },
    down: false,
    readOnly: false,
    ring: (id: string) => {
      for (const listener of listeners) listener(id)
    },
  } satisfies Partial<Journal> & Record<string, unknown>
  return journal
}

export const opened = (title = 'Blocked', channel = 'default'): Happening => ({
  type: 'incident.opened',
  group: 'g',
  title,
  severity: 'critical',
  channel,
  playbook: null,
})
export const asked = (proposal: string, step = 'do-it'): Happening => ({
  type: 'proposal.requested',
  proposal,
  step,
  params: {},
  by: null,
  resumes: null,
})

/** Draws an incident in the plainest way: a root, and a message a proposal with its status and progress. */
export const drawPlain = (
  incident: Incident,
  { progress }: { progress: Readonly<Record<string, Progress>> },
): Drawn[] => [
  { key: 'root', kind: 'message', thread: false, text: `${incident.title}${incident.resolvedAt ? ' (resolved)' : ''}` },
  ...incident.proposals.map((p): Drawn => {
    const done = progress[p.id] ? ` ${progress[p.id]!.done}/${progress[p.id]!.total}` : ''
    return { key: `proposal:${p.id}`, kind: 'message', thread: true, text: `${p.step}: ${p.status}${done}` }
  }),
]

/**
 * A sandbox and reconcilers on one virtual time: nothing waits for real, and time goes on only when nothing else does.
 * `fetch` counts the calls that are under way.
 */
export async function createWorld(options: Partial<SandboxOptions> = {}) {
  const clock = createFakeClock()
  const now = () => clock.now()
  const sandbox = await createSandboxSlack({ ...SECRETS, clock, ...options })
  const postbox = createMemoryPostbox(now)
  const journal = createMemoryJournal(now)
  const beats = new Map<string, Progress>()
  const { log, lines, has } = createLines()
  const troubles = createTroubles(log)
  const started: { stop(): Promise<void> }[] = []
  const channels: Record<string, string> = { default: DATA, platform: PLATFORM }
  const due = new Set<number>()
  let inFlight = 0

  const sleep: Sleep = (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const at = clock.now() + ms
      due.add(at)
      const cancel = clock.after(ms, resolve)
      signal?.addEventListener('abort', () => {
        cancel()
        reject(signal.reason)
      })
    })
  const counting: typeof globalThis.fetch = async (input, init) => {
    inFlight += 1
    try {
      const response = await fetch(input, init)
      const { status, statusText, headers } = response
      return new Response(await response.text(), { status, statusText, headers })
    } finally {
      inFlight -= 1
    }
  }

  const idle = async () => {
    for (let quiet = 0; quiet < 4; quiet += 1) {
      await turn()
      if (inFlight > 0) quiet = -1
    }
  }

  return {
    sandbox,
    postbox,
    journal,
    beats,
    clock,
    now,
    log,
    lines,
    has,
    troubles,
    /** The names of channels, by what incidents say. */
    channels,
    sleep,
    fetch: counting,
    /** One more bot on the same journal and postbox. */
    bot(
      draw: (
        incident: Incident,
        context: { progress: Readonly<Record<string, Progress>> },
      ) => readonly Drawn[] = drawPlain,
    ) {
      const web = createWeb({ token: SECRETS.botToken, apiUrl: sandbox.apiUrl, log, fetch: counting as never })
      const send = createSend({ web, clock: now, log, fetch: counting })
      const pulse = { read: async (incident: string, proposal: string) => beats.get(`${incident} ${proposal}`) ?? null }
      const channelId = (name: string) => channels[name] ?? name
      const reconciler = createReconciler({
        journal,
        postbox,
        pulse,
        frozen: async () => null,
        send,
        render: draw,
        channelId,
        clock: now,
        sleep,
        log,
        troubles,
      })
      started.push(reconciler)
      return { ...reconciler, send, web }
    },
    /** Lets time pass, from one thing that is due to the next, until `until` holds; fails after `limit` virtual milliseconds. */
    async pass(until: () => boolean | Promise<boolean>, limit = 300_000): Promise<void> {
      const end = clock.now() + limit
      let stuck = 0
      for (;;) {
        await idle()
        if (await until()) return
        const next = Math.min(...[...due].filter((at) => at > clock.now()))
        for (const at of due) if (at <= clock.now()) due.delete(at)
        // Nothing is due while an answer of a real store is under way.
        if (next === Number.POSITIVE_INFINITY && stuck++ < 1000) continue
        if (next > end) {
          const last = JSON.stringify(lines.slice(-5))
          throw new Error(`it did not come true within ${limit} virtual ms; the log ends with ${last}`)
        }
        clock.advance(next - clock.now())
      }
    },
    idle,
    /** What people see in a channel, oldest first. */
    texts: (channel: string = DATA) => (sandbox.state().messages[channel] ?? []).map((m) => m.text),
    calls: (name: string) => sandbox.log.filter((entry) => entry.kind === 'call' && entry.name === name),
    async close() {
      for (const one of started) await one.stop()
      await sandbox.close()
    },
  }
}
export type World = Awaited<ReturnType<typeof createWorld>>
