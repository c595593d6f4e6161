import type pg from 'pg'
import type { PostgresServer } from '../../../src/sandbox/targets/postgres.ts'

/** The server process of a session, known without asking: it can be told while the session waits. */
export function pidOf(client: pg.Client): number {
  const { processID } = client as pg.Client & { processID: number | null }
  if (!processID) throw new Error('the session is not connected')
  return processID
}

/** Resolves when the server shows `pid` waiting for a lock; the server itself does the looking. */
export async function untilWaiting(server: PostgresServer, pid: number): Promise<void> {
  await until(server, `exists (select from pg_locks where pid = ${pid} and not granted)`)
}

/** Resolves when an SQL condition is true on the server; rejects after 10 s. */
export async function until(server: PostgresServer, condition: string): Promise<void> {
  const looking = await server.session('postgres')
  try {
    await looking.query(`do $$ begin
      for i in 1..1000 loop
        perform pg_stat_clear_snapshot();
        if ${condition} then return; end if;
        perform pg_sleep(0.01);
      end loop;
      raise exception 'not within 10 s: %', $text$${condition}$text$;
    end $$`)
  } finally {
    await looking.end()
  }
}
