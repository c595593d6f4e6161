import { z } from 'zod'
import type { Alert, Labels } from '../domain/alert.ts'
import { SourceAuth } from './auth.ts'
import { instant, normalise } from './normalise.ts'
import { follow, Pointer } from './pointer.ts'
import { defineSource, MAX_ALERTS, refuse, tooMany } from './source.ts'

/** A pointer into the alert, or a constant. */
const Value = z.union([Pointer, z.strictObject({ value: z.string() })], {
  error: 'must be a JSON Pointer such as /check/name, or { value: TEXT }',
})
const Scalar = z.union([z.string(), z.number(), z.boolean()]).transform(String)

const Settings = z.strictObject({
  kind: z.literal('generic'),
  auth: SourceAuth,
  /** Points to an array of alerts in the body; without it the body is one alert. All other pointers start at an alert. */
  alerts: Pointer.optional(),
  /** What stays the same from firing to resolved. Without it, the digest of the labels. */
  fingerprint: Pointer.optional(),
  status: z
    .strictObject({ pointer: Pointer, firing: z.array(Scalar).min(1), resolved: z.array(Scalar) })
    .refine((s) => !s.firing.some((v) => s.resolved.includes(v)), 'a value is both in firing and in resolved'),
  labels: z.record(z.string(), Value).refine((l) => Object.keys(l).length > 0, 'needs at least one label'),
  annotations: z.record(z.string(), Value).default({}),
  /** RFC 3339, or Unix time in seconds or milliseconds. */
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
    const items = settings.alerts === undefined ? [body] : follow(body, settings.alerts)
    if (!Array.isArray(items))
      return refuse(`alerts: an array is expected at "${settings.alerts}", there is ${nameOf(items)}`)
    if (items.length > MAX_ALERTS) return tooMany('alerts', items.length)
    const alerts: Alert[] = []
    for (const [index, item] of items.entries()) {
      const faults: string[] = []
      const found = read(item, settings, (fault) => faults.push(fault))
      if (faults[0] !== undefined) return refuse(`alert ${index}: ${faults[0]}`)
      alerts.push(normalise(found, origin))
      yield
    }
    return { ok: true, batch: { alerts, truncated: 0 } }
  },
})

function read(item: unknown, settings: z.output<typeof Settings>, fault: (text: string) => void) {
  const text = (field: string, pointer: string): string | undefined => {
    const value = follow(item, pointer)
    if (value === undefined || value === null) return undefined
    if (typeof value !== 'object') return String(value)
    if (field.startsWith('annotations.')) return JSON.stringify(value)
    fault(`${field}: a text, number or boolean is expected at "${pointer}", there is ${nameOf(value)}`)
  }
  const needed = (field: string, pointer: string): string => {
    const value = text(field, pointer)
    if (!value) fault(`${field}: there is nothing at "${pointer}"`)
    return value ?? ''
  }
  const record = (field: string, mapping: Record<string, z.output<typeof Value>>): Labels =>
    Object.fromEntries(
      Object.entries(mapping).flatMap(([name, from]) => {
        const value = typeof from === 'string' ? text(`${field}.${name}`, from) : from.value
        return value === undefined ? [] : [[name, value]]
      }),
    )
  const time = (field: string, pointer: string | undefined): string | null => {
    const value = pointer === undefined ? undefined : follow(item, pointer)
    if (value === undefined || value === null || value === '') return null
    if (typeof value === 'number' || z.iso.datetime({ offset: true }).safeParse(value).success)
      return instant(value as string | number)
    fault(`${field}: a time (RFC 3339, or Unix seconds or milliseconds) is expected at "${pointer}"`)
    return null
  }
  const { pointer, firing, resolved } = settings.status
  const status = needed('status', pointer)
  if (![...firing, ...resolved].includes(status))
    fault(`status: "${status.slice(0, 60)}" at "${pointer}" is neither in firing nor in resolved`)
  const labels = record('labels', settings.labels)
  if (settings.fingerprint === undefined && Object.keys(labels).length === 0)
    fault('labels: none of the pointers finds anything, so nothing tells this alert from another')
  return {
    fingerprint: settings.fingerprint === undefined ? '' : needed('fingerprint', settings.fingerprint),
    status: firing.includes(status) ? ('firing' as const) : ('resolved' as const),
    labels,
    annotations: record('annotations', settings.annotations),
    startsAt: time('startsAt', settings.startsAt),
    endsAt: time('endsAt', settings.endsAt),
    links: Object.entries(record('links', settings.links)).map(([title, url]) => ({ title, url })),
  }
}

const nameOf = (value: unknown): string =>
  value === undefined
    ? 'nothing'
    : value === null
      ? 'null'
      : Array.isArray(value)
        ? 'an array'
        : typeof value === 'object'
          ? 'an object'
          : `a ${typeof value}`
