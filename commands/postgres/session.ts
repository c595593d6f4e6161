import { readFile } from 'node:fs/promises'
import pg from 'pg'
import { z } from 'zod'
import { codeOf, loginFault, statementFault, type Where } from './faults.ts'

/** `application_name` of every session that Keyturn opens; such sessions are never cancelled or terminated. */
export const APPLICATION = 'keyturn'

/** How a server that speaks the protocol of Postgres is reached. */
export const reachSettings = {
  host: z.string().min(1),
  database: z.string().min(1),
  user: z.string().min(1),
  passwordFrom: z.string().min(1),
  /**
   * `verify` is libpq's verify-full: the certificate must be signed by an authority of `ca` or `caFile` (without them one of
   * the well-known authorities, to which those of RDS do not belong) and must be one of `host`.
   */
  tls: z.enum(['verify', 'off']).default('verify'),
  /** PEM, one certificate or many. */
  ca: z.string().includes('-----BEGIN CERTIFICATE-----').optional(),
  /** A file of the same; for RDS global-bundle.pem of https://truststore.pki.rds.amazonaws.com. */
  caFile: z.string().min(1).optional(),
}

/** What is wrong with the settings of TLS together; null for nothing. */
export const tlsFault = (it: Readonly<{ tls: string; ca?: string; caFile?: string }>): string | null =>
  it.ca && it.caFile
    ? 'ca and caFile say the same: set one of them'
    : it.tls === 'off' && (it.ca || it.caFile)
      ? 'ca and caFile are for tls: verify'
      : null

type Reach = Readonly<{
  host: string
  port: number
  database: string
  user: string
  tls: 'verify' | 'off'
  ca?: string | undefined
  caFile?: string | undefined
  connectTimeoutMs: number
  statementTimeoutMs: number
}>

type Options = Readonly<{
  kind: string
  password: string
  /** Limits of the server, in its own words: sent while the session opens. A pooler of transactions refuses them. */
  startup?: pg.ClientConfig
  /** Run first in every session. */
  first?: string
}>

/**
 * One session at a time. A look (`query`) is made again on a new session when the one that it was made on broke; a change
 * (`send`) is sent once. Both throw SqlFault, which has the SQLSTATE as `code`.
 */
export type Sql = Readonly<{
  query<R extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<pg.QueryResult<R>>
  send<R extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<pg.QueryResult<R>>
  /** Several statements on one and the same session; null behind a pooler of transactions, which has none. */
  alone<T>(work: (client: pg.Client) => Promise<T>): Promise<T | null>
  /** As the server says it at the log-in, as in 15.4; 0 where it does not. */
  version(): number
  /** The database that it is in. */
  database: string
  close(): Promise<void>
}>

type Session = { client: pg.Client; over: boolean; pooled: boolean; version: number }

/** SQLSTATE 08P01 of pgbouncer: `unsupported startup parameter` (https://www.pgbouncer.org/config.html, ignore_startup_parameters). */
const isPooler = (error: unknown): boolean =>
  codeOf(error) === '08P01' && /startup parameter/.test((error as Error).message)

/** Opens the first session; later ones are opened as they are needed. */
export async function openSql(reach: Reach, options: Options): Promise<Sql> {
  const at: Where = { ...reach, kind: options.kind }
  const ca = reach.ca ?? (reach.caFile && (await readCa(reach.caFile)))
  const ssl = reach.tls === 'verify' && (ca ? { ca } : true)

  async function open(pooled: boolean): Promise<Session> {
    const client = new pg.Client({
      host: reach.host,
      port: reach.port,
      database: reach.database,
      user: reach.user,
      password: options.password,
      ssl,
      application_name: APPLICATION,
      connectionTimeoutMillis: reach.connectTimeoutMs,
      // The server's own limit comes first; this one is for a server that no longer answers.
      query_timeout: reach.statementTimeoutMs + 5_000,
      ...(pooled ? {} : options.startup),
    })
    const session: Session = { client, over: false, pooled, version: 0 }
    const end = () => {
      session.over = true
    }
    // A session ended by the server raises `error` outside any query; the next query then opens another one.
    client.on('error', end).on('end', end)
    const { connection } = client as pg.Client & { connection: NodeJS.EventEmitter }
    connection.on('parameterStatus', ({ parameterName, parameterValue }: Record<string, string>) => {
      if (parameterName === 'server_version') session.version = Number.parseFloat(parameterValue ?? '') || 0
    })
    try {
      await client.connect()
      if (options.first) await client.query(options.first)
      return session
    } catch (error) {
      await client.end().catch(() => {})
      if (!pooled && isPooler(error)) return open(true)
      throw loginFault(error, at)
    }
  }

  let session = await open(false)
  const alive = async (): Promise<Session> => {
    if (session.over) session = await open(session.pooled)
    return session
  }
  async function ask<R extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<pg.QueryResult<R>> {
    const { client, pooled } = await alive()
    try {
      if (!pooled) return await client.query<R>(text, values)
      // Each transaction may get another session of the server, whose other users must not inherit the limit.
      await client.query('begin')
      await client.query(`set local statement_timeout = ${reach.statementTimeoutMs}`)
      try {
        const found = await client.query<R>(text, values)
        await client.query('commit')
        return found
      } catch (error) {
        await client.query('rollback').catch(() => {})
        throw error
      }
    } catch (error) {
      // What comes late belongs to nobody.
      if (!(error instanceof pg.DatabaseError) || /^57P/.test(error.code ?? '')) drop()
      throw statementFault(error, at)
    }
  }
  function drop(): void {
    session.over = true
    // Not waited for: a server that no longer answers does not say goodbye either.
    void session.client.end().catch(() => {})
  }
  return {
    async query(text, values = []) {
      try {
        return await ask(text, values)
      } catch (error) {
        if (!session.over) throw error
        return ask(text, values)
      }
    },
    send: (text, values = []) => ask(text, values),
    async alone(work) {
      const { client, pooled } = await alive()
      return pooled ? null : work(client)
    },
    version: () => session.version,
    database: reach.database,
    close: () => session.client.end(),
  }

  async function readCa(file: string): Promise<string> {
    try {
      return await readFile(file, 'utf8')
    } catch (cause) {
      throw new Error(`${options.kind}: caFile ${file} cannot be read on this machine`, { cause })
    }
  }
}
