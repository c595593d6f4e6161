import { generateKeyPairSync } from 'node:crypto'
import type { Alert } from '../../src/domain/alert.ts'
import type { Playbook } from '../../src/domain/playbook.ts'
import { Policy } from '../../src/domain/policy.ts'
import { person } from '../domain/person.ts'

export const keys = generateKeyPairSync('ed25519')
/** Of somebody who can write to the store. */
export const stranger = generateKeyPairSync('ed25519')
export const policy = Policy.parse({
  approvers: { data: { users: ['U0ADA', 'U0SAM', 'U0SAM2', 'U0GUS'] } },
  defaultApprovers: ['data'],
  quorum: { low: 2 },
  people: { sam: ['U0SAM', 'U0SAM2'] },
  proposalMinutes: 60,
})
export const PEOPLE = [
  person('U0ADA'),
  person('U0SAM'),
  person('U0SAM2'),
  person('U0GUS', { guest: true }),
  person('U0WHO'),
]
export const MAY = ['U0ADA', 'U0SAM', 'U0SAM2']
export const playbook: Playbook = {
  id: 'lamp/off',
  hash: 'sha256:1',
  title: 'The lamp is off',
  match: { alertname: { kind: 'equals', value: 'LampOff' } },
  groupBy: ['room'],
  owner: '@lamps',
  approvers: [],
  severity: null,
  channel: null,
  intro: '',
  steps: [
    {
      id: 'switch',
      title: 'Switch',
      line: 1,
      prose: '',
      call: { command: 'lamp.switch', summary: '', effect: 'once', risk: 'low', params: {}, fields: [] },
    },
  ],
}
/** What the change does, one after the other. */
export const STEPS = ['first', 'second']

/** An alert of a room as of `now`, in milliseconds. */
export const alertOf = (room: string, status: Alert['status'], now: number): Alert => ({
  source: 'test',
  fingerprint: room,
  status,
  labels: { alertname: 'LampOff', room },
  annotations: {},
  startsAt: new Date(now).toISOString(),
  endsAt: status === 'resolved' ? new Date(now + 1).toISOString() : null,
  links: [],
})

/** What the target itself has seen: nobody of Keyturn writes it. */
export type Effect = {
  incident: string
  proposal: string
  step: string
  bulb: string
  from: number
  to: number | null
  at: number
}
/** A press that was answered with yes, as the person saw the plan. */
export type Press = { incident: string; proposal: string; bulb: string; user: string; at: number }
