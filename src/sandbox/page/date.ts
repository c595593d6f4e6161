const DAY = 86_400_000

/** The clock time of a moment, as Slack shows it beside a message: 02:14. */
export function clockOf(at: Date): string {
  return new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' }).format(at)
}

/** The day of a moment as a person says it: Today, Yesterday, or Friday, 20 November. */
export function dayOf(at: Date, now: Date): string {
  const midnight = (date: Date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime()
  const days = Math.round((midnight(now) - midnight(at)) / DAY)
  if (days === 0) return 'Today'
  if (days === 1) return 'Yesterday'
  return new Intl.DateTimeFormat('en-GB', { weekday: 'long', day: 'numeric', month: 'long' }).format(at)
}

/** How long ago a moment was, in one unit: 3 minutes ago. */
export function agoOf(at: Date, now: Date): string {
  const seconds = Math.round((at.getTime() - now.getTime()) / 1000)
  const format = new Intl.RelativeTimeFormat('en-GB', { numeric: 'auto' })
  const size = Math.abs(seconds)
  if (size < 60) return format.format(seconds, 'second')
  if (size < 3600) return format.format(Math.trunc(seconds / 60), 'minute')
  if (size < 86_400) return format.format(Math.trunc(seconds / 3600), 'hour')
  return format.format(Math.trunc(seconds / 86_400), 'day')
}

/**
 * Slack's date tokens ({date}, {date_short_pretty}, {time}, {ago}, …) of a format string filled in.
 * https://docs.slack.dev/messaging/formatting-message-text#date-formatting
 */
export function formatDate(at: Date, format: string, now: Date): string {
  const day = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat('en-GB', options).format(at)
  const pretty = (options: Intl.DateTimeFormatOptions) => {
    const said = dayOf(at, now)
    return said === 'Today' || said === 'Yesterday' ? said.toLowerCase() : day(options)
  }
  const long = { day: 'numeric', month: 'long', year: 'numeric' } as const
  const short = { day: 'numeric', month: 'short', year: 'numeric' } as const
  const tokens: Record<string, () => string> = {
    date_num: () => at.toISOString().slice(0, 10),
    date_slash: () => day({ day: '2-digit', month: '2-digit', year: 'numeric' }),
    date: () => day(long),
    date_pretty: () => pretty(long),
    date_short: () => day(short),
    date_short_pretty: () => pretty(short),
    date_long: () => day({ weekday: 'long', ...long }),
    date_long_pretty: () => pretty({ weekday: 'long', ...long }),
    day_divider_pretty: () => dayOf(at, now),
    time: () => clockOf(at),
    time_secs: () => day({ hour: '2-digit', minute: '2-digit', second: '2-digit' }),
    ago: () => agoOf(at, now),
  }
  return format.replace(/\{(\w+)\}/g, (whole, token: string) => tokens[token]?.() ?? whole)
}
