import { z } from 'zod'
import type { Alert, Batch } from '../domain/alert.ts'
import { cut } from './text.ts'

/** A source's name in keyturn.yaml; it is the last part of its path, `/webhooks/<name>`. */
export const SourceName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a source name has 1 to 63 lowercase letters, digits and dashes')

/** The most alerts that one request may carry. A sender that has more sends them in several requests. */
export const MAX_ALERTS = 2_000

/** Which source a body came to, and when. */
export type Origin = Readonly<{ source: string; receivedAt: Date }>

/** A body read as alerts, or why it never will be: one sentence that names the path in the body. */
export type Decoded = Readonly<{ ok: true; batch: Batch }> | Readonly<{ ok: false; reason: string }>

/** How to read one kind of alert sender. `settings` is its part of keyturn.yaml and has at least `kind` and `auth`. */
export type SourceKind<Settings extends z.ZodObject = z.ZodObject> = Readonly<{
  kind: string
  settings: Settings
  /**
   * Pure. `body` is parsed JSON of any shape; must not throw on any of them. Yields after each alert, where a caller that
   * has others to serve may pause.
   */
  decode(body: unknown, settings: z.output<Settings>, origin: Origin): Generator<void, Decoded>
}>

/** Types a source kind; returns it as it is. */
export function defineSource<Settings extends z.ZodObject>(kind: SourceKind<Settings>): SourceKind<Settings> {
  return kind
}

/** The answer for a body that will never be read. */
export const refuse = (reason: string): Decoded => ({ ok: false, reason })

/** The answer for a body with more than MAX_ALERTS. */
export const tooMany = (path: string, count: number): Decoded =>
  refuse(`${path}: ${count} alerts in one request, at most ${MAX_ALERTS} are read; send fewer at a time`)

/** The alerts of one body as they are read: those that can be, and why each of the others was left out. */
export function createReading() {
  const alerts: Alert[] = []
  const unread: string[] = []
  let broken = 0
  return {
    add: (alert: Alert) => void alerts.push(alert),
    /** It was left out, in one sentence that names its place. `expected`: a sender may send such, and it is no fault. */
    leaveOut(why: string, expected = false): void {
      unread.push(cut(why, LONGEST_FAULT))
      if (!expected) broken++
    },
    /** The batch; a refusal if there are alerts and none of them can be read. */
    end(rest: Omit<Batch, 'alerts' | 'unread'>): Decoded {
      if (alerts.length === 0 && broken > 0)
        return refuse(broken === 1 ? unread[0]! : `none of ${broken} alerts can be read; the first: ${unread[0]}`)
      return { ok: true, batch: { alerts, ...rest, ...(unread.length === 0 ? {} : { unread }) } }
    },
  }
}

/** Characters of one sentence about what could not be read. */
const LONGEST_FAULT = 300
