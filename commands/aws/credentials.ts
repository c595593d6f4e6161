import { fromNodeProviderChain, fromTemporaryCredentials } from '@aws-sdk/credential-providers'
import type { Right } from '../../src/domain/command.ts'
import type { AwsSettings } from './client.ts'
import { NoCredentials } from './refusals.ts'
import { sentenceOf } from './sentence.ts'

/** AssumeRole takes a session policy of at most so many characters: AWS STS API reference, AssumeRole, "Policy". */
const MAX_POLICY = 2_048

/** What `credentials` of a client is asked with; `forceRefresh` buys them anew. */
type Want = Readonly<{ forceRefresh?: boolean }>

/**
 * Where the credentials of a connection come from: its two secrets or else the SDK's own chain, and on top of either the role
 * that it names. Throws NoCredentials with a sentence.
 */
export function credentialsOf(
  settings: AwsSettings,
  secret: (variable: string) => string,
  rights: readonly Right[] | undefined,
) {
  const { region, accessKeyIdFrom, secretAccessKeyFrom, roleArn, externalId, roleSessionName, stsEndpoint } = settings
  if (Boolean(accessKeyIdFrom) !== Boolean(secretAccessKeyFrom))
    throw new Error('accessKeyIdFrom and secretAccessKeyFrom belong together: set both or neither')
  if (externalId !== undefined && roleArn === undefined)
    throw new Error('externalId goes with roleArn: set that too, or leave it out')
  const own =
    accessKeyIdFrom && secretAccessKeyFrom
      ? { accessKeyId: secret(accessKeyIdFrom), secretAccessKey: secret(secretAccessKeyFrom) }
      : undefined
  if (own && !roleArn) return own
  const chain = fromNodeProviderChain({ clientConfig: { region } })
  if (!roleArn) return (want: Want = {}) => chain(want).catch((error: unknown) => noneFor(error, settings))
  const assumed = fromTemporaryCredentials({
    masterCredentials: own ?? chain,
    params: {
      RoleArn: roleArn,
      RoleSessionName: roleSessionName ?? 'keyturn',
      ...(externalId !== undefined && { ExternalId: externalId }),
      ...(rights && { Policy: policyOf(rights, roleArn.split(':')[1]) }),
    },
    clientConfig: { region, ...(stsEndpoint && { endpoint: stsEndpoint }), maxAttempts: 1 },
  })
  return () => assumed().catch((error: unknown) => noneFor(error, settings))
}

/**
 * The policy that cuts a session down to some of the role's rights: what both allow is allowed. ARNs are written with `aws`; other
 * partitions (`aws-cn`, `aws-us-gov`) are put in its place.
 */
export function policyOf(rights: readonly Right[], partition = 'aws'): string {
  const Statement = rights.map(({ actions, resources }) => ({
    Effect: 'Allow',
    Action: actions,
    Resource: resources.map((one) => one.replace(/^arn:aws:/, `arn:${partition}:`)),
  }))
  // It takes the characters up to U+00FF; JSON can write the others with these.
  const text = JSON.stringify({ Version: '2012-10-17', Statement }).replace(
    /[\u007f-\uffff]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  if (text.length > MAX_POLICY)
    throw new Error(`a session policy of ${text.length} characters is longer than ${MAX_POLICY}`)
  return text
}

/** A name as a policy's Resource takes it literally: `*`, `?` and `$` mean something there (IAM user guide, policy variables). */
export const literal = (name: string): string => name.replace(/[*?$]/g, (one) => `\${${one}}`)

function noneFor(cause: unknown, { region, roleArn, stsEndpoint }: AwsSettings): never {
  const asked = { service: 'STS', action: 'AssumeRole', region, endpoint: stsEndpoint }
  const why = sentenceOf(cause, asked) ?? (cause instanceof Error ? cause.message.split('\n')[0] : String(cause))
  throw new NoCredentials(
    roleArn
      ? `The role ${roleArn} cannot be taken on. ${why}${/AccessDenied|not authorized/.test(`${(cause as Error).name} ${why}`) ? '; its trust policy names who may, and the external id' : ''}`
      : `The worker has no AWS credentials: ${why}`,
    { cause },
  )
}
