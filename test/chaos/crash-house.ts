import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { defaultWorkspace } from '../../src/sandbox/slack/workspace.ts'
import { ALLOW, LOOK, switchOn } from '../e2e/lamps.ts'
import { startWorld } from '../e2e/world.ts'

/** A playbook and a channel each, since one channel takes one message a second. */
export const HOUSES = 8
/** How many people must approve. */
export const QUORUM = 2

const preload = join(import.meta.dirname, 'crash-preload.ts')

/** In every second house nobody can look whether a lamp is on: there only Keyturn itself keeps from switching twice. */
const playbook = (n: number) => `---
title: Lamps of house ${n}
match: { alertname: /Lamp.+/, house: "${n}" }
group_by: [alertname, room]
owner: "@lamps"
approvers: ["@data-oncall"]
channel: house-${n}
---
Somebody sits in the dark.

${LOOK}
${switchOn(n % 2 === 0)}`

/** Changes need some time, so that people and crashes come between; one that is to be cancelled takes long. */
export const takes = (room: string) => (room.startsWith('cancel') ? 6000 : 300)

/** A world of houses with lamps, whose processes have points at which they can be killed. */
export function startHouses(
  lamps: string,
  mode: 'http' | 'socket',
  spawned: (role: 'bot' | 'worker', child: ChildProcess) => void,
) {
  const workspace = defaultWorkspace()
  const { members } = workspace.channels[0]!
  const houses = Array.from({ length: HOUSES }, (_, n) => ({
    id: `C0000HOUSE${n}`,
    name: `house-${n}`,
    members: [...members],
  }))
  workspace.channels.push(...houses)
  return startWorld({
    mode,
    workspace,
    channels: Object.fromEntries(houses.map((h) => [h.name, h.id])),
    playbooks: Object.fromEntries(houses.map((_, n) => [`lamps/house-${n}`, playbook(n)])),
    connections: {
      lamps: {
        kind: 'http',
        environment: 'house',
        baseUrl: lamps,
        allow: [...ALLOW, { method: 'GET', path: '/rooms/*' }],
        timeoutMs: 30_000,
      },
    },
    policy: {
      approvers: { 'data-oncall': { usergroups: ['S0000DATA'] } },
      quorum: { medium: QUORUM },
      proposalMinutes: 0.4,
    },
    node: ['--import', preload],
    spawned,
  })
}
