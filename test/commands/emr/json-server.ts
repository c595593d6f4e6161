import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Json = Record<string, unknown>

/** What a handler throws: AWS's error code and message. */
export class Fault extends Error {
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** A server that speaks AWS JSON 1.1 for one service: the target's prefix and its actions. */
export async function startJson(
  service: string,
  prefix: string,
  actions: Readonly<Record<string, (input: Json) => Json>>,
) {
  const calls: { action: string; input: Json }[] = []
  let lost: string | null = null
  const server = createServer(async (request, reply) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const send = (status: number, value: unknown) =>
      reply.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(value))
    try {
      if (!request.headers.authorization?.includes(`/us-east-1/${service}/aws4_request`))
        throw new Fault('MissingAuthenticationTokenException', `not signed for ${service}`)
      const [target, action = ''] = String(request.headers['x-amz-target']).split('.')
      const handle = target === prefix ? actions[action] : undefined
      if (!handle) throw new Fault('UnknownOperationException', `${target}.${action}`)
      const input: Json = JSON.parse(body)
      calls.push({ action, input })
      const output = handle(input)
      if (lost === action) {
        lost = null
        request.socket.destroy()
        return
      }
      send(200, output)
    } catch (error) {
      const fault = error instanceof Fault ? error : new Fault('InternalFailure', String(error))
      send(error instanceof Fault ? 400 : 500, { __type: fault.code, message: fault.message })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    sent: (action: string) => calls.filter((call) => call.action === action),
    /** The next request of this action is done, and its reply never comes. */
    lose(action: string) {
      lost = action
    },
    async close() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}
