import type { ReadContext } from '../../src/domain/command.ts'
import { digest } from '../../src/domain/plan.ts'

/** What the probe finds a change's commands by. The same whenever the plan is made again. */
export function identityOf(of: object, ctx: ReadContext): { token: string; since: string } {
  const token = digest({ ...of, incident: ctx.origin.incident, at: ctx.requestedAt.toISOString() }).slice(7, 31)
  // A minute for clocks that do not agree.
  return { token, since: new Date(ctx.requestedAt.getTime() - 60_000).toISOString() }
}
