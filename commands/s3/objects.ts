import { Readable } from 'node:stream'
import type { HeadObjectCommandOutput, S3Client } from '@aws-sdk/client-s3'
import { GetObjectCommand, HeadObjectCommand, S3ServiceException } from '@aws-sdk/client-s3'
import { Refused } from '../../src/domain/command.ts'
import { codeOf, statusOf, textOf } from '../aws/refusals.ts'

/** One object as it was when it was looked at. `etag` keeps S3's quotes. */
export type ObjectRef = Readonly<{ bucket: string; key: string; etag: string; versionId?: string }>

/** The object is not the one that was looked at before: nothing was written over it. */
export class ObjectChanged extends Refused {
  override name = 'ObjectChanged'
}

/** One object that the service does not hand out, with its word; the others may be readable. */
export class Unreadable extends Refused {
  override name = 'Unreadable'
  /** The end of the sentence "It cannot be read: …". */
  readonly why: string
  constructor(at: Readonly<{ bucket: string; key: string }>, why: string, cause?: unknown) {
    super(`s3://${at.bucket}/${at.key} cannot be read: ${why}.`, { cause })
    this.why = why
  }
}

/** What a refusal to hand out one object means: S3 API reference, GetObject and "List of error codes". */
const WHY: Readonly<Record<string, string>> = {
  InvalidObjectState: 'it is archived, restore it first',
  AccessDenied:
    'access is denied, by a policy of the bucket, of the key that it is encrypted with, or of the connection',
  NoSuchKey: 'it is gone since it was listed',
  NoSuchVersion: 'it is gone since it was listed',
  MethodNotAllowed: 'its newest version is a delete marker',
  'KMS.DisabledException': 'the key that it is encrypted with is disabled',
  'KMS.NotFoundException': 'the key that it is encrypted with is gone',
  'KMS.KMSInvalidStateException': 'the key that it is encrypted with cannot be used as it is now',
}

/** The refusal of one object as Unreadable; null for what is wrong with more than this object, or with the connection. */
function unreadable(at: Readonly<{ bucket: string; key: string }>, error: unknown): Unreadable | null {
  const status = statusOf(error)
  const code = codeOf(error)
  if (status === undefined || status < 400 || ['NoSuchBucket', 'PermanentRedirect'].includes(code)) return null
  // A HEAD has no body, so its refusals have no word.
  const isMute = /^(\d+|Unknown(Error)?|)$/.test(code)
  if (isMute && status === 400)
    return new Unreadable(
      at,
      'HTTP 400 without a word, as for an object that a customer key (SSE-C) encrypts, or a token that is over',
      error,
    )
  const why = WHY[code] ?? (code.startsWith('KMS.') ? 'the key that it is encrypted with refuses' : null)
  const word = isMute ? `HTTP ${status}` : code
  if (why) return new Unreadable(at, `${why} (${word})`, error)
  // The sentence about it says the word.
  return status === 403 || status >= 500 ? new Unreadable(at, textOf(error).replace(/\.$/, ''), error) : null
}

/** HEAD of an object; null if there is none. Throws Unreadable for one that the service does not show. */
export async function head(
  client: S3Client,
  at: Readonly<{ bucket: string; key: string }>,
  signal: AbortSignal,
): Promise<HeadObjectCommandOutput | null> {
  try {
    return await client.send(new HeadObjectCommand({ Bucket: at.bucket, Key: at.key }), { abortSignal: signal })
  } catch (error) {
    if (isStatus(error, 404)) return null
    throw (signal.aborted ? null : unreadable(at, error)) ?? error
  }
}

/** Streams exactly the object that `ref` names. Throws ObjectChanged if another one is stored there now, or Unreadable. */
export async function open(client: S3Client, ref: ObjectRef, signal: AbortSignal): Promise<Readable> {
  return (await get(client, ref, signal)).body
}

/** The stored bytes of exactly the object that `ref` names, and its Content-Encoding. Throws as `open`. */
export async function get(
  client: S3Client,
  ref: ObjectRef,
  signal: AbortSignal,
): Promise<{ body: Readable; encoding: string }> {
  const { bucket, key, etag } = ref
  try {
    const got = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key, IfMatch: etag }), {
      abortSignal: signal,
    })
    if (!(got.Body instanceof Readable)) throw new Error(`s3://${bucket}/${key}: the reply has no body`)
    if (got.ETag === etag) return { body: got.Body, encoding: got.ContentEncoding ?? '' }
    // A server that ignores If-Match.
    got.Body.destroy()
    throw changed(ref, got.ETag)
  } catch (error) {
    if (error instanceof Refused || signal.aborted) throw error
    if (isStatus(error, 412)) throw changed(ref, undefined, error)
    if (isStatus(error, 404) && codeOf(error) !== 'NoSuchKey') throw changed(ref, undefined, error)
    throw unreadable(ref, error) ?? error
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
