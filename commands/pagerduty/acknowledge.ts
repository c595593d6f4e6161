import { defineChange } from '../../src/domain/command.ts'
import { type Data, Params, toStatus } from './status.ts'

/** Says in PagerDuty that somebody works on an incident, which stops its escalation. */
export const acknowledge = defineChange<typeof Params, Data>({
  id: 'pagerduty.acknowledge',
  summary: 'Acknowledge an incident of PagerDuty',
  effect: 'idempotent',
  risk: 'low',
  params: Params,
  ...toStatus({
    step: 'acknowledge',
    status: 'acknowledged',
    warnings: ['It escalates to nobody else from then on, until its acknowledgement times out.'],
  }),
})
