import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One request as the service saw it. */
export type Seen = Readonly<{ method: string; url: string; headers: IncomingMessage['headers']; body: string }>

/** A service on a free loopback port that writes down every request before `answer` gets it. */
export async function startService(answer: (seen: Seen, ...rest: Parameters<RequestListener>) => void) {
  const seen: Seen[] = []
  const server: Server = createServer((incoming, outgoing) => {
    const parts: Buffer[] = []
    incoming.on('data', (part: Buffer) => parts.push(part))
    incoming.on('end', () => {
      const one = {
        method: incoming.method ?? '',
        url: incoming.url ?? '',
        headers: incoming.headers,
        body: Buffer.concat(parts).toString('utf8'),
      }
      seen.push(one)
      answer(one, incoming, outgoing)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export type Service = Awaited<ReturnType<typeof startService>>
