import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { ENDED, GOOD, KEY } from './certificates.ts'

const KINDS = {
  /** Takes connections, and says nothing. */
  plain: () => createServer(),
  good: () => createTlsServer({ cert: GOOD, key: KEY }),
  ended: () => createTlsServer({ cert: ENDED, key: KEY }),
}

/** Servers on free loopback ports, one of each kind, and the port of one that is gone. */
export async function startEndpoints() {
  const servers: Server[] = []
  const sockets = new Set<Socket>()
  let plainBytes = 0
  const start = async (kind: keyof typeof KINDS) => {
    const server = KINDS[kind]()
    servers.push(server)
    server.on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      if (kind === 'plain') socket.on('data', (part) => (plainBytes += part.length))
      socket.on('close', () => sockets.delete(socket))
    })
    server.on('tlsClientError', () => {})
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  const end = async (server: Server) => {
    server.close()
    for (const socket of sockets) socket.destroy()
    await once(server, 'close')
  }
  const ports = { plain: await start('plain'), good: await start('good'), ended: await start('ended') }
  const gone = await start('plain')
  await end(servers.pop()!)
  return {
    ...ports,
    gone,
    ca: GOOD,
    /** What the plain one was sent, ever, in bytes. */
    plainBytes: () => plainBytes,
    stop: async () => void (await Promise.all(servers.map(end))),
  }
}
export type Endpoints = Awaited<ReturnType<typeof startEndpoints>>
