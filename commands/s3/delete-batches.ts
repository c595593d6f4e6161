import { setTimeout as pause } from 'node:timers/promises'
import type { S3Client } from '@aws-sdk/client-s3'
import { DeleteObjectsCommand, S3ServiceException } from '@aws-sdk/client-s3'
import { Unanswered } from '../../src/domain/command.ts'
import { answered } from '../aws/answered.ts'
import type { Listed } from './listing.ts'
import { head } from './objects.ts'

/** DeleteObjects takes at most 1,000 keys: Amazon S3 API reference. */
const BATCH = 1_000
/** So often in a row S3 may answer SlowDown, each time at half the rate of before. */
const PATIENCE = 6

type Batches = Readonly<{
  bucket: string
  objects: readonly Listed[]
  /** Objects a second. */
  rate: number
  signal: AbortSignal
  onBatch(deleted: number, rate: number): void
}>

const isSlowDown = (error: unknown): boolean =>
  error instanceof S3ServiceException && (error.name === 'SlowDown' || error.$metadata.httpStatusCode === 503)

/**
 * Deletes exactly these objects: each only while it has its ETag, in batches, never faster than the rate, which is halved
 * whenever S3 says SlowDown and rises again by a tenth with each good batch. Returns the keys that hold another object by now and were left. Throws on anything else.
 */
export async function deleteBatches(client: S3Client, job: Batches): Promise<{ deleted: number; left: string[] }> {
  const { bucket, signal } = job
  const open = [...job.objects]
  const left: string[] = []
  let { rate } = job
  let deleted = 0
  let slow = 0
  while (open.length > 0) {
    signal.throwIfAborted()
    // A batch takes a second at most, so that a lower rate is felt at once.
    const batch = open.splice(0, Math.min(BATCH, Math.ceil(rate)))
    const began = performance.now()
    const { again, replaced } = await send(client, bucket, batch, signal)
    deleted += batch.length - again.length - replaced.length
    left.push(...replaced)
    if (again.length > 0) {
      slow += 1
      if (slow > PATIENCE)
        throw new Error(
          `S3 answered SlowDown ${slow} times in a row, the last time at ${rate} a second; ${deleted} of ${job.objects.length} objects are deleted`,
        )
      open.unshift(...again)
      rate = Math.max(1, Math.floor(rate / 2))
    } else {
      slow = 0
      rate = Math.min(job.rate, rate + Math.ceil(rate / 10))
    }
    job.onBatch(deleted, rate)
    const due = (batch.length / rate) * 1000 - (performance.now() - began)
    if (due > 0 && open.length > 0) await pause(due, undefined, { signal })
  }
  return { deleted, left }
}

/** One request. `again`: S3 had no time for them. `replaced`: another object has the key now. */
async function send(client: S3Client, bucket: string, batch: readonly Listed[], signal: AbortSignal) {
  const Objects = batch.map(({ key, etag }) => ({ Key: key, ETag: etag }))
  let errors: { Key?: string | undefined; Code?: string | undefined; Message?: string | undefined }[]
  try {
    const done = await answered(`DeleteObjects ${bucket}`, signal, () =>
      client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } }), {
        abortSignal: signal,
      }),
    )
    errors = done.Errors ?? []
  } catch (error) {
    if (!isSlowDown(error instanceof Unanswered ? error.cause : error)) throw error
    return { again: [...batch], replaced: [] }
  }
  const again: Listed[] = []
  const replaced: string[] = []
  for (const { Key, Code, Message } of errors) {
    const object = batch.find((one) => one.key === Key)
    if (!object) throw new Error(`S3 answered for ${Key}, which was not to be deleted`)
    if (Code === 'SlowDown' || Code === 'InternalError' || Code === 'ServiceUnavailable') again.push(object)
    else if (Code === 'PreconditionFailed') {
      // Gone: deleted by the same request, sent before, whose reply was lost.
      if (await head(client, { bucket, key: object.key }, signal)) replaced.push(object.key)
    } else if (Code !== 'NoSuchKey')
      throw new Error(`S3 does not delete ${object.key}: ${Code} ${Message ?? ''}`.trim())
  }
  return { again, replaced }
}
