import { z } from 'zod'
import { type ReadContext, Refused } from '../../src/domain/command.ts'
import type { Api, Said } from '../http/api.ts'
import { listOf, shaped, text } from '../http/shape.ts'

const Named = z.object({ id: z.string(), summary: z.string().nullish() })

/** The statuses that an incident can have: https://developer.pagerduty.com/api-reference/9d0b4b12e36f9-list-incidents */
const KNOWN = ['triggered', 'acknowledged', 'resolved']

/** An incident as PagerDuty has it. A status that is none of the known ones is kept as it came. */
export const Incident = z.object({
  id: z.string(),
  incident_number: z.number(),
  title: text,
  status: z.string(),
  urgency: text,
  priority: Named.nullish(),
  service: Named,
  assignments: listOf(z.object({ assignee: Named })),
  created_at: text,
  last_status_change_at: z.string().nullish(),
})
export type Incident = z.infer<typeof Incident>

export const IncidentId = z
  .string()
  .regex(/^[A-Z0-9]{6,32}$/, 'is no id of an incident (PT4KHLK)')
  .describe('Id of the incident')

const Answer = z.object({ incident: Incident })
const Fault = z.object({ error: z.object({ message: text, errors: listOf(z.string()) }) })

/** What PagerDuty says is wrong, in its own words, and what to do about it. */
function faultOf({ status, value }: Said): string {
  const fault = Fault.safeParse(value).data?.error
  const remedy =
    status === 401
      ? '; check tokenFrom'
      : status === 403
        ? '; check that the key is not read-only, and what its user may do'
        : ''
  return `${status}${fault ? `: ${[fault.message, ...fault.errors].join('; ').slice(0, 300)}` : ''}${remedy}`
}

const said = (status: string) => (KNOWN.includes(status) ? status : `unknown: ${status.slice(0, 40)}`)

/** How an incident stands, said of it. */
export const statusOf = ({ status }: Pick<Incident, 'status'>): string => said(status)

/** Refuses an incident in a state that nobody here knows: what a change would do to it is not known either. */
export function refuseUnknown(found: Incident): void {
  if (!KNOWN.includes(found.status))
    throw new Refused(
      `Incident #${found.incident_number} is in a state that is ${said(found.status)}. Change it in PagerDuty.`,
    )
}

/** The incident of that id. Throws Refused when there is none, or it may not be read. */
export async function incidentOf(api: Api, id: string, { signal }: Pick<ReadContext, 'signal'>): Promise<Incident> {
  const answer = await api.ask('GET', `/incidents/${id}`, signal)
  if (answer.status === 429) throw new Error('PagerDuty is asked too often; try again in a minute')
  if (answer.status !== 200)
    throw new Refused(`PagerDuty has no incident ${id} for us: it answered ${faultOf(answer)}.`)
  const { incident } = shaped(Answer, answer.value, `PagerDuty, asked for incident ${id},`)
  if (incident.id !== id) throw new Error(`PagerDuty was asked for incident ${id} and gave ${incident.id.slice(0, 40)}`)
  return incident
}

/** Sets the status of an incident. Throws Refused when PagerDuty says no: then nothing was changed. */
export async function setStatus(
  api: Api,
  id: string,
  status: 'acknowledged' | 'resolved',
  signal: AbortSignal,
): Promise<Incident['status']> {
  const answer = await api.ask('PUT', `/incidents/${id}`, signal, { incident: { type: 'incident_reference', status } })
  if (answer.status !== 200) throw new Refused(`PagerDuty did not change ${id}: it answered ${faultOf(answer)}.`)
  return shaped(Answer, answer.value, `PagerDuty, told to change incident ${id},`).incident.status
}

export const assignees = ({ assignments }: Incident): string =>
  assignments.map(({ assignee }) => assignee.summary ?? assignee.id).join(', ') || 'nobody'
