import { z } from 'zod'
import { type ReadContext, Refused } from '../../src/domain/command.ts'
import type { Api } from '../http/api.ts'
import { shaped, text } from '../http/shape.ts'

const Matcher = z.object({
  name: z.string(),
  value: z.string(),
  isRegex: z.boolean(),
  isEqual: z
    .boolean()
    .nullish()
    .transform((is) => is ?? true),
})

/** A silence as Alertmanager has it; it keeps those that have ended for some days. Times are ISO 8601. */
export const Silence = z.object({
  id: z.string(),
  status: z.object({ state: z.string() }),
  matchers: z.array(Matcher),
  startsAt: z.string(),
  endsAt: z.string(),
  createdBy: text,
  comment: text,
})
export type Silence = z.infer<typeof Silence>

const STATES = ['active', 'pending', 'expired']
/** How a silence stands, said of it. */
export const stateOf = ({ status: { state } }: Pick<Silence, 'status'>): string =>
  STATES.includes(state) ? state : `unknown: ${state.slice(0, 40)}`

const Alert = z.object({ fingerprint: z.string(), labels: z.record(z.string(), z.string()) })
type Labels = Readonly<Record<string, string>>

async function list<T>(schema: z.ZodType<T>, path: string, api: Api, { signal }: ReadContext): Promise<T[]> {
  const { status, value } = await api.ask('GET', `/api/v2/${path}`, signal)
  const [what] = path.split('?', 1)
  if (status !== 200)
    throw new Refused(`Alertmanager answered ${status} to GET ${what}: ${JSON.stringify(value).slice(0, 200)}`)
  return shaped(z.array(schema), value, `Alertmanager, asked for its ${what},`)
}

/** Every silence, those that have ended included, the next to end first. */
export const silencesOf = async (api: Api, ctx: ReadContext): Promise<Silence[]> =>
  (await list(Silence, 'silences', api, ctx)).sort(
    (a, b) => a.endsAt.localeCompare(b.endsAt) || a.id.localeCompare(b.id),
  )

/**
 * A matcher as a `filter` takes it. Names beyond letters, digits and `_` are quoted, which Alertmanager reads since 0.27:
 * https://prometheus.io/docs/alerting/latest/configuration/#label-matchers.
 */
const filterOf = ([name, value]: [string, string]): string => {
  const quoted = (raw: string) => `"${raw.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
  return `${/^[a-zA-Z_]\w*$/.test(name) ? name : quoted(name)}=${quoted(value)}`
}

/** The alerts that fire, with all of these labels, in the order of their fingerprints. Others are not even asked for. */
export const firing = async (api: Api, labels: Labels, ctx: ReadContext) => {
  const filters = Object.entries(labels).map((entry) => `&filter=${encodeURIComponent(filterOf(entry))}`)
  return (await list(Alert, `alerts?active=true&silenced=false&inhibited=false${filters.join('')}`, api, ctx))
    .filter((alert) => Object.entries(labels).every(([name, value]) => alert.labels[name] === value))
    .sort((a, b) => a.fingerprint.localeCompare(b.fingerprint))
}

/** The labels of `name=value` lines, names with dots and slashes included. Throws Refused when one is no label, or is there twice. */
export function readLabels(lines: readonly string[]): Record<string, string> {
  const labels = new Map<string, string>()
  for (const line of lines) {
    const [, name, value] = /^([a-zA-Z_][\w./:-]*)=(.{1,500})$/u.exec(line.trim()) ?? []
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
