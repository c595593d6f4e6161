import { request as plain } from 'node:http'
import { request as secure } from 'node:https'
import { Refused, Unanswered } from '../../src/domain/command.ts'
import { createMask } from '../mask.ts'
import { guardedLookup, type Reachable, type Resolve } from './address.ts'

/** What came back. `body` is untrusted text, cut to the limit; a redirect is an answer like any other. */
export type Answer = Readonly<{ status: number; location: string; body: string; cut: boolean }>

type Exchange = Readonly<{
  method: string
  url: URL
  body?: string | undefined
  headers: Record<string, string>
  signal: AbortSignal
  maxBytes: number
  /** Replaced where the server echoes it. */
  secret?: string | undefined
  /** Which addresses the URL's host name may stand for. */
  reachable: Reachable
  resolve?: Resolve
}>

/** One request on a socket of its own; reads at most `maxBytes` of the answer and then hangs up. Follows nothing. */
export function exchange(it: Exchange): Promise<Answer> {
  const { method, url, body, headers, signal, maxBytes, secret, reachable, resolve: look } = it
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => {
      // Nothing was sent.
      if (cause instanceof Refused) return reject(cause)
      return reject(
        new Unanswered(`http: ${method} ${url.href} got no complete answer; it may have taken effect`, { cause }),
      )
    }
    const send = url.protocol === 'https:' ? secure : plain
    const sent = body === undefined ? headers : { ...headers, 'content-length': String(Buffer.byteLength(body)) }
    const outgoing = send(url, {
      method,
      agent: false,
      signal,
      lookup: guardedLookup(reachable, look),
      headers: { accept: '*/*', 'user-agent': 'keyturn', ...sent },
    })
    outgoing.on('error', fail)
    outgoing.on('response', (incoming) => {
      const parts: Buffer[] = []
      const mask = createMask(secret ? [secret] : [])
      let size = 0
      const done = (cut: boolean) => {
        const body = Buffer.concat([...parts, mask.end()])
          .subarray(0, maxBytes)
          .toString('utf8')
        resolve({
          status: incoming.statusCode ?? 0,
          location: incoming.headers.location ?? '',
          body,
          cut,
        })
        outgoing.destroy()
      }
      incoming.on('data', (part: Buffer) => {
        const safe = mask.push(part)
        parts.push(safe)
        size += safe.length
        if (size > maxBytes) done(true)
      })
      incoming.on('end', () => done(false))
      incoming.on('error', fail)
    })
    outgoing.end(body)
  })
}
