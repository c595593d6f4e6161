import { z } from 'zod'
import { type Check, Refused } from '../../src/domain/command.ts'

/** More than this at once is not a blocked database but a wrong parameter. */
const MOST = 20

/** Pids as somebody names them, or "roots"; `roots` says which sessions that word means. */
export const pidsParam = (roots: string) =>
  z
    .string()
    .regex(/^\s*(roots|[1-9]\d{0,9}(\s*,\s*[1-9]\d{0,9})*)\s*$/, 'write "roots", or pids separated by commas')
    .describe(`Pids to terminate, separated by commas; "roots" for ${roots}`)

/** The pids that somebody named, in order; null for "roots". */
export const namedPids = (pids: string): number[] | null =>
  pids.trim() === 'roots' ? null : [...new Set(pids.split(',').map(Number))].sort((a, b) => a - b)

/** Refuses more sessions than somebody means at once. */
export function refuseMany(chosen: readonly unknown[]): void {
  if (chosen.length > MOST)
    throw new Refused(`${chosen.length} sessions is more than ${MOST} at once: name the pids to begin with.`)
}

export const stepOf = (pid: number): string => `terminate-${pid}`

type Sessions = readonly { pid: number }[]

/** Whether it helped: who is alive still, who waits, and who is at the root now (`otherwise` where no session is). */
export const endedChecks = (seen: { alive: Sessions; waiting: Sessions; tops: Sessions }, otherwise = ''): Check[] => {
  const list = (sessions: Sessions) => sessions.map((s) => s.pid).join(', ')
  const { alive, waiting, tops } = seen
  return [
    {
      title: 'The sessions have ended',
      ok: alive.length === 0,
      detail: alive.length > 0 ? `still there: ${list(alive)}` : '',
    },
    {
      title: 'No session waits for another one',
      ok: waiting.length === 0,
      detail: waiting.length > 0 ? `${waiting.length} wait; at the root now: ${list(tops) || otherwise}` : '',
    },
  ]
}
