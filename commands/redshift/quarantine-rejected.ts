import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import type { Plan } from '../../src/domain/plan.ts'
import type { Quarantine } from '../s3/kept.ts'
import { CEILING, planQuarantine, probeQuarantine, runQuarantine, verifyQuarantine } from '../s3/quarantine.ts'
import { type Failure, findFailure } from './failure.ts'
import { judgeRejected, LineMoved, type Rejected } from './rejected.ts'

const Params = z.object({
  connection: z.string().describe('Redshift connection'),
  load: z.string().describe('Load, as the connection names it; its latest failure is mended'),
  query: z.coerce.number().int().positive().optional().describe('Id of the COPY instead'),
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
 * are kept in an object of their own. Each line must still be the one that stl_load_errors shows.
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
      throw new Refused(`stl_load_errors names no line of the load "${params.load}". There is nothing to set aside.`)
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
  for (const rejected of failure.files) {
    const judge = judgeRejected(failure.load, failure.columns, rejected, hollow === 'yes')
    const { bucket, key } = rejected
    try {
      const wish = { connection: failure.s3, bucket, key, maxBadShare, what: 'rejected' as const, judge }
      return { made: await planQuarantine(wish, ctx), rejected }
    } catch (error) {
      if (!(error instanceof LineMoved)) throw error
      moved ??= error
    }
  }
  throw moved ?? new Error('a failure without files')
}
