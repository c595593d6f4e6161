import { z } from 'zod'
import type { ReadContext } from '../../src/domain/command.ts'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { aftermath } from './aftermath.ts'
import { MAX_PACKED, repacked, storedSha256, testArchive, testRepacked } from './archive.ts'
import { isAllowed, s3 } from './connection.ts'
import { keepCopy } from './keep-copy.ts'
import { counted, sizeOf } from './listing.ts'
import type { ObjectRef } from './objects.ts'
import { assertUnchanged, copySource, head } from './objects.ts'
import { bare, isMadeFrom, replace } from './rewrite.ts'
import { rewriting } from './rights.ts'

type Data = Readonly<{
  connection: string
  ref: ObjectRef
  copyKey: string
  /** SHA-256 of the stored bytes of the original. */
  sha256: string
  content: string
  entries: number
  bytes: number
}>

/** Unpacks one .tar.gz and packs it again in the plainest way, in its place. The original is copied first and stays. */
export const repackArchive = defineChange({
  id: 's3.repack-archive',
  summary: 'Pack a .tar.gz again in the plainest way (gunzip, untar, tar, gzip), and keep a copy of the original',
  effect: 'idempotent',
  risk: 'medium',
  params: z.object({
    connection: z.string().describe('S3 connection'),
    bucket: z.string().min(1).describe('Bucket'),
    key: z.string().min(1).describe('Key of the .tar.gz'),
  }),
  async plan({ connection, bucket, key }, ctx) {
    const { client, environment, settings } = await ctx.connect(s3, connection)
    const where = `s3://${bucket}/${key}`
    if (!isAllowed(settings, bucket, key))
      throw new Refused(
        `The connection "${connection}" may not change ${where}. Allowed: ${settings.buckets.join(', ')}.`,
      )
    if (key.startsWith(settings.quarantinePrefix))
      throw new Refused(`${where} is itself a copy in quarantine; it is never changed.`)
    const at = await head(client, { bucket, key }, ctx.signal)
    if (!at?.ETag) throw new Refused(`${where} does not exist.`)
    const size = at.ContentLength ?? 0
    if (size > MAX_PACKED)
      throw new Refused(`${where} has ${sizeOf(size)}; at most ${sizeOf(MAX_PACKED)} are repacked.`)
    const ref: ObjectRef = { bucket, key, etag: at.ETag, ...(at.VersionId && { versionId: at.VersionId }) }
    const found = await testArchive(client, ref, ctx.signal)
    if (!found.checksums)
      throw new Refused(
        `${where} cannot be repacked: ${found.fault}. ${found.isCut ? 'Its content is not all there: download it again.' : 'Ask its publisher for another one.'}`,
      )
    if (found.odd.length === 0)
      throw new Refused(
        `${where} reads to its end and is packed plainly already: repacking changes nothing that a reader sees. Look at the reader.`,
      )
    const copyKey = `${settings.quarantinePrefix}${key}.${bare(at.ETag)}.original.tar.gz`
    const warnings: string[] = []
    if (!at.VersionId || at.VersionId === 'null')
      warnings.push(`The bucket keeps no versions: the copy at ${copyKey} is the only way back.`)
    const beside = [{ key: copyKey, event: 'Copy' as const }]
    warnings.push(...(await aftermath(client, { bucket, key, at, beside }, ctx.signal)))
    const entries = counted(found.entries.length, 'entry', 'entries')
    return {
      summary: `Repack ${where}: ${entries}, ${sizeOf(found.bytes)}`,
      targets: [
        {
          id: `s3:${connection}/${bucket}/${key}`,
          name: where,
          fingerprint: [at.ETag, at.VersionId ?? ''].join(' '),
          details: {
            Bucket: bucket,
            Key: key,
            Environment: environment,
            Region: settings.region,
            Size: `${sizeOf(size)} (${size} bytes)`,
            ETag: at.ETag,
            'Last modified': at.LastModified?.toISOString() ?? 'unknown',
            'SHA-256': found.checksums.sha256,
            Entries: found.entries.length.toString(),
            Unpacked: sizeOf(found.bytes),
            'The archive': found.odd.join(', and '),
          },
        },
      ],
      steps: [
        {
          id: 'copy',
          title: 'Keep a copy of the original',
          detail: `CopyObject ${copySource(ref)} → ${bucket}/${copyKey}`,
        },
        {
          id: 'repack',
          title: `Pack the ${entries} again, test the result, put it in place`,
          detail: `gunzip, untar, tar (ustar), gzip; read it to its end; CompleteMultipartUpload ${bucket}/${key} If-Match ${at.ETag}`,
        },
      ],
      warnings,
      data: {
        connection,
        ref,
        copyKey,
        sha256: found.checksums.sha256,
        content: found.content,
        entries: found.entries.length,
        bytes: found.bytes,
      } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const { ref, copyKey } = data
    const { client } = await ctx.connect(s3, data.connection, rewriting(ref, [copyKey]))
    await ctx.step('copy', () => keepCopy(client, ref, copyKey, ctx.signal))
    await ctx.step('repack', async () => {
      const original = await head(client, ref, ctx.signal)
      if (isMadeFrom(original, ref)) return original?.ETag ?? ''
      if (original?.ETag !== ref.etag) await assertUnchanged(client, ref, ctx.signal)
      // Nothing is overwritten before the copy is known to hold the same.
      if (!(await holdsOriginal(data, ctx)))
        throw new Error(`${copyKey} does not hold the original; ${ref.key} was not touched`)
      const packed = await testRepacked(client, ref, ctx.signal)
      if (packed.fault !== null || packed.odd.length > 0 || packed.content !== data.content)
        throw new Error(
          `what would be put in place of ${ref.key} does not read as the original does (${[packed.fault, ...packed.odd].filter(Boolean).join(', ') || 'other content'}); it was not touched`,
        )
      return replace(client, { ref, original: original!, signal: ctx.signal }, () =>
        repacked(client, ref, ctx.signal, (done) => ctx.progress(done, data.bytes, 'bytes packed')),
      )
    })
    return `s3://${ref.bucket}/${ref.key} is packed again; the original is kept at s3://${ref.bucket}/${copyKey}.`
  },
  async verify({ data }, ctx) {
    const there = await find(data, data.ref.key, ctx)
    const now = there && (await testArchive(there.client, there.ref, ctx.signal))
    return [
      {
        title: 'The archive reads to its end, and nothing in it is odd',
        ok: now !== null && now.fault === null && now.odd.length === 0,
        detail: now ? [now.fault, ...now.odd].filter(Boolean).join(', ') : 'the object is gone',
      },
      {
        title: 'Every entry is there, byte for byte',
        ok: now?.content === data.content,
        detail: `${now?.entries.length ?? 0} of ${data.entries}`,
      },
      { title: 'The copy holds the original', ok: await holdsOriginal(data, ctx), detail: data.copyKey },
    ]
  },
  async probe({ data }, step, ctx) {
    if (step === 'copy') {
      const there = await holdsOriginal(data, ctx)
      return {
        landed: there ? 'yes' : 'no',
        detail: `${data.copyKey} ${there ? 'holds' : 'does not hold'} the original`,
      }
    }
    const { client } = await ctx.connect(s3, data.connection)
    const { ref } = data
    const now = await head(client, ref, ctx.signal)
    if (now?.ETag === ref.etag) return { landed: 'no', detail: `${ref.key} is still the original, ${ref.etag}` }
    if (isMadeFrom(now, ref)) return { landed: 'yes', detail: `${ref.key} is the repacked one, ${now?.ETag}` }
    return {
      landed: 'cannot_tell',
      detail: now ? `${ref.key} is another object now: ${now.ETag}` : `${ref.key} is gone`,
    }
  },
})

async function find({ connection, ref: { bucket } }: Data, key: string, ctx: ReadContext) {
  const { client } = await ctx.connect(s3, connection)
  const etag = (await head(client, { bucket, key }, ctx.signal))?.ETag
  return etag === undefined ? null : { client, ref: { bucket, key, etag } }
}

/** By its bytes: an ETag differs between a multipart original and its copy. */
async function holdsOriginal(data: Data, ctx: ReadContext): Promise<boolean> {
  const copy = await find(data, data.copyKey, ctx)
  return copy !== null && (await storedSha256(copy.client, copy.ref, ctx.signal)) === data.sha256
}
