import { z } from 'zod'

/** Names to values, as a source sent them. Values are untrusted text. */
export const Labels = z.record(z.string(), z.string())
export type Labels = Readonly<z.infer<typeof Labels>>

/** One firing or resolved notification of a source, normalised. Times are ISO 8601 in UTC. */
export const Alert = z.object({
  source: z.string(),
  /** Stable for one alert of one source over its whole life. */
  fingerprint: z.string(),
  status: z.enum(['firing', 'resolved']),
  labels: Labels,
  annotations: Labels,
  startsAt: z.string(),
  endsAt: z.string().nullable(),
  links: z.array(z.object({ title: z.string(), url: z.string() })),
  /** The sender gave no time that can be read: `startsAt` is when it was first received. */
  undated: z.literal(true).optional(),
  /** The sender's own group that it last came with, such as Alertmanager's `groupKey`. */
  group: z.string().optional(),
})
export type Alert = Readonly<z.infer<typeof Alert>>

/** The annotation that tells people what was cut from an alert, or guessed about it. A sender's own of that name is dropped. */
export const WARNING = 'keyturn_warning'

/** What tells an alert from all others: two senders with equal labels give it the same fingerprint. */
export const alertKey = ({ source, fingerprint }: Pick<Alert, 'source' | 'fingerprint'>): string =>
  JSON.stringify([source, fingerprint])

/** What tells a sender's group from those of all other senders; without a group, the sender itself. */
export const groupKey = (source: string, group?: string): string =>
  JSON.stringify(group === undefined ? [source] : [source, group])

/** The sender's group that a whole request was about. */
export type SenderGroup = Readonly<{
  source: string
  key: string
  /** What its alerts have in common by the sender's configuration. */
  labels: Labels
  /** The sender says that nothing of it fires any more: also not what it left out. */
  over: boolean
}>

/** What one webhook request carried. */
export type Batch = Readonly<{
  alerts: readonly Alert[]
  /** How many alerts the source says that it left out. */
  truncated: number
  group?: SenderGroup
  /** What could not be stored of it, one sentence an alert; the others are in `alerts`. */
  unread?: readonly string[]
}>

/** A label or annotation; undefined if it is not there or empty, which is the same: https://prometheus.io/docs/concepts/data_model */
export const valueIn = (record: Labels, name: string): string | undefined =>
  Object.hasOwn(record, name) && record[name] !== '' ? record[name] : undefined

/** The names that have one and the same value in every given record. */
export function common(records: readonly Labels[]): Labels {
  const [first, ...rest] = records
  if (!first) return {}
  return Object.fromEntries(Object.entries(first).filter(([name, value]) => rest.every((r) => r[name] === value)))
}
