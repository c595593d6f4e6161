import type { Clock } from './clock.ts'

/**
 * Calls a minute and the burst above an empty bucket, per method and workspace; `message` is counted per channel.
 * https://docs.slack.dev/apis/web-api/rate-limits
 */
export const TIERS = {
  message: { perMinute: 60, burst: 3 },
  tier1: { perMinute: 1, burst: 10 },
  tier2: { perMinute: 20, burst: 20 },
  tier3: { perMinute: 50, burst: 50 },
  tier4: { perMinute: 100, burst: 100 },
} as const

export type Tier = keyof typeof TIERS | 'unlimited'

/** Token buckets: `take` answers 0 for a call that may go on, else the whole seconds of Retry-After. */
export function createRate(clock: Clock) {
  const buckets = new Map<string, { tokens: number; at: number }>()
  return {
    take(tier: Tier, key: string): number {
      if (tier === 'unlimited') return 0
      const { perMinute, burst } = TIERS[tier]
      const now = clock.now()
      const last = buckets.get(key) ?? { tokens: burst, at: now }
      const tokens = Math.min(burst, last.tokens + ((now - last.at) * perMinute) / 60_000)
      const allowed = tokens >= 1
      buckets.set(key, { tokens: allowed ? tokens - 1 : tokens, at: now })
      return allowed ? 0 : Math.max(1, Math.ceil(((1 - tokens) * 60) / perMinute))
    },
  }
}
