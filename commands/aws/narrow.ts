import type { ConnectionKind, Right, RunContext } from '../../src/domain/command.ts'
import type { AwsSettings } from './client.ts'

/** Writes the ARN of something in the region of a connection and the account of its role: `own('rds', 'db:orders')`. */
export type Own = (service: string, resource: string) => string

/**
 * The context of a run in which this connection hands out sessions with no more than these rights, wherever the run opens it. The
 * same context where the connection takes on no role, or where `rightsOf` is null since they cannot be told.
 */
export async function narrowed<S extends AwsSettings, C>(
  ctx: RunContext,
  kind: ConnectionKind<S, C>,
  connection: string,
  rightsOf: (own: Own, settings: S) => readonly Right[] | null,
): Promise<RunContext> {
  const { settings } = await ctx.connect(kind, connection)
  const account = settings.roleArn?.split(':')[4]
  if (!account) return ctx
  const rights = rightsOf(
    (service, resource) => `arn:aws:${service}:${settings.region}:${account}:${resource}`,
    settings,
  )
  if (!rights) return ctx
  const isIt = (other: Readonly<{ kind: string }>, name: string) => other.kind === kind.kind && name === connection
  return {
    ...ctx,
    connect: (other, name, own) => ctx.connect(other, name, own ?? (isIt(other, name) ? rights : undefined)),
  }
}
