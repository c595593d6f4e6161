import { type IncomingHttpHeaders, type IncomingMessage, request as plain } from 'node:http'
import { request as secure } from 'node:https'
import type { Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'
import { Refused, Unanswered } from '../../src/domain/command.ts'
import { createMask } from '../mask.ts'
import { guardedLookup, type Reachable, type Resolve } from './address.ts'

/**
 * What came back. `body` is untrusted text, unpacked and cut to the limit; a redirect is an answer like any other. `type` is
 * the content type, small and without parameters.
 */
export type Answer = Readonly<{
  status: number
  location: string
  type: string
  headers: IncomingHttpHeaders
  body: string
  cut: boolean
}>

type Exchange = Readonly<{
  method: string
  url: URL
  body?: string | undefined
  headers: Record<string, string>
  signal: AbortSignal
  maxBytes: number
  /** Replaced where the server echoes it. */
  secret?: string | undefined
  /** More of them. */
  secrets?: readonly string[]
  /** Which addresses the URL's host name may stand for. */
  reachable: Reachable
  resolve?: Resolve
  /** Who signs the server's certificate, in PEM, in place of the well-known authorities. */
  ca?: string | undefined
  /** It changes nothing, though its method could. */
  reads?: boolean
}>

/** Codings of RFC 9110, section 8.4.1, and of RFC 8878, by which a server packs an answer, asked to or not. */
const UNPACK: Readonly<Record<string, () => NodeJS.ReadWriteStream>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
}

function unpacked(incoming: IncomingMessage, fail: (cause: unknown) => void): Readable {
  const coding = incoming.headers['content-encoding']?.trim().toLowerCase() ?? ''
  const unpack = Object.hasOwn(UNPACK, coding) ? UNPACK[coding]!() : null
  if (!unpack) return incoming
  unpack.on('error', fail)
  return incoming.pipe(unpack) as unknown as Readable
}

/** JSON is UTF-8 (RFC 8259, section 8.1); other texts say what they are. A mark of the byte order is left out. */
function decode(bytes: Buffer, contentType: string): string {
  const [, charset = 'utf-8'] = /charset="?([\w.:-]+)/i.exec(contentType) ?? []
  try {
    return new TextDecoder(charset).decode(bytes)
  } catch {
    return new TextDecoder().decode(bytes)
  }
}

/** Codes of the system and of TLS that a person can do something about. */
const WHYS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens at its address',
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name could not be looked up now',
  ECONNRESET: 'the connection broke',
  EPIPE: 'the connection broke',
  ETIMEDOUT: 'it did not answer in time',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to it',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
}
const SIGNERS = /^(UNABLE_TO_(VERIFY|GET)|SELF_SIGNED|DEPTH_ZERO|CERT_UNTRUSTED)/

/** Why no answer came, as a person would say it. */
export function whyNot(cause: unknown): string {
  const { code, name, message } = (cause ?? {}) as { code?: unknown; name?: string; message?: string }
  if (name === 'AbortError' || name === 'TimeoutError') return 'it did not answer in time, or was stopped'
  const text = typeof code === 'string' ? code : ''
  if (SIGNERS.test(text)) return `nobody known signed its certificate (${text}): name who did as ca`
  if (Object.hasOwn(WHYS, text)) return `${WHYS[text]} (${text})`
  return (text || message || 'the connection broke').replace(/\s+/g, ' ').slice(0, 200)
}

/**
 * One request on a socket of its own; reads at most `maxBytes` of the answer and then hangs up. Follows nothing. Rejects with
 * Refused when nothing that changes anything was sent, and with Unanswered when it may have taken effect.
 */
export function exchange(it: Exchange): Promise<Answer> {
  const { method, url, body, headers, signal, maxBytes, secret, secrets = [], reachable, resolve: look, ca } = it
  const reads = it.reads || method === 'GET' || method === 'HEAD'
  return new Promise((resolve, reject) => {
    let connected = false
    const fail = (cause: unknown) => {
      if (cause instanceof Refused) return reject(cause)
      const what = `http: ${method} ${url.href}`
      if (reads) return reject(new Unanswered(`${what} got no complete answer: ${whyNot(cause)}`, { cause }))
      if (!connected)
        return reject(new Refused(`Nothing was sent by ${method} ${url.href}: ${whyNot(cause)}.`, { cause }))
      return reject(
        new Unanswered(`${what} got no complete answer; it may have taken effect: ${whyNot(cause)}`, { cause }),
      )
    }
    const isSecure = url.protocol === 'https:'
    const send = isSecure ? secure : plain
    const sent = body === undefined ? headers : { ...headers, 'content-length': String(Buffer.byteLength(body)) }
    const outgoing = send(url, {
      method,
      agent: false,
      signal,
      lookup: guardedLookup(reachable, look),
      headers: { accept: '*/*', 'user-agent': 'keyturn', ...sent },
      ...(ca && { ca }),
    })
    outgoing.on('socket', (socket) =>
      socket.once(isSecure ? 'secureConnect' : 'connect', () => {
        connected = true
      }),
    )
    outgoing.on('error', fail)
    outgoing.on('response', (incoming) => {
      const parts: Buffer[] = []
      const mask = createMask([...secrets, ...(secret ? [secret] : [])])
      const contentType = incoming.headers['content-type'] ?? ''
      let size = 0
      const done = (cut: boolean) => {
        resolve({
          status: incoming.statusCode ?? 0,
          location: incoming.headers.location ?? '',
          type: contentType.split(';', 1)[0]!.trim().toLowerCase(),
          headers: incoming.headers,
          body: decode(Buffer.concat([...parts, mask.end()]).subarray(0, maxBytes), contentType),
          cut,
        })
        outgoing.destroy()
      }
      const text = unpacked(incoming, fail)
      text.on('data', (part: Buffer) => {
        const safe = mask.push(part)
        parts.push(safe)
        size += safe.length
        if (size > maxBytes) done(true)
      })
      text.on('end', () => done(false))
      incoming.on('error', fail)
    })
    outgoing.end(body)
  })
}
