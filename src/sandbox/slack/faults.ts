import { z } from 'zod'

/** What is wrong with Slack right now; counters count down as they strike. `methods` limits all of it to those methods. */
export const Faults = z.object({
  /** true: every connection is reset; '503': Slack answers, but only that it is down. */
  outage: z.union([z.boolean(), z.literal('503')]),
  /** Share of calls, 0 to 1, that answer 500 and change nothing. */
  errorRate: z.number().min(0).max(1),
  /** So many calls take effect and answer 500 all the same. */
  errorAfterCommit: z.int().min(0),
  /** So many calls take effect and their reply is lost: the connection is reset. */
  loseReplies: z.int().min(0),
  /** Share of calls, 0 to 1, that answer 429, with `retryAfter` seconds. */
  limitRate: z.number().min(0).max(1),
  /** So many calls answer 429, with `retryAfter` seconds. */
  rateLimited: z.int().min(0),
  retryAfter: z.int().min(1),
  /** Every answer comes this many milliseconds late. */
  slowMs: z.int().min(0),
  /** The error that each of these methods answers instead of doing anything; `*` stands for every method. */
  refuse: z.record(z.string(), z.string()),
  /** So many members of a user group come on one page; all of them if 0. */
  groupPage: z.int().min(0),
  /** Whether answers have fields that nobody documents, at every depth, and nulls where nothing is known. */
  surprises: z.boolean(),
  /** Whether Slack's own rate limits are enforced. */
  rateLimit: z.boolean(),
  /** Method names that the faults apply to; all if empty. `rateLimit`, `refuse` and `surprises` do not look at it. */
  methods: z.array(z.string()),
})
export type Faults = z.infer<typeof Faults>

/** A healthy Slack. */
export const NO_FAULTS: Faults = {
  outage: false,
  errorRate: 0,
  errorAfterCommit: 0,
  loseReplies: 0,
  limitRate: 0,
  rateLimited: 0,
  retryAfter: 1,
  slowMs: 0,
  refuse: {},
  groupPage: 0,
  surprises: false,
  rateLimit: true,
  methods: [],
}

/** What befalls one call before it takes effect, and after. */
export interface Fate {
  before: 'reset' | '503' | '500' | '429' | null
  after: 'reset' | '500' | null
}

/** Draws the fate of a call to `method` and counts the counters down. */
export function drawFate(faults: Faults, method: string, random: () => number): Fate {
  const fate: Fate = { before: null, after: null }
  if (faults.methods.length > 0 && !faults.methods.includes(method)) return fate
  if (faults.outage) return { before: faults.outage === '503' ? '503' : 'reset', after: null }
  if (faults.rateLimited > 0) {
    faults.rateLimited -= 1
    return { before: '429', after: null }
  }
  if (faults.limitRate > 0 && random() < faults.limitRate) return { before: '429', after: null }
  if (faults.errorRate > 0 && random() < faults.errorRate) return { before: '500', after: null }
  if (faults.loseReplies > 0) {
    faults.loseReplies -= 1
    return { before: null, after: 'reset' }
  }
  if (faults.errorAfterCommit > 0) {
    faults.errorAfterCommit -= 1
    return { before: null, after: '500' }
  }
  return fate
}

/** An answer with fields that nobody knows, and with nulls, as Slack adds them without a word. */
export function surprise(answer: unknown): unknown {
  if (Array.isArray(answer)) return answer.map(surprise)
  if (typeof answer !== 'object' || answer === null) return answer
  const known = Object.entries(answer).map(([key, value]) => [key, surprise(value)])
  return { ...Object.fromEntries(known), x_new_field: { of: ['somebody'] }, x_nothing: null }
}
