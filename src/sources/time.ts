import { exactText } from '../domain/exact.ts'
import { cut } from './text.ts'

/** A time as a sender wrote it: `at` is null if there is none; `note` says what was guessed, or that nothing could be read. */
export type ReadTime = Readonly<{ at: string | null; note?: string }>

const DATE = String.raw`(\d{4})([-./]?)(\d\d)\2(\d\d)`
const CLOCK = String.raw`(\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?`
const ZONE = String.raw`(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?`
/** ISO 8601 as RFC 3339, AWS (`+0000`), databases (a blank for the T, no zone), Zabbix (`2026.03.14`) and others write it. */
const ISO = new RegExp(String.raw`^${DATE}(?:(?:T|\s+|_|(?=\d{6}$))${CLOCK}(?:\.\d+)?\s*${ZONE})?$`, 'i')
/** `20260314` and `20260314010008`: as Unix time they would be of 1970 and of 2612. */
const DIGITS_OF_A_DATE = /^\d{8}(\d{6})?$/
/** The zone once more, by name: Go prints `+0000 UTC`, Java `+01:00[Europe/Paris]`. */
const REPEATED = /([+-]\d\d:?\d\d|Z)(?: [A-Z]{3,5}(?: m=\S+)?|\[[^\]]*\])$/
const WEEKDAY = '(?:[A-Z][a-z]{2,8},? +)?'
const TIME = String.raw`(?<clock>\d\d:\d\d(?::\d\d)?)`
const NAMED_ZONE = String.raw`(?:GMT|UTC|Z)?(?<offset>[+-]\d{4})?`
/** With the month's name: HTTP and e-mail (`Sat, 14 Mar 2026 01:00:08 GMT`), `date` (`Sat Mar 14 01:00:08 UTC 2026`), JavaScript. */
const IN_WORDS = [
  String.raw`(?<day>\d{1,2})[ -](?<month>[A-Z][a-z]{2})[ -](?<year>\d{4}) ${TIME}(?<zone> ${NAMED_ZONE})?`,
  String.raw`(?<month>[A-Z][a-z]{2}) +(?<day>\d{1,2}) ${TIME}(?<zone> ${NAMED_ZONE})? (?<year>\d{4})`,
  String.raw`(?<month>[A-Z][a-z]{2}) +(?<day>\d{1,2}) (?<year>\d{4}) ${TIME}(?<zone> ${NAMED_ZONE})?(?: \(.*\))?`,
].map((form) => new RegExp(`^${WEEKDAY}${form}$`))

/**
 * Reads a time: ISO 8601 in the forms in use, or Unix time in seconds, milliseconds, microseconds or nanoseconds, as a number
 * or as text. Nothing, 0 and Go's zero time mean that there is none.
 */
export function readTime(value: unknown): ReadTime {
  if (value === null || value === undefined) return { at: null }
  const text = exactText(value)?.trim()
  if (text === '') return { at: null }
  if (text === undefined || text.length > 100) return unreadable(text ?? JSON.stringify(value))
  if (/^-?\d+(\.\d+)?([eE]\+?\d+)?$/.test(text) && !DIGITS_OF_A_DATE.test(text)) return unix(text)
  const iso = ISO.exec(text.replace(REPEATED, '$1'))
  if (!iso) return inWords(text)
  const [, year, , month, day, hour = '00', minute = '00', second = '00', fraction = '', zone] = iso
  if (!isDay(`${year}-${month}-${day}T00:00Z`, day)) return unreadable(text)
  const ms = `${fraction}000`.slice(0, 3)
  // A leap second has no place in Unix time.
  const clock = `${hour}:${minute}:${second === '60' ? '59' : second}.${ms}`
  return inZone(Date.parse(`${year}-${month}-${day}T${clock}${offset(zone)}`), zone, text)
}

function inWords(text: string): ReadTime {
  const found = IN_WORDS.map((form) => form.exec(text)?.groups).find((groups) => groups !== undefined)
  if (!found) return unreadable(text)
  const { day, month, year, clock, zone, offset = 'GMT' } = found
  const date = `${day} ${month} ${year}`
  return isDay(`${date} GMT`, day) ? inZone(Date.parse(`${date} ${clock} ${offset}`), zone, text) : unreadable(text)
}

/** JavaScript takes the 30th of February for the 2nd of March. */
const isDay = (date: string, day: string | undefined): boolean => new Date(date).getUTCDate() === Number(day)

function inZone(ms: number, zone: string | undefined, text: string): ReadTime {
  const read = inRange(ms, text)
  if (read.note || read.at === null || zone !== undefined) return read
  return { at: read.at, note: `“${cut(text)}” names no time zone: it was taken for UTC.` }
}

function offset(zone: string | undefined): string {
  const [, sign, hours, minutes = '00'] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone ?? '') ?? []
  return sign ? `${sign}${hours}:${minutes}` : 'Z'
}

/** The unit shows in the size: seconds stay below 1e11 until the year 5138. */
function unix(text: string): ReadTime {
  const value = Number(text)
  if (value === 0) return { at: null }
  const size = Math.abs(value)
  const ms = size < 1e11 ? value * 1e3 : size < 1e14 ? value : size < 1e17 ? value / 1e3 : value / 1e6
  // Half a microsecond makes up for what a fraction of a second loses as a double.
  return inRange(Math.floor(ms + 5e-4), text)
}

function inRange(ms: number, text: string): ReadTime {
  const date = new Date(ms)
  if (Number.isNaN(date.getTime())) return unreadable(text)
  const year = date.getUTCFullYear()
  // Go's zero time, and what comes near it in another zone.
  if (year <= 1) return { at: null }
  return year <= 9_999 ? { at: date.toISOString() } : unreadable(text)
}

const unreadable = (text: string): ReadTime => ({ at: null, note: `no time could be read from “${cut(text)}”.` })

/** What people are told of the times of an alert that could not be read, or not without a guess. */
export const notesOf = (startsAt: ReadTime, endsAt: ReadTime): string[] => [
  ...(startsAt.note === undefined
    ? []
    : [`startsAt: ${startsAt.note}${startsAt.at === null ? ' The time of receipt stands in its place.' : ''}`]),
  ...(endsAt.note === undefined ? [] : [`endsAt: ${endsAt.note}`]),
]
