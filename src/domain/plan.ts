import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { z } from 'zod'

/** One thing that a change touches, as it is now. */
export const Target = z.object({
  /** Names the thing for good, connection included: `postgres:warehouse/pid/4711`. Two runs never hold the same one. */
  id: z.string(),
  /** What a person calls it. */
  name: z.string(),
  /** Changes whenever the thing is no longer the one that was shown: a pid's start time, an etag, a capacity. */
  fingerprint: z.string(),
  /** Real attributes read from the system, in the order to show them. */
  details: z.record(z.string(), z.string()),
})
export type Target = z.infer<typeof Target>

/**
 * What a change would do now. All of it is under the digest, so it holds nothing that changes by itself: absolute
 * times, no ages. `data` is the command's own (JSON), handed back to `run`, `verify` and `probe`.
 */
export const Plan = z.object({
  summary: z.string(),
  targets: z.array(Target).min(1),
  /** In order. `detail` shows the exact statement, call or argv. */
  steps: z.array(z.object({ id: z.string(), title: z.string(), detail: z.string().default('') })).min(1),
  warnings: z.array(z.string()),
  /** What a person may leave out: the parameter that takes the names, separated by commas, and the names. */
  leaveOut: z.object({ param: z.string(), names: z.array(z.string()) }).optional(),
  data: z.unknown(),
})
export type Plan<Data = unknown> = Readonly<Omit<z.infer<typeof Plan>, 'data'> & { data: Data }>

/** What a person decides on, and what the digest covers. */
export const Subject = z.object({
  incident: z.string(),
  proposal: z.string(),
  playbook: z.object({ id: z.string(), hash: z.string() }),
  step: z.string(),
  command: z.object({ id: z.string(), version: z.string() }),
  params: z.record(z.string(), z.unknown()),
  environment: z.string(),
  plan: Plan,
  /** Slack user id of who asked for the plan; null when the incident's opening did. */
  requestedBy: z.string().nullable(),
  requestedAt: z.iso.datetime(),
  /** Set when the run continues one whose end was not known: the steps that it will not do again. */
  resumes: z.object({ proposal: z.string(), done: z.array(z.string()) }).nullable(),
  /** The freeze window that is overridden, if one is. */
  override: z.string().optional(),
})
export type Subject = z.infer<typeof Subject>

/** SHA-256 over the canonical JSON (RFC 8785) of any JSON value, as `sha256:<hex>`. */
export function digest(value: unknown): string {
  const text = canonicalize(value)
  if (text === undefined) throw new TypeError('digest: not a JSON value')
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}

/** The short form that a card shows: twelve hex digits. */
export const shortDigest = (full: string): string => full.replace(/^sha256:/, '').slice(0, 12)
