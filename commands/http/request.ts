import { z } from 'zod'
import { defineChange, type ReadContext, Refused, Unanswered } from '../../src/domain/command.ts'
import { digest } from '../../src/domain/plan.ts'
import { settled } from '../settle.ts'
import { http, type Method } from './connection.ts'
import { answeredWith, wordsOf } from './json.ts'
import { patiently } from './patience.ts'
import { within } from './within.ts'

const MOST_BODY = 65_536
const STEP = 'send'

const Params = z.object({
  connection: z.string().describe('HTTP connection'),
  method: z.enum(['POST', 'PUT', 'PATCH', 'DELETE']).describe('Method'),
  path: z.string().describe('Path below the base URL, beginning with "/"'),
  body: z.string().max(MOST_BODY).default('').describe('Body; empty for none'),
  contentType: z
    .string()
    .regex(/^[\w.+-]+\/[\w.+-]+(; ?charset=[\w-]+)?$/)
    .default('application/json')
    .describe('Content type of the body'),
  check: z
    .string()
    .default('')
    .describe('Path whose GET answers 2xx once the change is in place and 404 or 409 before; empty if there is none'),
})

type Data = Pick<z.output<typeof Params>, 'connection' | 'method' | 'path' | 'body' | 'contentType' | 'check'> & {
  key: string
}

const ok = (status: number) => status >= 200 && status < 300

/** The status of the GET that tells whether the change is in place; null if there is none to ask. */
async function checked(data: Pick<Data, 'connection' | 'check'>, ctx: ReadContext): Promise<number | null> {
  if (!data.check) return null
  const { client, settings } = await ctx.connect(http, data.connection)
  const url = within(settings, 'GET', data.check)
  return (await patiently(() => client.send({ method: 'GET', url, signal: ctx.signal }), ctx.signal)).status
}

/** What a check answers before the change. */
const isOpen = (status: number) => status === 404 || status === 409

/** One request that changes something, below a configured base URL, sent once. */
export const httpRequest = defineChange<typeof Params, Data>({
  id: 'http.request',
  summary: 'Send one request to a web service',
  effect: 'once',
  risk: 'medium',
  params: Params,

  async plan(params, ctx) {
    const { connection, method, path, body, contentType, check } = params
    const { settings } = await ctx.connect(http, connection)
    const url = within(settings, method, path)
    if (body && /\bjson$/.test(contentType) && !isJson(body))
      throw new Refused('The body is not JSON, but its content type says so.')
    const status = await checked(params, ctx)
    if (status !== null && ok(status))
      throw new Refused(`Nothing to do: GET ${check} answers ${status}, so the change is in place.`)
    const request = { connection, method, path, body, contentType, check }
    // The same for every making of this plan and every repeat of its step; another for the next proposal.
    const key = digest({ ...request, requestedAt: ctx.requestedAt.toISOString() }).slice(
      'sha256:'.length,
      'sha256:'.length + 32,
    )
    const shown = body
      ? `\ncontent-type: ${contentType}\nidempotency-key: ${key}\n\n${body}`
      : `\nidempotency-key: ${key}`
    return {
      summary: `${method} ${path} on ${connection}`,
      targets: [
        {
          id: `http:${connection}${path.split('?', 1)[0]}`,
          name: `${method} ${url.href}`,
          fingerprint: status === null ? 'not looked at' : `GET ${check} answers ${status}`,
          details: { url: url.href, ...(status !== null && { before: `GET ${check} answers ${status}` }) },
        },
      ],
      steps: [{ id: STEP, title: `Send ${method} ${path}`, detail: `${method} ${url.href}${shown}` }],
      warnings: check
        ? status !== null && !isOpen(status)
          ? [`GET ${check} answers ${status} now, so that it cannot tell whether this is in place.`]
          : []
        : ['Without a check path nobody can tell afterwards, but from the answer, whether it took effect.'],
      data: { ...request, key },
    }
  },

  async run({ data }, ctx) {
    const { client, settings } = await ctx.connect(http, data.connection)
    const headers = { 'idempotency-key': data.key, ...(data.body && { 'content-type': data.contentType }) }
    const answer = await ctx.step(STEP, async () => {
      const url = within(settings, data.method as Method, data.path)
      const got = await client.send({
        method: data.method,
        url,
        body: data.body || undefined,
        headers,
        signal: ctx.signal,
      })
      if (!ok(got.status)) {
        const said = `${data.method} ${data.path} on ${data.connection} ${answeredWith(got)}`
        // A gateway gave up waiting for the service, which may be at it still.
        throw got.status === 502 || got.status === 504
          ? new Unanswered(`${said}; it may have taken effect`)
          : new Error(said)
      }
      return { status: got.status, body: wordsOf(got, 500), cut: got.cut }
    })
    const body = answer.body.replace(/\s+/g, ' ').trim()
    return `${data.method} ${data.path} answered ${answer.status}${body && `: ${body.slice(0, 200)}${body.length > 200 ? '…' : ''}`}`
  },

  async verify({ data }, ctx) {
    if (!data.check) return []
    // A service may take the request and do the work a moment later.
    const status = await settled(
      () => checked(data, ctx),
      (seen) => ok(seen ?? 0),
      ctx.signal,
    )
    return [{ title: 'The change is in place', ok: ok(status ?? 0), detail: `GET ${data.check} answers ${status}` }]
  },

  async probe({ data }, _step, ctx) {
    const status = await checked(data, ctx)
    if (status === null)
      return {
        landed: 'cannot_tell',
        detail: `No check path is set: look at the service, or ask it for the request with Idempotency-Key ${data.key}.`,
      }
    const detail = `GET ${data.check} answers ${status}.`
    return { landed: ok(status) ? 'yes' : isOpen(status) ? 'no' : 'cannot_tell', detail }
  },
})

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
