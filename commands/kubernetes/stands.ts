import { Refused, Unanswered } from '../../src/domain/command.ts'
import { Answered } from './client.ts'
import type { Condition } from './resources.ts'

/** `wrong`: somebody must look. `unknown`: it cannot be told. `open`: on its way, or held back on purpose. */
export type Level = 'wrong' | 'unknown' | 'open' | 'well'
const ORDER: readonly Level[] = ['wrong', 'unknown', 'open', 'well']
const MARKS: Readonly<Record<Level, string>> = { wrong: '⚠ ', unknown: '? ', open: '', well: '' }

/** How a thing is, and why. */
export type Stand = Readonly<{ level: Level; says: string }>

/** One thing as a card shows it; `cells` are those between its name and its state. */
export type Row = Readonly<{ name: string; cells: readonly string[]; stand: Stand }>

/** All that was found of one thing, the worst first; `well` if nothing was. */
export function standOf(found: readonly Stand[], well: string): Stand {
  const sorted = found.toSorted((a, b) => ORDER.indexOf(a.level) - ORDER.indexOf(b.level))
  if (sorted.length === 0) return { level: 'well', says: well }
  return { level: sorted[0]!.level, says: [...new Set(sorted.map(({ says }) => says))].join('; ') }
}

/** In one line, and cut. */
export const brief = (text: string, most = 160): string => text.replace(/\s+/g, ' ').trim().slice(0, most)

/** What a condition stands for when its status is `bad`; null where it says nothing by itself. */
export type Meaning = Readonly<{ bad: 'True' | 'False'; level: Level; says: string }> | null

/** What conditions say. A type or a status that is not known is said as that: it is no all-clear. */
export function conditionsOf(
  conditions: readonly Condition[] | null | undefined,
  meaningOf: (type: string) => Meaning | undefined,
): Stand[] {
  return (conditions ?? []).flatMap(({ type, status, reason, message }): Stand[] => {
    const meaning = meaningOf(type)
    const words = [reason, message].filter(Boolean).join(': ')
    const why = words && ` (${brief(words)})`
    if (meaning === undefined)
      return [
        { level: 'unknown', says: `unknown condition: ${type || 'without a name'} is ${status || 'empty'}${why}` },
      ]
    if (status !== 'True' && status !== 'False')
      return [
        { level: 'unknown', says: `${type} is unknown${status && status !== 'Unknown' ? `: ${status}` : ''}${why}` },
      ]
    return meaning?.bad === status ? [{ level: meaning.level, says: `${meaning.says}${why}` }] : []
  })
}

/** What one part of a look gave; `why` it cannot be told, else. */
export type Part<T> = Readonly<{ got: T; why: null } | { got: null; why: string; error: unknown }>

/** Looks at one part, so that one that cannot be looked at does not lose the others. */
export async function partOf<T>(signal: AbortSignal, look: () => Promise<T>): Promise<Part<T>> {
  try {
    return { got: await look(), why: null }
  } catch (error) {
    if (signal.aborted || error instanceof Refused) throw error
    return { got: null, why: whyOf(error), error }
  }
}

/** Why a part cannot be told, in half a sentence. */
export function whyOf(error: unknown): string {
  if (error instanceof Answered)
    return `the cluster answered ${error.status}${error.status === 403 ? ', so the token has no right to look' : ''}`
  return error instanceof Unanswered ? 'no answer came' : 'its answer is not of its kind'
}

/** The worst first, and those that are alike in the order that they came in. */
export const worstFirst = (rows: readonly Row[]): Row[] =>
  rows.toSorted((a, b) => ORDER.indexOf(a.stand.level) - ORDER.indexOf(b.stand.level))

/** Its state as a cell. */
export const stateCell = ({ level, says }: Stand): string => `${MARKS[level]}${says}`

/** What is said of one that could not be looked at; the summary says why. */
export const UNTOLD = 'cannot be told'
const NAMED = 3

/** What could not be looked at first, then how many are not well, and the first of them by name. */
export function summaryOf(what: string, where: string, rows: readonly Row[], untold: readonly string[]): string {
  const of = (level: Level) => rows.filter(({ stand }) => stand.level === level)
  const [wrong, unknown, open] = [of('wrong'), of('unknown'), of('open')]
  const named = (some: readonly Row[]) =>
    some
      .filter(({ stand }) => stand.says !== UNTOLD)
      .slice(0, NAMED)
      .map(({ name, stand }) => ` ${name}: ${brief(stand.says, 200)}.`)
      .join('')
  const counted = `${wrong.length} of ${rows.length} ${what} in ${where} are not well.${named(wrong)}`
  return [
    ...untold,
    ...(wrong.length === 0 && unknown.length > 0 ? [] : [counted]),
    ...(unknown.length > 0
      ? [`${unknown.length} of ${rows.length} ${what} in ${where} cannot be told.${named(unknown)}`]
      : []),
    ...(open.length > 0 ? [`${open.length} on the way or held back.`] : []),
  ].join(' ')
}
