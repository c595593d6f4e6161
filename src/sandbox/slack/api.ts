import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from './clock.ts'
import { drawFate, surprise } from './faults.ts'
import { auth } from './methods/auth.ts'
import { blocks } from './methods/blocks.ts'
import { chat } from './methods/chat.ts'
import { conversations } from './methods/conversations.ts'
import { files } from './methods/files.ts'
import { type Context, type Method, SlackError } from './methods/method.ts'
import { users } from './methods/users.ts'
import { views } from './methods/views.ts'
import { createRate } from './rate.ts'
import type { Json, State } from './state.ts'

/** Every method of the Web API that the sandbox has. */
export const METHODS: Readonly<Record<string, Method>> = {
  ...auth,
  ...blocks,
  ...chat,
  ...conversations,
  ...files,
  ...users,
  ...views,
}

interface ApiOptions {
  state: State
  clock: Clock
  random: () => number
  botToken: string
  appToken: string
  context: () => Context
}

/** Arguments of a call: query, form or JSON body, as clients please. */
export function readArgs(request: FastifyRequest): Json {
  const query = request.query as Json
  const text = Buffer.isBuffer(request.body) ? request.body.toString('utf8') : ''
  if ((request.headers['content-type'] ?? '').startsWith('application/json')) {
    try {
      const body: unknown = text === '' ? {} : JSON.parse(text)
      if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new SlackError('json_not_object')
      return { ...query, ...body }
    } catch (cause) {
      throw cause instanceof SlackError ? cause : new SlackError('invalid_json')
    }
  }
  return { ...query, ...Object.fromEntries(new URLSearchParams(text)) }
}

/** `/api/<method>`: token, scope, rate limit, faults, then the method itself; every call ends in the log. */
export function apiRoutes(app: FastifyInstance, options: ApiOptions): void {
  const { state, clock, random, botToken, appToken, context } = options
  const rate = createRate(clock)

  /** Throws unless the token exists, is of the right kind, and carries the scope. */
  function authorise(method: Method, token: string | undefined, scopes: readonly string[]): void {
    if (!token) throw new SlackError('not_authed')
    const kind = token === botToken ? 'bot' : token === appToken ? 'app' : undefined
    if (!kind) throw new SlackError('invalid_auth')
    if (kind !== method.token) throw new SlackError('not_allowed_token_type')
    if (kind === 'bot' && method.scope && !scopes.includes(method.scope))
      throw new SlackError('missing_scope', { needed: method.scope, provided: scopes.join(',') })
  }

  function rateKey(name: string, tier: string, args: Json): string {
    return tier === 'message' ? `${name}:${state.channel(String(args.channel))?.id}` : name
  }

  app.route<{ Params: { method: string } }>({
    method: ['GET', 'POST'],
    url: '/api/:method',
    async handler(request, reply) {
      const name = request.params.method
      const fate = drawFate(state.faults, name, random)
      if (state.faults.slowMs > 0) await new Promise<void>((resolve) => clock.after(state.faults.slowMs, resolve))
      let args: Json = {}
      const end = (status: number, response: Json, headers: Record<string, string> = {}): FastifyReply => {
        const { token: _, ...shown } = args
        const error = response.ok ? undefined : String(response.error)
        state.record({ kind: 'call', name, status, error, args: shown, response })
        return reply.code(status).headers(headers).send(response)
      }
      const reset = (): FastifyReply => {
        reply.hijack()
        request.raw.socket.destroy()
        return reply
      }
      if (fate.before === 'reset') {
        state.record({ kind: 'call', name, status: 0, error: 'reset' })
        return reset()
      }
      try {
        args = readArgs(request)
        if (fate.before === '503') return end(503, { ok: false, error: 'service_unavailable' })
        if (fate.before === '500') return end(500, { ok: false, error: 'internal_error' })
        const limited = { ok: false, error: 'ratelimited' }
        if (fate.before === '429') return end(429, limited, { 'retry-after': String(state.faults.retryAfter) })
        const method = METHODS[name]
        if (!method) throw new SlackError('unknown_method', { req_method: name })
        const here = context()
        const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
        authorise(method, bearer ?? (args.token as string | undefined), here.scopes)
        const refused = state.faults.refuse[name] ?? state.faults.refuse['*']
        if (refused) throw new SlackError(refused)
        const wait = state.faults.rateLimit ? rate.take(method.tier, rateKey(name, method.tier, args)) : 0
        if (wait > 0) return end(429, limited, { 'retry-after': String(wait) })
        const answer = { ok: true, ...method.run(args, here) }
        const response = state.faults.surprises ? (surprise(answer) as Json) : answer
        if (fate.after === 'reset') {
          state.record({ kind: 'call', name, status: 0, error: 'reply lost', args, response })
          return reset()
        }
        if (fate.after === '500') return end(500, { ok: false, error: 'internal_error' })
        return end(200, response, {
          'x-oauth-scopes': here.scopes.join(','),
          'x-accepted-oauth-scopes': method.scope ?? '',
        })
      } catch (cause) {
        if (!(cause instanceof SlackError)) throw cause
        return end(200, { ok: false, error: cause.code, ...cause.extra })
      }
    },
  })
}
