import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { type Api, createApi } from '../http/api.ts'
import { BaseUrl, Ca, secureFor } from '../http/base.ts'

export const PagerdutySettings = z
  .strictObject({
    baseUrl: BaseUrl.default('https://api.pagerduty.com'),
    tokenFrom: z.string().min(1),
    /** A user of the account: who a change is from, where the token is the account's. */
    from: z.email(),
    /** Ids of the services whose incidents may be changed; none unless they are named. */
    services: z.array(z.string().regex(/^[A-Z0-9]+$/)).default([]),
    /** Of a proxy of one's own that opens TLS on its way out. */
    ca: Ca,
    timeoutMs: z.number().int().min(100).max(60_000).default(10_000),
  })
  .refine(...secureFor)
export type PagerdutySettings = z.infer<typeof PagerdutySettings>

/** One PagerDuty account, by its REST API v2: https://developer.pagerduty.com/api-reference/ */
export const pagerduty = defineConnection<PagerdutySettings, Api>({
  kind: 'pagerduty',
  settings: PagerdutySettings,
  open({ baseUrl, tokenFrom, from, ca, timeoutMs }, secret) {
    const token = secret(tokenFrom)
    const headers = { authorization: `Token token=${token}`, accept: 'application/vnd.pagerduty+json;version=2', from }
    return createApi({
      name: 'pagerduty',
      baseUrl,
      headers,
      secrets: [token],
      ca,
      timeoutMs,
      maxBytes: 1024 * 1024,
      remedy: 'no incident is that long, so check baseUrl',
    })
  },
  close() {},
})
