import { z } from 'zod'
import type { Labels } from '../domain/alert.ts'
import { SourceAuth } from './auth.ts'
import { type Found, normalise } from './normalise.ts'
import { follow, Pointer } from './pointer.ts'
import { createReading, defineSource, MAX_ALERTS, refuse, tooMany } from './source.ts'
import { cut, hasParts, kindOf, textOf } from './text.ts'
import { notesOf, readTime } from './time.ts'

/** A pointer into the alert, or a constant. */
const Value = z.union([Pointer, z.strictObject({ value: z.string() })], {
  error: 'must be a JSON Pointer such as /check/name, or { value: TEXT }',
})
const Scalar = z
  .union([z.string(), z.number(), z.boolean()], { error: 'must be a text, a number, true or false' })
  .transform(String)

const Settings = z.strictObject({
  kind: z.literal('generic'),
  auth: SourceAuth,
  /** Points to an array of alerts in the body; without it the body is one alert. All other pointers start at an alert. */
  alerts: Pointer.optional(),
  /** What stays the same from firing to resolved. Without it, the digest of the labels. */
  fingerprint: Pointer.optional(),
  status: z
    .strictObject({
      pointer: Pointer,
      firing: z.array(Scalar).min(1, 'needs at least one value'),
      resolved: z.array(Scalar),
    })
    .refine((s) => !s.firing.some((v) => s.resolved.includes(v)), 'a value is both in firing and in resolved'),
  labels: z.record(z.string(), Value).refine((l) => Object.keys(l).length > 0, 'needs at least one label'),
  annotations: z.record(z.string(), Value).default({}),
  /** ISO 8601 in the forms in use, or Unix time in seconds, milliseconds, microseconds or nanoseconds, also as text. */
  startsAt: Pointer.optional(),
  endsAt: Pointer.optional(),
  /** Title to address. */
  links: z.record(z.string(), Value).default({}),
})

/** Any JSON, by a mapping in keyturn.yaml. */
export const generic = defineSource({
  kind: 'generic',
  settings: Settings,
  *decode(body, settings, origin) {
    const found = settings.alerts === undefined ? [body] : follow(body, settings.alerts)
    // Go and others write a list of nothing as null.
    const items = found === null ? [] : found
    if (!Array.isArray(items))
      return refuse(`alerts: an array is expected at "${settings.alerts}", there is ${kindOf(items)}`)
    if (items.length > MAX_ALERTS) return tooMany('alerts', items.length)
    const reading = createReading()
    for (const [index, item] of items.entries()) {
      const found = read(item, settings)
      if ('left' in found) reading.leaveOut(`alert ${index}: ${found.left}`, found.expected)
      else reading.add(normalise(found, origin))
      yield
    }
    return reading.end({ truncated: 0 })
  },
})

/** An alert as the mapping finds it, or why it is left out; `expected` if only its state is none that was listed. */
function read(item: unknown, settings: z.output<typeof Settings>): Found | { left: string; expected?: boolean } {
  const notes: string[] = []
  const text = (field: string, pointer: string): string | undefined => {
    const value = follow(item, pointer)
    if (hasParts(value) && !field.startsWith('annotations.'))
      notes.push(`${field}: there is ${kindOf(value)} at "${pointer}"; its JSON was taken.`)
    return textOf(value)
  }
  const record = (field: string, mapping: Record<string, z.output<typeof Value>>): Labels =>
    Object.fromEntries(
      Object.entries(mapping).flatMap(([name, from]) => {
        const value = typeof from === 'string' ? text(`${field}.${name}`, from) : from.value
        return value === undefined ? [] : [[name, value]]
      }),
    )
  const time = (pointer: string | undefined) => readTime(pointer === undefined ? null : follow(item, pointer))
  const { pointer, firing, resolved } = settings.status
  const status = textOf(follow(item, pointer))
  if (status === undefined) return { left: `status: there is nothing at "${pointer}"` }
  if (![...firing, ...resolved].includes(status))
    return {
      left: `status: "${cut(status)}" at "${pointer}" is neither in firing nor in resolved`,
      expected: true,
    }
  const labels = record('labels', settings.labels)
  const fingerprint = settings.fingerprint === undefined ? undefined : text('fingerprint', settings.fingerprint)
  // Labels that are written out are the same for all alerts.
  const telling = Object.keys(labels).some((name) => typeof settings.labels[name] === 'string')
  if (fingerprint === undefined && settings.fingerprint !== undefined) {
    if (!telling) return { left: `fingerprint: there is nothing at "${settings.fingerprint}"` }
    notes.push(`fingerprint: there is nothing at "${settings.fingerprint}"; the labels tell this alert from others.`)
  } else if (fingerprint === undefined && Object.keys(labels).length === 0)
    return { left: 'labels: none of the pointers finds anything, so nothing tells this alert from another' }
  const [startsAt, endsAt] = [time(settings.startsAt), time(settings.endsAt)]
  return {
    fingerprint: fingerprint ?? '',
    status: firing.includes(status) ? 'firing' : 'resolved',
    labels,
    annotations: record('annotations', settings.annotations),
    startsAt: startsAt.at,
    endsAt: endsAt.at,
    links: Object.entries(record('links', settings.links)).map(([title, url]) => ({ title, url })),
    notes: [...notes, ...notesOf(startsAt, endsAt)],
  }
}
