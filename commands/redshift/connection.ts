import { RedshiftClient } from '@aws-sdk/client-redshift'
import { RedshiftDataClient } from '@aws-sdk/client-redshift-data'
import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { awsClient, awsSettings } from '../aws/client.ts'
import { openSql, reachSettings, type Sql, tlsFault } from '../postgres/session.ts'
import { Load, Orchestrator } from './load.ts'

const Settings = z
  .strictObject({
    ...awsSettings,
    /**
     * `user` sees only its own sessions and loads unless it has the role sys:monitor; ends sessions of others as a superuser
     * only. Owns the tables that it alters.
     */
    ...reachSettings,
    port: z.number().int().min(1).max(65_535).default(5439),
    connectTimeoutMs: z.number().int().min(100).max(60_000).default(10_000),
    statementTimeoutMs: z.number().int().min(1_000).max(120_000).default(20_000),
    /** The identifier of a provisioned cluster, for the Data API and for a reboot. */
    cluster: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,62}$/, 'small letters, digits and hyphens')
      .optional(),
    /** The workgroup of Redshift Serverless instead. */
    workgroup: z
      .string()
      .regex(/^[a-z0-9-]{3,64}$/, 'small letters, digits and hyphens')
      .optional(),
    /**
     * The secret that the Data API logs in with. Without one it gets temporary credentials: of `user` on a cluster, and of
     * the database user of our own IAM identity (IAM:name or IAMR:role) in a workgroup.
     */
    secretArn: z.string().startsWith('arn:').optional(),
    /** Whether an approval may reboot the cluster. */
    reboot: z.boolean().default(false),
    /** What runs the loads; a load may say otherwise. */
    orchestrator: Orchestrator.default('another'),
    /** What may be loaded again and altered, by name. Nothing else is. */
    loads: z.record(z.string().regex(/^[A-Za-z0-9_.-]{1,63}$/), Load).default({}),
    /** How often a running COPY or reboot is looked at. */
    pollSeconds: z.number().positive().max(60).default(5),
  })
  .superRefine((it, issues) => {
    const wrong = (path: string, message: string) => issues.addIssue({ code: 'custom', message, path: [path] })
    if (Boolean(it.cluster) === Boolean(it.workgroup))
      wrong('cluster', 'set either cluster (provisioned) or workgroup (Serverless), and one of them only')
    if (it.workgroup && it.reboot) wrong('reboot', 'Redshift Serverless has nothing to reboot: leave reboot out')
    const tls = tlsFault(it as Parameters<typeof tlsFault>[0])
    if (tls) wrong('tls', tls)
  })
export type Settings = z.output<typeof Settings>

/** What people call it, and what the Data API is told: a cluster or a workgroup. */
export const nameOf = ({ cluster, workgroup }: Pick<Settings, 'cluster' | 'workgroup'>): string =>
  cluster ?? workgroup ?? ''

/** The same as a line of a target's details. */
export const placeOf = (settings: Settings): Record<string, string> =>
  settings.cluster ? { cluster: settings.cluster } : { workgroup: nameOf(settings) }

/**
 * `sql` opens the session of a job when it is first asked for: a cluster that hangs can still be rebooted. A statement
 * that goes to the Data API carries a token, so it may be sent again; a reboot is sent once.
 */
export type RedshiftClients = Readonly<{
  sql(): Promise<Sql>
  data: RedshiftDataClient
  reads: RedshiftClient
  writes: RedshiftClient
  close(): Promise<void>
}>

/** One Redshift, provisioned or Serverless: its wire protocol, its Data API, and the API that manages clusters. */
export const redshift = defineConnection<Settings, RedshiftClients>({
  kind: 'redshift',
  settings: Settings,
  open(settings, secret, rights) {
    const data = awsClient(RedshiftDataClient, settings, secret, 3, { rights })
    const reads = awsClient(RedshiftClient, settings, secret, 3, { rights })
    const writes = awsClient(RedshiftClient, settings, secret, 1, { rights })
    let session: Promise<Sql> | undefined
    return {
      data,
      reads,
      writes,
      sql() {
        // Redshift refuses start-up parameters that Postgres takes.
        session ??= openSql(settings, {
          kind: 'redshift',
          password: secret(settings.passwordFrom),
          first: `set statement_timeout to ${settings.statementTimeoutMs}`,
        }).catch((error) => {
          session = undefined
          throw error
        })
        return session
      },
      async close() {
        for (const client of [data, reads, writes]) client.destroy()
        await session?.then(
          (sql) => sql.close(),
          () => {},
        )
      },
    }
  },
  close: (client) => client.close(),
})
