import type { S3Client } from '@aws-sdk/client-s3'
import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import { z } from 'zod'
import type { EvidenceBlock } from '../../src/domain/command.ts'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { isAllowed, s3 } from './connection.ts'
import { around, createShape, judge } from './fault.ts'
import { MAX_LINE_BYTES, NotGzip, readLines } from './lines.ts'
import { ObjectChanged, open } from './objects.ts'

const JSON_LINES = /\.(json|jsonl|ndjson)\.gz$/
/** S3 lists 1,000 keys a page: at most 20,000 keys are looked through for the newest ones. */
const MAX_PAGES = 20
const MAX_ROWS = 20
const MAX_TEXTS = 5

type File = Readonly<{ key: string; etag: string; modified: number }>
type Found = Readonly<{ key: string; line: string; column: string; reason: string; text: string | null }>

/** Reads the newest `.json.gz` files under a prefix as streams and shows which lines are not JSON. */
export const findMalformedJson = defineRead({
  id: 's3.find-malformed-json',
  summary: 'Find the lines of .json.gz files that are not JSON',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('S3 connection'),
    bucket: z.string().min(1).describe('Bucket'),
    prefix: z.string().describe('Key of one file, or the beginning of the keys of several'),
    maxFiles: z.coerce.number().int().min(1).max(200).default(20).describe('How many files to read, newest first'),
  }),
  async read({ connection, bucket, prefix, maxFiles }, ctx) {
    const { client, settings } = await ctx.connect(s3, connection)
    if (!isAllowed(settings, bucket, prefix))
      throw new Refused(
        `The connection "${connection}" may not read s3://${bucket}/${prefix}. Allowed: ${settings.buckets.join(', ')}.`,
      )
    const { files, seen, more } = await list(client, bucket, prefix, settings.quarantinePrefix, ctx.signal)
    const chosen = files.slice(0, maxFiles)
    const found: Found[] = []
    const bad = new Set<string>()
    const documents: string[][] = []
    const marked: string[] = []
    let lines = 0
    let faults = 0
    for (const file of chosen) {
      const before = { lines, faults, shown: found.length }
      const shape = createShape()
      const report = (line: string, column: string, reason: string, text: string | null) => {
        bad.add(file.key)
        faults += 1
        if (found.length < MAX_ROWS) found.push({ key: file.key, line, column, reason, text })
      }
      try {
        const body = await open(client, { bucket, ...file }, ctx.signal)
        for await (const batch of readLines(body, ctx.signal)) {
          lines += batch.length
          for (const { number, bytes } of batch) {
            if (bytes) shape.line(bytes, number)
            const fault = bytes
              ? judge(bytes, number)
              : { at: 0, reason: `longer than ${MAX_LINE_BYTES / 1024 / 1024} MiB, not read` }
            if (fault === null || fault === 'blank') continue
            report(String(number), String(fault.at + 1), fault.reason, bytes && around(bytes, fault.at))
          }
        }
        const { mark, document } = shape.shape(faults - before.faults)
        if (mark) marked.push(file.key)
        if (document !== null) {
          // Its lines are no records: none of them is a fault by itself.
          found.length = before.shown
          faults = before.faults
          lines = before.lines
          bad.delete(file.key)
          documents.push([folder(file.key), file.key.slice(folder(file.key).length), document])
        }
      } catch (error) {
        if (!(error instanceof NotGzip || error instanceof ObjectChanged)) throw error
        report('–', '–', error instanceof NotGzip ? error.message : 'replaced while it was read', null)
      }
    }
    const where = `s3://${bucket}/${prefix}`
    const blocks: EvidenceBlock[] = []
    if (found.length > 0)
      blocks.push({
        type: 'table',
        columns: ['Event', 'File', 'Line', 'Column', 'Fault'],
        rows: found.map((f) => [folder(f.key), f.key.slice(folder(f.key).length), f.line, f.column, f.reason]),
        omitted: faults - found.length,
      })
    for (const f of found.filter((one) => one.text !== null).slice(0, MAX_TEXTS))
      blocks.push({ type: 'code', text: `${f.key} line ${f.line}, column ${f.column}: ${f.reason}\n${f.text}` })
    if (documents.length > 0)
      blocks.push({
        type: 'table',
        columns: ['Event', 'File', 'Is'],
        rows: documents.slice(0, MAX_ROWS),
        omitted: Math.max(0, documents.length - MAX_ROWS),
      })
    if (marked.length > 0)
      blocks.push({
        type: 'text',
        text: `${count(marked.length, 'file')} ${marked.length === 1 ? 'begins' : 'begin'} with a byte order mark (U+FEFF): ${marked.slice(0, MAX_TEXTS).join(', ')}${marked.length > MAX_TEXTS ? ', …' : ''}. The first record is valid but for it: Spark, Hive and Athena pass over it, a JSON.parse of the line does not. Nothing is set aside for it; have the producer leave it out.`,
      })
    const unread = files.length - chosen.length
    if (unread > 0 || more)
      blocks.push({
        type: 'text',
        text: `Read the ${chosen.length} newest of ${files.length} files${more ? `; the listing was cut after ${seen} keys, narrow the prefix` : ''}.`,
      })
    const summary =
      chosen.length === 0
        ? `No .json.gz file under ${where}.`
        : faults === 0 && documents.length > 0
          ? `${count(documents.length, 'file')} of ${chosen.length} under ${where} ${documents.length === 1 ? `is ${documents[0]![2]}` : 'are JSON documents, not JSON lines'}${lines > 0 ? `; every one of ${lines} lines in the others is JSON` : ''}.`
          : faults === 0
            ? `Every one of ${lines} lines in ${count(chosen.length, 'file')} under ${where} is JSON.`
            : `${count(faults, 'fault')} in ${bad.size} of ${count(chosen.length, 'file')} (${lines} lines) under ${where}.${documents.length > 0 ? ` ${count(documents.length, 'file')} ${documents.length === 1 ? 'is a JSON document' : 'are JSON documents'}, not JSON lines.` : ''}`
    return { summary, blocks }
  },
})

async function list(client: S3Client, bucket: string, prefix: string, quarantine: string, signal: AbortSignal) {
  const files: File[] = []
  let seen = 0
  let token: string | undefined
  let pages = 0
  do {
    const page = await client.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: token }),
      {
        abortSignal: signal,
      },
    )
    for (const { Key, ETag, LastModified } of page.Contents ?? []) {
      seen += 1
      if (!Key || !ETag || !JSON_LINES.test(Key) || Key.startsWith(quarantine)) continue
      files.push({ key: Key, etag: ETag, modified: LastModified?.getTime() ?? 0 })
    }
    token = page.NextContinuationToken
    pages += 1
  } while (token && pages < MAX_PAGES)
  files.sort((a, b) => b.modified - a.modified || (a.key < b.key ? -1 : 1))
  return { files, seen, more: token !== undefined }
}

/** The part of a key up to and with its last slash: producers keep one event's files in one folder. */
const folder = (key: string): string => key.slice(0, key.lastIndexOf('/') + 1)
const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`
