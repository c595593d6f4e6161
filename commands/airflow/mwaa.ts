import { createHash, createHmac } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'
import { credentialsOf } from '../aws/credentials.ts'
import type { Settings } from './connection.ts'
import { type Exchange, NoTicket, tailOf } from './exchange.ts'

type Auth = Extract<Settings['auth'], { kind: 'mwaa' }>

/** SHA-256 in the shape that the signer takes. */
class Sha256 {
  readonly #hash: { update(data: Uint8Array | string): unknown; digest(): Buffer }
  constructor(key?: unknown) {
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(key))
  }
  update(data: unknown): void {
    this.#hash.update(bytesOf(data))
  }
  async digest(): Promise<Uint8Array> {
    return new Uint8Array(this.#hash.digest())
  }
  reset(): void {}
}
const bytesOf = (data: unknown): Uint8Array | string =>
  typeof data === 'string'
    ? data
    : ArrayBuffer.isView(data)
      ? Buffer.from(data.buffer, data.byteOffset, data.byteLength)
      : new Uint8Array(data as ArrayBuffer)

/**
 * The session of an Amazon MWAA environment. CreateWebLoginToken gives a token of 60 seconds; the web server takes it for a
 * session cookie (Airflow 2) or a JWT (Airflow 3) of at most 12 hours: MWAA user guide, "Use the Apache Airflow REST API".
 */
export async function buyMwaa(
  api: 1 | 2,
  auth: Auth,
  root: string | undefined,
  secret: (variable: string) => string,
  exchange: Exchange,
  signal: AbortSignal,
): Promise<{ headers: Record<string, string>; host: string }> {
  const endpoint = new URL(
    auth.endpoint ?? `https://env.airflow.${auth.region}.amazonaws.com${auth.region.startsWith('cn-') ? '.cn' : ''}`,
  )
  const signer = new SignatureV4({
    service: 'airflow',
    region: auth.region,
    credentials: credentialsOf(auth, secret, undefined),
    sha256: Sha256 as unknown as ConstructorParameters<typeof SignatureV4>[0]['sha256'],
  })
  const path = `/webtoken/${auth.environment}`
  const signed = await signer.sign({
    method: 'POST',
    protocol: endpoint.protocol,
    hostname: endpoint.hostname,
    ...(endpoint.port && { port: Number(endpoint.port) }),
    path,
    query: {},
    headers: { host: endpoint.host, 'content-type': 'application/json' },
    body: '',
  })
  const url = new URL(path, endpoint).href
  const answer = await exchange.send({ method: 'POST', url, headers: signed.headers, body: '', signal })
  const said = await tailOf(answer.body, 65_536)
  const { WebToken: token, WebServerHostname: host } = objectIn(said)
  if (answer.status !== 200 || typeof token !== 'string' || typeof host !== 'string')
    throw new NoTicket(url, answer.status, 'the role needs airflow:CreateWebLoginToken on this environment')
  const [login, cookie] = api === 1 ? ['/aws_mwaa/login', 'session'] : ['/pluginsv2/aws_mwaa/login', '_token']
  const door = `${root ?? `https://${host}`}${login}`
  const opened = await exchange.send({
    method: 'POST',
    url: door,
    body: new URLSearchParams({ token }).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    signal,
  })
  await tailOf(opened.body, 1)
  const value = (opened.headers['set-cookie'] ?? [])
    .map((one) => one.split(';')[0]!)
    .find((one) => one.startsWith(`${cookie}=`))
    ?.slice(cookie.length + 1)
  if (!value) throw new NoTicket(door, opened.status, 'check that "api" is the version of this environment')
  return { headers: api === 1 ? { cookie: `session=${value}` } : { authorization: `Bearer ${value}` }, host }
}

function objectIn(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
