import { randomUUID } from 'node:crypto'
import type { Server } from 'node:http'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Clock } from './clock.ts'
import type { Json, State } from './state.ts'

/** What came back for an envelope: the payload of the ack, or why there was none. */
export type Ack = { ok: true; payload: unknown } | { ok: false; error: 'no_connection' | 'timeout' | 'closed' }

const ACK_WITHIN_MS = 3000
const PING_EVERY_MS = 10_000
const MAX_CONNECTIONS = 10

/** Socket Mode: one-time tickets from apps.connections.open, hello, envelopes round robin, acks within 3 s, refresh. */
export function createSocketHub(state: State, clock: Clock) {
  const wss = new WebSocketServer({ noServer: true })
  const tickets = new Set<string>()
  const sockets: WebSocket[] = []
  const waiting = new Map<string, { socket: WebSocket; done: (ack: Ack) => void }>()
  let turn = 0

  const pinger = setInterval(() => {
    for (const socket of sockets) socket.ping()
  }, PING_EVERY_MS)
  pinger.unref()

  function accept(socket: WebSocket): void {
    sockets.push(socket)
    state.record({ kind: 'socket', name: 'connected', status: 101 })
    socket.on('error', () => socket.terminate())
    socket.on('close', () => {
      sockets.splice(sockets.indexOf(socket), 1)
      for (const waiter of [...waiting.values()])
        if (waiter.socket === socket) waiter.done({ ok: false, error: 'closed' })
      state.record({ kind: 'socket', name: 'closed', status: 0 })
    })
    socket.on('message', (data) => {
      let message: { envelope_id?: string; payload?: unknown }
      try {
        message = JSON.parse(String(data))
      } catch {
        return socket.close(1008, 'not JSON')
      }
      waiting.get(message.envelope_id ?? '')?.done({ ok: true, payload: message.payload })
    })
    socket.send(
      JSON.stringify({
        type: 'hello',
        num_connections: sockets.length,
        debug_info: { host: 'applink-sandbox', build_number: 1, approximate_connection_time: 18_060 },
        connection_info: { app_id: state.workspace.bot.app_id },
      }),
    )
  }

  return {
    get connections() {
      return sockets.length
    },
    /** A path with a ticket that opens one connection. */
    ticket(): string {
      const ticket = randomUUID()
      tickets.add(ticket)
      return `/socket?ticket=${ticket}&app_id=${state.workspace.bot.app_id}`
    },
    attach(server: Server): void {
      server.on('upgrade', (request, socket, head) => {
        const { pathname, searchParams } = new URL(request.url ?? '/', 'http://sandbox')
        const welcome = pathname === '/socket' && tickets.delete(searchParams.get('ticket') ?? '')
        if (!welcome || state.faults.outage || sockets.length >= MAX_CONNECTIONS) return void socket.destroy()
        wss.handleUpgrade(request, socket, head, accept)
      })
    },
    /** Sends one envelope to one connection and waits for its ack. */
    send(type: 'interactive' | 'events_api', payload: Json, extra: Json = {}): Promise<Ack> {
      const socket = sockets[turn++ % Math.max(1, sockets.length)]
      if (!socket) return Promise.resolve({ ok: false, error: 'no_connection' })
      const envelope_id = randomUUID()
      return new Promise((resolve) => {
        const done = (ack: Ack) => {
          cancel()
          waiting.delete(envelope_id)
          resolve(ack)
        }
        const cancel = clock.after(ACK_WITHIN_MS, () => done({ ok: false, error: 'timeout' }))
        waiting.set(envelope_id, { socket, done })
        socket.send(JSON.stringify({ envelope_id, type, payload, ...extra }))
      })
    },
    /** Tells every client to connect again, as Slack does every few hours. */
    refresh(reason: 'warning' | 'refresh_requested' = 'refresh_requested'): void {
      for (const socket of [...sockets]) socket.send(JSON.stringify({ type: 'disconnect', reason, debug_info: {} }))
    },
    /** Cuts every connection without a word. */
    cut(): void {
      for (const socket of [...sockets]) socket.terminate()
    },
    /** Says goodbye to every client; those that do not answer within half a second are cut. */
    async close(): Promise<void> {
      clearInterval(pinger)
      await Promise.all(
        [...sockets].map(
          (socket) =>
            new Promise<void>((resolve) => {
              const cut = setTimeout(() => socket.terminate(), 500)
              socket.once('close', () => {
                clearTimeout(cut)
                resolve()
              })
              socket.close(1001)
            }),
        ),
      )
      wss.close()
    },
  }
}
export type SocketHub = ReturnType<typeof createSocketHub>
