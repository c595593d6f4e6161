import { Readable } from 'node:stream'
import type { HeadObjectCommandOutput, S3Client } from '@aws-sdk/client-s3'
import { GetObjectCommand, HeadObjectCommand, S3ServiceException } from '@aws-sdk/client-s3'
import { Refused } from '../../src/domain/command.ts'

/** One object as it was when it was looked at. `etag` keeps S3's quotes. */
export type ObjectRef = Readonly<{ bucket: string; key: string; etag: string; versionId?: string }>

/** The object is not the one that was looked at before: nothing was written over it. */
export class ObjectChanged extends Refused {
  override name = 'ObjectChanged'
}

/** HEAD of an object; null if there is none. */
export async function head(
  client: S3Client,
  at: Readonly<{ bucket: string; key: string }>,
  signal: AbortSignal,
): Promise<HeadObjectCommandOutput | null> {
  try {
    return await client.send(new HeadObjectCommand({ Bucket: at.bucket, Key: at.key }), { abortSignal: signal })
  } catch (error) {
    if (isStatus(error, 404)) return null
    throw error
  }
}

/** Streams exactly the object that `ref` names. Throws ObjectChanged if another one is stored there now. */
export async function open(client: S3Client, ref: ObjectRef, signal: AbortSignal): Promise<Readable> {
  const { bucket, key, etag } = ref
  try {
    const got = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key, IfMatch: etag }), {
      abortSignal: signal,
    })
    if (!(got.Body instanceof Readable)) throw new Error(`s3://${bucket}/${key}: the reply has no body`)
    if (got.ETag === etag) return got.Body
    // A server that ignores If-Match.
    got.Body.destroy()
    throw changed(ref, got.ETag)
  } catch (error) {
    if (isStatus(error, 412) || isStatus(error, 404)) throw changed(ref, undefined, error)
    throw error
  }
}

/** Throws ObjectChanged unless the object is still the one that `ref` names. */
export async function assertUnchanged(client: S3Client, ref: ObjectRef, signal: AbortSignal): Promise<void> {
  const now = await head(client, ref, signal)
  if (now?.ETag !== ref.etag) throw changed(ref, now?.ETag)
}

export function changed(ref: ObjectRef, now?: string, cause?: unknown): ObjectChanged {
  const found = now ? `it is ${now} now` : 'it is another one now, or gone'
  return new ObjectChanged(
    `s3://${ref.bucket}/${ref.key} is no longer the object with ETag ${ref.etag}: ${found}. Ask for a new plan.`,
    { cause },
  )
}

/** Did the server answer with this HTTP status? */
export const isStatus = (error: unknown, status: number): boolean =>
  error instanceof S3ServiceException && error.$metadata.httpStatusCode === status

/** A CopySource header: URL-encoded, path segments and `=` kept. */
export const copySource = ({ bucket, key, versionId }: ObjectRef): string => {
  const path = encodeURI(`${bucket}/${key}`).replace(/[+?#]/g, encodeURIComponent)
  return versionId && versionId !== 'null' ? `${path}?versionId=${encodeURIComponent(versionId)}` : path
}
