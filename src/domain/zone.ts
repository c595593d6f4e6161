/** Whether this is the name of an IANA time zone, such as Europe/Paris. */
export function isTimeZone(zone: string): boolean {
  // An offset such as +01:00 is a zone to Intl, and never changes its clocks.
  if (!/^[A-Za-z]/.test(zone)) return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return true
  } catch {
    return false
  }
}

const DAY = 86_400_000
const formats = new Map<string, Intl.DateTimeFormat>()

/** What the clocks of a zone show at a time, as the milliseconds at which UTC's clocks show the same. */
export function wallOf(zone: string, now: number): number {
  const format =
    formats.get(zone) ??
    new Intl.DateTimeFormat('en-GB', {
      timeZone: zone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      hourCycle: 'h23',
      era: 'short',
    })
  formats.set(zone, format)
  const part = Object.fromEntries(format.formatToParts(now).map((p) => [p.type, Number(p.value)]))
  const seconds = Date.UTC(part.year!, part.month! - 1, part.day, part.hour, part.minute, part.second)
  return seconds + (((now % 1000) + 1000) % 1000)
}

/**
 * When the clocks of a zone show this (milliseconds as `wallOf` gives them). What they show twice is the first time; what they
 * leave out is as much later as they are put forward.
 */
export function instantOf(zone: string, wall: number): number {
  const offsetNear = (about: number) => wallOf(zone, about) - about
  const before = wall - offsetNear(wall - DAY)
  const after = wall - offsetNear(wall + DAY)
  const shown = [before, after].filter((instant) => wallOf(zone, instant) === wall)
  return shown.length > 0 ? Math.min(...shown) : before
}
