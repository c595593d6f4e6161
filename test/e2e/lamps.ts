import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

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
