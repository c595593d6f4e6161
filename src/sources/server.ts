import { setImmediate as nextTurn } from 'node:timers/promises'
import fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyPluginAsync,
  type FastifyReply,
  LogController,
} from 'fastify'
import type { Logger } from 'pino'
import type { Batch } from '../domain/alert.ts'
import { createLock, type Lock } from './auth.ts'
import { isJsonType, MAX_BODY_BYTES, parseBody } from './body.ts'
import { type SourceSettings, sourceKinds } from './registry.ts'

/** How long a peer may take, in milliseconds. */
export type Timeouts = Readonly<{
  /** To send its headers. */
  headers: number
  /** To send a whole request; a half-open connection ends here. */
  request: number
  /** To be silent on an open connection. */
  idle: number
}>

/**
 * The one HTTP server of a process; webhooks, Slack and pages register on it. Its log lines never hold headers, bodies or
 * query strings. `listen` and `close` it.
 */
export function createHttpServer(options: { log: Logger; timeouts?: Timeouts }): FastifyInstance {
  const { headers, request, idle } = options.timeouts ?? { headers: 10_000, request: 30_000, idle: 60_000 }
  const log = options.log.child(
    {},
    {
      redact: ['authorization', 'cookie', 'x-slack-signature'].flatMap((h) => [`headers["${h}"]`, `*.headers["${h}"]`]),
      serializers: {
        req: (req: { method?: string; url?: string }) => ({ method: req.method, path: req.url?.split('?')[0] }),
      },
    },
  )
  return fastify({
    loggerInstance: log as FastifyInstance['log'],
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: request,
    connectionTimeout: idle,
    keepAliveTimeout: idle,
    trustProxy: false,
    http: { headersTimeout: headers, connectionsCheckingInterval: Math.min(headers, request, 5_000) },
  })
}

/** Milliseconds that a sender may take for its body when others are waiting for its place. */
const SLOW = 1_000

export type SourcesDeps = Readonly<{
  /** By name, as in keyturn.yaml. */
  sources: Readonly<Record<string, SourceSettings>>
  /** The value of an environment variable; throws if it is not set. */
  secret(environmentVariable: string): string
  /** Resolves when every alert is on disk; the sender is told so. A throw makes the sender try again. */
  onAlerts(batch: Batch, source: string): Promise<void>
  log: Pick<Logger, 'warn' | 'error'>
  clock(): Date
  /** Requests read or stored at the same time; each holds up to 1 MiB and what it parses to. */
  maxInFlight?: number
  /** Milliseconds until a request is answered with 503. The sender's own patience is often 10 s. */
  answerWithin?: number
}>

/**
 * `POST /webhooks/<source>`: 200 `{ stored }` when all of a body's alerts are stored; what cannot be read beside others that
 * can is told as `left_out`. 503 with Retry-After when that can't be now, any other 4xx `{ error, detail }` for what never will be. Alertmanager drops what gets a 4xx, 429 included.
 * Throws at once if a secret is missing.
 */
export function createSources(deps: SourcesDeps): FastifyPluginAsync {
  const { maxInFlight = 64, answerWithin = 8_000 } = deps
  const doors = new Map<string, { settings: SourceSettings; lock: Lock }>()
  for (const [name, settings] of Object.entries(deps.sources))
    doors.set(name, { settings, lock: createLock(settings.auth, deps.secret) })
  // Two sets, for a sender may hang up while its alerts are still being stored.
  const reading = new Map<string, { since: number; hangUp: () => void }>()
  const storing = new Set<string>()

  /** Hangs up on the sender that has been sending its body for longest, if that is long; false if there is none such. */
  function makeRoom(): boolean {
    const [oldest] = reading
    if (!oldest || performance.now() - oldest[1].since < SLOW) return false
    reading.delete(oldest[0])
    oldest[1].hangUp()
    deps.log.warn({ request: oldest[0] }, 'too many requests at once, and this one was slow: it was ended')
    return true
  }

  return async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES }, (_request, bytes, done) =>
      done(null, bytes),
    )

    scope.setErrorHandler((error: FastifyError, request, reply) => {
      const status = error.statusCode ?? 500
      if (status < 500) {
        deps.log.warn({ request: request.id, status, reason: error.message }, 'alert request refused')
        const [code, detail] = EXPLAINED[status] ?? ['bad_request', error.message]
        return reply.code(status).send({ error: code, detail })
      }
      deps.log.error({ request: request.id, err: error }, 'alerts not read, the sender is asked to try again')
      return tryAgain(reply)
    })

    scope.route<{ Params: { source: string } }>({
      method: ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
      url: '/webhooks/:source',
      onRequest: async (_request, reply) =>
        reply
          .code(405)
          .header('allow', 'POST')
          .send({ error: 'method_not_allowed', detail: 'alerts are sent by POST' }),
      handler: async () => undefined,
    })

    scope.post<{ Params: { source: string }; Body: Uint8Array | undefined }>('/webhooks/:source', {
      // Before the body is read: a stranger gets no memory.
      onRequest: async (request, reply) => {
        const { source } = request.params
        const door = doors.get(source)
        const lock = door?.lock ?? [...doors.values()][0]?.lock
        const opened = lock?.opens(request.headers.authorization) ?? false
        const no = (status: number, error: string, detail: string) => {
          deps.log.warn({ request: request.id, source, status, reason: error }, 'alert request refused')
          return reply.code(status).send({ error, detail })
        }
        if (!door) return no(404, 'unknown_source', 'no source of this name is configured')
        if (!opened) {
          reply.header('www-authenticate', `${door.lock.scheme} realm="keyturn"`)
          return no(401, 'unauthorized', `a valid ${door.lock.scheme} Authorization header is needed`)
        }
        const { 'content-encoding': coding = '' } = request.headers
        if (!isJsonType(request.headers['content-type']) || !['', 'identity'].includes(coding.trim().toLowerCase()))
          return no(415, ...EXPLAINED[415]!)
        if (reading.size + storing.size >= maxInFlight && !makeRoom()) {
          reply.header('retry-after', '1')
          return no(503, 'overloaded', 'too many requests at once; send it again')
        }
        reading.set(request.id, { since: performance.now(), hangUp: () => request.raw.destroy() })
        reply.raw.once('close', () => reading.delete(request.id))
      },
      handler: async (request, reply) => {
        const { source } = request.params
        const { settings } = doors.get(source)!
        const refuse = (error: string, detail: string) => {
          const cut = detail.slice(0, 500)
          deps.log.warn({ request: request.id, source, status: 400, reason: cut }, 'alert request refused')
          return reply.code(400).send({ error, detail: cut })
        }
        const body = parseBody(request.body ?? new Uint8Array())
        if (!body.ok) return refuse('not_json', body.reason)
        const kind = sourceKinds.find((k) => k.kind === settings.kind)!
        const decoded = await unhurried(kind.decode(body.value, settings, { source, receivedAt: deps.clock() }))
        if (!decoded.ok) return refuse('not_alerts', decoded.reason)
        const { alerts, group, unread } = decoded.batch
        const answer = { stored: alerts.length, ...(unread && { left_out: unread.slice(0, MOST_TOLD) }) }
        if (unread)
          deps.log.warn(
            { request: request.id, source, left_out: unread.length, reasons: unread.slice(0, MOST_TOLD) },
            'alerts of a request were left out, the others are stored',
          )
        if (alerts.length === 0 && !group?.over) return reply.send(answer)
        reading.delete(request.id)
        storing.add(request.id)
        const stored = (async () => deps.onAlerts(decoded.batch, source))().finally(() => storing.delete(request.id))
        const failure = await settledWithin(stored, answerWithin)
        if (!failure) return reply.send(answer)
        deps.log.error(
          { request: request.id, source, err: failure },
          'alerts not stored, the sender is asked to try again',
        )
        return tryAgain(reply)
      },
    })
  }
}

/** Alerts that were left out, of which the sender and the log are told why. */
const MOST_TOLD = 20

/** Milliseconds that one request may compute while others wait. */
const TURN = 10

/** The result of a long computation, which lets others have their turn in between. */
async function unhurried<T>(work: Generator<void, T>): Promise<T> {
  await nextTurn()
  for (let since = performance.now(); ; ) {
    const { done, value } = work.next()
    if (done) return value
    if (performance.now() - since < TURN) continue
    await nextTurn()
    since = performance.now()
  }
}

const tryAgain = (reply: FastifyReply) =>
  reply
    .code(503)
    .header('retry-after', '5')
    .send({ error: 'not_stored', detail: 'the alerts could not be stored now; send them again' })

/** Why `work` failed or is late; null when it is done. Whoever is late goes on, and its end is looked at too. */
async function settledWithin(work: Promise<void>, ms: number): Promise<unknown> {
  const late = Promise.withResolvers<unknown>()
  const timer = setTimeout(() => late.resolve(new Error(`not stored after ${ms} ms`)), ms)
  const end = work.then(
    () => null,
    (cause) => cause ?? new Error('not stored'),
  )
  return Promise.race([end, late.promise]).finally(() => clearTimeout(timer))
}

const EXPLAINED: Readonly<Record<number, [error: string, detail: string]>> = {
  413: [
    'too_large',
    'the body is over 1 MiB; send fewer alerts at a time (Alertmanager: max_alerts in webhook_configs)',
  ],
  415: ['unsupported_media_type', 'the body must be JSON, not compressed, sent as application/json'],
}
