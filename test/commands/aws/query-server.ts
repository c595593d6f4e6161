import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { watchAws } from '../../harness/aws-watch.ts'

/** What a handler throws: AWS's error code and message. */
export class QueryFault extends Error {
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

const escapeXml = (text: string) => text.replace(/[&<>]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[c]!)

type Xml = string | number | boolean | undefined | readonly Xml[] | { readonly [name: string]: Xml }

/** An object as elements, a list as `member` elements. */
export function xml(value: Xml): string {
  if (value === undefined) return ''
  if (Array.isArray(value)) return value.map((one) => `<member>${xml(one)}</member>`).join('')
  if (typeof value !== 'object') return escapeXml(String(value))
  return Object.entries(value)
    .map(([name, inner]) => (inner === undefined ? '' : `<${name}>${xml(inner)}</${name}>`))
    .join('')
}

/** The `Name.member.N…` fields of a form, in order: each is a map of what follows, or of `''` for a plain value. */
export function members(form: URLSearchParams, name: string): Record<string, string>[] {
  const list: Record<string, string>[] = []
  for (const [key, value] of form) {
    const found = new RegExp(`^${name}\\.member\\.(\\d+)(?:\\.(.+))?$`).exec(key)
    if (found) list[Number(found[1]) - 1] = { ...list[Number(found[1]) - 1], [found[2] ?? '']: value }
  }
  return list
}

/**
 * A server that speaks AWS Query (form in, XML out) for one service, and refuses what is not signed for it. Requests and answers
 * are held to the SDK's model of the service: `close` throws what differs.
 */
export async function startQuery(
  service: string,
  version: string,
  actions: Readonly<Record<string, (form: URLSearchParams) => Xml>>,
) {
  const calls: URLSearchParams[] = []
  let lost: string | null = null
  const refused: { action: string; fault: QueryFault; left: number }[] = []
  const server = createServer(async (request, reply) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const form = new URLSearchParams(body)
    const action = form.get('Action') ?? ''
    calls.push(form)
    const send = (status: number, text: string) => reply.writeHead(status, { 'content-type': 'text/xml' }).end(text)
    try {
      if (!request.headers.authorization?.includes(`/us-east-1/${service}/aws4_request`))
        throw new QueryFault('MissingAuthenticationToken', `not signed for ${service}`)
      const handle = form.get('Version') === version ? actions[action] : undefined
      if (!handle) throw new QueryFault('InvalidAction', `The action ${action} is not valid.`)
      const refusal = refused.find((one) => one.left > 0 && one.action === action)
      if (refusal) {
        refusal.left--
        throw refusal.fault
      }
      const result = xml(handle(form))
      if (lost === action) {
        lost = null
        request.socket.destroy()
        return
      }
      send(200, `<${action}Response><${action}Result>${result}</${action}Result></${action}Response>`)
    } catch (error) {
      const fault = error instanceof QueryFault ? error : new QueryFault('InternalFailure', String(error))
      const known = error instanceof QueryFault
      send(
        known ? 400 : 500,
        `<ErrorResponse><Error><Type>${known ? 'Sender' : 'Receiver'}</Type><Code>${fault.code}</Code><Message>${escapeXml(fault.message)}</Message></Error></ErrorResponse>`,
      )
    }
  })
  const watch = watchAws(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sent: (action: string) => calls.filter((form) => form.get('Action') === action),
    /** The next request of this action is done, and its reply never comes. */
    lose(action: string) {
      lost = action
    },
    /** The next requests of this action are answered with this error; too many requests if none is named. */
    refuse(action: string, times: number, fault = new QueryFault('Throttling', 'Rate exceeded')) {
      refused.push({ action, fault, left: times })
    },
    async close() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
      watch.assertHeld()
    },
  }
}
