import type { KnownBlock } from '@slack/types'
import type { Logger as Log } from 'pino'
import type { Incident } from '../domain/incident.ts'
import { digest } from '../domain/plan.ts'
import type { Clock, Postbox, Posted } from '../domain/ports.ts'
import { adviceOf, CANNOT_EDIT, CHANNEL_GONE, isAboutContent, isAboutFile, PLAINER, ROOT_GONE } from './refusal.ts'
import type { Content, Fault, Place, Send, Sleep } from './send.ts'
import { exact, fallback, link, literal } from './text.ts'
import type { Troubles } from './troubles.ts'

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
/** While a run goes on, a message that cannot be edited is posted anew so often at most. */
const REPLACE_GAP = 30_000
/** A lease is renewed at least so often while waiting. */
const RENEW_EVERY = 3000
/** How long a request whose reply was lost may still be on its way. */
const IN_FLIGHT = 10_000
/** Until somebody has changed a setting. */
const BLOCKED = 30_000
/** A thread is told again under a new root so often at most: what makes it needed may do so again. */
const START_OVER_GAP = 600_000
const BUSY = 1000
/** Of a file whose text is posted instead: characters of one message, and messages. */
const FILE_PIECE = 10_000
const FILE_PIECES = 20

/** Where the first root of a thread is kept that could not be edited any more; no message is drawn under this key. */
export const ANCHOR = '~thread'

/** What is remembered of an incident between two tries, in this process only. Times are milliseconds. */
export type Memory = {
  edited: Map<string, number>
  /** How much plainer than drawn a message is tried, by its hash. */
  plainer: Map<string, number>
  /** When a message was posted anew because it could not be edited. */
  replaced: Map<string, number>
  /** Messages that have been replaced and still stand in Slack. */
  stale: Map<string, Place & { ts: string }>
  /** When a message of another channel is tried again. */
  later: Map<string, number>
  startedOver: number
}
export const newMemory = (): Memory => ({
  edited: new Map(),
  plainer: new Map(),
  replaced: new Map(),
  stale: new Map(),
  later: new Map(),
  startedOver: Number.NEGATIVE_INFINITY,
})

const channelOf = (message: Drawn) => (message.kind === 'message' ? message.channel : undefined)
const untried = (posted: Posted | undefined) => !posted || (posted.ts === null && posted.attemptedAt === 0)

/** Text in pieces of at most `size` characters, whole lines where they fit. */
function pieces(text: string, size: number): string[] {
  const all: string[] = []
  for (const line of text.split('\n').flatMap((one) => one.match(new RegExp(`[^]{1,${size}}`, 'gu')) ?? [''])) {
    const last = all.at(-1)
    if (last !== undefined && last.length + line.length < size) all[all.length - 1] = `${last}\n${line}`
    else all.push(line)
  }
  return all
}

/** A file's text as messages, for a Slack that does not take the file: nobody decides on what is not there to read. */
function asMessages(file: Extract<Drawn, { kind: 'file' }>): Drawn[] {
  const all = pieces(exact(file.content).trimEnd(), FILE_PIECE)
  const most = all.slice(0, FILE_PIECES)
  return most.map((piece, i): Drawn => {
    const part = most.length > 1 ? `, part ${i + 1} of ${all.length}` : ''
    const left = i === most.length - 1 && all.length > most.length ? ' The rest is too long for Slack.' : ''
    const title = literal(`${file.title}${part}`, { bold: true })
    const why = literal(`${i === 0 ? ', as text, since Slack does not take files now.' : '.'}${left}`)
    return {
      key: i === 0 ? file.key : `${file.key}#${i + 1}`,
      kind: 'message',
      thread: file.thread,
      text: fallback(`${file.title}${part}`),
      blocks: [
        {
          type: 'rich_text',
          elements: [
            { type: 'rich_text_section', elements: [title, why] },
            { type: 'rich_text_preformatted', elements: [{ type: 'text', text: piece || '–' }], border: 0 },
          ],
        },
      ],
    }
  })
}

/** The message as it is tried at this level of plainness; the file itself; null beyond the last. */
function plainest(message: Drawn, level: number): Content | 'file' | null {
  if (message.kind === 'message') return PLAINER[level]?.(message) ?? null
  return level === 0 ? 'file' : null
}

const hashOf = ({ key: _key, thread: _thread, ...content }: Drawn) => digest({ ...content, channel: undefined })

/** Makes Slack show one incident, under a lease: posts what is missing, in order, and edits what differs. */
export function createShow(deps: {
  postbox: Postbox
  send: Send
  clock: Clock
  sleep: Sleep
  signal: AbortSignal
  log: Log
  troubles: Troubles
  look(incident: string): Promise<View | null>
  channelOf(incident: Incident): string
}) {
  const { postbox, send, clock, sleep, signal, look, troubles } = deps

  return async function show(id: string, lease: Lease, memory: Memory): Promise<Outcome> {
    const log = deps.log.child({ incident: id })
    const deferred = new Map<string, number>()
    let slot = false
    let home = ''
    let configured = ''
    let running = false

    const levelOf = (hash: string) => memory.plainer.get(hash) ?? 0
    const laterKey = (message: Drawn, hash: string) => `${channelOf(message)} ${hash}`
    const works = (channel: string) => troubles.over(`channel ${channel}`)

    /** Says why nothing goes on in a channel, and waits for somebody to mend it. */
    function blocked(channel: string, key: string, { error, detail }: Refused): Outcome {
      const advice = adviceOf(error)
      troubles.report(
        `channel ${channel}`,
        `Messages to channel ${channel} wait: ${advice}. They are tried again by themselves.`,
        { key, error, detail },
        `Slack does not take messages in ${channel}: ${error}: ${advice}`,
      )
      return { wait: BLOCKED }
    }

    /** What another channel does not take must not hold up the thread: it is tried again later. */
    function putOff(message: Drawn, hash: string, { error, detail }: Refused): null {
      const channel = channelOf(message)!
      const advice = adviceOf(error)
      memory.later.set(laterKey(message, hash), clock() + BLOCKED)
      troubles.report(
        `channel ${channel}`,
        `Messages to channel ${channel} wait: ${advice}. They are tried again by themselves.`,
        { key: message.key, error, detail },
        `not posted in ${channel}: ${error}: ${advice}`,
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

    /** The thread cannot go on where it is: all of it is told again under a new root. */
    async function startOver(posted: Record<string, Posted>, why: Refused): Promise<Outcome | null> {
      if (clock() - memory.startedOver < START_OVER_GAP) return blocked(home, 'root', why)
      memory.startedOver = clock()
      log.warn({ error: why.error }, 'the thread cannot go on where it is; it is posted again under a new root')
      for (const [key, one] of Object.entries(posted)) if (one.channel === home) await forget(key, one)
      return null
    }

    /** A message that cannot be edited any more makes room for a new one; the first root goes on holding the thread. */
    async function replace(message: Drawn, own: Posted, posted: Record<string, Posted>, why: Refused): Promise<null> {
      const { key } = message
      const due = (memory.replaced.get(key) ?? Number.NEGATIVE_INFINITY) + REPLACE_GAP
      if (running && due > clock()) {
        deferred.set(key, due)
        return null
      }
      memory.replaced.set(key, clock())
      log.warn({ key, error: why.error, ts: own.ts }, 'a message cannot be edited any more; a new one takes its place')
      if (message.thread || channelOf(message)) {
        if (own.ts && why.error !== 'message_not_found')
          memory.stale.set(key, { channel: own.channel, thread: null, ts: own.ts })
      } else if (!posted[ANCHOR]?.ts) await postbox.write(id, ANCHOR, own)
      await forget(key, own)
      return null
    }

    /** Slack said no: what now. Null means: go on at once. */
    async function refused(
      message: Drawn,
      hash: string,
      fault: Refused,
      posted: Record<string, Posted>,
      editing = false,
    ): Promise<Outcome | null> {
      const { error, detail } = fault
      const away = channelOf(message)
      const own = posted[message.key]
      if (editing && own && CANNOT_EDIT.includes(error)) {
        if (error === 'message_not_found' && !message.thread && !away) return startOver(posted, fault)
        return replace(message, own, posted, fault)
      }
      const moved = home !== configured && CHANNEL_GONE.includes(error)
      if (!away && (ROOT_GONE.includes(error) || moved)) return startOver(posted, fault)
      if (isAboutContent(fault) || (message.kind === 'file' && levelOf(hash) === 0 && isAboutFile(fault))) {
        const level = levelOf(hash) + 1
        memory.plainer.set(hash, level)
        const next = message.kind === 'file' || plainest(message, level) ? 'a plainer one is tried' : 'it is left out'
        log.error({ key: message.key, error, detail }, `Slack refused a message, ${next}: ${error}`)
        // What stands there has the buttons of before, and nothing will ever take its place.
        if (editing && own?.ts && !plainest(message, level) && (message.thread || away))
          await send.remove(own.channel, own.ts)
        return null
      }
      return away ? putOff(message, hash, fault) : blocked(home, message.key, fault)
    }

    /** Finds out what became of a post whose reply was lost. */
    async function readBack(
      message: Drawn,
      hash: string,
      at: Place,
      tried: Posted,
      posted: Record<string, Posted>,
      settled: boolean,
    ): Promise<Outcome | null> {
      const filename = message.kind === 'file' ? { filename: message.filename } : {}
      const wanted = { incident: id, key: message.key, hash: tried.hash, ...filename }
      const found = await send.find(at, tried.attemptedAt, wanted)
      if (!found.ok) {
        const { fault } = found
        if (fault.kind === 'limited') return { wait: fault.wait }
        if (fault.kind !== 'refused') return 'failed'
        if (channelOf(message)) return putOff(message, hash, fault)
        const moved = home !== configured && CHANNEL_GONE.includes(fault.error)
        if (moved) return startOver(posted, fault)
        if (ROOT_GONE.includes(fault.error)) {
          await forget(message.key, tried)
          return null
        }
        return blocked(at.channel, message.key, fault)
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

    /** What a message holds: a root that is not the thread's own says where the thread is. */
    async function contentOf(message: Drawn, content: Content, posted: Record<string, Posted>): Promise<Content> {
      const anchor = posted[ANCHOR]
      if (message.thread || channelOf(message) || !anchor?.ts || !content.blocks?.length) return content
      const url = await send.permalink(anchor.channel, anchor.ts)
      const where: KnownBlock = {
        type: 'rich_text',
        elements: [
          {
            type: 'rich_text_section',
            elements: [
              literal('This takes the place of an earlier message, '),
              link(url, 'which has the thread'),
              literal('.'),
            ],
          },
        ],
      }
      return { ...content, blocks: [...content.blocks, where] }
    }

    /** Takes away what was replaced, so that no button of it is left; a press of it counts for nothing all the same. */
    async function clearAway(key: string): Promise<void> {
      const old = memory.stale.get(key)
      if (!old) return
      memory.stale.delete(key)
      const gone = await send.remove(old.channel, old.ts)
      if (!gone.ok)
        log.info({ key, ts: old.ts, fault: gone.fault }, 'a replaced message stays; its buttons are refused')
    }

    /** Posts a message, with a note of the attempt before it and of the ts after it. */
    async function post(
      message: Drawn,
      hash: string,
      at: Place,
      posted: Record<string, Posted>,
    ): Promise<Outcome | null> {
      const mark = { incident: id, key: message.key, hash }
      const plain = plainest(message, levelOf(hash))!
      let file = ''
      if (message.kind === 'file' && plain === 'file') {
        const staged = await send.stage(message)
        if (!staged.ok)
          return staged.fault.kind === 'refused' ? refused(message, hash, staged.fault, posted) : waitFor(staged.fault)
        if (!(await lease.renew())) return { wait: BUSY }
        file = staged.value
      }
      const content = plain === 'file' ? null : await contentOf(message, plain, posted)
      const tried: Posted = { channel: at.channel, ts: null, hash, attemptedAt: clock() }
      await postbox.write(id, message.key, tried)
      const sent =
        content === null && message.kind === 'file'
          ? await send.share(at, { id: file, title: message.title, comment: message.text })
          : await send.post(at, content!, mark)
      slot = false
      if (sent.ok) {
        await postbox.write(id, message.key, { ...tried, ts: sent.value ?? file })
        works(at.channel)
        memory.later.delete(laterKey(message, hash))
        await clearAway(message.key)
        return null
      }
      const { fault } = sent
      if (fault.kind === 'failed' || fault.kind === 'lost') {
        log.warn({ key: message.key, err: fault.cause }, 'it is not known whether a message was posted; Slack is asked')
        return readBack(message, hash, at, tried, posted, fault.kind === 'failed')
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
      const { key } = message
      const plain = plainest(message, levelOf(hash)) as Content
      const content = await contentOf(message, plain, posted)
      const done = await send.edit(known.channel, known.ts!, content, { incident: id, key, hash })
      if (done.ok) {
        memory.edited.set(key, clock())
        await postbox.write(id, key, { ...known, hash })
        works(known.channel)
        return null
      }
      if (done.fault.kind === 'refused') return refused(message, hash, done.fault, posted, true)
      // What comes after it need not wait for it.
      if (done.fault.kind === 'limited') deferred.set(key, clock() + done.fault.wait)
      return done.fault.kind === 'limited' ? null : waitFor(done.fault)
    }

    for (;;) {
      const view = await look(id)
      if (!view) return 'shown'
      const posted = await postbox.read(id)
      running = view.incident.proposals.some((p) => p.status === 'running')
      const gap = running ? EDIT_GAP : 0
      const now = clock()
      let later = Number.POSITIVE_INFINITY
      let putOffs = 0
      let todo: { message: Drawn; hash: string; known: Posted | undefined } | null = null
      const drawn = view.drawn.flatMap((one) =>
        one.kind === 'file' && levelOf(hashOf(one)) > 0 ? asMessages(one) : [one],
      )
      for (const message of drawn) {
        const { key } = message
        const hash = hashOf(message)
        const known = posted[key]
        if (known?.hash === hash && known.ts !== null) continue
        if (plainest(message, levelOf(hash)) === null) continue
        if ((memory.later.get(laterKey(message, hash)) ?? 0) > now) {
          putOffs += 1
          continue
        }
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
        // The next round comes back to what was put off.
        if (putOffs === 0) await postbox.setRendered(id, view.mark)
        return 'shown'
      }

      const { message, hash, known } = todo
      const root = posted[view.drawn[0]!.key]
      const anchor = posted[ANCHOR]?.ts ? posted[ANCHOR] : root
      configured = deps.channelOf(view.incident)
      home = anchor?.ts ? anchor.channel : configured
      const channel = channelOf(message) ?? home
      const at: Place = { channel, thread: message.thread ? (anchor?.ts ?? null) : null }
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
          ? await readBack(message, hash, { ...at, channel: known!.channel }, known!, posted, false)
          : await edit(message, hash, known!, posted)
      if (outcome !== null) return outcome
    }
  }
}

type Refused = Extract<Fault, { kind: 'refused' }>
const waitFor = (fault: Fault): Outcome => (fault.kind === 'limited' ? { wait: fault.wait } : 'failed')
