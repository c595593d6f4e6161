import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { DescribeStatementResponse, StatusString } from '@aws-sdk/client-redshift-data'
import {
  CancelStatementCommand,
  DescribeStatementCommand,
  ExecuteStatementCommand,
  paginateListStatements,
  type RedshiftDataClient,
} from '@aws-sdk/client-redshift-data'
import { digest } from '../../src/domain/plan.ts'
import type { Settings } from './connection.ts'

/** One statement of the Data API. Its name is also its token: sent again, it runs once. */
export type Statement = Readonly<{ name: string; sql: string }>

/** A statement whose name follows from what it does, where, and when it was asked for. */
export function statement(settings: Settings, sql: string, requestedAt: Date): Statement {
  const what = digest([settings.cluster, settings.database, sql, requestedAt.toISOString()])
  // A client token has at most 64 characters.
  return { name: `keyturn-${createHash('sha256').update(what).digest('hex').slice(0, 40)}`, sql }
}

const OVER: readonly (StatusString | undefined)[] = ['FINISHED', 'FAILED', 'ABORTED']

/** Is it over, one way or another? */
export const isOver = (found: DescribeStatementResponse): boolean => OVER.includes(found.Status)

/** The statement as the Data API knows it, for a day; null if it was never sent. */
export async function find(
  client: RedshiftDataClient,
  settings: Settings,
  { name }: Statement,
  signal: AbortSignal,
): Promise<DescribeStatementResponse | null> {
  const pages = paginateListStatements(
    { client },
    // All statements of our role, whatever session of it sent them.
    {
      StatementName: name,
      Status: 'ALL',
      RoleLevel: true,
      ClusterIdentifier: settings.cluster,
      Database: settings.database,
    },
    { abortSignal: signal },
  )
  for await (const page of pages)
    for (const found of page.Statements ?? [])
      if (found.StatementName === name)
        return client.send(new DescribeStatementCommand({ Id: found.Id }), { abortSignal: signal })
  return null
}

/** How long, in milliseconds, an abort may take to cancel what was sent. */
const CANCEL_WITHIN = 10_000

/** Sends the statement, or takes up the one that was sent before, and waits for its end. On abort it is cancelled. */
export async function execute(
  client: RedshiftDataClient,
  settings: Settings,
  it: Statement,
  signal: AbortSignal,
): Promise<DescribeStatementResponse> {
  try {
    const { Id } = await client.send(
      new ExecuteStatementCommand({
        ClusterIdentifier: settings.cluster,
        Database: settings.database,
        ...(settings.secretArn ? { SecretArn: settings.secretArn } : { DbUser: settings.user }),
        Sql: it.sql,
        StatementName: it.name,
        ClientToken: it.name,
      }),
      { abortSignal: signal },
    )
    for (;;) {
      const found = await client.send(new DescribeStatementCommand({ Id }), { abortSignal: signal })
      if (isOver(found)) return found
      await pause(settings.pollSeconds * 1000, undefined, { signal })
    }
  } catch (error) {
    // It must not go on when nobody waits for it. What became of it, the probe finds out.
    if (signal.aborted) await cancel(client, settings, it).catch(() => undefined)
    throw error
  }
}

/** By its name: an abort may come before the reply that has its id. */
async function cancel(client: RedshiftDataClient, settings: Settings, it: Statement): Promise<void> {
  const abortSignal = AbortSignal.timeout(CANCEL_WITHIN)
  const found = await find(client, settings, it, abortSignal)
  if (found && !isOver(found)) await client.send(new CancelStatementCommand({ Id: found.Id }), { abortSignal })
}
