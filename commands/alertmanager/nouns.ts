import { z } from 'zod'
import { type ReadContext, Refused } from '../../src/domain/command.ts'
import type { Api } from '../http/api.ts'

const Matcher = z.object({
  name: z.string(),
  value: z.string(),
  isRegex: z.boolean(),
  isEqual: z.boolean().default(true),
})

/** A silence as Alertmanager has it; it keeps those that have ended for some days. Times are ISO 8601. */
export const Silence = z.object({
  id: z.string(),
  status: z.object({ state: z.enum(['active', 'pending', 'expired']) }),
  matchers: z.array(Matcher),
  startsAt: z.string(),
  endsAt: z.string(),
  createdBy: z.string(),
  comment: z.string().default(''),
})
export type Silence = z.infer<typeof Silence>

const Alert = z.object({ fingerprint: z.string(), labels: z.record(z.string(), z.string()) })
type Labels = Readonly<Record<string, string>>

async function list<T>(schema: z.ZodType<T>, path: string, api: Api, { signal }: ReadContext): Promise<T[]> {
  const { status, value } = await api.ask('GET', `/api/v2/${path}`, signal)
  if (status !== 200)
    throw new Refused(`Alertmanager answered ${status} to GET ${path}: ${JSON.stringify(value).slice(0, 200)}`)
  return z.array(schema).parse(value)
}

/** Every silence, those that have ended included, the next to end first. */
export const silencesOf = async (api: Api, ctx: ReadContext): Promise<Silence[]> =>
  (await list(Silence, 'silences', api, ctx)).sort(
    (a, b) => a.endsAt.localeCompare(b.endsAt) || a.id.localeCompare(b.id),
  )

/** The alerts that fire, with all of these labels, in the order of their fingerprints. */
export const firing = async (api: Api, labels: Labels, ctx: ReadContext) =>
  (await list(Alert, 'alerts?active=true&silenced=false&inhibited=false', api, ctx))
    .filter((alert) => Object.entries(labels).every(([name, value]) => alert.labels[name] === value))
    .sort((a, b) => a.fingerprint.localeCompare(b.fingerprint))

/** The labels of `name=value` lines. Throws Refused when one is no label, or is there twice. */
export function readLabels(lines: readonly string[]): Record<string, string> {
  const labels = new Map<string, string>()
  for (const line of lines) {
    const [, name, value] = /^([a-zA-Z_][a-zA-Z0-9_]*)=(.{1,500})$/u.exec(line.trim()) ?? []
    if (!name || !value) throw new Refused(`${JSON.stringify(line.slice(0, 100))} is not label=value.`)
    if (labels.has(name)) throw new Refused(`The label ${name} is there twice.`)
    labels.set(name, value)
  }
  return Object.fromEntries([...labels].sort(([a], [b]) => (a < b ? -1 : 1)))
}

export const shownMatchers = (matchers: readonly z.infer<typeof Matcher>[]): string =>
  matchers
    .map((m) => `${m.name}${m.isEqual ? '=' : '!'}${m.isRegex ? '~' : m.isEqual ? '' : '='}"${m.value}"`)
    .join(', ')

/** Whether a silence has just these labels to match, each as a whole. */
export const isExactly = (silence: Silence, labels: Labels): boolean =>
  silence.matchers.length === Object.keys(labels).length &&
  silence.matchers.every((m) => m.isEqual && !m.isRegex && labels[m.name] === m.value)
