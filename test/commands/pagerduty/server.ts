import { startService } from '../http/server.ts'

export const TOKEN = 'canary-pagerduty-token'
export const FROM = 'oncall@example.com'

type Status = 'triggered' | 'acknowledged' | 'resolved'

/** Incidents behind PagerDuty's REST API v2, which says no to what the real one does: https://developer.pagerduty.com/docs/errors */
export async function startPagerduty() {
  const incidents = new Map<
    string,
    { id: string; number: number; title: string; status: Status; service: string; changed: string }
  >()
  /** The next PUT takes effect, and its answer is lost. */
  const mishap = { landed: false }
  /** So many requests are too many; each is told how many seconds to wait. */
  const throttle = { left: 0, seconds: 0 }
  /** What an incident is shown with beside what it has, for a service that learns new things. */
  const strange: Record<string, unknown> = {}
  const service = await startService((seen, incoming, outgoing) => {
    const say = (status: number, value: unknown) =>
      outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    const no = (status: number, code: number, message: string, ...errors: string[]) =>
      say(status, { error: { message, code, ...(errors.length > 0 && { errors }) } })
    if (throttle.left > 0) {
      throttle.left--
      outgoing.setHeader('ratelimit-reset', String(throttle.seconds))
      return no(429, 2020, 'Rate Limit Exceeded')
    }
    if (seen.headers.authorization !== `Token token=${TOKEN}`) return no(401, 2006, 'Unauthorized')
    if (seen.headers.accept !== 'application/vnd.pagerduty+json;version=2') return no(400, 2001, 'Invalid Version')
    const incident = incidents.get(/^\/incidents\/([A-Z0-9]+)$/.exec(seen.url)?.[1] ?? '')
    if (!incident) return no(404, 2100, 'Not Found')
    const shown = () => ({
      id: incident.id,
      type: 'incident',
      incident_number: incident.number,
      title: incident.title,
      status: incident.status,
      urgency: 'high',
      service: { id: incident.service, type: 'service_reference', summary: `service ${incident.service}` },
      assignments: [{ at: incident.changed, assignee: { id: 'PU1', type: 'user_reference', summary: 'Ada' } }],
      created_at: '2026-11-21T01:00:00Z',
      last_status_change_at: incident.changed,
      ...strange,
    })
    if (seen.method === 'GET') return say(200, { incident: shown() })
    if (seen.method !== 'PUT') return no(405, 2001, 'Method Not Allowed')
    if (!seen.headers.from) return no(400, 1008, 'Requester User Not Found', 'From header is missing')
    if (seen.headers.from !== FROM) return no(400, 1008, 'Requester User Not Found')
    const { incident: wanted } = JSON.parse(seen.body) as { incident?: { type?: string; status?: Status } }
    if (wanted?.type !== 'incident_reference' && wanted?.type !== 'incident')
      return no(400, 2001, 'Invalid Input Provided', 'Type is invalid')
    if (wanted.status !== 'acknowledged' && wanted.status !== 'resolved')
      return no(400, 2001, 'Invalid Input Provided', 'Status is invalid')
    if (incident.status === 'resolved') return no(400, 2001, 'Invalid Input Provided', 'Incident Already Resolved')
    Object.assign(incident, { status: wanted.status, changed: '2026-11-21T02:30:00Z' })
    if (!mishap.landed) return say(200, { incident: shown() })
    mishap.landed = false
    incoming.socket.destroy()
  })
  return {
    ...service,
    incidents,
    mishap,
    throttle,
    strange,
    /** Forgets what it was told to play. */
    behave() {
      Object.assign(mishap, { landed: false })
      Object.assign(throttle, { left: 0, seconds: 0 })
      for (const name of Object.keys(strange)) delete strange[name]
    },
    add: (id: string, status: Status = 'triggered', of = 'PSVC1') =>
      void incidents.set(id, {
        id,
        number: 1234,
        title: 'Disk full',
        status,
        service: of,
        changed: '2026-11-21T01:00:00Z',
      }),
  }
}
export type Pagerduty = Awaited<ReturnType<typeof startPagerduty>>
