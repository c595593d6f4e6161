import { z } from 'zod'

const incident = z.string()

/** Read-only work may be retried; a run is rung once and judged by the journal. */
export const Job = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('evidence'), incident, step: z.string(), requestedAt: z.string() }),
  z.strictObject({ kind: z.literal('plan'), incident, proposal: z.string() }),
  z.strictObject({ kind: z.literal('probe'), incident, proposal: z.string() }),
  z.strictObject({ kind: z.literal('run'), incident, proposal: z.string() }),
])
export type Job = z.infer<typeof Job>
