import type { EvidenceBlock } from '../../src/domain/command.ts'
import type { Session } from './sessions.ts'
import { clean, duration } from './text.ts'

/** The pids that wait for `pid`, directly or through others, sorted. */
export function waitersOf(pid: number, sessions: readonly Session[]): number[] {
  const found = new Set<number>()
  const queue = [pid]
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    for (const s of sessions) {
      if (s.pid === pid || found.has(s.pid) || !s.blockedBy.includes(at)) continue
      found.add(s.pid)
      queue.push(s.pid)
    }
  }
  return [...found].sort((a, b) => a - b)
}

/**
 * The sessions that others wait for and that wait for nobody, sorted by pid. Of a circle of sessions that wait for each
 * other, and for nobody else, it is the one whose transaction began last: it loses the least work.
 */
export function roots(sessions: readonly Session[]): Session[] {
  const byPid = new Map(sessions.map((s) => [s.pid, s]))
  const waiters = new Map(sessions.map((s) => [s.pid, new Set(waitersOf(s.pid, sessions))]))
  const found = new Set<Session>()
  for (const s of sessions) {
    if (!waiters.get(s.pid)?.size) continue
    if (s.blockedBy.length === 0) found.add(s)
    // Everyone that it waits for must wait for it as well; a pid that is not listed (a prepared transaction) can't.
    const above = sessions.filter((other) => waiters.get(other.pid)?.has(s.pid))
    const circle =
      s.blockedBy.every((pid) => byPid.has(pid)) && above.every((other) => waiters.get(s.pid)?.has(other.pid))
    if (s.blockedBy.length === 0 || !circle) continue
    const last = [s, ...above].sort((a, b) => b.transactionStart.localeCompare(a.transactionStart) || a.pid - b.pid)[0]
    if (last) found.add(last)
  }
  return [...found].sort((a, b) => a.pid - b.pid)
}

/** Who blocks whom as indented lines, roots first; a session with several blockers is drawn once and referred to. */
function drawTree(sessions: readonly Session[]): string {
  const lines: string[] = []
  const drawn = new Set<number>()
  const draw = (s: Session, indent: string, branch: string) => {
    const label = `${s.user || '?'}@${s.database || '?'} ${s.state || '?'} ${duration(s.ageSeconds)}`
    if (drawn.has(s.pid)) {
      lines.push(`${indent}${branch}${s.pid} (drawn above)`)
      return
    }
    drawn.add(s.pid)
    const waits = s.waitsFor && `, waits for ${s.waitsFor}`
    const safe = s.protectedBecause && ` [${s.protectedBecause}: never ended]`
    lines.push(`${indent}${branch}${s.pid} ${label}${waits}${safe}: ${clean(s.query, 80)}`)
    const children = sessions.filter((child) => child.blockedBy.includes(s.pid))
    const next = branch === '' ? indent : `${indent}${branch === '└─ ' ? '   ' : '│  '}`
    children.forEach((child, i) => {
      draw(child, next, i === children.length - 1 ? '└─ ' : '├─ ')
    })
  }
  for (const root of roots(sessions)) draw(root, '', '')
  const behindPrepared = sessions.filter((s) => s.blockedBy.includes(0))
  if (behindPrepared.length > 0) lines.push('0 a prepared transaction (see pg_prepared_xacts)')
  behindPrepared.forEach((s, i) => {
    draw(s, '', i === behindPrepared.length - 1 ? '└─ ' : '├─ ')
  })
  return lines.join('\n')
}

const MOST_ROWS = 20

/** Who blocks whom, as evidence: the sessions at the roots in words, the tree, and a table of those sessions by column. */
export function drawBlocking(
  sessions: readonly Session[],
  columns: Readonly<Record<string, (s: Session) => string>>,
): { atTheRoot: string; blocks: EvidenceBlock[] } {
  const tops = roots(sessions)
  const names = tops.slice(0, 5).map((s) => `${s.pid} (${s.user || '?'}, ${s.state || '?'})`)
  const more = tops.length > names.length ? ` and ${tops.length - names.length} more` : ''
  const all = {
    'root pid': (s: Session) => String(s.pid),
    blocks: (s: Session) => String(waitersOf(s.pid, sessions).length),
    user: (s: Session) => s.user,
    ...columns,
    'transaction began': (s: Session) => s.transactionStart,
    age: (s: Session) => duration(s.ageSeconds),
    query: (s: Session) => s.query,
    'never ended': (s: Session) => s.protectedBecause,
  }
  return {
    atTheRoot:
      tops.length > 0
        ? `At the root: ${names.join(', ')}${more}.`
        : 'No session is at the root: a prepared transaction holds the lock.',
    blocks: [
      { type: 'code', text: drawTree(sessions) },
      {
        type: 'table',
        columns: Object.keys(all),
        rows: tops.slice(0, MOST_ROWS).map((s) => Object.values(all).map((cell) => cell(s))),
        omitted: Math.max(0, tops.length - MOST_ROWS),
      },
    ],
  }
}
