import { z } from 'zod'
import { Refused, Unanswered } from '../domain/command.ts'

/** Codes of Node's sockets, resolver and TLS, in a person's words. */
const NETWORK: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there: is it down, or the address or port wrong?',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ENOTFOUND: 'its host name is not known: is it spelt right?',
  EAI_AGAIN: 'its host name could not be looked up just now',
  ETIMEDOUT: 'it did not answer in time',
  EHOSTUNREACH: 'there is no route to it from this worker',
  ENETUNREACH: 'there is no route to it from this worker',
  UND_ERR_SOCKET: 'the connection was cut',
  UND_ERR_CONNECT_TIMEOUT: 'it did not answer in time',
  UND_ERR_HEADERS_TIMEOUT: 'it did not answer in time',
  UND_ERR_BODY_TIMEOUT: 'it stopped in the middle of its answer',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself: name its CA in the connection',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is from a private CA: name that CA in the connection',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'its certificate is from a CA that is not known here: name that CA in the connection',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'its certificate is from a CA that is not known here: name that CA in the connection',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host name',
}

/** What the engine throws for a mistake in code, ours or a library's: its text helps nobody at night. */
const BUGS = ['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError', 'URIError', 'EvalError']

const chain = (error: unknown): unknown[] => {
  const all: unknown[] = []
  for (let one = error; one !== undefined && one !== null && all.length < 8 && !all.includes(one); ) {
    all.push(one)
    const { cause, errors } = one as { cause?: unknown; errors?: unknown }
    one = cause ?? (Array.isArray(errors) ? errors[0] : undefined)
  }
  return all
}

const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? '')

/** Whether a message was written for people: by a command that refuses, or by one that lost an answer. */
export const isOwnWord = (error: unknown): boolean => error instanceof Refused || error instanceof Unanswered

/**
 * What went wrong as a sentence for people, whatever was thrown. A schema's, the engine's and the network's own texts are
 * replaced; all else is its first line. The log has the chain.
 */
export function sentenceOf(error: unknown): string {
  if (error === undefined || error === null) return 'unknown error'
  const { message } = error as { message?: unknown }
  const told = typeof message === 'string' ? message : String(error)
  const [line = ''] = told.split('\n', 1)
  if (isOwnWord(error)) return line
  const all = chain(error)
  const faulty = all.find((one) => one instanceof z.core.$ZodError)
  if (faulty) return `${before(line, faulty)}${shapeSentence(faulty as z.core.$ZodError)}`
  const away = all.find((one) => Object.hasOwn(NETWORK, codeOf(one)))
  if (away) return `${before(line, away)}it could not be reached: ${NETWORK[codeOf(away)]}${placeOf(away)}`
  if (all.some((one) => (one as { name?: string }).name === 'TimeoutError')) return 'There was no answer in time.'
  const bug = all.find((one) => BUGS.includes((one as { name?: string }).name ?? ''))
  if (bug)
    return `${before(line, bug)}this answer could not be understood; the log of the worker has what it stumbled over`
  return line
}

/** What a command of ours said around the raw error, as `Error('… of jobs', { cause })`. */
function before(line: string, raw: unknown): string {
  const own = (raw as Error).message?.split('\n', 1)[0] ?? ''
  const said = own === '' ? line : line.replace(own, '').replace(/[:\s]+$/, '')
  return said === '' || said === 'fetch failed' || said.startsWith('[') || said.startsWith('{') ? '' : `${said}: `
}

function shapeSentence(error: z.core.$ZodError): string {
  const [first] = error.issues
  const path = first?.path.map(String).join('.') ?? ''
  const more = error.issues.length > 1 ? `, and ${error.issues.length - 1} more` : ''
  return `not what was expected${path === '' ? '' : ` at ${path}`}: ${first?.message ?? 'another shape'}${more}`
}

function placeOf(error: unknown): string {
  const { address, hostname, port } = error as { address?: string; hostname?: string; port?: number }
  const host = hostname ?? address
  return host === undefined ? '' : ` (${host}${port === undefined ? '' : `:${port}`})`
}
