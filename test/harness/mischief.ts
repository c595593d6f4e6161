import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'

/** How a service says that it will not: REST, AWS's JSON and Query protocols, S3. */
export type Dialect = 'rest' | 'aws-json' | 'aws-query' | 's3'

/**
 * What real services do. Of `times` requests: `throttled`, `unavailable` (a proxy's page in front of the service), `expired` (the
 * token), `lost` (done, and the reply never comes) and `partial` (half of an answer, then the connection breaks). Of each answer:
 * `slow` (in small pieces), `extra` (members that nobody knows), `nulls` (every third value is null or left out) and `unknown`
 * (a state that nobody knows). `stale`: what was answered to the same question before, as where copies lag behind.
 */
export type Mischief =
  | 'throttled'
  | 'unavailable'
  | 'expired'
  | 'lost'
  | 'partial'
  | 'slow'
  | 'extra'
  | 'nulls'
  | 'unknown'
  | 'stale'

export type Asked = Readonly<{ method: string; url: string; headers: IncomingHttpHeaders; body: string }>

type Playing = { mischief: Mischief; left: number; shift: number; on: (asked: Asked) => boolean }

/** Names of values whose set grows with the service: a new one is no success and no all-clear. */
const STATE = /^(state|status|phase|conclusion|health|pingstatus|lifecyclestate|.*(State|Status))$/i
export const NEW_STATE = 'SOMETHING_NEW'

const xmlError = (code: string, message: string) =>
  `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>1</RequestId></ErrorResponse>`

type Answer = { status: number; headers: Record<string, string>; body: Buffer }
const answer = (status: number, type: string, body: string, more: Record<string, string> = {}): Answer => ({
  status,
  headers: { 'content-type': type, ...more },
  body: Buffer.from(body),
})

// The codes of AWS and where they stand: test/commands/aws/facts.ts.
const REFUSALS: Readonly<Record<Dialect, Readonly<Record<'throttled' | 'unavailable' | 'expired', () => Answer>>>> = {
  rest: {
    throttled: () => answer(429, 'application/json', '{"message":"Too Many Requests"}', { 'retry-after': '0' }),
    unavailable: () =>
      answer(503, 'text/html', '<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>'),
    expired: () => answer(401, 'application/json', '{"detail":"Token Expired"}'),
  },
  'aws-json': {
    throttled: () =>
      answer(400, 'application/x-amz-json-1.1', '{"__type":"ThrottlingException","message":"Rate exceeded"}'),
    unavailable: () => answer(503, 'text/html', '<html><body><b>Http/1.1 Service Unavailable</b></body></html>'),
    expired: () =>
      answer(
        400,
        'application/x-amz-json-1.1',
        '{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}',
      ),
  },
  'aws-query': {
    throttled: () => answer(400, 'text/xml', xmlError('Throttling', 'Rate exceeded')),
    unavailable: () => answer(503, 'text/xml', xmlError('ServiceUnavailable', 'Service unavailable')),
    expired: () =>
      answer(403, 'text/xml', xmlError('ExpiredToken', 'The security token included in the request is expired')),
  },
  s3: {
    throttled: () =>
      answer(
        503,
        'application/xml',
        '<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>',
      ),
    unavailable: () =>
      answer(
        500,
        'application/xml',
        '<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>',
      ),
    expired: () =>
      answer(
        400,
        'application/xml',
        '<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>',
      ),
  },
}

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

/** A map from names to texts (labels, tags, a conf) holds what people named: nothing is added to it. */
const isMap = (value: { [name: string]: Json }): boolean => Object.values(value).every((one) => typeof one === 'string')

function changeJson(value: Json, playing: Playing, count = { leaves: 0 }): Json {
  if (Array.isArray(value)) return value.map((one) => changeJson(one, playing, count))
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).map(([name, inner]): [string, Json] => {
    if (inner !== null && typeof inner === 'object') return [name, changeJson(inner, playing, count)]
    if (playing.mischief === 'unknown' && STATE.test(name) && typeof inner === 'string') return [name, NEW_STATE]
    count.leaves += 1
    const isNulled = playing.mischief === 'nulls' && (count.leaves + playing.shift) % 3 === 0
    return [name, isNulled ? null : inner]
  })
  if (playing.mischief === 'extra' && !isMap(value)) entries.push(['aNewMember', { kind: 'new', list: [1, null] }])
  return Object.fromEntries(entries)
}

function changeXml(text: string, playing: Playing): string {
  let leaves = 0
  return text.replace(/<([A-Za-z]\w*)>([^<]*)<\/\1>/g, (all, name: string) => {
    if (playing.mischief === 'unknown') return STATE.test(name) ? `<${name}>${NEW_STATE}</${name}>` : all
    if (playing.mischief === 'extra') return `${all}<ANewMember>new</ANewMember>`
    leaves += 1
    return (leaves + playing.shift) % 3 === 0 ? '' : all
  })
}

function changed(playing: Playing, body: Buffer, type: string): Buffer {
  if (body.length === 0) return body
  if (type.includes('xml')) return Buffer.from(changeXml(body.toString(), playing))
  if (!type.includes('json')) return body
  return Buffer.from(JSON.stringify(changeJson(JSON.parse(body.toString()) as Json, playing)))
}

/** Which of them a request speaks. */
const dialectOf = ({ headers, body }: Asked): Dialect => {
  if ('x-amz-target' in headers) return 'aws-json'
  if (headers.authorization?.includes('/s3/aws4_request')) return 's3'
  return headers.authorization?.includes('/aws4_request') && /(^|&)Action=/.test(body) ? 'aws-query' : 'rest'
}

/** A proxy in front of an HTTP server on this machine that plays it as real services are; by its dialect, or each request's own. */
export async function startMischief(target: string, dialect?: Dialect) {
  const far = new URL(target)
  let playing: Playing | null = null
  let done = 0
  /** The first answer to each question since `play`. */
  const earlier = new Map<string, Answer>()

  const forward = (asked: Asked, raw: Buffer) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const { method, url: path, headers } = asked
      const out = request({ host: far.hostname, port: far.port, method, path, headers, agent: false }, resolve)
      out.on('error', reject)
      out.end(raw)
    })

  const server = createServer(async (incoming, reply) => {
    const parts: Buffer[] = []
    for await (const part of incoming) parts.push(part as Buffer)
    const raw = Buffer.concat(parts)
    const asked = {
      method: incoming.method!,
      url: incoming.url!,
      headers: incoming.headers,
      body: raw.toString('latin1'),
    }
    const question = `${asked.method} ${asked.url} ${asked.headers['x-amz-target'] ?? ''} ${asked.body}`
    const isDue = playing && playing.left > 0 && playing.on(asked)
    const isKnown = playing?.mischief !== 'stale' || earlier.has(question)
    const current: Playing | null = isDue && isKnown ? playing : null
    if (current) {
      current.left -= 1
      done += 1
    }
    try {
      const refusal = current && REFUSALS[dialect ?? dialectOf(asked)][current.mischief as 'throttled']
      if (refusal) {
        const { status, headers, body } = refusal()
        return void reply.writeHead(status, headers).end(body)
      }
      if (current?.mischief === 'stale') {
        const { status, headers, body } = earlier.get(question)!
        return void reply.writeHead(status, { ...headers, 'content-length': String(body.length) }).end(body)
      }
      const answered = await forward(asked, raw)
      const status = answered.statusCode!
      const { 'transfer-encoding': _, ...headers } = answered.headers as Record<string, string>
      // A watch goes on for as long as somebody looks.
      if (!current || /[?&]watch=/.test(asked.url)) {
        reply.writeHead(status, answered.headers).flushHeaders()
        reply.on('close', () => answered.destroy())
        const parts: Buffer[] = []
        answered.on('data', (part: Buffer) => parts.push(part))
        answered.on('end', () => {
          if (!earlier.has(question)) earlier.set(question, { status, headers, body: Buffer.concat(parts) })
        })
        return void answered.pipe(reply)
      }
      const bytes: Buffer[] = []
      for await (const part of answered) bytes.push(part as Buffer)
      const body = Buffer.concat(bytes)
      if (current.mischief === 'lost') return void incoming.socket.destroy()
      const isChanged = ['extra', 'nulls', 'unknown'].includes(current.mischief) && status < 300
      const sent = isChanged ? changed(current, body, headers['content-type'] ?? '') : body
      const isBodiless = status === 204 || status === 304 || asked.method === 'HEAD'
      reply.writeHead(status, isBodiless ? headers : { ...headers, 'content-length': String(sent.length) })
      if (current.mischief === 'partial' && sent.length > 1)
        return void reply.write(sent.subarray(0, sent.length / 2), () => incoming.socket.destroy())
      if (current.mischief !== 'slow' || isBodiless) return void reply.end(isBodiless ? undefined : sent)
      const size = Math.max(1, Math.ceil(sent.length / 16))
      for (let at = 0; at < sent.length; at += size) {
        reply.write(sent.subarray(at, at + size))
        await new Promise((next) => setImmediate(next))
      }
      reply.end()
    } catch {
      incoming.socket.destroy()
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = (server.address() as AddressInfo).port

  return {
    port,
    /** What to put where the server's address was; its path is kept. */
    url: `http://127.0.0.1:${port}${far.pathname.replace(/\/$/, '')}`,
    /** From now on; `times` requests that `on` picks. Of `nulls`, `shift` (0 to 2) says which third of the values. */
    play(
      mischief: Mischief,
      more: Readonly<{ times?: number; shift?: number; on?: (asked: Asked) => boolean }> = {},
    ): void {
      const isOfAll = ['slow', 'extra', 'nulls', 'unknown'].includes(mischief)
      const left = more.times ?? (isOfAll ? Number.POSITIVE_INFINITY : 2)
      playing = { mischief, left, shift: more.shift ?? 0, on: more.on ?? (() => true) }
      done = 0
      earlier.clear()
    },
    rest(): void {
      playing = null
    },
    /** How many requests were played with since `play`. */
    done: () => done,
    async close(): Promise<void> {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}
