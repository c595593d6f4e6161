/** Words for severities in use, the worst first: of Prometheus' rules, syslog, PagerDuty, Datadog, Zabbix, Azure and others. */
const WORDS: readonly (readonly string[])[] = [
  [
    'critical',
    'crit',
    'page',
    'emergency',
    'emerg',
    'alert',
    'fatal',
    'disaster',
    'panic',
    'blocker',
    'urgent',
    'highest',
  ],
  ['error', 'err', 'high', 'major', 'severe'],
  ['warning', 'warn', 'medium', 'average', 'moderate', 'normal'],
  ['minor', 'low', 'notice', 'ticket'],
  ['info', 'information', 'informational', 'debug', 'verbose', 'trivial', 'lowest', 'ok', 'success', 'none'],
]
const FEWEST = WORDS.length - 1

/** P1, sev-2, S3: the lower the number, the worse, from 0 on. */
const LEVEL = /^(?:p|s|sev|severity|prio|priority)[\s._-]*([0-9])$/
/** `1 - Critical`, `P1: page`, `critical/page`; `non-critical` is one word. */
const PARTS = /\s+[-–—|]\s+|\s*[:/,()]\s*/

/** The higher, the worse. A word that nobody knows is worse than a minor one, and less than a warning. */
export function severityRank(severity: string): number {
  const word = severity.trim().toLowerCase()
  const known = [word, ...word.split(PARTS)].flatMap((part) => rankOf(part) ?? [])
  if (known.length > 0) return Math.max(...known)
  return word === '' || word === 'unknown' ? -1 : 1.5
}

function rankOf(word: string): number | null {
  const level = LEVEL.exec(word)?.[1]
  if (level !== undefined) return 5 - Math.min(Number(level) || 0.9, 5)
  const row = WORDS.findIndex((words) => words.includes(word))
  return row >= 0 ? FEWEST - row : null
}

/** The worst of some severities; of equally bad ones the first. Null for none. */
export const worst = (severities: readonly string[]): string | null =>
  severities.reduce<string | null>(
    (found, one) => (found === null || severityRank(one) > severityRank(found) ? one : found),
    null,
  )
