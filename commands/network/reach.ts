import { lookup } from 'node:dns/promises'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Endpoint, NetworkSettings } from './connection.ts'

/** Most addresses of one name that are tried. */
const ADDRESSES = 6

/** What was found at one endpoint; a step that was not reached is empty. */
export type Found = Readonly<{
  ok: boolean
  /** The first step that failed, and how; empty if none did. */
  fault: string
  dns: string
  tcp: string
  tls: string
  /** When its certificate ends. */
  until: Date | null
}>

const NO_WAY = /^(ENETUNREACH|EADDRNOTAVAIL|EHOSTUNREACH)$/

type Limits = Pick<NetworkSettings, 'timeoutMs' | 'ca'>

/** Looks the name up, connects to each of its addresses, and shakes hands over TLS with the first that answers. */
export async function reach(
  endpoint: Endpoint,
  limits: Limits,
  signal: AbortSignal,
  find: (host: string) => Promise<{ address: string }[]> = (host) => lookup(host, { all: true }),
): Promise<Found> {
  const nothing = { ok: false, fault: '', dns: '', tcp: '', tls: '', until: null }
  const found = await resolve(find(endpoint.host), limits, signal)
  if (typeof found === 'string') return { ...nothing, fault: 'DNS', dns: found }
  const named = found.slice(0, ADDRESSES)
  const dns = `${named.join(', ')}${found.length > ADDRESSES ? `, and ${found.length - ADDRESSES} more that were not tried` : ''}`
  const tried = await Promise.all(named.map((address) => knock(address, endpoint.port, limits, signal)))
  const open = named.filter((_, i) => tried[i] === null)
  // A worker without IPv6 has no way to such an address, and neither has it need of one: clients take the other kind.
  const isNoWay = (i: number) => isIP(named[i]!) === 6 && NO_WAY.test(tried[i] ?? '') && open.length > 0
  const closed = named.flatMap((address, i) => (tried[i] === null || isNoWay(i) ? [] : [`${address} ${tried[i]}`]))
  const tcp =
    closed.length === 0 ? 'open' : `${open.length} of ${open.length + closed.length} open; ${closed.join(', ')}`
  if (open.length === 0) return { ...nothing, fault: 'TCP', dns, tcp }
  // Whoever gets the closed address waits, though the endpoint answers others.
  const fault = closed.length > 0 ? 'TCP' : ''
  if (!endpoint.tls) return { ...nothing, ok: fault === '', fault, dns, tcp }
  const hand = await shake(open[0]!, endpoint, limits, signal)
  return { ok: !fault && hand.ok, fault: fault || (hand.ok ? '' : 'TLS'), dns, tcp, tls: hand.says, until: hand.until }
}

async function resolve(
  finding: Promise<{ address: string }[]>,
  { timeoutMs }: Limits,
  signal: AbortSignal,
): Promise<string[] | string> {
  const over = new AbortController()
  const either = AbortSignal.any([signal, over.signal])
  const late = pause(timeoutMs, `no answer within ${timeoutMs} ms`, { signal: either })
  const asked = finding.then((found) => [...new Set(found.map((f) => f.address))].sort(), codeOf)
  try {
    return await Promise.race([asked, late])
  } finally {
    over.abort()
    late.catch(() => {})
  }
}

/** Null once a connection stands, or why none does. */
async function knock(host: string, port: number, limits: Limits, signal: AbortSignal): Promise<string | null> {
  const socket = connectTcp({ host, port })
  return opened(socket, 'connect', limits, signal).then(
    () => null,
    (error: unknown) => {
      signal.throwIfAborted()
      return codeOf(error)
    },
  )
}

async function shake(host: string, endpoint: Endpoint, limits: Limits, signal: AbortSignal) {
  // A certificate that is not good is what is looked for: it is reported, and nothing is ever sent over this.
  const name = endpoint.serverName ?? endpoint.host
  const socket = connectTls({
    host,
    port: endpoint.port,
    // An address is no name to ask for (RFC 6066, 3).
    ...(isIP(name) === 0 && { servername: name }),
    rejectUnauthorized: false,
    ...(limits.ca && { ca: limits.ca }),
  })
  let until: Date | null = null
  let says = ''
  socket.once('secureConnect', () => {
    until = endOf(socket)
    says = socket.authorized ? (socket.getProtocol() ?? 'TLS') : codeOf(socket.authorizationError)
  })
  try {
    await opened(socket, 'secureConnect', limits, signal)
    return { ok: socket.authorized, says, until: until as Date | null }
  } catch (error) {
    signal.throwIfAborted()
    return { ok: false, says: codeOf(error), until: null }
  }
}

function endOf(socket: TLSSocket): Date | null {
  const end = new Date(socket.getPeerCertificate().valid_to)
  return Number.isNaN(end.getTime()) ? null : end
}

/** Waits for the event, within the limit, and closes the socket in any case. */
function opened(socket: Socket, event: string, { timeoutMs }: Limits, signal: AbortSignal): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const stop = () => socket.destroy(signal.reason instanceof Error ? signal.reason : new Error('cancelled'))
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    const timer = setTimeout(() => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    socket.once(event, () => {
      resolve()
      socket.destroy()
    })
    socket.once('error', reject)
    socket.once('close', () => {
      reject(new Error('closed without an answer'))
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
    })
  })
}

const codeOf = (error: unknown): string => {
  const { code, message } = (error ?? {}) as { code?: string; message?: string }
  return (code ?? message ?? String(error)).slice(0, 120)
}
