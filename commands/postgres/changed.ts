import pg from 'pg'
import { Refused, Unanswered } from '../../src/domain/command.ts'
import { SqlFault } from './faults.ts'
import type { Sql } from './session.ts'

/** SQLSTATE class of a server that ends the session: shutdown, crash, pg_terminate_backend. */
const ENDED = /^57P/

/**
 * Runs a statement that changes something, on Postgres or Redshift. Throws Unanswered when the server's own word on it did
 * not come: the connection broke, the time was up, or the server ended the session in the middle.
 */
export async function changed<R extends pg.QueryResultRow>(
  sql: Sql | pg.Client,
  text: string,
  values: unknown[] = [],
): Promise<pg.QueryResult<R>> {
  try {
    return 'send' in sql ? await sql.send<R>(text, values) : await sql.query<R>(text, values)
  } catch (error) {
    if (error instanceof Refused || (error instanceof SqlFault && !error.asked)) throw error
    const cause = error instanceof SqlFault ? error.cause : error
    if (cause instanceof pg.DatabaseError && !ENDED.test(cause.code ?? '')) throw error
    throw new Unanswered(`sql: no answer to ${text.trim().slice(0, 60)}`, { cause })
  }
}
