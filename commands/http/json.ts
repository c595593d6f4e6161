import { type Connected, type ReadContext, Refused } from '../../src/domain/command.ts'
import type { HttpClient, HttpSettings } from './connection.ts'
import type { Answer } from './exchange.ts'
import { parseAsItStands } from './numbers.ts'
import { patiently, retryAfterMs } from './patience.ts'
import { below } from './within.ts'

export type Service = Connected<HttpSettings, HttpClient>

const isPage = ({ type, body }: Answer) => type === 'text/html' || /^\s*<(!doctype|html)\b/i.test(body)

/** The body of an answer as a few words for a person: of a web page its title. */
export function wordsOf(answer: Answer, most = 300): string {
  if (!isPage(answer)) return answer.body.replace(/\s+/g, ' ').trim().slice(0, most).toWellFormed()
  const [, title = ''] = /<title[^>]*>([^<]{1,200})</i.exec(answer.body) ?? []
  return `a web page${title.trim() && ` “${title.trim().replace(/\s+/g, ' ')}”`}`
}

/** `answered 503, and asks to wait 60 s: …`; with where a redirect would have led. */
export function answeredWith(answer: Answer): string {
  const to = answer.location && `, a redirect to ${answer.location.slice(0, 200)}, which was not followed`
  const wait = answer.status === 429 || answer.status === 503 ? retryAfterMs(answer) : null
  const words = wordsOf(answer)
  return `answered ${answer.status}${to}${wait ? `, and asks to wait ${Math.ceil(wait / 1000)} s` : ''}${words && `: ${words}`}`
}

/**
 * The JSON of an answer; null where there is none to be (204). Throws when it was cut or is none, and never Refused: the
 * request may have changed something.
 */
export function parseJson(answer: Answer, what: string, remedy = 'raise maxResponseBytes of the connection'): unknown {
  if (answer.cut) throw new Error(`${what} answered more than can be read; ${remedy}.`)
  if (answer.status === 204 || answer.status === 205) return null
  if (answer.body.trim() === '')
    throw new Error(`${what} answered ${answer.status} and nothing else; JSON was expected.`)
  if (isPage(answer))
    throw new Error(
      `${what} answered ${wordsOf(answer)} and not JSON: a login page or a proxy stands in between; check baseUrl and the token.`,
    )
  try {
    return parseAsItStands(answer.body)
  } catch (cause) {
    throw new Error(`${what} answered something that is not JSON: ${wordsOf(answer, 200)}`, { cause })
  }
}

/** The JSON that a GET of a configured path answers. A 4xx is a refusal, since asking again would not help. */
export async function readJson(service: Service, path: string, ctx: ReadContext): Promise<unknown> {
  return (await readPage(service, path, ctx)).value
}

/** The same, with the answer that it came in. */
export async function readPage(
  service: Service,
  path: string,
  ctx: ReadContext,
): Promise<{ value: unknown; answer: Answer }> {
  const { client, settings, name } = service
  const url = below(settings, path)
  const answer = await patiently(
    () => client.send({ method: 'GET', url, headers: { accept: 'application/json' }, signal: ctx.signal }),
    ctx.signal,
  )
  const what = `GET ${path} on ${name}`
  if (answer.status >= 200 && answer.status < 300) return { value: parseJson(answer, what), answer }
  const said = `${what} ${answeredWith(answer)}`
  throw answer.status >= 400 && answer.status < 500 && answer.status !== 429 ? new Refused(said) : new Error(said)
}
