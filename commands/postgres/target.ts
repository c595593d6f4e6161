import type { Target } from '../../src/domain/plan.ts'
import type { Identity, Session } from './sessions.ts'

/** A session as it is shown and held to: another transaction, state or query is another session. */
export function targetOf(connection: string, s: Session): Target {
  return {
    id: `postgres:${connection}/pid/${s.pid}`,
    name: `session ${s.pid} of ${s.user}`,
    fingerprint: `${s.backendStart} ${s.transactionStart}`,
    details: {
      user: s.user,
      database: s.database,
      application: s.application,
      client: s.client,
      'session began': s.backendStart,
      'transaction began': s.transactionStart,
      state: `${s.state} since ${s.stateSince}`,
      query: s.query,
    },
  }
}

/** What a later look at a session compares. */
export const identityOf = ({ pid, backendStart, transactionStart, queryStart }: Session): Identity => ({
  pid,
  backendStart,
  transactionStart,
  queryStart,
})
