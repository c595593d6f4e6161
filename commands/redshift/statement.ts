import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { DescribeStatementResponse, StatusString } from '@aws-sdk/client-redshift-data'
import {
  ActiveStatementsExceededException,
  CancelStatementCommand,
  DescribeStatementCommand,
  ExecuteStatementCommand,
  paginateListStatements,
  type RedshiftDataClient,
  RedshiftDataServiceException,
} from '@aws-sdk/client-redshift-data'
import { Refused, Unanswered } from '../../src/domain/command.ts'
import { digest } from '../../src/domain/plan.ts'
import { mayHaveLanded } from '../aws/client.ts'
import { outlive } from '../aws/outlive.ts'
import { nameOf, type Settings } from './connection.ts'

/** One statement of the Data API. Its name is also its token: sent again soon, it runs once; for how long no page says. */
export type Statement = Readonly<{ name: string; sql: string; asked: string }>

/** A statement whose name follows from what it does, where, and when it was asked for. */
export function statement(settings: Settings, sql: string, requestedAt: Date): Statement {
  const asked = requestedAt.toISOString()
  const what = digest([nameOf(settings), settings.database, sql, asked])
  // A client token has at most 64 characters.
  return { name: `keyturn-${createHash('sha256').update(what).digest('hex').slice(0, 40)}`, sql, asked }
}

/** "Considerations when calling the Data API": a statement is known for 24 hours. That its token is for 8 could not be checked. */
const KNOWN_MS = 24 * 3600 * 1000

export const isForgotten = (it: Pick<Statement, 'asked'>, now: Date): boolean =>
  now.getTime() - Date.parse(it.asked) > KNOWN_MS

const OVER: readonly (StatusString | undefined)[] = ['FINISHED', 'FAILED', 'ABORTED']

/** Where a statement runs: a workgroup has no cluster's identifier, and no database user to choose. */
const place = ({ cluster, workgroup, database }: Settings) => ({
  ...(cluster ? { ClusterIdentifier: cluster } : { WorkgroupName: workgroup }),
  Database: database,
})

/** The statement as the Data API knows it, for a day; null if it was never sent. */
export async function find(
  client: RedshiftDataClient,
  settings: Settings,
  { name }: Pick<Statement, 'name'>,
  signal: AbortSignal,
): Promise<DescribeStatementResponse | null> {
  const pages = paginateListStatements(
    { client },
    // All statements of our role, whatever session of it sent them.
    { StatementName: name, Status: 'ALL', RoleLevel: true, ...place(settings) },
    { abortSignal: signal },
  )
  for await (const page of pages)
    for (const found of page.Statements ?? [])
      if (found.StatementName === name)
        return client.send(new DescribeStatementCommand({ Id: found.Id }), { abortSignal: signal })
  return null
}

/** The id of its query in SYS views, digit by digit; null where there is none, or a number cannot hold it. */
export const queryOf = (found: DescribeStatementResponse | null): string | null => {
  const id = found?.RedshiftQueryId
  return id !== undefined && Number.isSafeInteger(id) && id > 0 ? String(id) : null
}

/** How long, in milliseconds, an abort may take to cancel what was sent. */
const CANCEL_WITHIN = 10_000

type Watch = Readonly<{ signal: AbortSignal; onPause(note: string): void; now(): Date }>

/**
 * Takes up the statement that was sent before, or sends it, and waits for its end, through whatever passes. On abort it is
 * cancelled, and its end is given if it comes at once. Throws Unanswered when it may be under way.
 */
export async function execute(
  client: RedshiftDataClient,
  settings: Settings,
  it: Statement,
  watch: Watch,
): Promise<DescribeStatementResponse> {
  const { signal } = watch
  // What goes wrong here sent nothing; whether an earlier try did is for the probe to find.
  const before = await outlive(() => find(client, settings, it, signal), patienceOf(settings, watch))
  if (!before && isForgotten(it, watch.now()))
    throw new Unanswered('The Data API forgets a statement after a day, so nobody can say whether it was sent')
  let sent = before !== null
  try {
    const id = before?.Id ?? (await send(client, settings, it, watch))
    sent = true
    return await ended(client, settings, id, watch)
  } catch (error) {
    const end = signal.aborted ? await cancel(client, settings, it).catch(() => null) : null
    if (end) return end
    if (!sent && !signal.aborted && error instanceof RedshiftDataServiceException && !mayHaveLanded(error))
      throw forbidden(error, settings)
    throw new Unanswered(`${it.name} may be under way: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    })
  }
}

/** So many looks without an answer as make ten minutes at five seconds each. */
const patienceOf = ({ pollSeconds }: Settings, { signal, onPause }: Pick<Watch, 'signal' | 'onPause'>) => ({
  ...{ signal, onPause, pauseMs: pollSeconds * 1000, minutes: 2 * pollSeconds },
})

async function send(client: RedshiftDataClient, settings: Settings, it: Statement, watch: Watch): Promise<string> {
  const input = {
    ...place(settings),
    ...(settings.secretArn ? { SecretArn: settings.secretArn } : settings.cluster ? { DbUser: settings.user } : {}),
    Sql: it.sql,
    StatementName: it.name,
    ClientToken: it.name,
  }
  for (;;) {
    try {
      const { Id } = await client.send(new ExecuteStatementCommand(input), { abortSignal: watch.signal })
      return Id!
    } catch (error) {
      // Not taken: the Data API runs 500 statements of a warehouse at a time.
      if (!(error instanceof ActiveStatementsExceededException)) throw error
      watch.onPause('The Data API runs as many statements as it may; waiting for a place')
      await pause(settings.pollSeconds * 1000, undefined, { signal: watch.signal })
    }
  }
}

/** Names the right that AWS's own policy for the Data API gives for one database user only. */
function forbidden(error: unknown, { cluster, user, workgroup }: Settings): unknown {
  const message = error instanceof Error ? `${error.message} ${error.cause ?? ''}` : String(error)
  const [, right] = /(redshift(?:-serverless)?:Get(?:Cluster)?Credentials\w*)/.exec(message) ?? []
  if (!right) return error
  return new Refused(
    cluster
      ? `The Data API may not log in as ${user}: our role lacks ${right} on dbuser:${cluster}/${user}. AmazonRedshiftDataFullAccess gives it for the user redshift_data_api_user only. Add the right, or set secretArn.`
      : `The Data API may not log in to ${workgroup}: our role lacks ${right} on the workgroup. AmazonRedshiftDataFullAccess gives it for workgroups with the tag RedshiftDataFullAccess only. Add the right, or set secretArn.`,
    { cause: error },
  )
}

async function ended(
  client: RedshiftDataClient,
  settings: Settings,
  Id: string | undefined,
  { signal, onPause }: Pick<Watch, 'signal' | 'onPause'>,
) {
  const pauseMs = settings.pollSeconds * 1000
  for (;;) {
    const look = () => client.send(new DescribeStatementCommand({ Id }), { abortSignal: signal })
    const found = await outlive(look, patienceOf(settings, { signal, onPause }))
    if (OVER.includes(found.Status)) return found
    onPause(`the statement is ${found.Status ?? 'in a state that the Data API does not name'}`)
    await pause(pauseMs, undefined, { signal })
  }
}

/** By its name, since an abort may come before the reply that has its id. Null if it is not known to the Data API. */
async function cancel(client: RedshiftDataClient, settings: Settings, it: Statement) {
  const signal = AbortSignal.timeout(CANCEL_WITHIN)
  const found = await find(client, settings, it, signal)
  if (!found) return null
  if (!OVER.includes(found.Status))
    await client.send(new CancelStatementCommand({ Id: found.Id }), { abortSignal: signal })
  return ended(client, settings, found.Id, { signal, onPause: () => {} })
}
