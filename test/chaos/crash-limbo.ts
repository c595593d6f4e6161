import type { Card } from './crash-cards.ts'
import type { Sent } from './crash-seen.ts'

/** What still waits for something that comes by itself; empty when all is told. */
export function limbo(cards: readonly Card[], sent: readonly Sent[]): string[] {
  const accepted = sent.filter((s) => s.answer === 200 && s.status === 'firing')
  const untold = accepted.filter((s) => !cards.some((c) => c.key === 'root' && c.shown.includes(s.summary)))
  const waiting = cards.filter(
    ({ key, text, buttons }) =>
      (key.startsWith('proposal:') && /^(Making|Waiting|Approved: waiting|Running)/.test(text)) ||
      (key.startsWith('run:') && text.startsWith('Running')) ||
      (key.startsWith('outcome:') && buttons.length > 0) ||
      (key.startsWith('evidence:') && /^(Looking|Gathering)/.test(text)) ||
      (key === 'root' && /waiting for a|is running|OUTCOME UNKNOWN/.test(text)),
  )
  // What belongs into a thread once it is complete.
  const has = (incident: string, key: string) => cards.some((c) => c.incident === incident && c.key.startsWith(key))
  const missing = cards.flatMap(({ incident, key, text, shown }) => {
    const wanted =
      key === 'root' && !text.startsWith('Frozen')
        ? ['playbook', ...(text.startsWith('Lamps') ? ['evidence:', 'proposal:p1'] : [])]
        : key.startsWith('run:')
          ? [key.replace('run', 'outcome')]
          : /^outcome:p\d+$/.test(key) && / chose .*"Resume"/.test(shown)
            ? [`proposal:p${Number(key.slice('outcome:p'.length)) + 1}`]
            : []
    return wanted.filter((k) => !has(incident, k)).map((k) => `${incident} has no ${k}`)
  })
  // The last word on an alert that was accepted is what its thread says.
  const last = new Map(sent.filter((s) => s.answer === 200).map((s) => [s.summary, s.status]))
  const stale = cards.filter((c) => {
    const [, status] = [...last].find(([summary]) => c.shown.includes(summary)) ?? []
    return c.key === 'root' && status !== undefined && (status === 'resolved') !== c.text.includes(': resolved')
  })
  const rootless = cards.filter((c) => !cards.some((r) => r.key === 'root' && r.incident === c.incident))
  return [
    ...untold.map((s) => `no thread of ${s.summary}`),
    ...missing,
    ...stale.map((c) => `${c.incident} ${c.key}: ${c.text}`),
    ...waiting.map((c) => `${c.incident} ${c.key}: ${c.text}`),
    ...rootless.map((c) => `${c.incident} ${c.key} has no root`),
  ]
}
