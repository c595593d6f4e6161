import { readFile } from 'node:fs/promises'
import { RedshiftClient } from '@aws-sdk/client-redshift'
import { RedshiftDataClient } from '@aws-sdk/client-redshift-data'
import pg from 'pg'
import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { awsClient, awsSettings } from '../aws/client.ts'
import { Load } from './load.ts'

/** `application_name` of every session that Keyturn opens. */
const APPLICATION = 'keyturn'

const Settings = z.strictObject({
  ...awsSettings,
  host: z.string().min(1),
  port: z.number().int().min(1).max(65_535).default(5439),
  database: z.string().min(1),
  /**
   * Sees only its own sessions and loads unless it has SYSLOG ACCESS UNRESTRICTED; ends sessions of others as a superuser
   * only. Owns the tables that it alters.
   */
  user: z.string().min(1),
  passwordFrom: z.string().min(1),
  /** `verify` checks the server's certificate against `caFile`, or against the well-known authorities without one. */
  tls: z.enum(['verify', 'off']).default('verify'),
  caFile: z.string().optional(),
  connectTimeoutMs: z.number().int().min(100).max(60_000).default(10_000),
  statementTimeoutMs: z.number().int().min(1_000).max(120_000).default(20_000),
  /** The cluster's identifier, for the Data API and for a reboot. */
  cluster: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'small letters, digits and hyphens'),
  /** The secret that the Data API logs in with; without one it gets temporary credentials of `user`. */
  secretArn: z.string().startsWith('arn:').optional(),
  /** Whether an approval may reboot the cluster. */
  reboot: z.boolean().default(false),
  /** What may be loaded again and altered, by name. Nothing else is. */
  loads: z.record(z.string().regex(/^[A-Za-z0-9_.-]{1,63}$/), Load).default({}),
  /** How often a running COPY or reboot is looked at. */
  pollSeconds: z.number().positive().max(60).default(5),
})
export type Settings = z.output<typeof Settings>

/**
 * `sql` opens the one session of a job when it is first asked for: a cluster that hangs can still be rebooted. A statement
 * that goes to the Data API carries a token, so it may be sent again; a reboot is sent once.
 */
export type RedshiftClients = Readonly<{
  sql(): Promise<pg.Client>
  data: RedshiftDataClient
  reads: RedshiftClient
  writes: RedshiftClient
  close(): Promise<void>
}>

/** One Redshift cluster: its wire protocol, its Data API, and the API that manages it. */
export const redshift = defineConnection<Settings, RedshiftClients>({
  kind: 'redshift',
  settings: Settings,
  open(settings, secret) {
    const data = awsClient(RedshiftDataClient, settings, secret, 3)
    const reads = awsClient(RedshiftClient, settings, secret, 3)
    const writes = awsClient(RedshiftClient, settings, secret, 1)
    let session: Promise<pg.Client> | undefined
    return {
      data,
      reads,
      writes,
      sql() {
        session ??= connect(settings, secret(settings.passwordFrom))
        return session
      },
      async close() {
        for (const client of [data, reads, writes]) client.destroy()
        await session?.then(
          (client) => client.end(),
          () => {},
        )
      },
    }
  },
  close: (client) => client.close(),
})

async function connect(settings: Settings, password: string): Promise<pg.Client> {
  const { host, port, database, user, tls, caFile, connectTimeoutMs, statementTimeoutMs } = settings
  const client = new pg.Client({
    host,
    port,
    database,
    user,
    password,
    ssl: tls === 'verify' && (caFile ? { ca: await readFile(caFile, 'utf8') } : true),
    application_name: APPLICATION,
    connectionTimeoutMillis: connectTimeoutMs,
    // The server's own limit comes first; this one is for a server that no longer answers.
    query_timeout: statementTimeoutMs + 5_000,
  })
  // A session ended by the server raises `error` outside any query; the next query then fails with the cause.
  client.on('error', () => {})
  try {
    await client.connect()
    // Redshift refuses start-up parameters that Postgres takes.
    await client.query(`set statement_timeout to ${statementTimeoutMs}`)
  } catch (cause) {
    await client.end().catch(() => {})
    throw new Error(
      `redshift: no session on ${host}:${port}/${database} as ${user}; ` +
        'check the cluster, the network path, the password and the certificate',
      { cause },
    )
  }
  return client
}
