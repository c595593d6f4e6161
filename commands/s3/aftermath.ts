import type {
  GetBucketNotificationConfigurationCommandOutput,
  HeadObjectCommandOutput,
  S3Client,
} from '@aws-sdk/client-s3'
import {
  GetBucketNotificationConfigurationCommand,
  GetObjectAclCommand,
  GetObjectTaggingCommand,
} from '@aws-sdk/client-s3'
import { Refused } from '../../src/domain/command.ts'
import { statusOf, textOf } from '../aws/refusals.ts'

/** An object that is about to be written, and the event that this is to those who are told of new objects. */
type Write = Readonly<{ key: string; event: 'Put' | 'Copy' | 'CompleteMultipartUpload' }>

type Rewritten = Readonly<{
  bucket: string
  key: string
  /** HEAD of the object as it is. */
  at: HeadObjectCommandOutput
  /** The objects that are written beside it. */
  beside: readonly Write[]
}>

/**
 * What happens besides when an object is written again: warnings for the plan. Refuses what the new one would lose: a lock, an
 * ACL, metadata that cannot be sent again.
 */
export async function aftermath(client: S3Client, object: Rewritten, signal: AbortSignal): Promise<string[]> {
  const { bucket, key, at } = object
  const where = `s3://${bucket}/${key}`
  if (at.ObjectLockMode || at.ObjectLockLegalHoldStatus === 'ON')
    throw new Refused(
      `${where} is locked (${at.ObjectLockLegalHoldStatus === 'ON' ? 'legal hold' : `${at.ObjectLockMode} until ${at.ObjectLockRetainUntilDate?.toISOString() ?? 'an unknown time'}`}): somebody decided that it stays as it is. Ask its owner.`,
    )
  if (at.StorageClass && ['GLACIER', 'DEEP_ARCHIVE'].includes(at.StorageClass))
    throw new Refused(
      `${where} is archived (${at.StorageClass}): a new one would be as well, and no reader would get it.`,
    )
  if (at.MissingMeta)
    throw new Refused(
      `${where} has ${at.MissingMeta} metadata entries that S3 does not show: the new one would lose them.`,
    )
  const warnings = [
    ...(await consumers(client, object, signal)),
    ...(await grants(client, object, signal)),
    ...(await tags(client, object, signal)),
  ]
  if (at.ReplicationStatus === 'REPLICA')
    warnings.push('It is a replica: the object that it is made from keeps its content. Mend that one too.')
  else if (at.ReplicationStatus)
    warnings.push('The bucket is replicated: what is written here is written there as well.')
  return warnings
}

/** Who is told of the new objects, and so takes the same content a second time. */
async function consumers(client: S3Client, { bucket, key, beside }: Rewritten, signal: AbortSignal): Promise<string[]> {
  const { found, why } = await asked(
    's3:GetBucketNotification',
    () => client.send(new GetBucketNotificationConfigurationCommand({ Bucket: bucket }), { abortSignal: signal }),
    signal,
  )
  if (why !== undefined)
    return [
      `Who is told of new objects in this bucket cannot be looked up (${why}). Whoever is takes the file a second time.`,
    ]
  if (found === undefined) return []
  const writes: Write[] = [{ key, event: 'CompleteMultipartUpload' }, ...beside]
  const warnings = targetsOf(found).flatMap(({ name, events, prefix, suffix }) => {
    const told = writes.filter(
      (one) =>
        one.key.startsWith(prefix) &&
        one.key.endsWith(suffix) &&
        events.some((event) => event === 's3:ObjectCreated:*' || event === `s3:ObjectCreated:${one.event}`),
    )
    if (told.length === 0) return []
    const quarantined = told.filter((one) => one.key !== key).map((one) => one.key)
    return [
      `${[
        `${name} is told of new objects`,
        ...(told.some((one) => one.key === key) ? ['takes this file a second time'] : []),
        ...(quarantined.length > 0
          ? [
              `takes in what is set aside, too (${quarantined.join(', ')}): set quarantinePrefix to a folder that it does not see`,
            ]
          : []),
      ].join(', and ')}.`,
    ]
  })
  if (found.EventBridgeConfiguration)
    warnings.push('EventBridge is told of each new object: a rule there may have this file taken in a second time.')
  return warnings
}

/** The queues, functions and topics of a bucket, each with what it is told of. */
function targetsOf(found: GetBucketNotificationConfigurationCommandOutput) {
  return [
    ...(found.QueueConfigurations ?? []).map((one) => ({ ...one, arn: one.QueueArn })),
    ...(found.LambdaFunctionConfigurations ?? []).map((one) => ({ ...one, arn: one.LambdaFunctionArn })),
    ...(found.TopicConfigurations ?? []).map((one) => ({ ...one, arn: one.TopicArn })),
  ].map(({ arn = 'somebody', Events: events = [], Filter }) => {
    const rule = (name: string) =>
      Filter?.Key?.FilterRules?.find((one) => one.Name?.toLowerCase() === name)?.Value ?? ''
    return { name: arn, events: events as readonly string[], prefix: rule('prefix'), suffix: rule('suffix') }
  })
}

/** A canonical user id of S3. */
const USER = /^[0-9a-f]{64}$/

/** Rights of others that stand on the object itself; a new one has none. */
async function grants(client: S3Client, { bucket, key, at }: Rewritten, signal: AbortSignal): Promise<string[]> {
  const { found: acl, why } = await asked(
    's3:GetObjectAcl',
    () => client.send(new GetObjectAclCommand({ Bucket: bucket, Key: key, ...version(at) }), { abortSignal: signal }),
    signal,
  )
  if (why !== undefined)
    return [`Whether others have rights on the object itself cannot be looked up (${why}): a new one has none.`]
  const owner = acl?.Owner?.ID
  const others = (acl?.Grants ?? []).filter(
    ({ Grantee }) =>
      Grantee?.URI !== undefined || (owner !== undefined && USER.test(Grantee?.ID ?? '') && Grantee?.ID !== owner),
  )
  if (others.length > 0)
    throw new Refused(
      `s3://${bucket}/${key} has an ACL that gives rights to others (${others.length}): a new object would lose them. Give them by the policy of the bucket, or have the producer write it again.`,
    )
  return []
}

/** S3 counts the tags for those only who may read them. */
async function tags(client: S3Client, { bucket, key, at }: Rewritten, signal: AbortSignal): Promise<string[]> {
  const { why } = await asked(
    's3:GetObjectTagging',
    () =>
      client.send(new GetObjectTaggingCommand({ Bucket: bucket, Key: key, ...version(at) }), { abortSignal: signal }),
    signal,
  )
  return why === undefined ? [] : [`Whether the object has tags cannot be looked up (${why}): a new one has none.`]
}

const version = (at: HeadObjectCommandOutput) =>
  at.VersionId && at.VersionId !== 'null' ? { VersionId: at.VersionId } : {}

/** What was found; or why it could not be asked; or neither, where the server does not know the question. */
async function asked<T>(
  right: string,
  ask: () => Promise<T>,
  signal: AbortSignal,
): Promise<Readonly<{ found?: T; why?: string }>> {
  try {
    return { found: await ask() }
  } catch (error) {
    signal.throwIfAborted()
    const status = statusOf(error) ?? 0
    if (status === 403) return { why: `${right} is missing` }
    // Other servers than AWS have no such settings, and say so in many ways.
    if ([200, 400, 404, 405, 501].includes(status)) return {}
    return { why: textOf(error).replace(/\.$/, '') }
  }
}
