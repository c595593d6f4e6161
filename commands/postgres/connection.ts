import { z } from 'zod'
import { defineConnection, Refused } from '../../src/domain/command.ts'
import { openSql, reachSettings, type Sql, tlsFault } from './session.ts'

/** How long, in milliseconds, one statement waits for a signalled session to end. Below every statement timeout. */
export const SIGNAL_WAIT_MS = 5_000

/** The first version with pg_monitor: https://www.postgresql.org/docs/release/10.0/ */
const OLDEST = 10

export const PostgresSettings = z
  .strictObject({
    ...reachSettings,
    port: z.number().int().min(1).max(65_535).default(5432),
    connectTimeoutMs: z.number().int().min(100).max(60_000).default(5_000),
    statementTimeoutMs: z.number().int().min(10_000).max(120_000).default(15_000),
    /**
     * Shows the planner's estimates of a running query. Planning evaluates functions which that query names, with the
     * rights of `user`: leave it off where people who may log in are not trusted with those rights.
     */
    explain: z.boolean().default(false),
  })
  .superRefine((it, issues) => {
    const message = tlsFault(it as Parameters<typeof tlsFault>[0])
    if (message) issues.addIssue({ code: 'custom', message, path: ['tls'] })
  })
export type PostgresSettings = z.infer<typeof PostgresSettings>

/** A Postgres server from version 10 on; one session, limited in time by the server and by the socket. */
export const postgres = defineConnection<PostgresSettings, Sql>({
  kind: 'postgres',
  settings: PostgresSettings,
  async open(settings, secret) {
    const sql = await openSql(settings, {
      kind: 'postgres',
      password: secret(settings.passwordFrom),
      startup: {
        statement_timeout: settings.statementTimeoutMs,
        idle_in_transaction_session_timeout: settings.statementTimeoutMs,
      },
    })
    if (sql.version() === 0 || sql.version() >= OLDEST) return sql
    await sql.close()
    throw new Refused(
      `postgres: ${settings.host} is version ${sql.version()}; only servers from ${OLDEST} on are supported.${sql.version() < 9 ? ' If it is Redshift, its connection is of the kind redshift.' : ''}`,
    )
  },
  close: (client) => client.close(),
})
