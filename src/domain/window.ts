import { z } from 'zod'
import { isTimeZone } from './zone.ts'

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const
const time = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'is not a time of day (HH:MM)')
const glob = z.string().min(1)

const Scope = {
  /** What the thread calls it. */
  name: z.string().min(1).max(100),
  /** Ids of commands; `*` stands for any letters: `airflow.*`. */
  commands: z.array(glob).min(1),
  /** Environments that it holds in; all if left out. */
  environments: z.array(z.string()).optional(),
  /** Parameters that the command must have, `*` as above; a list matches by any of its items. */
  params: z.record(z.string(), glob).default({}),
}

/** When changes of some kinds are refused: each week at the same time, or once. */
export const FreezeWindow = z.union(
  [
    z.strictObject({
      ...Scope,
      days: z
        .array(z.enum(DAYS))
        .min(1)
        .default([...DAYS]),
      from: time,
      /** Not after `from` means on the next day. */
      to: time,
      timeZone: z.string().refine(isTimeZone, 'is not an IANA time zone such as Europe/Paris').default('UTC'),
    }),
    z.strictObject({ ...Scope, start: z.iso.datetime({ offset: true }), end: z.iso.datetime({ offset: true }) }),
  ],
  { error: 'needs from and to (HH:MM, with days and timeZone if need be), or start and end (ISO times)' },
)
export type FreezeWindow = z.infer<typeof FreezeWindow>

/** What a plan would do, as far as a window asks. */
export type Doing = Readonly<{ command: string; environment: string; params: Readonly<Record<string, unknown>> }>

/** Between the names of several windows; people see it in quotation marks. */
const AND = '” and “'

/** What people call the limit of changes of one target. */
export const limitName = (most: number): string => `the limit of ${most} changes of one target an hour`

/**
 * The windows that a change falls into at a time (milliseconds), named in one text; null if none, or if all of them are
 * named in `overridden`, which is such a text. `more` holds what else holds it back, by names that people can override.
 */
export function windowOf(
  windows: readonly FreezeWindow[],
  doing: Doing,
  now: number,
  overridden: string | null = null,
  more: readonly string[] = [],
): string | null {
  const open = windows.filter((w) => concerns(w, doing) && isOpen(w, now)).map((w) => w.name)
  const names = new Set([...open, ...more])
  const asked = overridden?.split(AND) ?? []
  return [...names].every((name) => name === overridden || asked.includes(name)) ? null : [...names].join(AND)
}

const like = (pattern: string, text: string): boolean => {
  const parts = pattern.split('*')
  if (parts.length === 1) return pattern === text
  const [first = '', last = ''] = [parts[0], parts.at(-1)]
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > text.length - last.length) return false
    at = found + part.length
  }
  return true
}

function concerns(w: FreezeWindow, { command, environment, params }: Doing): boolean {
  const given = (name: string) => [Object.hasOwn(params, name) ? params[name] : []].flat().map(String)
  return (
    w.commands.some((c) => like(c, command)) &&
    (w.environments?.some((one) => environment.split(' + ').includes(one)) ?? true) &&
    Object.entries(w.params).every(([name, pattern]) => given(name).some((value) => like(pattern, value)))
  )
}

function isOpen(w: FreezeWindow, now: number): boolean {
  if ('start' in w) return Date.parse(w.start) <= now && now < Date.parse(w.end)
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: w.timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  })
  const parts = Object.fromEntries(format.formatToParts(now).map((p) => [p.type, p.value]))
  const today = DAYS.indexOf(parts.weekday?.toLowerCase() as (typeof DAYS)[number])
  const clock = `${parts.hour}:${parts.minute}`
  const on = (day: number) => w.days.includes(DAYS[(day + 7) % 7]!)
  if (w.from < w.to) return on(today) && w.from <= clock && clock < w.to
  return (on(today) && clock >= w.from) || (on(today - 1) && clock < w.to)
}
