import { PutObjectCommand } from '@aws-sdk/client-s3'
import { type Check, type Finding, type ReadContext, Refused, type RunContext } from '../../src/domain/command.ts'
import type { Plan } from '../../src/domain/plan.ts'
import { answered } from '../aws/answered.ts'
import { aftermath } from './aftermath.ts'
import { isAllowed, s3 } from './connection.ts'
import { encryptionOf, keepCopy } from './keep-copy.ts'
import type { Quarantine } from './kept.ts'
import { badLines, holdsBadLines, holdsOriginal, probeRewrite } from './kept.ts'
import { isGzip, NotGzip } from './lines.ts'
import type { ObjectRef } from './objects.ts'
import { assertUnchanged, copySource, head } from './objects.ts'
import { bare, isMadeFrom, rewrite } from './rewrite.ts'
import { rewriting } from './rights.ts'
import type { BadLine, Judge } from './survey.ts'
import { sha256, survey } from './survey.ts'

/** CopyObject takes no more in one request: AmazonS3 API reference, CopyObject. */
const MAX_OBJECT_BYTES = 5 * 1024 ** 3
/** No approval lets more than this share of a file be removed. */
export const CEILING = 0.2
const PREVIEWS = 20

type Wish = Readonly<{
  connection: string
  bucket: string
  key: string
  maxBadShare: number
  /** What the bad lines are called. */
  what: 'malformed' | 'rejected'
  /** Which lines are bad; without it, those that are not JSON. */
  judge?: Judge
}>

/** The plan of setting the bad lines of one object aside: what it holds now, and every request that would be made. */
export async function planQuarantine(wish: Wish, ctx: ReadContext): Promise<Plan<Quarantine>> {
  const { connection, bucket, key, maxBadShare, what, judge } = wish
  const { client, settings } = await ctx.connect(s3, connection)
  const name = `s3://${bucket}/${key}`
  if (!isAllowed(settings, bucket, key))
    throw new Refused(`The connection "${connection}" may not change ${name}. Allowed: ${settings.buckets.join(', ')}.`)
  if (key.startsWith(settings.quarantinePrefix))
    throw new Refused(`${name} is itself a copy in quarantine; it is never changed.`)
  const at = await head(client, { bucket, key }, ctx.signal)
  if (!at?.ETag) throw new Refused(`${name} does not exist.`)
  const size = at.ContentLength ?? 0
  if (size > MAX_OBJECT_BYTES)
    throw new Refused(`${name} has ${size} bytes; above 5 GiB it cannot be copied in one request.`)
  const ref: ObjectRef = { bucket, key, etag: at.ETag, ...(at.VersionId && { versionId: at.VersionId }) }
  const found = await survey(client, ref, ctx.signal, judge).catch((error: unknown) => {
    if (error instanceof NotGzip)
      throw new Refused(`${name} cannot be mended line by line: ${error.message}. Have the producer write it again.`)
    throw error
  })
  const judged = found.total - found.blank
  const share = found.bad.length / Math.max(judged, 1)
  if (found.bad.length === 0)
    throw new Refused(
      `${name} has no ${what} line (${judged} lines read). Nothing to do.${found.mark ? ' It begins with a byte order mark (U+FEFF), which is no fault of its first record.' : ''}`,
    )
  if (share > maxBadShare)
    throw new Refused(
      `${found.bad.length} of ${judged} lines of ${name} are ${what}: ${percent(share)}, above the limit of ${percent(maxBadShare)}. That is not a few bad records; look at the producer.`,
    )
  const stem = `${settings.quarantinePrefix}${key}.${bare(at.ETag)}`
  const copyKey = `${stem}.original${isGzip(key) ? '.gz' : ''}`
  const badKey = `${stem}.bad-lines.txt`
  const warnings: string[] = []
  if (!at.VersionId || at.VersionId === 'null')
    warnings.push(`The bucket keeps no versions: the copy at ${copyKey} is the only way back.`)
  if (found.mark)
    warnings.push(
      'The file begins with a byte order mark (U+FEFF). The record behind it is valid but for it, and stays.',
    )
  const beside = [
    { key: copyKey, event: 'Copy' as const },
    { key: badKey, event: 'Put' as const },
  ]
  warnings.push(...(await aftermath(client, { bucket, key, at, beside }, ctx.signal)))
  return {
    summary: `Set ${found.bad.length} of ${judged} lines of ${name} aside (${percent(share)})`,
    targets: [
      {
        id: `s3:${connection}/${bucket}/${key}`,
        name,
        fingerprint: [at.ETag, at.VersionId ?? ''].join(' '),
        details: {
          Bucket: bucket,
          Key: key,
          Size: `${size} bytes`,
          ETag: at.ETag,
          'Last modified': at.LastModified?.toISOString() ?? 'unknown',
          ...(at.VersionId && { Version: at.VersionId }),
          Lines: String(judged),
          'Bad lines': `${found.bad.length} (${percent(share)}; limit ${percent(maxBadShare)})`,
          'Line numbers': found.bad.map((line) => line.number).join(', '),
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
        id: 'set-aside',
        title: `Write the bad ${found.bad.length === 1 ? 'line to its' : `${found.bad.length} lines to their`} own object`,
        detail: `PutObject ${bucket}/${badKey}\n${listed(found.bad)}`,
      },
      {
        id: 'rewrite',
        title: 'Write the file again without them',
        detail: `CompleteMultipartUpload ${bucket}/${key} If-Match ${at.ETag}`,
      },
    ],
    warnings,
    data: { connection, ref, size, copyKey, badKey, found, json: judge === undefined },
  }
}

/** Copies the original, keeps the bad lines, and writes the object again without them. */
export async function runQuarantine(data: Quarantine, ctx: RunContext): Promise<string> {
  const { ref, found, copyKey, badKey } = data
  const { bucket, key } = ref
  const { client } = await ctx.connect(s3, data.connection, rewriting(ref, [copyKey, badKey]))
  await ctx.step('copy', () => keepCopy(client, ref, copyKey, ctx.signal))
  await ctx.step('set-aside', async () => {
    const Body = await badLines(client, ref, found.bad, ctx.signal)
    if (sha256(Body) !== found.badSha) throw new Error(`the bad lines of ${key} are not the planned ones`)
    const original = await head(client, { bucket, key: copyKey }, ctx.signal)
    const put = {
      ...{ Bucket: bucket, Key: badKey, Body, ContentType: 'text/plain; charset=utf-8', ...encryptionOf(original) },
    }
    await answered(`PutObject ${badKey}`, ctx.signal, () =>
      client.send(new PutObjectCommand(put), { abortSignal: ctx.signal }),
    )
    return badKey
  })
  await ctx.step('rewrite', async () => {
    const original = await head(client, ref, ctx.signal)
    if (isMadeFrom(original, ref)) return original?.ETag ?? ''
    if (original?.ETag !== ref.etag) await assertUnchanged(client, ref, ctx.signal)
    // Nothing is overwritten before the copy is known to hold the same.
    if (!(await holdsOriginal(client, data, ctx.signal)))
      throw new Error(`${copyKey} does not hold the original; ${key} was not touched`)
    return rewrite(client, {
      ref,
      original: original!,
      bad: found.bad,
      signal: ctx.signal,
      onLine: (done) => ctx.progress(done, found.total, 'lines written'),
    })
  })
  return `${found.bad.length} ${data.json ? 'malformed ' : ''}${found.bad.length === 1 ? 'line is' : 'lines are'} set aside in s3://${bucket}/${badKey}; the original is kept at s3://${bucket}/${copyKey}.`
}

/** Is every good line there, byte for byte, and is what was removed kept? */
export async function verifyQuarantine(data: Quarantine, ctx: ReadContext): Promise<Check[]> {
  const { client } = await ctx.connect(s3, data.connection)
  const { ref, found, copyKey, badKey } = data
  const now = await head(client, ref, ctx.signal)
  const after = now?.ETag
    ? await survey(
        client,
        { bucket: ref.bucket, key: ref.key, etag: now.ETag },
        ctx.signal,
        data.json ? undefined : isBlank,
      )
    : null
  const good = found.total - found.blank - found.bad.length
  const goodNow = after ? after.total - after.blank - after.bad.length : 0
  return [
    {
      title: data.json ? 'No malformed line is left' : 'The lines are no longer in the file',
      ok: data.json ? after?.bad.length === 0 : after?.total === found.total - found.bad.length,
      detail: after ? `${after.total} lines read` : 'the object is gone',
    },
    {
      title: 'Every good line is there, byte for byte',
      ok: goodNow === good && after?.contentSha === found.keptSha,
      detail: `${goodNow} of ${good}`,
    },
    { title: 'The copy holds the original', ok: await holdsOriginal(client, data, ctx.signal), detail: copyKey },
    { title: 'The bad lines are kept', ok: await holdsBadLines(client, data, ctx.signal), detail: badKey },
  ]
}

/** Looks at the objects for what a step was to leave. */
export async function probeQuarantine(data: Quarantine, step: string, ctx: ReadContext): Promise<Finding> {
  const { client } = await ctx.connect(s3, data.connection)
  if (step === 'copy')
    return finding(await holdsOriginal(client, data, ctx.signal), `${data.copyKey} with the content of the original`)
  if (step === 'set-aside')
    return finding(await holdsBadLines(client, data, ctx.signal), `${data.badKey} with the bad lines`)
  return probeRewrite(client, data, ctx.signal)
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`
const listed = (bad: readonly BadLine[]): string =>
  [
    ...bad.slice(0, PREVIEWS).map((b) => `line ${b.number} sha256:${b.sha256.slice(0, 12)} ${b.reason}: ${b.preview}`),
    ...(bad.length > PREVIEWS ? [`and ${bad.length - PREVIEWS} more`] : []),
  ].join('\n')
const finding = (there: boolean, what: string) =>
  ({ landed: there ? 'yes' : 'no', detail: there ? `There is ${what}` : `There is no ${what}` }) as const
const isBlank: Judge = (bytes) => (/^[ \t\r]*$/.test(bytes.toString('latin1')) ? 'blank' : null)
