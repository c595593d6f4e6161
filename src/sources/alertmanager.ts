import { z } from 'zod'
import type { Alert } from '../domain/alert.ts'
import { SourceAuth } from './auth.ts'
import { firstOf, instant, normalise } from './normalise.ts'
import { defineSource, firstFault, MAX_ALERTS, refuse, tooMany } from './source.ts'

/** Go's zero time stands for "not yet". */
const Time = z.iso.datetime({ offset: true }).transform(instant)

const Payload = z.object({
  alerts: z.array(z.unknown()),
  externalURL: z.string().optional(),
  truncatedAlerts: z.int().nonnegative().default(0),
})

/** A record without what is far too many of: the rest is counted, not read. */
const Some = z.unknown().transform((value, ctx) => {
  const { few, surplus } = firstOf(value)
  const parsed = z.record(z.string(), z.string()).safeParse(few)
  if (parsed.success) return { kept: parsed.data, surplus }
  ctx.issues.push(...parsed.error.issues.map((issue) => ({ ...issue, input: value }) as z.core.$ZodRawIssue))
  return z.NEVER
})

const One = z.object({
  status: z.enum(['firing', 'resolved']),
  labels: Some,
  annotations: z.unknown().default({}).pipe(Some),
  startsAt: Time.nullish(),
  endsAt: Time.nullish(),
  generatorURL: z.string().optional(),
  fingerprint: z.string().default(''),
})

/** Alertmanager's webhook, version 4: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config */
export const alertmanager = defineSource({
  kind: 'alertmanager',
  settings: z.strictObject({ kind: z.literal('alertmanager'), auth: SourceAuth }),
  *decode(body, _settings, origin) {
    const payload = Payload.safeParse(body)
    if (!payload.success) return refuse(firstFault(payload.error))
    const { externalURL, truncatedAlerts } = payload.data
    if (payload.data.alerts.length > MAX_ALERTS) return tooMany('alerts', payload.data.alerts.length)
    const alerts: Alert[] = []
    // The group's own status says nothing of each alert: one that fires keeps the whole group firing.
    for (const [index, item] of payload.data.alerts.entries()) {
      const one = One.safeParse(item)
      if (!one.success) return refuse(firstFault(one.error, ['alerts', index]))
      const { fingerprint, status, startsAt, endsAt, generatorURL } = one.data
      const { labels, annotations } = one.data
      const links = [
        { title: 'Runbook', url: own(annotations.kept, 'runbook_url') },
        { title: 'Dashboard', url: own(annotations.kept, 'dashboard_url') },
        { title: 'Source', url: generatorURL },
        { title: 'Alertmanager', url: externalURL },
      ]
      const found = {
        fingerprint,
        status,
        labels: labels.kept,
        annotations: annotations.kept,
        surplus: { labels: labels.surplus, annotations: annotations.surplus },
        startsAt: startsAt ?? null,
        endsAt: endsAt ?? null,
        links,
      }
      alerts.push(normalise(found, origin))
      yield
    }
    return { ok: true, batch: { alerts, truncated: truncatedAlerts } }
  },
})

const own = (record: Record<string, string>, name: string) => (Object.hasOwn(record, name) ? record[name] : undefined)
