import type { S3Client } from '@aws-sdk/client-s3'
import { z } from 'zod'
import type { ReadContext } from '../../src/domain/command.ts'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { isAllowed, s3 } from './connection.ts'
import type { Deletable } from './deletable.ts'
import { deletableAt, refuseWhileUsed } from './deletable.ts'
import { deleteBatches } from './delete-batches.ts'
import type { Listed } from './listing.ts'
import { add, counted, digestOf, listUnder, none, place, sampleOf, sizeOf, timeOf } from './listing.ts'
import { head } from './objects.ts'
import { deleting } from './rights.ts'

type Data = Readonly<{
  connection: string
  bucket: string
  prefix: string
  job: string
  objects: number
  /** Over key, ETag, size and time of every object. */
  listing: string
}>

/** A run ends after an hour; half of it is for S3 when it is slow. */
const MINUTES = 30

/** Deletes every object of a folder that the connection lists as deletable, at a bounded rate. */
export const deletePrefix = defineChange({
  id: 's3.delete-prefix',
  summary: 'Delete all objects of a folder, at a bounded rate',
  effect: 'idempotent',
  risk: 'high',
  params: z.object({
    ...place,
    /** Said twice, so that one wrong word of an alert is not enough. */
    job: z.string().min(1).describe('Job whose files they are: the first folder below the deletable one'),
  }),
  async plan({ connection, bucket, prefix, job }, ctx) {
    const { client, environment, settings } = await ctx.connect(s3, connection)
    const where = `s3://${bucket}/${prefix}`
    const found = deletableIn(settings, connection, { bucket, prefix, job })
    const objects = await listAll(client, found.entry, bucket, prefix, ctx.signal)
    if (objects.length === 0) throw new Refused(`There is no object under ${where}. Nothing to delete.`)
    await refuseWhileUsed(found, objects, ctx)
    const totals = none()
    for (const object of objects) add(totals, object)
    const { perSecond } = found.entry
    const minutes = Math.ceil(objects.length / perSecond / 60)
    if (minutes > MINUTES)
      throw new Refused(
        `${objects.length} objects take ${minutes} minutes at ${perSecond} a second, more than the ${MINUTES} of one run. Delete the folders below ${where} one by one.`,
      )
    const first = await head(client, { bucket, key: objects[0]!.key }, ctx.signal)
    const isVersioned = first?.VersionId !== undefined && first.VersionId !== 'null'
    return {
      summary: `Delete ${counted(objects.length, 'object')} (${sizeOf(totals.bytes)}) under ${where}`,
      targets: [
        {
          id: `s3:${connection}/${bucket}/${prefix}`,
          name: where,
          fingerprint: digestOf(objects),
          details: {
            Bucket: bucket,
            Folder: prefix,
            Environment: environment,
            Region: settings.region,
            Objects: String(objects.length),
            Size: sizeOf(totals.bytes),
            Oldest: timeOf(totals.oldest),
            Newest: timeOf(totals.newest),
            Owner: found.entry.owner
              ? `DAG ${found.entry.owner.dag.replaceAll('*', found.job)}, no run of it is going`
              : 'not known to this connection',
            'Deletable below': found.entry.under,
          },
        },
      ],
      steps: [
        {
          id: 'delete',
          title: `Delete the ${counted(objects.length, 'object')}, at most ${perSecond} a second`,
          detail: `DeleteObjects ${bucket}, each If-Match its ETag:\n${sampleOf(objects)}`,
        },
      ],
      warnings: isVersioned ? [] : ['The bucket keeps no versions: what is deleted is gone for good.'],
      data: {
        connection,
        bucket,
        prefix,
        job,
        objects: objects.length,
        listing: digestOf(objects),
      } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const { client, settings } = await ctx.connect(s3, data.connection, deleting(data.bucket, data.prefix))
    const found = deletableIn(settings, data.connection, data)
    const { deleted, left } = await ctx.step('delete', async () => {
      const objects = await listAll(client, found.entry, data.bucket, data.prefix, ctx.signal)
      if (digestOf(objects) !== data.listing)
        throw new Refused(
          `The objects under ${data.prefix} are not the ${data.objects} that were shown: there are ${objects.length} now. Ask for a new plan.`,
        )
      await refuseWhileUsed(found, objects, ctx)
      return deleteBatches(client, {
        bucket: data.bucket,
        objects,
        rate: found.entry.perSecond,
        signal: ctx.signal,
        onBatch: (done, rate) => ctx.progress(done, objects.length, `objects deleted, ${rate} a second`),
      })
    })
    const rest = left.length > 0 ? ` ${counted(left.length, 'key')} held another object by then and stayed.` : ''
    return `${counted(deleted, 'object')} under s3://${data.bucket}/${data.prefix} ${deleted === 1 ? 'is' : 'are'} deleted.${rest}`
  },
  async verify({ data }, ctx) {
    const rest = await look(data, ctx)
    return [
      {
        title: 'Nothing is left under the folder',
        ok: rest.length === 0,
        detail: rest.length === 0 ? '' : `${rest.length} of ${data.objects}, the first is ${rest[0]!.key}`,
      },
    ]
  },
  async probe({ data }, _step, ctx) {
    const rest = await look(data, ctx)
    if (rest.length === 0) return { landed: 'yes', detail: 'nothing is left under the folder' }
    if (digestOf(rest) === data.listing) return { landed: 'no', detail: `all ${data.objects} objects are there` }
    return { landed: 'cannot_tell', detail: `${rest.length} objects are there, of ${data.objects} that were shown` }
  },
})

type Asked = Readonly<{ bucket: string; prefix: string; job: string }>

function deletableIn(
  settings: Readonly<{ buckets: string[]; quarantinePrefix: string; deletable: Deletable[] }>,
  connection: string,
  { bucket, prefix, job }: Asked,
) {
  const where = `s3://${bucket}/${prefix}`
  const found = isAllowed(settings, bucket, prefix) ? deletableAt(settings.deletable, bucket, prefix) : null
  if (!found)
    throw new Refused(
      `The connection "${connection}" may not delete ${where}: only single folders below ${settings.deletable.map((one) => one.under).join(', ') || 'nothing'}.`,
    )
  if (prefix.startsWith(settings.quarantinePrefix) || settings.quarantinePrefix.startsWith(prefix))
    throw new Refused(`${where} holds originals in quarantine; they are never deleted.`)
  if (found.job !== job)
    throw new Refused(`${where} is not a folder of "${job}": below ${found.entry.under} it belongs to "${found.job}".`)
  return found
}

async function listAll(client: S3Client, entry: Deletable, bucket: string, prefix: string, signal: AbortSignal) {
  const objects: Listed[] = []
  for await (const object of listUnder(client, bucket, prefix, signal)) {
    objects.push(object)
    if (objects.length > entry.maxObjects)
      throw new Refused(
        `There are more than the ${entry.maxObjects} objects under s3://${bucket}/${prefix} that one approval may delete. Delete the folders below it one by one.`,
      )
  }
  return objects
}

/** What is left, up to one more than was shown. */
async function look(data: Data, ctx: ReadContext): Promise<Listed[]> {
  const { client } = await ctx.connect(s3, data.connection)
  const rest: Listed[] = []
  for await (const object of listUnder(client, data.bucket, data.prefix, ctx.signal)) {
    rest.push(object)
    if (rest.length > data.objects) break
  }
  return rest
}
