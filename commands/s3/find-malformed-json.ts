import type { S3Client } from '@aws-sdk/client-s3'
import { z } from 'zod'
import type { EvidenceBlock } from '../../src/domain/command.ts'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { isPassing, textOf } from '../aws/refusals.ts'
import { isAllowed, s3 } from './connection.ts'
import { openLines } from './content.ts'
import { around, createShape, judge } from './fault.ts'
import { CutShort, MAX_LINE_BYTES, NotGzip, readLines } from './lines.ts'
import { listUnder } from './listing.ts'
import { ObjectChanged, Unreadable } from './objects.ts'

/** By name, only to choose: whether one is compressed, its content says. */
const JSON_LINES = /\.(json|jsonl|ndjson)(\.gz(ip)?)?$/i
/** S3 lists 1,000 keys a page: so many are looked through for the newest ones. */
const MAX_KEYS = 20_000
const MAX_ROWS = 20
const MAX_TEXTS = 5

type File = Readonly<{ key: string; etag: string; modified: number }>
type Found = Readonly<{ key: string; line: string; column: string; reason: string; text: string | null }>

/** Reads the newest files of JSON lines under a prefix as streams and shows which lines are not JSON, and what cannot be read. */
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
    /** Key and why. */
    const unread: [string, string][] = []
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
        const { body, gzip } = await openLines(client, { bucket, ...file }, ctx.signal)
        for await (const batch of readLines(body, ctx.signal, !gzip)) {
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
        if (error instanceof NotGzip) report('–', '–', error.message, null)
        else if (error instanceof ObjectChanged) unread.push([file.key, 'it was replaced while it was read'])
        else if (error instanceof CutShort && !ctx.signal.aborted)
          unread.push([file.key, 'the connection broke before its end'])
        else if (error instanceof Unreadable) unread.push([file.key, error.why])
        else if (ctx.signal.aborted || !isPassing(error)) throw error
        else unread.push([file.key, textOf(error)])
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
    if (unread.length > 0)
      blocks.push({
        type: 'table',
        columns: ['Not readable', 'Why'],
        rows: unread.slice(0, MAX_ROWS),
        omitted: Math.max(0, unread.length - MAX_ROWS),
      })
    const isPart = files.length > chosen.length || more
    if (isPart)
      blocks.push({
        type: 'text',
        text: `Read the ${chosen.length} newest of ${files.length} files${more ? `; the listing was cut after ${seen} keys, narrow the prefix` : ''}.`,
      })
    const read = chosen.length - unread.length
    const among = count(chosen.length, 'file')
    const all = isPart ? `the ${chosen.length} newest of ${more ? 'more than ' : ''}${files.length} files` : among
    const judged =
      chosen.length === 0
        ? `No file of JSON lines under ${where}${more ? ` among the first ${seen} keys` : ''}.`
        : read === 0
          ? `None of ${among} under ${where} could be read.`
          : faults > 0
            ? `${count(faults, 'fault')} in ${bad.size} of ${among} (${lines} lines) under ${where}.${documents.length > 0 ? ` ${count(documents.length, 'file')} ${documents.length === 1 ? 'is a JSON document' : 'are JSON documents'}, not JSON lines.` : ''}`
            : documents.length > 0
              ? `${count(documents.length, 'file')} of ${chosen.length} under ${where} ${documents.length === 1 ? `is ${documents[0]![2]}` : 'are JSON documents, not JSON lines'}${lines > 0 ? `; every one of ${lines} lines in the others is JSON` : ''}.`
              : unread.length > 0
                ? `No fault in the ${lines} lines of ${read} of ${among} under ${where}; that is no all-clear.`
                : lines === 0
                  ? `There is no line in ${all} under ${where}: nothing is stored there.`
                  : `Every one of ${lines} lines in ${all} under ${where} is JSON.`
    const summary =
      unread.length > 0
        ? `${judged} ${count(unread.length, 'file')} could not be read, the first is ${unread[0]![0]}: ${unread[0]![1]}.`
        : judged
    return { summary, blocks }
  },
})

async function list(client: S3Client, bucket: string, prefix: string, quarantine: string, signal: AbortSignal) {
  const files: File[] = []
  let seen = 0
  let more = false
  for await (const { key, etag, modified } of listUnder(client, bucket, prefix, signal)) {
    if (seen === MAX_KEYS) {
      more = true
      break
    }
    seen += 1
    // A key that ends in a slash is what consoles make for a folder.
    const chosen = JSON_LINES.test(key) || (key === prefix && !key.endsWith('/'))
    if (chosen && etag && !key.startsWith(quarantine)) files.push({ key, etag, modified })
  }
  files.sort((a, b) => b.modified - a.modified || (a.key < b.key ? -1 : 1))
  return { files, seen, more }
}

/** The part of a key up to and with its last slash: producers keep one event's files in one folder. */
const folder = (key: string): string => key.slice(0, key.lastIndexOf('/') + 1)
const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`
