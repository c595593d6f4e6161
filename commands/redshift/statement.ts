import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { DescribeStatementResponse, StatusString } from '@aws-sdk/client-redshift-data'
import {
  CancelStatementCommand,
  DescribeStatementCommand,
  ExecuteStatementCommand,
  paginateListStatements,
  type RedshiftDataClient,
  RedshiftDataServiceException,
} from '@aws-sdk/client-redshift-data'
import { Unanswered } from '../../src/domain/command.ts'
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

/**
 * Sends the statement, or takes up the one that was sent before, and waits for its end. On abort it is cancelled, and its end
 * is given if it comes at once. Throws Unanswered when it may be under way.
 */
export async function execute(
  client: RedshiftDataClient,
  settings: Settings,
  it: Statement,
  signal: AbortSignal,
): Promise<DescribeStatementResponse> {
  let sent = false
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
    sent = true
    return await ended(client, settings, Id, signal)
  } catch (error) {
    const end = signal.aborted ? await cancel(client, settings, it).catch(() => null) : null
    if (end) return end
    if (!sent && error instanceof RedshiftDataServiceException && error.$fault === 'client') throw error
    throw new Unanswered(`${it.name} may be under way: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    })
  }
}

async function ended(client: RedshiftDataClient, settings: Settings, Id: string | undefined, signal: AbortSignal) {
  for (;;) {
    const found = await client.send(new DescribeStatementCommand({ Id }), { abortSignal: signal })
    if (OVER.includes(found.Status)) return found
    await pause(settings.pollSeconds * 1000, undefined, { signal })
  }
}

/** By its name, since an abort may come before the reply that has its id. Null if it is not known to the Data API. */
async function cancel(client: RedshiftDataClient, settings: Settings, it: Statement) {
  const signal = AbortSignal.timeout(CANCEL_WITHIN)
  const found = await find(client, settings, it, signal)
  if (!found) return null
  if (!OVER.includes(found.Status))
    await client.send(new CancelStatementCommand({ Id: found.Id }), { abortSignal: signal })
  return ended(client, settings, found.Id, signal)
}
