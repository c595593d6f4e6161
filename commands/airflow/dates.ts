import type { DagRun } from './nouns.ts'

/** Whether two texts name the same moment to the microsecond, which is as fine as Airflow keeps them. */
export const sameMoment = (a: string, b: string): boolean =>
  a === b || (microsOf(a) !== null && microsOf(a) === microsOf(b))

/** Microseconds since 1970, or null for a text that is no moment. */
export function microsOf(text: string): bigint | null {
  const [, whole, part = '', zone = 'Z'] =
    /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?(Z|[+-]\d\d:\d\d)?$/.exec(text) ?? []
  if (whole === undefined) return null
  return BigInt(Date.parse(`${whole}${zone}`)) * 1000n + BigInt(part.padEnd(6, '0'))
}

/** As Airflow takes it: ISO 8601 with microseconds where there are any. */
export function momentOf(micros: bigint): string {
  const whole = new Date(Number(micros / 1_000_000n) * 1000).toISOString().slice(0, 19)
  const part = micros % 1_000_000n
  return `${whole}${part === 0n ? '' : `.${String(part).padStart(6, '0')}`}Z`
}

/** A date as people say it: the day alone where it begins at midnight. */
export function dayOf(text: string): string {
  const micros = microsOf(text)
  if (micros === null) return text || 'no date'
  return momentOf(micros)
    .replace(/T00:00:00Z$/, '')
    .replace(/:00Z$/, 'Z')
}

/** What a run processes as its details show it. */
export const dateDetails = (run: DagRun): Record<string, string> => ({
  Processes: dayOf(run.logicalDate),
  ...(run.intervalStart && { Interval: `${dayOf(run.intervalStart)} to ${dayOf(run.intervalEnd)}` }),
})
