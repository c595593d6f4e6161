import pg from 'pg'
import { Refused } from '../../src/domain/command.ts'

/** Where a session goes, as people call it. */
export type Where = Readonly<{ kind: string; host: string; port: number; database: string; user: string; tls: string }>

/** A statement or a log-in that came to nothing; `code` is the SQLSTATE, or what the network said, and `cause` the whole of it. */
export class SqlFault extends Error {
  override name = 'SqlFault'
  readonly code: string
  /** Whether a session was there to ask; without one nothing was sent. */
  readonly asked: boolean
  constructor(sentence: string, code: string, asked: boolean, cause: unknown) {
    super(sentence, { cause })
    this.code = code
    this.asked = asked
  }
}

/** The SQLSTATE or system code of what `pg` threw; '' for neither. */
export const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : ''

const said = (error: unknown): string =>
  String((error as { message?: unknown } | null)?.message ?? error)
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .slice(0, 200)

const TRUST =
  'is signed by an authority that is not known here. Set caFile (or ca) to the bundle of that authority; for RDS that is global-bundle.pem of AWS.'

/** What the network and TLS say: https://nodejs.org/api/tls.html#x509-certificate-error-codes and errno(3). */
const NETWORK: Readonly<Record<string, (at: Where) => string>> = {
  ECONNREFUSED: (at) => `Nothing listens on ${at.host}:${at.port}: is it stopped, or is the port another one?`,
  ENOTFOUND: (at) => `There is no host ${at.host}: is its name right, and does this machine's DNS know it?`,
  EAI_AGAIN: (at) => `The DNS of this machine does not answer for ${at.host}.`,
  ETIMEDOUT: (at) => `${at.host}:${at.port} does not answer: look at the network path and the security groups.`,
  EHOSTUNREACH: (at) => `There is no network path to ${at.host}.`,
  ENETUNREACH: (at) => `There is no network path to ${at.host}.`,
  SELF_SIGNED_CERT_IN_CHAIN: (at) => `The certificate of ${at.host} ${TRUST}`,
  DEPTH_ZERO_SELF_SIGNED_CERT: (at) => `The certificate of ${at.host} is signed by itself. Set caFile (or ca) to it.`,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: (at) => `The certificate of ${at.host} ${TRUST}`,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: (at) => `The certificate of ${at.host} ${TRUST}`,
  UNABLE_TO_GET_ISSUER_CERT: (at) => `The certificate of ${at.host} ${TRUST}`,
  CERT_HAS_EXPIRED: (at) => `The certificate of ${at.host} has expired.`,
  ERR_TLS_CERT_ALTNAME_INVALID: (at) =>
    `The certificate is not one of ${at.host}: set host to a name that stands in it, such as the endpoint's own.`,
}

/** Of a log-in, by SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html. Those marked final stay so. */
const LOGIN: Readonly<Record<string, { final: boolean; says: (at: Where, message: string) => string }>> = {
  '28P01': {
    final: true,
    says: (at) => `The password is not that of ${at.user}: look at the variable that passwordFrom names.`,
  },
  '28000': {
    final: true,
    says: (at, message) =>
      /no encryption|SSL off/.test(message)
        ? `The server lets ${at.user} in by TLS only: set tls to verify.`
        : `The server does not let ${at.user} in from here: pg_hba.conf, or the role may not log in.`,
  },
  '3D000': { final: true, says: (at) => `There is no database ${at.database} there.` },
  '42501': { final: true, says: (at) => `${at.user} may not connect to ${at.database}: grant connect on it.` },
  '53300': {
    final: false,
    says: (at) => `No session is free for ${at.user}: max_connections, or the limit of the role, is used up.`,
  },
  '57P03': { final: false, says: () => 'The server is starting up or shutting down: it takes no sessions now.' },
  '57P01': { final: false, says: () => 'The server is shutting down.' },
}

/** The right that a refusal of the database asks for, by what it was refused. */
function missingRight(message: string, at: Where): string {
  if (at.kind === 'redshift' && /\b(stl|stv|svl|svcs|svv|sys)_\w+/.test(message))
    return `grant role sys:monitor to ${at.user}; Serverless and clusters in several zones have no STL, STV and SVL views at all.`
  if (/pg_(terminate|cancel)_backend|terminat|cancel/i.test(message))
    return at.kind === 'redshift'
      ? `${at.user} has to be a superuser to end sessions of others.`
      : `grant pg_signal_backend to ${at.user}.`
  if (/must be owner/i.test(message)) return `make ${at.user} the owner of the table, or grant it ALTER on it.`
  const [, kind, name] = /permission denied for (table|relation|view|schema|function) (\S+)/.exec(message) ?? []
  if (kind === 'schema') return `grant usage on schema ${name} to ${at.user}.`
  if (name?.startsWith('pg_stat')) return `grant pg_monitor to ${at.user}.`
  return name
    ? `grant ${at.user} the right on ${name} (see the rights in the README).`
    : 'see the rights in the README.'
}

/** Why a session could not be opened, as a sentence: Refused where trying again is no use. */
export function loginFault(error: unknown, at: Where): Error {
  const code = codeOf(error)
  const message = said(error)
  const place = `${at.kind}: no session on ${at.host}:${at.port}/${at.database} as ${at.user}`
  const check = `check the ${at.kind === 'redshift' ? 'cluster' : 'host'}, the network path, the password and the certificate`
  const known = LOGIN[code]
  const why =
    known?.says(at, message) ??
    NETWORK[code]?.(at) ??
    (/does not support SSL/.test(message)
      ? 'The server speaks no TLS. Set tls to off only where the network is trusted.'
      : /timeout/i.test(message)
        ? `${at.host}:${at.port} does not answer in time: look at the network path and the security groups.`
        : /terminated|ECONNRESET/.test(`${message} ${code}`)
          ? 'The connection broke off while it was opened: is that port the server’s, and does it speak TLS?'
          : message)
  const sentence = `${place}; ${check}. ${why}`
  const final = known?.final || /CERT|ALTNAME|SELF_SIGNED|UNABLE_TO/.test(code)
  return final ? new Refused(sentence, { cause: error }) : new SqlFault(sentence, code, false, error)
}

/** Why a statement came to nothing, as a sentence. What the database said of its own objects stays in it. */
export function statementFault(error: unknown, at: Where): Error {
  if (error instanceof SqlFault || error instanceof Refused) return error
  const code = codeOf(error)
  const message = said(error)
  const name = `${at.kind}: ${at.database} on ${at.host}`
  const known: Readonly<Record<string, string>> = {
    '57014': /user request/.test(message)
      ? 'somebody cancelled the statement'
      : 'statement timeout: it took longer than statementTimeoutMs allows; it waits for a lock, or the server is overloaded',
    '57P01': 'the server ended the session (a shutdown, or somebody terminated it)',
    '57P02': 'the server crashed and is coming up again',
    '57P03': 'the server is starting up or shutting down',
    '53300': 'no session is free',
    '53200': 'the server is out of memory',
    '40001': 'the statement collided with another transaction and was rolled back; nothing of it was done',
    '40P01': 'the statement was in a deadlock and was rolled back; nothing of it was done',
    '25006': 'the server only reads: it is a standby, or the writer is another one since a fail-over',
  }
  const why =
    code === '42501'
      ? `${message}: ${missingRight(message, at)}`
      : (known[code] ??
        (/read timeout/i.test(message)
          ? 'no answer within the time limit'
          : !(error instanceof pg.DatabaseError)
            ? `the connection broke (${message})`
            : message))
  return new SqlFault(`${name}: ${why}${/[.!?]$/.test(why) ? '' : '.'}`, code, true, error)
}
