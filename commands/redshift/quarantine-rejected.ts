import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import type { Plan } from '../../src/domain/plan.ts'
import { s3 } from '../s3/connection.ts'
import type { Quarantine } from '../s3/kept.ts'
import { head } from '../s3/objects.ts'
import { CEILING, planQuarantine, probeQuarantine, runQuarantine, verifyQuarantine } from '../s3/quarantine.ts'
import { type Failure, findFailure } from './failure.ts'
import { queryParam } from './names.ts'
import { judgeRejected, LineMoved, type Rejected } from './rejected.ts'

const Params = z.object({
  connection: z.string().describe('Redshift connection'),
  load: z.string().describe('Load, as the connection names it; its latest failure is mended'),
  query: queryParam('Id of the COPY instead, query_id of SYS_LOAD_HISTORY'),
  hollow: z.enum(['no', 'yes']).default('no').describe('Whether every row that has nothing but its key goes as well'),
  maxBadShare: z.coerce
    .number()
    .gt(0)
    .max(CEILING)
    .default(0.05)
    .describe(`Refuse above this share of the lines (at most ${CEILING})`),
})

/**
 * Sets the lines aside that Redshift rejected, in the first file that still has them: the original is copied first, the lines
 * are kept in an object of their own. Each line must still be the one that was rejected.
 */
export const quarantineRejected = defineChange<typeof Params, Quarantine>({
  id: 'redshift.quarantine-rejected',
  summary: 'Set the lines aside that a load rejected, keep a copy of the file, and write it again without them',
  effect: 'idempotent',
  risk: 'medium',
  params: Params,

  async plan(params, ctx) {
    const failure = await findFailure(ctx, params)
    if (!failure || failure.files.length === 0)
      throw new Refused(
        `Redshift names no line of the load "${params.load}" that it rejected. There is nothing to set aside.`,
      )
    if (failure.since)
      throw new Refused(
        `The load ${failure.query} failed, and its files were loaded since by query ${failure.since.query} at ${failure.since.start}. There is nothing to mend.`,
      )
    const { made, rejected } = await firstMendable(failure, params, ctx)
    const { copyKey, found, ref } = made.data
    const gone = rejected.errors.find((e) => !found.bad.some((line) => line.number === e.line))
    if (gone) throw new Refused(`${rejected.file} has no line ${gone.line} any more: it is shorter than it was.`)
    if (`s3://${ref.bucket}/${copyKey}`.startsWith(failure.load.from))
      throw new Refused(
        `The copy would lie below ${failure.load.from} and be loaded with the rest. Give the connection "${failure.s3}" another quarantinePrefix.`,
      )
    const others = failure.files.length - 1
    return {
      ...made,
      targets: made.targets.map((target) => ({
        ...target,
        details: { ...target.details, Load: `${params.load}, query ${failure.query}`, Table: failure.load.table },
      })),
      warnings: [
        ...made.warnings,
        'A load stops at its first errors: there may be more bad lines, which the next run of it shows.',
        ...(failure.cut
          ? ['More lines were rejected than are read at once: ask for this step again after the next run.']
          : []),
        ...(others > 0 ? [`${others} more files have rejected lines: ask for this step again for each of them.`] : []),
      ],
    }
  },
  run: ({ data }, ctx) => runQuarantine(data, ctx),
  verify: ({ data }, ctx) => verifyQuarantine(data, ctx),
  probe: ({ data }, step, ctx) => probeQuarantine(data, step, ctx),
})

/** The plan for the first file whose rejected lines are still there. */
async function firstMendable(
  failure: Failure,
  { hollow, maxBadShare }: z.output<typeof Params>,
  ctx: ReadContext,
): Promise<{ made: Plan<Quarantine>; rejected: Rejected }> {
  let moved: LineMoved | null = null
  const { client } = await ctx.connect(s3, failure.s3)
  for (const rejected of failure.files) {
    const { bucket, key } = rejected
    const blind = rejected.errors.some((e) => e.rawLine === null)
    const at = blind ? await head(client, { bucket, key }, ctx.signal) : null
    const times = { written: at?.LastModified, loaded: failure.start }
    const judge = judgeRejected(failure.load, failure.columns, rejected, hollow === 'yes', times)
    try {
      const wish = { connection: failure.s3, bucket, key, maxBadShare, what: 'rejected' as const, judge }
      const made = await planQuarantine(wish, ctx)
      if (blind && made.data.ref.etag !== at?.ETag)
        throw new LineMoved(`${rejected.file} is being written anew. Run the load again first.`)
      return { made, rejected }
    } catch (error) {
      if (!(error instanceof LineMoved)) throw error
      moved ??= error
    }
  }
  throw moved ?? new Error('a failure without files')
}
