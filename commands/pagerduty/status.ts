import { z } from 'zod'
import { type ChangeCommand, type ReadContext, Refused } from '../../src/domain/command.ts'
import { settled } from '../settle.ts'
import { pagerduty } from './connection.ts'
import { assignees, type Incident, IncidentId, incidentOf, refuseUnknown, setStatus, statusOf } from './nouns.ts'

export const Params = z.object({ connection: z.string().describe('PagerDuty connection'), incident: IncidentId })
export type Data = Readonly<{ connection: string; incident: string; number: number }>

type Wanted = Readonly<{
  step: 'acknowledge' | 'resolve'
  status: 'acknowledged' | 'resolved'
  warnings: readonly string[]
}>

const look = async ({ connection, incident }: Pick<Data, 'connection' | 'incident'>, ctx: ReadContext) =>
  incidentOf((await ctx.connect(pagerduty, connection)).client, incident, ctx)

/** What acknowledge and resolve have in common: one incident goes to a further status, and never back. */
export function toStatus({
  step,
  status,
  warnings,
}: Wanted): Pick<ChangeCommand<typeof Params, Data>, 'plan' | 'run' | 'verify' | 'probe'> {
  // A resolved incident was acknowledged by somebody, or needs no acknowledging any more.
  const reached = (found: Incident) => found.status === status || found.status === 'resolved'
  return {
    async plan({ connection, incident }, ctx) {
      const { settings } = await ctx.connect(pagerduty, connection)
      const found = await look({ connection, incident }, ctx)
      const service = found.service.summary ?? found.service.id
      refuseUnknown(found)
      if (reached(found))
        throw new Refused(`Nothing to do: incident #${found.incident_number} is ${found.status} already.`)
      if (!settings.services.includes(found.service.id))
        throw new Refused(`The connection ${connection} does not allow to change incidents of ${service}.`)
      return {
        summary: `Set incident #${found.incident_number} of ${service} to ${status}`,
        targets: [
          {
            id: `pagerduty:${connection}/incident/${found.id}`,
            name: `#${found.incident_number} ${found.title}`.slice(0, 200),
            fingerprint: `${found.status} ${found.last_status_change_at ?? ''}`,
            details: {
              status: found.status,
              service,
              urgency: found.urgency,
              ...(found.priority && { priority: found.priority.summary ?? found.priority.id }),
              'assigned to': assignees(found),
              opened: found.created_at,
            },
          },
        ],
        steps: [{ id: step, title: `Set it to ${status}`, detail: `PUT /incidents/${found.id} from ${settings.from}` }],
        warnings: [...warnings],
        data: { connection, incident: found.id, number: found.incident_number },
      }
    },

    async run({ data }, ctx) {
      const { client } = await ctx.connect(pagerduty, data.connection)
      await ctx.step(step, () => setStatus(client, data.incident, status, ctx.signal))
      return `Incident #${data.number} is ${status}`
    },

    async verify({ data }, ctx) {
      const found = await settled(() => look(data, ctx), reached, ctx.signal)
      return [
        { title: `Incident #${data.number} is ${status}`, ok: reached(found), detail: `it is ${statusOf(found)}` },
      ]
    },

    async probe({ data }, _step, ctx) {
      const found = await look(data, ctx)
      const isOpen = found.status === 'triggered' || found.status === 'acknowledged'
      const landed = found.status === status ? 'yes' : reached(found) || !isOpen ? 'cannot_tell' : 'no'
      return { landed, detail: `Incident #${data.number} is ${statusOf(found)}.` }
    },
  }
}
