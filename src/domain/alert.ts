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
})
export type Alert = Readonly<z.infer<typeof Alert>>

/** What one webhook request carried. `truncated` counts the alerts that the source says it left out. */
export type Batch = Readonly<{ alerts: readonly Alert[]; truncated: number }>

/** The names that have one and the same value in every given record. */
export function common(records: readonly Labels[]): Labels {
  const [first, ...rest] = records
  if (!first) return {}
  return Object.fromEntries(Object.entries(first).filter(([name, value]) => rest.every((r) => r[name] === value)))
}
