import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { pagerduty } from './connection.ts'
import { assignees, IncidentId, incidentOf, statusOf } from './nouns.ts'

/** How an incident of PagerDuty stands, and who has it. */
export const incident = defineRead({
  id: 'pagerduty.incident',
  summary: 'Show an incident of PagerDuty',
  effect: 'read',
  params: z.object({ connection: z.string().describe('PagerDuty connection'), incident: IncidentId }),
  async read({ connection, incident: id }, ctx) {
    const { client } = await ctx.connect(pagerduty, connection)
    const found = await incidentOf(client, id, ctx)
    return {
      summary: `Incident #${found.incident_number} is ${statusOf(found)}: ${found.title}`,
      blocks: [
        {
          type: 'table',
          columns: ['service', 'urgency', 'assigned to', 'opened', 'last change'],
          rows: [
            [
              found.service.summary ?? found.service.id,
              found.urgency,
              assignees(found),
              found.created_at,
              found.last_status_change_at ?? '',
            ],
          ],
          omitted: 0,
        },
      ],
    }
  },
})
