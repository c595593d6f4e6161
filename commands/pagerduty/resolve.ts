import { defineChange } from '../../src/domain/command.ts'
import { type Data, Params, toStatus } from './status.ts'

/** Ends an incident of PagerDuty. It cannot be opened again. */
export const resolve = defineChange<typeof Params, Data>({
  id: 'pagerduty.resolve',
  summary: 'Resolve an incident of PagerDuty',
  effect: 'idempotent',
  risk: 'medium',
  params: Params,
  ...toStatus({
    step: 'resolve',
    status: 'resolved',
    warnings: ['A resolved incident cannot be opened again: make sure that what it stands for is over.'],
  }),
})
