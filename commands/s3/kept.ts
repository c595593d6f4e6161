import type { S3Client } from '@aws-sdk/client-s3'
import { GetObjectCommand } from '@aws-sdk/client-s3'
import type { Finding } from '../../src/domain/command.ts'
import { openLines } from './content.ts'
import { readLines } from './lines.ts'
import type { ObjectRef } from './objects.ts'
import { head } from './objects.ts'
import { isMadeFrom } from './rewrite.ts'
import type { BadLine, Survey } from './survey.ts'
import { sha256, survey } from './survey.ts'

/** One quarantine as it was planned: the object, what it holds, and where its copy and its bad lines go. */
export type Quarantine = Readonly<{
  connection: string
  ref: ObjectRef
  size: number
  copyKey: string
  badKey: string
  found: Survey
  /** Whether the bad lines are those that are not JSON; otherwise each was named. */
  json: boolean
}>

/** An ETag differs between a multipart original and its copy, and under KMS: what counts is the size and the content. */
export async function holdsOriginal(
  client: S3Client,
  { ref, copyKey, size, found }: Quarantine,
  signal: AbortSignal,
): Promise<boolean> {
  const copy = await head(client, { bucket: ref.bucket, key: copyKey }, signal)
  if (!copy?.ETag || copy.ContentLength !== size) return false
  return (
    // Only its content counts here, whatever its lines are.
    (await survey(client, { bucket: ref.bucket, key: copyKey, etag: copy.ETag }, signal, () => null)).contentSha ===
    found.contentSha
  )
}

/** Are the bad lines, and only they, in their own object? */
export async function holdsBadLines(
  client: S3Client,
  { ref, badKey, found }: Quarantine,
  signal: AbortSignal,
): Promise<boolean> {
  if (!(await head(client, { bucket: ref.bucket, key: badKey }, signal))) return false
  const got = await client.send(new GetObjectCommand({ Bucket: ref.bucket, Key: badKey }), { abortSignal: signal })
  return sha256((await got.Body?.transformToByteArray()) ?? new Uint8Array()) === found.badSha
}

/** The bad lines of the object, each with a line feed. */
export async function badLines(
  client: S3Client,
  ref: ObjectRef,
  bad: readonly BadLine[],
  signal: AbortSignal,
): Promise<Buffer> {
  const numbers = new Set(bad.map((line) => line.number))
  const out: Buffer[] = []
  const { body, gzip } = await openLines(client, ref, signal)
  for await (const batch of readLines(body, signal, !gzip))
    for (const { number, bytes } of batch) if (bytes && numbers.has(number)) out.push(bytes, Buffer.from('\n'))
  return Buffer.concat(out)
}

/** Is the object still the original, or the one that was rewritten from it? */
export async function probeRewrite(client: S3Client, { ref }: Quarantine, signal: AbortSignal): Promise<Finding> {
  const now = await head(client, ref, signal)
  if (now?.ETag === ref.etag) return { landed: 'no', detail: `${ref.key} is still the original, ${ref.etag}` }
  if (isMadeFrom(now, ref)) return { landed: 'yes', detail: `${ref.key} is the rewritten one, ${now?.ETag}` }
  return {
    landed: 'cannot_tell',
    detail: now ? `${ref.key} is another object now: ${now.ETag}` : `${ref.key} is gone`,
  }
}
