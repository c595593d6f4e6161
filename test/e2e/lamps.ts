import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** The playbook of an alert LampOff of a room, with these steps. */
export const lampOff = (...steps: string[]) => `---
title: A lamp is off
match: { alertname: LampOff, room: true }
group_by: [room]
owner: "@lamps"
approvers: ["@data-oncall"]
---
Somebody sits in the dark.

${steps.join('\n')}`
export const LOOK = `## Look
\`\`\`yaml http.get
connection: lamps
path: /rooms/\${labels.room}
\`\`\`
`
const IS_ON = `check: /rooms/\${labels.room}/is-on
`
/** A change by this verb, which can be probed or not. */
const change = (title: string, verb: string, probed = true) => `## ${title}
\`\`\`yaml http.request
connection: lamps
method: POST
path: /rooms/\${labels.room}/${verb}
${probed ? IS_ON : ''}\`\`\`
`
export const switchOn = (probed = true) => change('1. Switch it on', 'on', probed)
export const BREAK = change('2. Break it', 'break')
/** What a connection to the lamps allows, so that they can be switched on. */
export const ALLOW = [
  { method: 'GET', path: '/rooms/*/is-on' },
  { method: 'POST', path: '/rooms/*/on' },
]

/** A service outside of Keyturn whose lamps are really switched on, with an append-only list of what was done to it. */
export async function startLamps() {
  const effects: { at: number; room: string; key: string }[] = []
  const lit = new Set<string>()
  let held: PromiseWithResolvers<void> | null = null
  let arrived = Promise.withResolvers<void>()
  const version = 1

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, , room = '', verb = ''] = (request.url ?? '').split('/')
    const say = (status: number, body: string) => response.writeHead(status).end(body)
    if (request.method === 'GET' && verb === 'is-on')
      return void say(lit.has(room) ? 200 : 404, lit.has(room) ? 'on' : `off, version ${version}`)
    if (request.method === 'GET') return void say(200, `The lamp of ${room} is ${lit.has(room) ? 'on' : 'off'}.`)
    effects.push({ at: Date.now(), room, key: String(request.headers['idempotency-key']) })
    arrived.resolve()
    if (held) await held.promise
    if (verb === 'on') lit.add(room)
    say(verb === 'on' ? 201 : 500, 'done')
  }
  const server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    effects,
    lit,
    /** From now on a switch hangs until `release`; resolves when one does. */
    hold() {
      held = Promise.withResolvers<void>()
      arrived = Promise.withResolvers<void>()
      return arrived.promise
    },
    release() {
      held?.resolve()
      held = null
    },
    close() {
      held?.resolve()
      server.closeAllConnections()
      server.close()
      return once(server, 'close')
    },
  }
}
