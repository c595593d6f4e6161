import { type Figure, type Figures, type Metric, MINUTES } from './figures.ts'

/** A number that is more than nothing is never shown as 0. */
export const exact = (value: number): string =>
  value > 0 && value < 0.01 ? 'under 0.01' : String(Math.round(value * 100) / 100)

/** For a cell: units a second. */
export function showPeak(one: Figure): string {
  if (one.kind !== 'figures') return one.kind === 'none' ? 'no figures' : 'not read'
  return `${one.whole ? '' : 'at least '}${exact(one.peak)} at ${one.at}`
}

/** For a cell: how many events, and the worst minute of them. */
export function showEvents(one: Figure): string {
  if (one.kind !== 'figures') return showPeak(one)
  const all = `${one.whole ? '' : 'at least '}${exact(one.sum)}`
  return one.sum === 0 ? all : `${all}, up to ${exact(one.peak)}/s at ${one.at}`
}

const NAMES: Readonly<Record<Metric, string>> = {
  ...{ consumedRead: 'reads consumed', consumedWrite: 'writes consumed' },
  ...{ throttledReads: 'reads throttled', throttledWrites: 'writes throttled' },
}

/** What there is to say of the figures besides themselves, as sentences. */
export function remarks(found: Figures): string {
  const all: [string, Figure][] = [
    ...(Object.entries(found.table) as [Metric, Figure][]).map(([m, one]): [string, Figure] => [NAMES[m], one]),
    ...Object.entries(found.indexes).flatMap(([index, place]) =>
      (Object.entries(place) as [Metric, Figure][]).map(([m, one]): [string, Figure] => [
        `${NAMES[m]} of ${index}`,
        one,
      ]),
    ),
    ...Object.entries(found.requests).map(([operation, one]): [string, Figure] => [`throttled ${operation}`, one]),
  ]
  const listed = (names: readonly string[]) =>
    names.length > 6 ? `${names.slice(0, 6).join(', ')} and ${names.length - 6} more` : names.join(', ')
  const unread = all.filter(([, one]) => one.kind === 'unread')
  const parts = all.filter(([, one]) => one.kind === 'figures' && !one.whole)
  const whys = [...new Set(unread.map(([, one]) => (one.kind === 'unread' ? one.why : '')))]
  const throttled = Object.entries(found.requests).filter(([, one]) => one.kind === 'figures' && one.sum > 0)
  const isEmpty = all.every(([, one]) => one.kind !== 'figures')
  return [
    isEmpty
      ? `CloudWatch has no figures of the last ${MINUTES} minutes that could be read. That does not mean 0.`
      : `CloudWatch, last ${MINUTES} minutes: the highest minute by the second. Shorter bursts do not show, and the last minutes may come later. "No figures" does not mean 0.`,
    ...(throttled.length > 0
      ? [`Throttled requests: ${throttled.map(([operation, one]) => `${operation} ${showEvents(one)}`).join('; ')}.`]
      : []),
    ...(unread.length > 0
      ? [`CloudWatch could not read ${listed(unread.map(([name]) => name))} (${whys.slice(0, 3).join('; ')}).`]
      : []),
    ...(parts.length > 0 ? [`Not whole, there may be more: ${listed(parts.map(([name]) => name))}.`] : []),
    ...(found.messages.length > 0 ? [`CloudWatch says: ${found.messages.slice(0, 3).join('; ')}.`] : []),
  ].join('\n')
}
