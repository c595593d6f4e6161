import { type Connected, type ReadContext, Refused } from '../../src/domain/command.ts'
import type { HttpClient, HttpSettings } from './connection.ts'
import type { Answer } from './exchange.ts'
import { below } from './within.ts'

export type Service = Connected<HttpSettings, HttpClient>

/** The JSON of an answer. Throws when it was cut or is none, and never Refused: the request may have changed something. */
export function parseJson(answer: Answer, what: string): unknown {
  if (answer.cut) throw new Error(`${what} answered more than can be read; raise maxResponseBytes of the connection.`)
  try {
    return JSON.parse(answer.body)
  } catch (cause) {
    throw new Error(`${what} answered something that is not JSON: ${answer.body.slice(0, 200)}`, { cause })
  }
}

/** The JSON that a GET of a configured path answers. A 4xx is a refusal, since asking again would not help. */
export async function readJson(service: Service, path: string, ctx: ReadContext): Promise<unknown> {
  const { client, settings, name } = service
  const url = below(settings, path)
  const answer = await client.send({ method: 'GET', url, headers: { accept: 'application/json' }, signal: ctx.signal })
  const what = `GET ${path} on ${name}`
  if (answer.status >= 200 && answer.status < 300) return parseJson(answer, what)
  const to = answer.location ? `, a redirect to ${answer.location.slice(0, 200)}, which was not followed` : ''
  const said = `${what} answered ${answer.status}${to}${answer.body && `: ${answer.body.slice(0, 300)}`}`
  throw answer.status >= 400 && answer.status < 500 && answer.status !== 429 ? new Refused(said) : new Error(said)
}
