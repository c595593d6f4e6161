import pg from 'pg'
import { Unanswered } from '../../src/domain/command.ts'

/** SQLSTATE class of a server that ends the session: shutdown, crash, pg_terminate_backend. */
const ENDED = /^57P/

/**
 * Runs a statement that changes something, on Postgres or Redshift. Throws Unanswered when the server's own word on it did
 * not come: the connection broke, the time was up, or the server ended the session in the middle.
 */
export async function changed<R extends pg.QueryResultRow>(
  sql: pg.Client,
  text: string,
  values: unknown[] = [],
): Promise<pg.QueryResult<R>> {
  try {
    return await sql.query<R>(text, values)
  } catch (error) {
    if (error instanceof pg.DatabaseError && !ENDED.test(error.code ?? '')) throw error
    throw new Unanswered(`sql: no answer to ${text.trim().slice(0, 60)}`, { cause: error })
  }
}
