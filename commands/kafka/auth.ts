import { readFile } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import { generateAuthTokenFromCredentialsProvider } from 'aws-msk-iam-sasl-signer-js'
import type { KafkaConfig, OauthbearerProviderResponse } from 'kafkajs'
import { z } from 'zod'
import { awsIdentity } from '../aws/client.ts'
import { credentialsOf } from '../aws/credentials.ts'

const File = z.string().refine((path) => isAbsolute(path) && !path.includes('\0'), 'write an absolute path')
const pair = (a: unknown, b: unknown) => (a === undefined) === (b === undefined)

/** `true`: the system's authorities. `ca` or `caFile`: a private one. With a certificate of one's own it is mTLS. */
export const Tls = z.union([
  z.boolean(),
  z
    .strictObject({
      /** The certificate, in PEM, of who signed the brokers'. */
      ca: z
        .string()
        .regex(/^\s*-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----\s*$/, 'not a PEM certificate')
        .optional(),
      caFile: File.optional(),
      /** The client's certificate and key, in PEM, from the environment or from files of the worker. */
      certFrom: z.string().min(1).optional(),
      keyFrom: z.string().min(1).optional(),
      certFile: File.optional(),
      keyFile: File.optional(),
      passphraseFrom: z.string().min(1).optional(),
      /** The name that the brokers' certificates are for, where it is not the one that is dialled. */
      serverName: z.string().min(1).optional(),
    })
    .refine((tls) => !(tls.ca && tls.caFile), { path: ['caFile'], message: 'write ca or caFile, not both' })
    .refine((tls) => pair(tls.certFrom, tls.keyFrom) && pair(tls.certFile, tls.keyFile), {
      path: ['certFrom'],
      message: 'a certificate and its key belong together: certFrom and keyFrom, or certFile and keyFile',
    })
    .refine((tls) => !(tls.certFrom && tls.certFile), {
      path: ['certFile'],
      message: 'write certFrom or certFile, not both',
    }),
])
export type Tls = z.infer<typeof Tls>

const password = { username: z.string().min(1), passwordFrom: z.string().min(1) }
const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer', 'aws-msk-iam'] as const
/** How to log in. */
export const Sasl = z.discriminatedUnion(
  'mechanism',
  [
    z.strictObject({ mechanism: z.literal('plain'), ...password }),
    z.strictObject({ mechanism: z.literal('scram-sha-256'), ...password }),
    z.strictObject({ mechanism: z.literal('scram-sha-512'), ...password }),
    z
      .strictObject({
        mechanism: z.literal('oauthbearer'),
        /** The token endpoint of the identity provider: OAuth 2.0 client credentials (RFC 6749, section 4.4). */
        tokenUrl: z
          .url()
          .refine((text) => text.startsWith('https:') || isLoopback(text), 'the secret is sent over https only')
          .optional(),
        clientId: z.string().min(1).optional(),
        clientSecretFrom: z.string().min(1).optional(),
        scope: z.string().min(1).optional(),
        audience: z.string().min(1).optional(),
        /** A token that something else keeps, instead of the endpoint. */
        tokenFrom: z.string().min(1).optional(),
        /** Sent beside the token, such as logicalCluster and identityPoolId of Confluent Cloud (KIP-342). */
        extensions: z.record(z.string().regex(/^[A-Za-z]+$/), z.string()).optional(),
      })
      .refine((s) => Boolean(s.tokenFrom) !== Boolean(s.tokenUrl), {
        path: ['tokenUrl'],
        message: 'write tokenUrl, or tokenFrom',
      })
      .refine((s) => !s.tokenUrl || (s.clientId && s.clientSecretFrom), {
        path: ['clientId'],
        message: 'tokenUrl needs clientId and clientSecretFrom',
      }),
    z.strictObject({
      /** Amazon MSK and MSK Serverless: a token that is signed with AWS credentials. */
      mechanism: z.literal('aws-msk-iam'),
      region: z.string().min(1),
      ...awsIdentity,
    }),
  ],
  {
    error: ({ code }) =>
      code === 'invalid_union'
        ? `a mechanism is one of ${MECHANISMS.join(', ')}; Kerberos (gssapi) is not supported`
        : undefined,
  },
)
export type Sasl = z.infer<typeof Sasl>

const isLoopback = (text: string): boolean => ['localhost', '127.0.0.1', '[::1]'].includes(new URL(text).hostname)

/** Mechanisms that hand over what opens the cluster: to be used over TLS. SCRAM hands over a proof only. */
export const isClear = (sasl: Sasl | undefined): boolean =>
  sasl !== undefined && ['plain', 'oauthbearer', 'aws-msk-iam'].includes(sasl.mechanism)

type Secret = (variable: string) => string

/** What kafkajs takes as `ssl`. Throws what a file that cannot be read says. */
export async function tlsOf(tls: Tls, secret: Secret): Promise<boolean | ConnectionOptions> {
  if (typeof tls === 'boolean') return tls
  const { ca, caFile, certFrom, keyFrom, certFile, keyFile, passphraseFrom, serverName } = tls
  const file = (path: string) =>
    readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      throw new Error(`kafka: the file ${path} of tls cannot be read (${cause.code ?? cause.message})`, { cause })
    })
  return {
    ...((ca ?? caFile) && { ca: ca ?? (await file(caFile!)) }),
    ...(certFrom && { cert: secret(certFrom), key: secret(keyFrom!) }),
    ...(certFile && { cert: await file(certFile), key: await file(keyFile!) }),
    ...(passphraseFrom && { passphrase: secret(passphraseFrom) }),
    ...(serverName && { servername: serverName }),
  }
}

/** The identity provider gives no token. `passing`: it may a little later. */
export class NoToken extends Error {
  override name = 'NoToken'
  readonly passing: boolean
  constructor(message: string, passing: boolean, cause?: unknown) {
    super(message, { cause })
    this.passing = passing
  }
}

/** A token is bought anew when less of its life than this is left. */
const SPARE_MS = 60_000
const ANSWER_MS = 10_000

type Token = OauthbearerProviderResponse & Readonly<{ until: number }>

/** What kafkajs takes as `sasl`. Tokens are asked for at each login and kept while they live. */
export function saslOf(sasl: Sasl, secret: Secret, now: () => number = Date.now): NonNullable<KafkaConfig['sasl']> {
  if (sasl.mechanism !== 'oauthbearer' && sasl.mechanism !== 'aws-msk-iam')
    return { mechanism: sasl.mechanism as 'plain', username: sasl.username, password: secret(sasl.passwordFrom) }
  const buy = sasl.mechanism === 'oauthbearer' ? bearer(sasl, secret, now) : msk(sasl, secret)
  let held: Token | null = null
  return {
    mechanism: 'oauthbearer',
    async oauthBearerProvider() {
      if (!held || held.until - SPARE_MS < now()) held = await buy()
      return held
    },
  }
}

/** https://docs.aws.amazon.com/msk/latest/developerguide/iam-access-control.html */
function msk(sasl: Extract<Sasl, { mechanism: 'aws-msk-iam' }>, secret: Secret): () => Promise<Token> {
  const found = credentialsOf(sasl, secret, undefined)
  const awsCredentialsProvider = typeof found === 'function' ? () => found() : async () => found
  return async () => {
    const { token, expiryTime } = await generateAuthTokenFromCredentialsProvider({
      region: sasl.region,
      awsCredentialsProvider,
    })
    return { value: token, until: expiryTime }
  }
}

const Answer = z.object({ access_token: z.string().min(1), expires_in: z.coerce.number().positive().optional() })

function bearer(
  sasl: Extract<Sasl, { mechanism: 'oauthbearer' }>,
  secret: Secret,
  now: () => number,
): () => Promise<Token> {
  const { tokenUrl, clientId, clientSecretFrom, scope, audience, tokenFrom, extensions } = sasl
  const more = extensions ? { extensions } : {}
  if (tokenFrom) return async () => ({ value: secret(tokenFrom), until: 0, ...more })
  const form = (text: string) => new URLSearchParams([['', text]]).toString().slice(1)
  // RFC 6749, section 2.3.1: each is form-encoded before it is joined.
  const basic = Buffer.from(`${form(clientId!)}:${form(secret(clientSecretFrom!))}`).toString('base64')
  const host = new URL(tokenUrl!).host
  return async () => {
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      ...(scope && { scope }),
      ...(audience && { audience }),
    })
    const headers = { authorization: `Basic ${basic}`, accept: 'application/json' }
    const signal = AbortSignal.timeout(ANSWER_MS)
    const answer = await globalThis
      .fetch(tokenUrl!, { method: 'POST', body, headers, redirect: 'error', signal })
      .catch((cause: unknown) => {
        throw new NoToken(`${host} gives no token: it was not reached.`, true, cause)
      })
    if (!answer.ok) {
      await answer.body?.cancel()
      const passing = answer.status >= 500 || answer.status === 429
      throw new NoToken(
        `${host} gives no token (HTTP ${answer.status})${passing ? '.' : ': look at clientId, and at the secret that clientSecretFrom names.'}`,
        passing,
      )
    }
    const parsed = Answer.safeParse(await answer.json().catch(() => null))
    if (!parsed.success) throw new NoToken(`The answer of ${host} holds no access_token.`, false)
    const { access_token: value, expires_in: seconds } = parsed.data
    return { value, until: seconds === undefined ? 0 : now() + seconds * 1000, ...more }
  }
}
