import { z } from 'zod'
import { defineChange } from '../../src/domain/command.ts'
import type { Quarantine } from './kept.ts'
import { CEILING, planQuarantine, probeQuarantine, runQuarantine, verifyQuarantine } from './quarantine.ts'

const Params = z.object({
  connection: z.string().describe('S3 connection'),
  bucket: z.string().min(1).describe('Bucket'),
  key: z.string().min(1).describe('Key of the .json.gz file'),
  maxBadShare: z.coerce
    .number()
    .gt(0)
    .max(CEILING)
    .default(0.05)
    .describe(`Refuse above this share of bad lines (at most ${CEILING})`),
})

/** Sets the lines of one `.json.gz` aside that are not JSON. The original is copied first and stays. */
export const quarantineRecords = defineChange<typeof Params, Quarantine>({
  id: 's3.quarantine-records',
  summary:
    'Set the malformed lines of one .json.gz file aside, keep a copy of the original, and write the file again without them',
  effect: 'idempotent',
  risk: 'medium',
  params: Params,
  plan: (params, ctx) => planQuarantine({ ...params, what: 'malformed' }, ctx),
  run: ({ data }, ctx) => runQuarantine(data, ctx),
  verify: ({ data }, ctx) => verifyQuarantine(data, ctx),
  probe: ({ data }, step, ctx) => probeQuarantine(data, step, ctx),
})
