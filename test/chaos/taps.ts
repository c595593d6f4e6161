import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import type { Question, Reply } from './peers/peer.ts'
import { requestShape, understand } from './shapes.ts'

/** What a system was asked: the shape of it, in which a value is `*`, and the place that it was sent to. */
export type Asked = Readonly<{ shape: string; host: string; url: string; source?: string }>

/** A web server that writes down the shape of each request; `answer` says what it answers. */
export async function startWebTap(
  known: ReadonlySet<string>,
  answer: (question: Question, asked: Asked, request: IncomingMessage) => Reply,
) {
  const asked: Asked[] = []
  const tap = { asked, port: 0, origin: '', free: null as string | null, stop: async () => {} }
  const server = createHttpServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const body = Buffer.concat(parts).toString('utf8')
      const question = understand(request, body)
      const one = {
        shape: requestShape(request, question, body, known, tap.free),
        host: request.headers.host ?? '',
        url: request.url ?? '',
        source: String(request.headers['x-amz-copy-source'] ?? ''),
      }
      asked.push(one)
      const { status = 200, headers, json, body: bytes, hold } = answer(question, one, request)
      response.writeHead(status, { ...(json !== undefined && { 'content-type': 'application/json' }), ...headers })
      if (hold) response.flushHeaders()
      else response.end(json === undefined ? bytes : JSON.stringify(json))
    })
  })
  tap.port = await listen(server)
  tap.origin = `http://127.0.0.1:${tap.port}`
  tap.stop = () => stop(server, () => server.closeAllConnections())
  return tap
}

/** A server of bytes that ends every connection when it is stopped. */
export async function startTcp(accept: (socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    socket.setNoDelay(true)
    accept(socket)
  })
  const hangUp = () => {
    for (const socket of sockets) socket.destroy()
  }
  return { port: await listen(server), stop: () => stop(server, hangUp) }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function stop(server: Server, hangUp: () => void): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  hangUp()
  await closed
}

/** Every address that this process connects to from now on, and a way to stop looking. */
export function watchConnects() {
  const seen: string[] = []
  const look = (event: unknown) => {
    const { socket } = event as { socket: Socket }
    socket.on('connectionAttempt', (ip: string, port: number) => void seen.push(`${ip}:${port}`))
  }
  subscribe('net.client.socket', look)
  return { seen, stop: () => void unsubscribe('net.client.socket', look) }
}
