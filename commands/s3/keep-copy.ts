import type { HeadObjectCommandOutput, S3Client } from '@aws-sdk/client-s3'
import { CopyObjectCommand } from '@aws-sdk/client-s3'
import { answered } from '../aws/answered.ts'
import { assertUnchanged, changed, copySource, head, isStatus, type ObjectRef } from './objects.ts'

/** Copies exactly the object that `ref` names, encrypted as it is. Returns the copy's ETag. Throws ObjectChanged. */
export async function keepCopy(
  client: S3Client,
  ref: ObjectRef,
  copyKey: string,
  signal: AbortSignal,
): Promise<string> {
  await assertUnchanged(client, ref, signal)
  const to = {
    ...{ Bucket: ref.bucket, Key: copyKey, CopySource: copySource(ref), CopySourceIfMatch: ref.etag },
    ...encryptionOf(await head(client, ref, signal)),
  }
  try {
    const copied = await answered(`CopyObject ${copyKey}`, signal, () =>
      client.send(new CopyObjectCommand(to), { abortSignal: signal }),
    )
    return copied.CopyObjectResult?.ETag ?? ''
  } catch (error) {
    if (isStatus(error, 412)) throw changed(ref, undefined, error)
    throw error
  }
}

/** A copy, or part of the content elsewhere, is not encrypted as its source is unless that is asked for: API reference, CopyObject. */
export const encryptionOf = (at: HeadObjectCommandOutput | null) =>
  at?.ServerSideEncryption?.startsWith('aws:kms')
    ? {
        ServerSideEncryption: at.ServerSideEncryption,
        SSEKMSKeyId: at.SSEKMSKeyId,
        BucketKeyEnabled: at.BucketKeyEnabled,
      }
    : {}
