import { z } from 'zod'
import { exactText } from '../domain/exact.ts'
import { SourceAuth } from './auth.ts'
import { type Found, firstOf, groupName, normalise } from './normalise.ts'
import { createReading, defineSource, MAX_ALERTS, type Origin, refuse, tooMany } from './source.ts'
import { cut, kindOf, own, recordOf, textOf } from './text.ts'
import { notesOf, readTime } from './time.ts'

type Members = Readonly<Record<string, unknown>>

/**
 * Alertmanager's webhook, version 4: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. Grafana and
 * others send the same with more members: https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier
 */
export const alertmanager = defineSource({
  kind: 'alertmanager',
  settings: z.strictObject({ kind: z.literal('alertmanager'), auth: SourceAuth }),
  *decode(body, _settings, origin) {
    const payload = recordOf(body)
    if (!payload) return refuse(`body: an object is expected, there is ${kindOf(body)}`)
    // Go writes a list of nothing as null.
    const items = own(payload, 'alerts') === null ? [] : own(payload, 'alerts')
    if (!Array.isArray(items)) return refuse(`alerts: an array is expected, there is ${kindOf(items)}`)
    if (items.length > MAX_ALERTS) return tooMany('alerts', items.length)
    const group = groupOf(payload, origin)
    const reading = createReading()
    for (const [index, item] of items.entries()) {
      const found = read(item, payload)
      if (typeof found === 'string') reading.leaveOut(`alerts[${index}]${found}`)
      else reading.add(normalise({ ...found, group: group?.key }, origin))
      yield
    }
    return reading.end({ truncated: truncatedOf(payload), ...(group && { group }) })
  },
})

/** The group that the message is about; Grafana's organisations may have the same keys. */
function groupOf(payload: Members, { source }: Origin) {
  const [key, org] = [textOf(own(payload, 'groupKey')), textOf(own(payload, 'orgId'))]
  if (key === undefined) return undefined
  return {
    source,
    key: groupName(org === undefined ? key : `${org} ${key}`),
    labels: namesOf(own(payload, 'groupLabels')).kept,
    over: isOver(payload),
  }
}

/**
 * Why a message was sent, from 0.32 on, when something of its group still fires:
 * https://github.com/prometheus/alertmanager/blob/main/notify/notify.go
 */
const GOES_ON: readonly unknown[] = [
  'first notification',
  'new alerts added',
  'some alerts resolved',
  'repeat interval elapsed',
]

/**
 * Whether nothing of the group fires any more. Where the list was cut, the status is that of the alerts which are named; then
 * the reason tells whether those that are not have ended too. Without a reason they are taken to have, and people are told.
 */
function isOver(payload: Members): boolean {
  if (statusOf(payload) !== 'resolved') return false
  // What fires while its group is said to be over is believed, not the group.
  const named = own(payload, 'alerts')
  if (Array.isArray(named) && named.map(recordOf).some((alert) => alert && statusOf(alert) === 'firing')) return false
  return truncatedOf(payload) === 0 || !GOES_ON.includes(own(payload, 'notification_reason'))
}

const statusOf = (record: Members): string | undefined => textOf(own(record, 'status'))?.toLowerCase()

const truncatedOf = (payload: Members): number => countOf(own(payload, 'truncatedAlerts'))

/** An alert as it was sent, or what is wrong with it, to be put behind its place in the body. */
function read(item: unknown, payload: Members): Omit<Found, 'group'> | string {
  const alert = recordOf(item)
  if (!alert) return `: an object is expected, there is ${kindOf(item)}`
  // Each alert's own status counts: one that fires keeps the whole group firing.
  const status = statusOf(alert) ?? statusOf(payload)
  if (status !== 'firing' && status !== 'resolved')
    return `.status: "firing" or "resolved" is expected, there is ${JSON.stringify(status === undefined ? null : cut(status))}`
  const given = own(alert, 'labels')
  const labels = namesOf(given)
  const fingerprint = textOf(own(alert, 'fingerprint')) ?? ''
  if (given !== null && given !== undefined && !recordOf(given))
    return `.labels: an object is expected, there is ${kindOf(given)}`
  if (Object.keys(labels.kept).length === 0 && fingerprint === '')
    return '.labels: there are none, and no fingerprint, so nothing tells this alert from another'
  const annotations = namesOf(own(alert, 'annotations'))
  const [startsAt, endsAt] = [readTime(own(alert, 'startsAt')), readTime(own(alert, 'endsAt'))]
  const url = (value: unknown) => (typeof value === 'string' ? value : undefined)
  return {
    fingerprint,
    status,
    labels: labels.kept,
    annotations: annotations.kept,
    surplus: { labels: labels.surplus, annotations: annotations.surplus },
    startsAt: startsAt.at,
    endsAt: endsAt.at,
    links: [
      { title: 'Runbook', url: own(annotations.kept, 'runbook_url') as string | undefined },
      { title: 'Dashboard', url: own(annotations.kept, 'dashboard_url') as string | undefined },
      { title: 'Source', url: url(own(alert, 'generatorURL')) },
      { title: 'Alertmanager', url: url(own(payload, 'externalURL')) },
    ],
    notes: notesOf(startsAt, endsAt),
  }
}

/** The names of a record with their values as text; what is far too many of them is counted, not read. */
function namesOf(record: unknown): { kept: Record<string, string>; surplus: number } {
  const { few, surplus } = firstOf(recordOf(record) ?? {})
  const texts = Object.entries(few as Members).flatMap(([name, value]): [string, string][] => {
    const text = value === '' ? '' : textOf(value)
    return text === undefined ? [] : [[name, text]]
  })
  return { kept: Object.fromEntries(texts), surplus }
}

/** How many alerts were left out; a count that is none says nothing. */
function countOf(value: unknown): number {
  const count = Number(exactText(value) ?? 0)
  return Number.isSafeInteger(count) && count > 0 ? count : 0
}
