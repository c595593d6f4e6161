import { z } from 'zod'
import { type ReadContext, Refused } from '../../src/domain/command.ts'
import type { Api, Said } from '../http/api.ts'

const Named = z.object({ id: z.string(), summary: z.string().nullish() })

/** An incident as PagerDuty has it. */
export const Incident = z.object({
  id: z.string(),
  incident_number: z.number(),
  title: z.string().default(''),
  status: z.enum(['triggered', 'acknowledged', 'resolved']),
  urgency: z.string().default(''),
  service: Named,
  assignments: z.array(z.object({ assignee: Named })).default([]),
  created_at: z.string(),
  last_status_change_at: z.string().nullish(),
})
export type Incident = z.infer<typeof Incident>

export const IncidentId = z
  .string()
  .regex(/^[A-Z0-9]{6,32}$/, 'is no id of an incident (PT4KHLK)')
  .describe('Id of the incident')

const Answer = z.object({ incident: Incident })
const Fault = z.object({ error: z.object({ message: z.string(), errors: z.array(z.string()).default([]) }) })

/** What PagerDuty says is wrong, in its own words. */
function faultOf({ status, value }: Said): string {
  const fault = Fault.safeParse(value).data?.error
  return `${status}${fault ? `: ${[fault.message, ...fault.errors].join('; ').slice(0, 300)}` : ''}`
}

/** The incident of that id. Throws Refused when there is none, or it may not be read. */
export async function incidentOf(api: Api, id: string, { signal }: Pick<ReadContext, 'signal'>): Promise<Incident> {
  const said = await api.ask('GET', `/incidents/${id}`, signal)
  if (said.status === 200) return Answer.parse(said.value).incident
  if (said.status === 429) throw new Error('PagerDuty is asked too often; try again in a minute')
  throw new Refused(`PagerDuty has no incident ${id} for us: it answered ${faultOf(said)}.`)
}

/** Sets the status of an incident. Throws Refused when PagerDuty says no: then nothing was changed. */
export async function setStatus(
  api: Api,
  id: string,
  status: 'acknowledged' | 'resolved',
  signal: AbortSignal,
): Promise<Incident['status']> {
  const said = await api.ask('PUT', `/incidents/${id}`, signal, { incident: { type: 'incident_reference', status } })
  if (said.status !== 200) throw new Refused(`PagerDuty did not change ${id}: it answered ${faultOf(said)}.`)
  return Answer.parse(said.value).incident.status
}

export const assignees = ({ assignments }: Incident): string =>
  assignments.map(({ assignee }) => assignee.summary ?? assignee.id).join(', ') || 'nobody'
