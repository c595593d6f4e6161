import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { CompletedPart, HeadObjectCommandOutput, S3Client } from '@aws-sdk/client-s3'
import {
  AbortMultipartUploadCommand,
  ChecksumAlgorithm,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectTaggingCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { answered } from '../aws/answered.ts'
import { openLines } from './content.ts'
import { readLines } from './lines.ts'
import type { ObjectRef } from './objects.ts'
import { assertUnchanged, changed, head, isStatus } from './objects.ts'
import type { BadLine } from './survey.ts'
import { sha256 } from './survey.ts'

/** S3 takes parts of 5 MiB and more (the last may be smaller) and 10,000 of them: Amazon S3 user guide, "multipart upload limits". */
const PART_BYTES = 8 * 1024 * 1024
const MAX_PARTS = 10_000
/**
 * Said at the start, computed for each part, and repeated for each at the end: S3 refuses parts with a checksum of which the
 * upload was not told (API reference, UploadPart and CompleteMultipartUpload).
 */
const CHECKSUM = ChecksumAlgorithm.CRC32

/** The metadata key that says which object a rewritten one was made from: the ETag without its quotes. */
const MADE_FROM = 'keyturn-made-from'
export const bare = (etag: string): string => etag.replaceAll('"', '')

type Replacement = Readonly<{
  ref: ObjectRef
  /** HEAD of the object: what belongs to it besides its bytes is kept. */
  original: HeadObjectCommandOutput
  signal: AbortSignal
}>
type Rewrite = Replacement & Readonly<{ bad: readonly BadLine[]; onLine(done: number): void }>

/** Puts the object in its place again without the bad lines, packed as it was. */
export async function rewrite(client: S3Client, job: Rewrite): Promise<string> {
  const { body, gzip } = await openLines(client, job.ref, job.signal)
  try {
    return await replace(
      client,
      job,
      async function* () {
        yield* keptLines(readLines(body, job.signal, !gzip), job)
      },
      gzip,
    )
  } finally {
    body.destroy()
  }
}

/**
 * Puts other content, gzipped unless told otherwise, in the place of an object: streamed, never more than one part in memory, and made
 * visible by one last request that holds only for the ETag that was planned. Until then the object is as it was.
 * Returns the new ETag. Throws ObjectChanged if the object was replaced meanwhile.
 */
export async function replace(
  client: S3Client,
  { ref, original, signal }: Replacement,
  content: () => AsyncIterable<Buffer>,
  gzip = true,
): Promise<string> {
  const { bucket: Bucket, key: Key } = ref
  const tagging = original.TagCount ? await taggingOf(client, ref, signal) : ''
  const { UploadId } = await client.send(
    new CreateMultipartUploadCommand({
      Bucket,
      Key,
      ChecksumAlgorithm: CHECKSUM,
      CacheControl: original.CacheControl,
      ContentDisposition: original.ContentDisposition,
      ContentEncoding: storedEncoding(original.ContentEncoding),
      ContentLanguage: original.ContentLanguage,
      ContentType: original.ContentType,
      StorageClass: original.StorageClass,
      ServerSideEncryption: original.ServerSideEncryption,
      SSEKMSKeyId: original.SSEKMSKeyId,
      BucketKeyEnabled: original.BucketKeyEnabled,
      WebsiteRedirectLocation: original.WebsiteRedirectLocation,
      ...(original.ExpiresString && { Expires: new Date(original.ExpiresString) }),
      ...(tagging && { Tagging: tagging }),
      Metadata: { ...original.Metadata, [MADE_FROM]: bare(ref.etag) },
    }),
    { abortSignal: signal },
  )
  if (!UploadId) throw new Error(`s3://${Bucket}/${Key}: the server gave no upload id`)
  const upload = { Bucket, Key, UploadId }
  try {
    const parts: CompletedPart[] = []
    await pipeline(
      content,
      // zlib writes no time into the header (mtime 0): the same lines give the same bytes.
      gzip ? createGzip() : new PassThrough(),
      async (source: AsyncIterable<Buffer>) => {
        for await (const Body of inParts(source)) {
          const PartNumber = parts.length + 1
          if (PartNumber > MAX_PARTS) throw new Error(`s3://${Bucket}/${Key} would have more than ${MAX_PARTS} parts`)
          const part = { ...upload, PartNumber, Body, ChecksumAlgorithm: CHECKSUM }
          const { ETag, ChecksumCRC32 } = await client.send(new UploadPartCommand(part), { abortSignal: signal })
          parts.push({ PartNumber, ETag, ...(ChecksumCRC32 && { ChecksumCRC32 }) })
        }
      },
      { signal },
    )
    // For servers that ignore If-Match on a write.
    await assertUnchanged(client, ref, signal)
    const complete = { ...upload, MultipartUpload: { Parts: parts }, IfMatch: ref.etag }
    const done = await answered(`CompleteMultipartUpload ${Key}`, signal, () =>
      client.send(new CompleteMultipartUploadCommand(complete), { abortSignal: signal }),
    )
    return done.ETag ?? ''
  } catch (error) {
    // The last request may have landed while its reply, or the reply to a second try, says otherwise.
    const now = signal.aborted ? null : await head(client, ref, signal).catch(() => null)
    if (isMadeFrom(now, ref)) return now?.ETag ?? ''
    // Without a signal: on abort too, the parts must go. If it fails, the bucket's lifecycle rule removes them.
    await client.send(new AbortMultipartUploadCommand(upload)).catch(() => undefined)
    if (isStatus(error, 412) || isStatus(error, 409)) throw changed(ref, now?.ETag, error)
    throw error
  }
}

/** `aws-chunked` tells how an object was sent once, and would be wrong of the next one. */
const storedEncoding = (encoding: string | undefined): string | undefined =>
  encoding
    ?.split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '' && one.toLowerCase() !== 'aws-chunked')
    .join(',') || undefined

/** The tags of an object, as a header takes them. */
async function taggingOf(
  client: S3Client,
  { bucket, key, versionId }: ObjectRef,
  signal: AbortSignal,
): Promise<string> {
  const { TagSet = [] } = await client.send(
    new GetObjectTaggingCommand({ Bucket: bucket, Key: key, ...(versionId && { VersionId: versionId }) }),
    { abortSignal: signal },
  )
  return new URLSearchParams(TagSet.map(({ Key = '', Value = '' }) => [Key, Value])).toString()
}

/** Is this the object that was rewritten from the one that `ref` names? */
export const isMadeFrom = (now: HeadObjectCommandOutput | null, ref: ObjectRef): boolean =>
  now?.Metadata?.[MADE_FROM] === bare(ref.etag)

async function* keptLines(batches: ReturnType<typeof readLines>, { bad, onLine }: Rewrite): AsyncGenerator<Buffer> {
  const expected = new Map(bad.map((line) => [line.number, line.sha256]))
  for await (const batch of batches) {
    const kept: Buffer[] = []
    for (const { number, bytes, ended } of batch) {
      if (!bytes) throw new Error(`line ${number} is longer than when it was planned`)
      const hash = expected.get(number)
      if (hash === undefined) kept.push(bytes, Buffer.from(ended ? '\n' : ''))
      else if (hash !== sha256(bytes)) throw new Error(`line ${number} is not the one that was planned`)
      else expected.delete(number)
    }
    onLine(batch.at(-1)?.number ?? 0)
    yield Buffer.concat(kept)
  }
  if (expected.size > 0) throw new Error(`${expected.size} of the planned lines are not there`)
}

async function* inParts(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer[] = []
  let size = 0
  for await (const chunk of source) {
    held.push(chunk)
    size += chunk.length
    if (size < PART_BYTES) continue
    yield Buffer.concat(held)
    held = []
    size = 0
  }
  if (size > 0) yield Buffer.concat(held)
}
