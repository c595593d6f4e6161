import { defineFacts } from '../harness/facts.ts'

const read = '2026-11-28'
const AM = 'https://github.com/prometheus/alertmanager at 68fb2d5'
const DEBIAN = "Debian's prometheus-alertmanager 0.25.0"
const GRAFANA = 'https://github.com/grafana/alerting/blob/783ce041/receivers/webhook/v1/webhook.go'
const GRAFANA_DOC =
  'https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/'
const DATADOG = 'https://docs.datadoghq.com/integrations/webhooks/'
const CLOUDWATCH = 'https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html'

export const facts = defineFacts({
  of: 'What senders of alerts send: Alertmanager, Grafana, CloudWatch by EventBridge, Datadog',
  enforcedBy: [
    'test/sources/alertmanager.test.ts',
    'test/sources/generic.test.ts',
    'test/sources/time.test.ts',
    'test/sources/real-alertmanager.test.ts',
    'test/pipeline/groups.test.ts',
  ],
  facts: [
    {
      says: 'A message is about one group and names it by groupKey; truncatedAlerts says how many alerts max_alerts left out.',
      source: `https://prometheus.io/docs/alerting/latest/configuration/#webhook_config; ${DEBIAN}`,
      read,
    },
    {
      says: 'The first max_alerts alerts are named, in the order of their labels job, instance, and then all labels.',
      source: `${AM}, alert/alert.go and notify/webhook/webhook.go; ${DEBIAN}`,
      read,
    },
    {
      says: 'The status of a message is that of the alerts that it names, after the list was cut: what was left out may still fire when it says resolved.',
      source: `${AM}, notify/webhook/webhook.go (truncateAlerts before GetTemplateData); ${DEBIAN}`,
      read,
    },
    {
      says: 'notification_reason says why a message was sent: "first notification", "new alerts added", "some alerts resolved", "all alerts resolved", "repeat interval elapsed" or "unknown".',
      source: `${AM}, notify/notify.go and docs/configuration.md; not in 0.25.0`,
      read,
    },
    {
      says: 'An alert that has ended stays in its group until a message about it was taken, so a message that got a 503 is sent again with it.',
      source: `${AM}, dispatch/dispatch.go, flush; ${DEBIAN}`,
      read,
    },
    {
      says: 'What got a 5xx is sent again after about half a second and longer pauses; what got a 4xx, 429 included, is not.',
      source: DEBIAN,
      read,
    },
    {
      says: 'Without send_resolved nothing tells of an end.',
      source: `${AM}, docs/configuration.md and notify/dedup_stage.go`,
      read,
    },
    {
      says: 'An alert that fires has 0001-01-01T00:00:00Z for its end.',
      source: `${AM}, dispatch/dispatch.go, flush; ${DEBIAN}`,
      read,
    },
    {
      says: 'The fingerprint is a hash of the labels: two Alertmanagers give equal alerts the same.',
      source: `${AM}, template/template.go; prometheus/alertmanager#2447`,
      read,
    },
    {
      says: 'An empty label is the same as one that is not there; a label may be named by any UTF-8 text.',
      source: 'https://prometheus.io/docs/concepts/data_model/',
      read,
    },
    {
      says: 'Grafana sends the same body with version "1", orgId, title, state, message, and for each alert silenceURL, dashboardURL, panelURL, values and valueString; values may be null.',
      source: `${GRAFANA}; ${GRAFANA_DOC}`,
      read,
    },
    {
      says: 'Grafana cuts the list before it takes the status too.',
      source: `${GRAFANA} (truncateAlerts before TmplText)`,
      read,
    },
    {
      says: 'CloudWatch writes detail.state.timestamp as 2019-10-02T17:04:40.989+0000, and the event’s time as 2019-10-02T17:04:40Z.',
      source: CLOUDWATCH,
      read,
    },
    {
      says: 'A body of Datadog is a template of the user; $ALERT_CYCLE_KEY links trigger and recovery.',
      source: DATADOG,
      read,
    },
    {
      says: 'Datadog’s $DATE is Unix time in milliseconds: 1406662672000.',
      source: `${DATADOG}#variables`,
      read,
    },
    {
      says: 'Datadog sends again on a 5xx, and five times when there is no connection; it waits for 15 seconds.',
      source: DATADOG,
      read,
    },
    {
      says: 'Numbers above 2^53 lose digits as doubles; JSON itself has no limit.',
      source: 'RFC 8259, section 6',
      read,
    },
  ],
  unchecked: [
    {
      says: 'What a version of Alertmanager from 0.32 on really writes as notification_reason.',
      why: 'Debian 12 has 0.25.0; read in its source only.',
    },
    {
      says: 'Label names in UTF-8 on the wire of a real Alertmanager.',
      why: 'They came with 0.27; 0.25.0 refuses them.',
    },
    {
      says: 'Datadog’s $DATE stands in quotes in most templates.',
      why: 'Known from public templates only; it is taken with quotes and without.',
    },
    { says: 'Bodies of a real Grafana, CloudWatch and Datadog.', why: 'None of them could be run here.' },
  ],
})
