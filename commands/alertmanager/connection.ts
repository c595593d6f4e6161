import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { Networks } from '../http/address.ts'
import { type Api, createApi } from '../http/api.ts'
import { BaseUrl, secureFor } from '../http/base.ts'

export const AlertmanagerSettings = z
  .strictObject({
    /** Where it is, without `/api/v2`. */
    baseUrl: BaseUrl,
    /** Sent as `Authorization: Bearer …`. */
    tokenFrom: z.string().min(1).optional(),
    networks: Networks,
    /** The alertnames that may be silenced; none unless they are named. */
    silenceable: z.array(z.string().min(1)).default([]),
    /** The longest silence that any approval can set. */
    mostMinutes: z.number().int().min(1).max(10_080).default(240),
    timeoutMs: z.number().int().min(100).max(60_000).default(10_000),
  })
  .refine(...secureFor)
export type AlertmanagerSettings = z.infer<typeof AlertmanagerSettings>

/** One Alertmanager, by its API v2: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml */
export const alertmanager = defineConnection<AlertmanagerSettings, Api>({
  kind: 'alertmanager',
  settings: AlertmanagerSettings,
  open({ baseUrl, tokenFrom, networks, timeoutMs }, secret) {
    const token = tokenFrom && secret(tokenFrom)
    const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {}
    const maxBytes = 4 * 1024 * 1024
    return createApi({ name: 'alertmanager', baseUrl, headers, secret: token, networks, timeoutMs, maxBytes })
  },
  close() {},
})
