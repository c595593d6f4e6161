import { z } from 'zod'
import type { EvidenceBlock } from '../../src/domain/command.ts'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { MAX_PACKED, testArchive } from './archive.ts'
import { isAllowed, s3 } from './connection.ts'
import { counted, sizeOf, timeOf } from './listing.ts'
import { head } from './objects.ts'

const ROWS = 30

/** Reads one .tar.gz to its end: what is in it, its checksums, where it breaks, and what strict readers stumble over. */
export const testArchiveCommand = defineRead({
  id: 's3.test-archive',
  summary: 'Read a .tar.gz to its end: listing, checksums, and where it breaks',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('S3 connection'),
    bucket: z.string().min(1).describe('Bucket'),
    key: z.string().min(1).describe('Key of the .tar.gz'),
    sha256: z
      .string()
      .regex(/^([0-9a-fA-F]{64})?$/, '64 hexadecimal digits')
      .default('')
      .describe('SHA-256 that its publisher gives, if it does'),
  }),
  async read({ connection, bucket, key, sha256 }, ctx) {
    const { client, settings } = await ctx.connect(s3, connection)
    const where = `s3://${bucket}/${key}`
    if (!isAllowed(settings, bucket, key))
      throw new Refused(
        `The connection "${connection}" may not read ${where}. Allowed: ${settings.buckets.join(', ')}.`,
      )
    const at = await head(client, { bucket, key }, ctx.signal)
    if (!at?.ETag) return { summary: `There is no object ${where}.`, blocks: [] }
    const size = at.ContentLength ?? 0
    if (size > MAX_PACKED) throw new Refused(`${where} has ${sizeOf(size)}; at most ${sizeOf(MAX_PACKED)} are read.`)
    const { entries, bytes, odd, fault, isCut, checksums } = await testArchive(
      client,
      { bucket, key, etag: at.ETag },
      ctx.signal,
    )
    const modified = at.LastModified ? timeOf(at.LastModified.getTime()) : 'unknown'
    const blocks: EvidenceBlock[] = [
      {
        type: 'code',
        text: [
          `size   ${sizeOf(size)} (${size} bytes), ETag ${at.ETag}, of ${modified}`,
          ...(checksums ? [`sha256 ${checksums.sha256}`, `md5    ${checksums.md5}`] : []),
        ].join('\n'),
      },
    ]
    if (entries.length > 0)
      blocks.push({
        type: 'table',
        columns: ['Entry', 'Type', 'Size', 'Modified', 'SHA-256'],
        rows: entries
          .slice(0, ROWS)
          .map(({ entry: e, sha256: sum }) => [
            e.name,
            e.type,
            sizeOf(e.size),
            timeOf(e.modified * 1000),
            sum.slice(0, 12),
          ]),
        omitted: Math.max(0, entries.length - ROWS),
      })
    const wanted = sha256.toLowerCase()
    const same =
      wanted === '' || !checksums
        ? ''
        : checksums.sha256 === wanted
          ? ' Its SHA-256 is the one that was given.'
          : ' Its SHA-256 is not the one that was given: it was not downloaded whole, or is another version.'
    const summary = fault
      ? `${where} ${isCut ? 'is corrupt' : 'was read no further'} after ${counted(entries.length, 'whole entry', 'whole entries')}: ${fault}. Repacking ${isCut ? 'cannot bring back what is missing' : 'is refused'}.`
      : odd.length > 0
        ? `${where} reads to its end (${counted(entries.length, 'entry', 'entries')}, ${sizeOf(bytes)}), but ${odd.join(', and ')}: strict readers stop there.`
        : `${where} reads to its end: ${counted(entries.length, 'entry', 'entries')}, ${sizeOf(bytes)}, nothing odd.`
    return { summary: `${summary}${same}`, blocks }
  },
})
