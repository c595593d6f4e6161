import { z } from 'zod'
import type { Clock } from '../clock.ts'
import type { Tier } from '../rate.ts'
import type { Json, State } from '../state.ts'

/** What Slack answers with HTTP 200 and `ok: false`; `extra` is merged into the answer. */
export class SlackError extends Error {
  readonly code: string
  readonly extra: Json
  constructor(code: string, extra: Json = {}) {
    super(code)
    this.code = code
    this.extra = extra
  }
}

/** What a method may use. `event` tells the bot what happened, `socketUrl` opens the way to a Socket Mode connection. */
export interface Context {
  state: State
  clock: Clock
  url: string
  scopes: readonly string[]
  event(event: Json): void
  socketUrl(): string
}

/** A method of the Web API. `run` parses the arguments, acts, and returns the answer without `ok`. */
export interface Method {
  token: 'bot' | 'app'
  scope?: string
  tier: Tier
  run(raw: Json, context: Context): Json
}

/** Defines a method; arguments that do not parse are refused as `invalid_arguments`, in Slack's words. */
export function method<S extends z.ZodType>(spec: {
  token?: 'bot' | 'app'
  scope?: string
  tier: Tier
  args: S
  call(args: z.output<S>, context: Context): Json
}): Method {
  const { token = 'bot', scope, tier, args, call } = spec
  return {
    token,
    scope,
    tier,
    run(raw, context) {
      const parsed = args.safeParse(raw)
      if (parsed.success) return call(parsed.data, context)
      const messages = parsed.error.issues.map(({ path, message }) =>
        path.length > 0 && raw[String(path[0])] === undefined
          ? `[ERROR] missing required field: ${path.join('.')}`
          : `[ERROR] ${message} [json-pointer:/${path.join('/')}]`,
      )
      throw new SlackError('invalid_arguments', { response_metadata: { messages } })
    },
  }
}

/** A boolean as clients send it in a form: true, "true", 1, "1". */
export const flag = z.preprocess((value) => [true, 1, '1', 'true'].includes(value as string), z.boolean())

/** A number of items, from 1 to `max`; `fallback` when missing. */
export const limit = (max: number, fallback: number) => z.coerce.number().int().min(1).max(max).default(fallback)

/** An argument that is JSON: as a string in a form, as it is in a JSON body. `null` and '' count as missing. */
export function fromJson(value: unknown, error: string): unknown {
  if (typeof value !== 'string') return value ?? undefined
  if (value === '') return undefined
  try {
    return JSON.parse(value)
  } catch {
    throw new SlackError(error)
  }
}

/** An array of objects given as JSON, or undefined. */
export function objectsFromJson(value: unknown, error: string): Json[] | undefined {
  const parsed = z.array(z.record(z.string(), z.unknown())).optional().safeParse(fromJson(value, error))
  if (!parsed.success) throw new SlackError(error)
  return parsed.data
}

/** One page of `items` and the cursor of the next, '' on the last. */
export function page<T>(items: readonly T[], cursor: string | undefined, size: number): { items: T[]; next: string } {
  const from = cursor ? Number(Buffer.from(cursor, 'base64').toString().replace(/^at:/, '')) : 0
  if (!Number.isInteger(from)) throw new SlackError('invalid_cursor')
  const end = from + size
  return { items: items.slice(from, end), next: end < items.length ? Buffer.from(`at:${end}`).toString('base64') : '' }
}
