import { Refused } from '../../src/domain/command.ts'
import { type ExactNumber, isExactNumber } from '../../src/domain/exact.ts'
import { NOT_A_NUMBER, parseVerbatim } from './answer.ts'
import type { Settings } from './connection.ts'
import { line } from './show.ts'

/** The conf of a run. Its numbers keep their digits: `ExactNumber` where a double would write them otherwise. */
export type Conf = Readonly<Record<string, unknown>>

/** Reads a conf that a person typed, or that a plan keeps. Refuses what is not a JSON object. */
export function confOf(text: string): Conf {
  let read: unknown
  try {
    read = parseVerbatim(text)
  } catch {
    // Said below.
  }
  if (typeof read !== 'object' || read === null || Array.isArray(read) || isExactNumber(read))
    throw new Refused(`The conf is not a JSON object: ${line(text, 100)}`)
  return sendable(read as Conf)
}

/** Refuses a conf that JSON cannot carry as it is: Python's NaN. */
export function sendable(conf: Conf): Conf {
  if (JSON.stringify(conf).includes(JSON.stringify(NOT_A_NUMBER)))
    throw new Refused(
      'The conf holds NaN, which JSON does not have: it cannot be handed on as it is. Start the run by hand.',
    )
  return conf
}

const sorted = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(sorted)
    : typeof value === 'object' && value !== null && !isExactNumber(value)
      ? Object.fromEntries(
          Object.entries(value)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([key, inner]) => [key, sorted(inner)]),
        )
      : value

/** One text for one conf, digit by digit, whatever the order of its keys. */
export const confText = (conf: Conf): string => JSON.stringify(sorted(conf))
export const sameConf = (a: Conf, b: Conf): boolean => confText(a) === confText(b)

const numberIn = (value: unknown): number | undefined =>
  typeof value === 'number' ? value : isExactNumber(value) ? Number((value as ExactNumber).rawJSON) : undefined

/** Each key of the conf as it was and will be. Refuses keys that the connection does not list, and numbers above theirs. */
export function describeConf(
  settings: Settings,
  dag: string,
  before: Conf,
  set: Conf,
  after: Conf,
): Record<string, string> {
  const allowed = Object.hasOwn(settings.trigger, dag) ? settings.trigger[dag] : undefined
  if (!allowed)
    throw new Refused(
      `The connection does not list the DAG "${dag}" under trigger. It lists: ${Object.keys(settings.trigger).sort().join(', ') || 'none'}.`,
    )
  const show = (conf: Conf, key: string) =>
    Object.hasOwn(conf, key) ? line(JSON.stringify(conf[key]), 100) : 'not set'
  const details: Record<string, string> = {}
  for (const key of Object.keys(after).sort()) {
    const value = numberIn(after[key])
    const ceiling = Object.hasOwn(allowed.numbers, key) ? allowed.numbers[key] : undefined
    if (ceiling !== undefined) {
      if (value === undefined || !(value > 0))
        throw new Refused(`${key} must be a number above 0, and is ${show(after, key)}.`)
      if (value > ceiling)
        throw new Refused(
          `${key} ${show(after, key)} is above the ceiling of ${ceiling} for ${dag}. Ask the owner of the connection to raise it.`,
        )
    } else if (Object.hasOwn(set, key) && !(allowed.texts.includes(key) && typeof after[key] === 'string'))
      throw new Refused(
        `The connection does not allow to set "${key}" for ${dag}. It allows: ${[...Object.keys(allowed.numbers), ...allowed.texts].sort().join(', ') || 'nothing'}.`,
      )
    const limit = ceiling === undefined ? '' : ` (ceiling ${ceiling})`
    details[key] = `${show(before, key)} → ${show(after, key)}${limit}`
  }
  return details
}
