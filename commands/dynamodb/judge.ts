import type { Figure, Figures, Metric } from './figures.ts'
import { exact } from './remarks.ts'
import type { Table } from './table.ts'

/** What an alert measured: units a second, and how many were throttled. */
export type Measured = Readonly<{ table: string } & Partial<Record<Metric, number>>>

/** Writes and reads a second that one partition takes: "DynamoDB burst and adaptive capacity". */
const PARTITION = { read: 3_000, write: 1_000 }

/** The higher of what the alert and CloudWatch say, `text` with its source where that is CloudWatch. */
type Known = Readonly<{ value: number; text: string }> | null
const higher = (given: number | undefined, one: Figure | undefined, of: 'peak' | 'sum'): Known => {
  const seen = one?.kind === 'figures' ? one : null
  if (seen && (given === undefined || seen[of] > given))
    return { value: seen[of], text: `${exact(seen[of])}${of === 'peak' ? ` at ${seen.at}` : ''}` }
  return given === undefined ? null : { value: given, text: String(given) }
}

/** One sentence or two: does the table use all it has, is it throttled, and what may be behind it. `found` is null where nobody was asked. */
export function summarise(
  m: Measured,
  { onDemand, onDemandMax, units }: Table,
  found: Figures | string | null,
): string {
  const name = `Table ${m.table}`
  const seen = found !== null && typeof found !== 'string' ? found.table : undefined
  const consumed = {
    read: higher(m.consumedRead, seen?.consumedRead, 'peak'),
    write: higher(m.consumedWrite, seen?.consumedWrite, 'peak'),
  }
  const throttled = {
    read: higher(m.throttledReads, seen?.throttledReads, 'sum'),
    write: higher(m.throttledWrites, seen?.throttledWrites, 'sum'),
  }
  const kinds = ['read', 'write'] as const
  const refused = kinds.flatMap((kind) => (throttled[kind]?.value ? [`${throttled[kind].text} ${kind}s`] : []))
  const indexes = found !== null && typeof found !== 'string' ? Object.entries(found.indexes) : []
  const held = indexes.filter(([, { throttledReads: r, throttledWrites: w }]) =>
    [r, w].some((one) => one.kind === 'figures' && one.sum > 0),
  )
  const ofIndexes = held.length > 0 ? ` Throttled as well: the index ${held.map(([index]) => index).join(', ')}.` : ''
  const unknown =
    found !== null && kinds.every((kind) => consumed[kind] === null)
      ? ` What is consumed is not known: CloudWatch ${typeof found === 'string' ? 'could not be asked' : 'has no figures'}.`
      : ''

  if (onDemand) {
    const max = onDemandMax.write
    const also = refused.length > 0 ? ` It throttled ${refused.join(' and ')}.` : ''
    if (max === null)
      return `${name} is billed on demand: there is no provisioned capacity to raise.${also}${ofIndexes}${unknown}`
    const reached = consumed.write !== null && consumed.write.value >= max
    return `${name} is billed on demand, with a maximum of its own of ${max} write units a second${reached ? `, which is reached (${consumed.write!.text})` : ''}. Its owner can raise it.${also}${ofIndexes}${unknown}`
  }
  const over = kinds.flatMap((kind) =>
    consumed[kind] && consumed[kind].value >= units[kind]
      ? [`${kind}s (${consumed[kind].text} of ${units[kind]})`]
      : [],
  )
  if (over.length > 0) return `${name} uses all that is provisioned: ${over.join(' and ')}.${ofIndexes}`
  // Well below what is provisioned, and throttled all the same: one key, or one partition, takes it all.
  const hot = kinds.filter(
    (kind) => consumed[kind] !== null && throttled[kind]?.value && consumed[kind].value < units[kind] / 2,
  )
  const hint =
    hot.length > 0
      ? ` Less than half of that is used: a hot key or an index holds it back${seen ? ', or it comes in bursts of seconds' : ''}. A partition takes ${hot.map((kind) => `${PARTITION[kind]} ${kind} units`).join(' and ')} a second, however much is provisioned.`
      : ''
  if (refused.length > 0)
    return `${name} throttled ${refused.join(' and ')}; ${units.read} read and ${units.write} write units are provisioned.${hint}${ofIndexes}${unknown}`
  const most = seen
    ? kinds.flatMap((kind) => (consumed[kind] ? [`${consumed[kind].text} ${kind} units`] : [])).join(' and ')
    : ''
  return `${name} has ${units.read} read and ${units.write} write units provisioned.${most && ` At most ${most} a second are consumed.`}${ofIndexes}${unknown}`
}
