import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { MISCHIEF, watchAws } from '../../harness/aws-watch.ts'

export type Json = Record<string, unknown>

/** What a handler throws: AWS's error code and message. */
export class Fault extends Error {
  readonly code: string
  readonly status: number
  constructor(code: string, message: string, status = 400) {
    super(message)
    this.code = code
    this.status = status
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
  let odd = false
  const refused: { action: string; fault: Fault; left: number }[] = []
  const server = createServer(async (request, reply) => {
    if (odd) reply.setHeader(MISCHIEF, 'yes')
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
      const refusal = refused.find((one) => one.left > 0 && one.action === action)
      if (refusal) {
        refusal.left--
        throw refusal.fault
      }
      const output = handle(input)
      if (lost === action) {
        lost = null
        request.socket.destroy()
        return
      }
      send(200, output)
    } catch (error) {
      const fault = error instanceof Fault ? error : new Fault('InternalFailure', String(error))
      send(error instanceof Fault ? fault.status : 500, { __type: fault.code, message: fault.message })
    }
  })
  const watch = watchAws(server)
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
    /** From now on answers hold what the model does not have, such as a state that is new. */
    surprise() {
      odd = true
    },
    /** The next requests of this action are answered with this error; too many requests if none is named. */
    refuse(action: string, times: number, fault = new Fault('ThrottlingException', 'Rate exceeded')) {
      refused.push({ action, fault, left: times })
    },
    async close() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
      watch.assertHeld()
    },
  }
}
