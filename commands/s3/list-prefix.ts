import { z } from 'zod'
import type { EvidenceBlock } from '../../src/domain/command.ts'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { isAllowed, s3 } from './connection.ts'
import { deletableAt, goingRun } from './deletable.ts'
import { counted, foldersUnder, MOST_KEYS, sizeOf, timeOf } from './listing.ts'

const ROWS = 20

/** Counts the objects under a prefix by folder, with sizes and the times of the oldest and the newest. */
export const listPrefix = defineRead({
  id: 's3.list-prefix',
  summary: 'Count the objects under a prefix by folder, with sizes and ages',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('S3 connection'),
    bucket: z.string().min(1).describe('Bucket'),
    prefix: z.string().max(900).describe('The beginning of the keys; a folder ends in /'),
  }),
  async read({ connection, bucket, prefix }, ctx) {
    const { client, settings } = await ctx.connect(s3, connection)
    if (!isAllowed(settings, bucket, prefix))
      throw new Refused(
        `The connection "${connection}" may not read s3://${bucket}/${prefix}. Allowed: ${settings.buckets.join(', ')}.`,
      )
    const { all, folders, more } = await foldersUnder(client, bucket, prefix, ctx.signal)
    const where = `s3://${bucket}/${prefix}`
    const used = prefix.endsWith('/') ? deletableAt(settings.deletable, bucket, prefix) : null
    const owned = used && (await goingRun(used.entry, used.job, ctx))
    const run = owned ? ` ${owned.going ?? `No run of ${owned.dag} is going`}.` : ''
    if (all.objects === 0) return { summary: `No object under ${where}.${run}`, blocks: [] }
    const rows = [...folders].sort(([a, x], [b, y]) => y.objects - x.objects || (a < b ? -1 : 1))
    const blocks: EvidenceBlock[] = [
      {
        type: 'table',
        columns: ['Folder', 'Objects', 'Size', 'Oldest', 'Newest'],
        rows: rows
          .slice(0, ROWS)
          .map(([folder, t]) => [folder, String(t.objects), sizeOf(t.bytes), timeOf(t.oldest), timeOf(t.newest)]),
        omitted: Math.max(0, rows.length - ROWS),
      },
    ]
    if (more) blocks.push({ type: 'text', text: `There are more: the count ended at ${MOST_KEYS} objects.` })
    const mean = `${sizeOf(all.bytes / all.objects)} each`
    return {
      summary: `${more ? 'More than ' : ''}${counted(all.objects, 'object')} under ${where}: ${sizeOf(all.bytes)} (${mean}), from ${timeOf(all.oldest)} to ${timeOf(all.newest)}.${run}`,
      blocks,
    }
  },
})
