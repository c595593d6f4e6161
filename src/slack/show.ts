import type { KnownBlock } from '@slack/types'
import type { Logger as Log } from 'pino'
import type { Incident } from '../domain/incident.ts'
import { digest } from '../domain/plan.ts'
import type { Clock, Postbox, Posted } from '../domain/ports.ts'
import { ADVICE, PLAINER, ROOT_GONE } from './refusal.ts'
import type { Fault, Place, Send, Sleep } from './send.ts'

/**
 * One message of an incident's thread as it should be; the keys of an incident differ. The first one is the root. One with
 * a `channel` of its own stands there, outside of the thread.
 */
export type Drawn = Readonly<
  { key: string; thread: boolean; text: string } & (
    | { kind: 'message'; blocks?: readonly KnownBlock[]; channel?: string }
    | { kind: 'file'; filename: string; title: string; content: string }
  )
>

/** An incident as Slack should show it. `mark` is the same as long as nothing differs. */
export type View = Readonly<{ incident: Incident; drawn: readonly Drawn[]; mark: string }>
export type Lease = NonNullable<Awaited<ReturnType<Postbox['lease']>>>
/** Slack shows it, or the milliseconds after which to try again; `failed` waits grow. */
export type Outcome = 'shown' | { wait: number } | 'failed'

/** A run's card changes all the time; people can't read faster. */
const EDIT_GAP = 2000
/** A lease is renewed at least so often while waiting. */
const RENEW_EVERY = 3000
/** How long a request whose reply was lost may still be on its way. */
const IN_FLIGHT = 10_000
/** Until somebody has changed a setting. */
const BLOCKED = 30_000
const BUSY = 1000

/** What is remembered of an incident between two tries, in this process only. */
export type Memory = { edited: Map<string, number>; plainer: Map<string, number> }
export const newMemory = (): Memory => ({ edited: new Map(), plainer: new Map() })

const channelOf = (message: Drawn) => (message.kind === 'message' ? message.channel : undefined)
const untried = (posted: Posted | undefined) => !posted || (posted.ts === null && posted.attemptedAt === 0)

/** Makes Slack show one incident, under a lease: posts what is missing, in order, and edits what differs. */
export function createShow(deps: {
  postbox: Postbox
  send: Send
  clock: Clock
  sleep: Sleep
  signal: AbortSignal
  log: Log
  look(incident: string): Promise<View | null>
  channelOf(incident: Incident): string
}) {
  const { postbox, send, clock, sleep, signal, look } = deps

  return async function show(id: string, lease: Lease, memory: Memory): Promise<Outcome> {
    const log = deps.log.child({ incident: id })
    const deferred = new Map<string, number>()
    let slot = false
    let home = ''

    /** What another channel does not take must not hold up the thread: it is tried again with the next event. */
    function leaveOut(message: Drawn, hash: string, error: string): null {
      memory.plainer.set(hash, PLAINER.length)
      log.error(
        { key: message.key, error },
        `not posted in ${channelOf(message)}: ${error}: ${ADVICE[error] ?? 'look'}`,
      )
      return null
    }

    /** Waits without losing the lease; false if it is lost. */
    async function hold(ms: number): Promise<boolean> {
      for (let left = ms; left > 0; left -= RENEW_EVERY) {
        await sleep(Math.min(left, RENEW_EVERY), signal)
        if (!(await lease.renew())) return false
      }
      return true
    }

    const forget = (key: string, posted: Posted) =>
      postbox.write(id, key, { ...posted, ts: null, attemptedAt: 0, hash: '' })

    /** The thread's root is not there any more: all of it is told again under a new one. */
    async function startOver(posted: Record<string, Posted>): Promise<void> {
      log.warn('the root message is gone from Slack; the thread is posted again')
      for (const [key, one] of Object.entries(posted)) if (one.channel === home) await forget(key, one)
    }

    /** Slack said no: what now. Null means: go on at once. */
    async function refused(
      message: Drawn,
      hash: string,
      fault: Extract<Fault, { kind: 'refused' }>,
      posted: Record<string, Posted>,
    ): Promise<Outcome | null> {
      const { error, detail } = fault
      const advice = ADVICE[error]
      if (advice && channelOf(message)) return leaveOut(message, hash, error)
      if (advice) {
        log.error({ key: message.key, error, detail }, `Slack does not take messages: ${error}: ${advice}`)
        return { wait: BLOCKED }
      }
      if (ROOT_GONE.includes(error)) {
        await startOver(posted)
        return null
      }
      const own = posted[message.key]
      if (error === 'message_not_found' && own) {
        if (message.thread || channelOf(message)) await forget(message.key, own)
        else await startOver(posted)
        return null
      }
      const level = (memory.plainer.get(hash) ?? 0) + 1
      memory.plainer.set(hash, level)
      const next = message.kind === 'message' && level < PLAINER.length ? 'a plainer one is tried' : 'it is left out'
      log.error({ key: message.key, error, detail }, `Slack refused a message, ${next}; this is a fault of its drawing`)
      return null
    }

    /** Finds out what became of a post whose reply was lost. */
    async function readBack(
      message: Drawn,
      hash: string,
      at: Place,
      tried: Posted,
      settled: boolean,
    ): Promise<Outcome | null> {
      const filename = message.kind === 'file' ? { filename: message.filename } : {}
      const found = await send.find(at, tried.attemptedAt, { incident: id, key: message.key, ...filename })
      if (!found.ok) {
        const { fault } = found
        if (fault.kind === 'limited') return { wait: fault.wait }
        if (fault.kind !== 'refused') return 'failed'
        if (channelOf(message)) return leaveOut(message, hash, fault.error)
        if (ROOT_GONE.includes(fault.error)) {
          await forget(message.key, tried)
          return null
        }
        const advice = ADVICE[fault.error] ?? 'the bot must be able to read the channel'
        log.error({ error: fault.error }, `a lost reply cannot be cleared up: ${fault.error}: ${advice}`)
        return { wait: BLOCKED }
      }
      if (found.value !== null) {
        log.info({ key: message.key }, 'the reply to a post was lost; the message is there and was adopted')
        await postbox.write(id, message.key, { ...tried, ts: found.value })
        return null
      }
      const left = tried.attemptedAt + IN_FLIGHT - clock()
      if (!settled && left > 0) return { wait: left }
      await forget(message.key, tried)
      return null
    }

    /** Posts a message, with a note of the attempt before it and of the ts after it. */
    async function post(
      message: Drawn,
      hash: string,
      at: Place,
      posted: Record<string, Posted>,
    ): Promise<Outcome | null> {
      const mark = { incident: id, key: message.key, hash }
      let file = ''
      if (message.kind === 'file') {
        const staged = await send.stage(message)
        if (!staged.ok)
          return staged.fault.kind === 'refused' ? refused(message, hash, staged.fault, posted) : waitFor(staged.fault)
        if (!(await lease.renew())) return { wait: BUSY }
        file = staged.value
      }
      const tried: Posted = { channel: at.channel, ts: null, hash, attemptedAt: clock() }
      await postbox.write(id, message.key, tried)
      const plain = PLAINER[memory.plainer.get(hash) ?? 0]!
      const sent =
        message.kind === 'file'
          ? await send.share(at, { id: file, title: message.title, comment: message.text })
          : await send.post(at, plain(message), mark)
      slot = false
      if (sent.ok) {
        await postbox.write(id, message.key, { ...tried, ts: sent.value ?? file })
        return null
      }
      const { fault } = sent
      if (fault.kind === 'failed' || fault.kind === 'lost') {
        log.warn({ key: message.key, err: fault.cause }, 'it is not known whether a message was posted; Slack is asked')
        return readBack(message, hash, at, tried, fault.kind === 'failed')
      }
      await forget(message.key, tried)
      return fault.kind === 'refused' ? refused(message, hash, fault, posted) : waitFor(fault)
    }

    async function edit(
      message: Drawn,
      hash: string,
      known: Posted,
      posted: Record<string, Posted>,
    ): Promise<Outcome | null> {
      const plain = PLAINER[memory.plainer.get(hash) ?? 0]!
      const { key } = message
      const done = await send.edit(known.channel, known.ts!, plain(message), { incident: id, key, hash })
      if (done.ok) {
        memory.edited.set(key, clock())
        await postbox.write(id, key, { ...known, hash })
        return null
      }
      if (done.fault.kind === 'refused') return refused(message, hash, done.fault, posted)
      // What comes after it need not wait for it.
      if (done.fault.kind === 'limited') deferred.set(key, clock() + done.fault.wait)
      return done.fault.kind === 'limited' ? null : waitFor(done.fault)
    }

    for (;;) {
      const view = await look(id)
      if (!view) return 'shown'
      const posted = await postbox.read(id)
      const gap = view.incident.proposals.some((p) => p.status === 'running') ? EDIT_GAP : 0
      const now = clock()
      let later = Number.POSITIVE_INFINITY
      let todo: { message: Drawn; hash: string; known: Posted | undefined } | null = null
      for (const message of view.drawn) {
        const { key, thread: _, ...content } = message
        const hash = digest({ ...content, channel: undefined })
        const known = posted[key]
        if (known?.hash === hash && known.ts !== null) continue
        const left = message.kind === 'file' ? 1 : PLAINER.length
        if ((memory.plainer.get(hash) ?? 0) >= left) continue
        const due = Math.max(deferred.get(key) ?? 0, known?.ts ? (memory.edited.get(key) ?? 0) + gap : 0)
        if (known?.ts && message.kind === 'message' && due > now) {
          later = Math.min(later, due - now)
          continue
        }
        todo = { message, hash, known }
        break
      }
      if (!todo) {
        if (later < Number.POSITIVE_INFINITY) return { wait: later }
        await postbox.setRendered(id, view.mark)
        return 'shown'
      }

      const { message, hash, known } = todo
      const root = posted[view.drawn[0]!.key]
      home = root?.ts ? root.channel : deps.channelOf(view.incident)
      const channel = channelOf(message) ?? home
      const at: Place = { channel, thread: message.thread ? (root?.ts ?? null) : null }
      if (message.thread && at.thread === null) return { wait: BLOCKED }
      const toPost = untried(known) || (known?.ts && message.kind === 'file')
      if (toPost && !slot) {
        // Whatever happens until its turn comes is drawn as well: the loop looks again.
        if (!(await hold(await postbox.pace(channel)))) return { wait: BUSY }
        slot = true
        continue
      }
      if (!(await lease.renew())) return { wait: BUSY }
      const outcome = toPost
        ? await post(message, hash, at, posted)
        : known!.ts === null
          ? await readBack(message, hash, { ...at, channel: known!.channel }, known!, false)
          : await edit(message, hash, known!, posted)
      if (outcome !== null) return outcome
    }
  }
}

const waitFor = (fault: Fault): Outcome => (fault.kind === 'limited' ? { wait: fault.wait } : 'failed')
