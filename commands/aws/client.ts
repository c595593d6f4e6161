import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import type { Right } from '../../src/domain/command.ts'
import { credentialsOf } from './credentials.ts'
import { isExpired, isMute, isPassing, isThrottled, isUntouched, NoCredentials, retell } from './refusals.ts'
import { sentenceOf } from './sentence.ts'

/** Who a request to AWS is from. Without both secrets the SDK's own chain is asked: role, profile, instance. */
export const awsIdentity = {
  accessKeyIdFrom: z.string().optional(),
  secretAccessKeyFrom: z.string().optional(),
  /** The role to take on (STS AssumeRole), such as one of another account. A run's session is cut to its plan. */
  roleArn: z
    .string()
    .regex(/^arn:aws[\w-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/, 'the ARN of a role')
    .optional(),
  /** What the role's trust policy asks for (`sts:ExternalId`). It is no secret. */
  externalId: z
    .string()
    .regex(/^[\w+=,.@:/-]{2,1224}$/)
    .optional(),
  /** The name of the session in CloudTrail. */
  roleSessionName: z
    .string()
    .regex(/^[\w+=,.@-]{2,64}$/)
    .optional(),
  /** Like `endpoint`, for STS. */
  stsEndpoint: z.url().optional(),
}

/** What every AWS connection has. */
export const awsSettings = {
  region: z.string().min(1),
  /** For a server that speaks the same protocol, on premises or in a test. */
  endpoint: z.url().optional(),
  ...awsIdentity,
  /** The first wait after a refusal for too many requests, in milliseconds; each next one may be twice as long, up to 20 s. */
  backoffMs: z.number().int().min(1).max(20_000).default(200),
}

export type AwsSettings = Readonly<{
  region: string
  endpoint?: string | undefined
  accessKeyIdFrom?: string | undefined
  secretAccessKeyFrom?: string | undefined
  roleArn?: string | undefined
  externalId?: string | undefined
  roleSessionName?: string | undefined
  stsEndpoint?: string | undefined
  backoffMs?: number | undefined
}>

/** What every client of the SDK is made of. */
type Config = Readonly<{ region: string; endpoint?: string; maxAttempts: number }>
type Client = {
  config: object
  middlewareStack: { add(middleware: never, options: never): void }
}

/** How often a request is sent that AWS certainly did not act on: with the default, for a minute at most. */
const TRIES = 10
const LONGEST_WAIT = 20_000
/** How often new credentials are bought for one request. */
const RENEWALS = 2

/**
 * A client of the SDK. `sends` is how often a request is sent that may have landed: 1 where it must not be sent again after a
 * lost reply. What AWS refused for too many requests, or for a token that is over, never took effect and is always sent again.
 * What goes wrong is thrown as the SDK throws it, with a sentence for a person as its message where one is known.
 */
export function awsClient<C extends Client, More extends object = object>(
  Kind: new (config: Config & More) => C,
  settings: AwsSettings,
  secret: (variable: string) => string,
  sends: number,
  more: Readonly<{ rights?: readonly Right[] | undefined; config?: More }> = {},
): C {
  const { region, endpoint } = settings
  const client = new Kind({
    region,
    ...(endpoint && { endpoint }),
    credentials: credentialsOf(settings, secret, more.rights),
    // The SDK's own tries stop too soon for a throttled account, and would send again what may have landed.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: 5_000,
      requestTimeout: 60_000,
      throwOnRequestTimeout: true,
      socketTimeout: 60_000,
    },
    ...(more.config as More),
  } as unknown as Config & More)
  const options = { step: 'initialize', name: 'patience', priority: 'high' }
  client.middlewareStack.add(patience(client, settings, sends) as never, options as never)
  return client
}

type Context = Readonly<{
  clientName?: string
  commandName?: string
  __smithy_context?: { abortSignal?: AbortSignal }
}>

function patience(client: Client, settings: AwsSettings, sends: number) {
  type Next = (args: unknown) => Promise<unknown>
  const renew = (client.config as { credentials: (want: { forceRefresh: boolean }) => Promise<unknown> }).credentials
  return (next: Next, context: Context) => async (args: unknown) => {
    const signal = context.__smithy_context?.abortSignal
    const asked = {
      service: (context.clientName ?? '').replace(/Client$/, '').replace(/(?<=[a-z])(?=[A-Z])/g, ' '),
      action: (context.commandName ?? '').replace(/Command$/, ''),
      ...settings,
    }
    let mayHaveLanded = false
    let renewed = 0
    for (let tries = 1, doubtful = 0; ; tries++) {
      try {
        return await next(args)
      } catch (error) {
        if (signal?.aborted) throw error
        const untouched = isUntouched(error)
        if (!untouched) doubtful += 1
        mayHaveLanded ||= !untouched
        const again =
          tries < TRIES &&
          (isClockSet(error) && tries < 3
            ? true
            : isExpired(error) || isMute(error)
              ? renewed < RENEWALS
              : isThrottled(error) || (error instanceof NoCredentials && isPassing(error))
                ? true
                : isPassing(error) && (untouched ? tries < Math.max(sends, 3) : doubtful < sends))
        if (!again) throw said(error, asked, mayHaveLanded)
        if (isExpired(error) || isMute(error)) {
          renewed += 1
          // If there are none, the next try says so.
          await renew({ forceRefresh: true }).catch(() => undefined)
        }
        const longest = Math.min(LONGEST_WAIT, (settings.backoffMs ?? 200) * 2 ** (tries - 1))
        await wait(Math.ceil(longest * Math.random()), undefined, { signal })
      }
    }
  }
}

/** The SDK has set its clock by the time that the refusal came with. */
const isClockSet = (error: unknown): boolean =>
  (error as { $metadata?: { clockSkewCorrected?: boolean } }).$metadata?.clockSkewCorrected === true

/** Errors of which an earlier try of the same request may have landed. */
const doubtful = new WeakSet<object>()

/** May the request of this error have taken effect, though its last try did not? */
export const mayHaveLanded = (error: unknown): boolean =>
  !isUntouched(error) || (typeof error === 'object' && error !== null && doubtful.has(error))

function said(error: unknown, asked: Parameters<typeof sentenceOf>[1], landed: boolean): unknown {
  if (!(error instanceof Error)) return error
  if (landed) doubtful.add(error)
  const sentence = sentenceOf(error, asked)
  if (sentence === null || sentence === error.message) return error
  retell(error, `${sentence}.`)
  return error
}
