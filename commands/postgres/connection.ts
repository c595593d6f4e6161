import { readFile } from 'node:fs/promises'
import pg from 'pg'
import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'

/** `application_name` of every session that Keyturn opens; such sessions are never cancelled or terminated. */
export const APPLICATION = 'keyturn'

/** How long, in milliseconds, one statement waits for a signalled session to end. Below every statement timeout. */
export const SIGNAL_WAIT_MS = 5_000

export const PostgresSettings = z.strictObject({
  host: z.string().min(1),
  port: z.number().int().min(1).max(65_535).default(5432),
  database: z.string().min(1),
  /** A role with pg_monitor (to see all sessions) and pg_signal_backend (to end them); not a superuser. */
  user: z.string().min(1),
  passwordFrom: z.string().min(1),
  /** `verify` checks the server's certificate against `caFile`, or against the well-known authorities without one. */
  tls: z.enum(['verify', 'off']).default('verify'),
  caFile: z.string().optional(),
  connectTimeoutMs: z.number().int().min(100).max(60_000).default(5_000),
  statementTimeoutMs: z.number().int().min(10_000).max(120_000).default(15_000),
  /**
   * Shows the planner's estimates of a running query. Planning evaluates functions which that query names, with the
   * rights of `user`: leave it off where people who may log in are not trusted with those rights.
   */
  explain: z.boolean().default(false),
})
export type PostgresSettings = z.infer<typeof PostgresSettings>

/** A Postgres server; the client is one session, limited in time by the server and by the socket. */
export const postgres = defineConnection<PostgresSettings, pg.Client>({
  kind: 'postgres',
  settings: PostgresSettings,
  async open(settings, secret) {
    const client = new pg.Client({
      host: settings.host,
      port: settings.port,
      database: settings.database,
      user: settings.user,
      password: secret(settings.passwordFrom),
      ssl: settings.tls === 'verify' && (settings.caFile ? { ca: await readFile(settings.caFile, 'utf8') } : true),
      application_name: APPLICATION,
      connectionTimeoutMillis: settings.connectTimeoutMs,
      statement_timeout: settings.statementTimeoutMs,
      // The server's own limit comes first; this one is for a server that no longer answers.
      query_timeout: settings.statementTimeoutMs + 5_000,
      idle_in_transaction_session_timeout: settings.statementTimeoutMs,
    })
    // A session ended by the server raises `error` outside any query; the next query then fails with the cause.
    client.on('error', () => {})
    try {
      await client.connect()
    } catch (cause) {
      await client.end().catch(() => {})
      throw new Error(
        `postgres: no session on ${settings.host}:${settings.port}/${settings.database} as ${settings.user}; ` +
          'check the host, the network path, the password and the certificate',
        { cause },
      )
    }
    return client
  },
  async close(client) {
    await client.end()
  },
})
