import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pass } from 'node:timers/promises'

/** A line of the target's own log; nothing is ever taken out of it. `key` is the idempotency key of the request. */
export type Change = Readonly<{ at: number; room: string; key: string; what: 'begun' | 'done' }>

/**
 * A service outside of Keyturn with lamps. What it has begun it ends, whether or not its caller still listens, as a
 * service does. `takes` are the milliseconds that a change of a room needs.
 */
export async function startTarget(takes: (room: string) => number) {
  const log: Change[] = []
  const lit = new Set<string>()
  let landed: (() => void) | null = null

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, , room = '', verb = ''] = (request.url ?? '').split('/')
    const say = (status: number, body: string) => void response.writeHead(status).end(body)
    if (request.method === 'GET' && verb === 'is-on') return say(lit.has(room) ? 200 : 404, 'asked')
    if (request.method === 'GET') return say(200, `The lamp of ${room} is ${lit.has(room) ? 'on' : 'off'}.`)
    const key = String(request.headers['idempotency-key'])
    log.push({ at: Date.now(), room, key, what: 'begun' })
    await pass(takes(room))
    lit.add(room)
    log.push({ at: Date.now(), room, key, what: 'done' })
    landed?.()
    say(201, 'done')
  }
  const server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    log: log as readonly Change[],
    isLit: (room: string) => lit.has(room),
    /** Called when a change has landed and before its caller hears of it. */
    onLanded(call: () => void) {
      landed = call
    },
    close() {
      server.closeAllConnections()
      server.close()
      return once(server, 'close')
    },
  }
}
export type Target = Awaited<ReturnType<typeof startTarget>>
