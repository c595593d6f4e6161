import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { rootCertificates } from 'node:tls'

export type Sent = Readonly<{
  method: string
  url: string
  headers: Readonly<Record<string, string>>
  body?: string
  signal: AbortSignal
}>
export type Answer = Readonly<{ status: number; headers: IncomingMessage['headers']; body: AsyncIterable<Uint8Array> }>

/** No connection was ever made: nothing can have taken effect. `code` is the operating system's, such as ECONNREFUSED. */
export class NotSent extends Error {
  override name = 'NotSent'
}

/** Nobody gave a token. `status` is the answer's, 0 where there was none. */
export class NoTicket extends Error {
  override name = 'NoTicket'
  readonly status: number
  constructor(where: string, status: number, remedy: string) {
    super(`airflow: ${where} gave no token${status ? ` (${status})` : ''}; ${remedy}`)
    this.status = status
  }
}

const UNREACHED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])
export const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''

/** Sends requests over http or https, and follows no redirect. `ca` is a certificate authority in PEM beside the usual ones. */
export function createExchange(ca: string | undefined) {
  const trusted = ca ? { ca: [...rootCertificates, ca] } : {}
  const agents = {
    'http:': new HttpAgent({ keepAlive: true }),
    'https:': new HttpsAgent({ keepAlive: true, ...trusted }),
  }
  // A change takes a connection of its own: one that was kept may be closed by the other side just as it is used.
  const once = { 'http:': new HttpAgent(), 'https:': new HttpsAgent(trusted) }

  return {
    send({ method, url, headers, body, signal }: Sent): Promise<Answer> {
      const to = new URL(url)
      const protocol = to.protocol as 'http:' | 'https:'
      return new Promise((resolve, reject) => {
        const out = (protocol === 'https:' ? httpsRequest : httpRequest)(to, {
          method,
          agent: (method === 'GET' ? agents : once)[protocol],
          headers: { ...headers, ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }) },
          signal,
        })
        out.on('response', (incoming) =>
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: incoming }),
        )
        out.on('error', (cause) =>
          reject(
            UNREACHED.has(codeOf(cause))
              ? new NotSent(`${to.host} cannot be reached (${codeOf(cause)})`, { cause })
              : cause,
          ),
        )
        out.end(body)
      })
    },
    close(): void {
      for (const agent of [...Object.values(agents), ...Object.values(once)]) agent.destroy()
    },
  }
}
export type Exchange = ReturnType<typeof createExchange>

/** Reads an answer to its end and keeps the last `bytes` of it. Throws when the connection breaks before the end. */
export async function tailOf(body: AsyncIterable<Uint8Array>, bytes: number): Promise<string> {
  let parts: Uint8Array[] = []
  let size = 0
  for await (const part of body) {
    parts.push(part)
    size += part.length
    if (size > 2 * bytes) {
      parts = [Buffer.concat(parts).subarray(-bytes)]
      size = parts[0]!.length
    }
  }
  return Buffer.concat(parts).subarray(-bytes).toString('utf8')
}
