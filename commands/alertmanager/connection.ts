import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { Networks } from '../http/address.ts'
import { type Api, createApi } from '../http/api.ts'
import { authorized, BaseUrl, BasicAuth, Ca, oneOfBoth, secureFor } from '../http/base.ts'

export const AlertmanagerSettings = z
  .strictObject({
    /** Where it is, without `/api/v2`. */
    baseUrl: BaseUrl,
    /** Sent as `Authorization: Bearer …`. */
    tokenFrom: z.string().min(1).optional(),
    /** Or a user and a password, as its web.config.file has them (`basic_auth_users`). */
    auth: BasicAuth,
    ca: Ca,
    networks: Networks,
    /** The alertnames that may be silenced; none unless they are named. */
    silenceable: z.array(z.string().min(1)).default([]),
    /** The longest silence that any approval can set. */
    mostMinutes: z.number().int().min(1).max(10_080).default(240),
    /** How many minutes Keyturn may silence the same labels within a day, all approvals together. */
    mostMinutesADay: z.number().int().min(1).max(1_440).optional(),
    timeoutMs: z.number().int().min(100).max(60_000).default(10_000),
    /** An alert takes about 500 bytes: 60,000 of one name fit. */
    maxResponseBytes: z
      .number()
      .int()
      .min(65_536)
      .max(268_435_456)
      .default(32 * 1024 * 1024),
  })
  .refine(...secureFor)
  .refine(...oneOfBoth)
export type AlertmanagerSettings = z.infer<typeof AlertmanagerSettings>

/** One Alertmanager, by its API v2: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml */
export const alertmanager = defineConnection<AlertmanagerSettings, Api>({
  kind: 'alertmanager',
  settings: AlertmanagerSettings,
  open(settings, secret) {
    const { baseUrl, networks, ca, timeoutMs, maxResponseBytes: maxBytes } = settings
    return createApi({
      name: 'alertmanager',
      baseUrl,
      ...authorized(settings, secret),
      networks,
      ca,
      timeoutMs,
      maxBytes,
    })
  },
  close() {},
})
