import { createHash } from 'node:crypto'
import type { S3Client } from '@aws-sdk/client-s3'
import { Refused } from '../../src/domain/command.ts'
import { openLines } from './content.ts'
import { around, createShape, type Fault, judge } from './fault.ts'
import { MAX_LINE_BYTES, readLines } from './lines.ts'
import type { ObjectRef } from './objects.ts'

/** More bad lines than this are not a slip of a producer, and no person can look at them. */
export const MAX_BAD_LINES = 1_000
/** The removed lines are held in memory while they are written. */
export const MAX_BAD_BYTES = 16 * 1024 * 1024

export type BadLine = Readonly<{ number: number; sha256: string; reason: string; preview: string }>

/** What one object holds. Blank lines are neither good nor bad, and stay. Hashes are over the decompressed bytes. */
export type Survey = Readonly<{
  total: number
  blank: number
  bad: readonly BadLine[]
  /** It begins with a byte order mark, which is no fault of its first line. */
  mark: boolean
  /** Of everything, of what stays, and of the bad lines, each of these with a line feed. */
  contentSha: string
  keptSha: string
  badSha: string
}>

const LF = Buffer.from('\n')

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Why a line is bad; null is good. Without another one, what is not JSON is bad. */
export type Judge = (bytes: Buffer, number: number) => Fault | 'blank' | null

/** Reads an object once, as a stream. Refuses what can't be judged or shown: lines or bad lines over the limits. */
export async function survey(
  client: S3Client,
  ref: ObjectRef,
  signal: AbortSignal,
  judged: Judge = judge,
): Promise<Survey> {
  const content = createHash('sha256')
  const kept = createHash('sha256')
  const removed = createHash('sha256')
  const bad: BadLine[] = []
  let badBytes = 0
  let total = 0
  let blank = 0
  const seen = createShape()
  // Only where JSON is what is asked for: a load's rejected lines may be of any format.
  const document = () => (judged === judge ? seen.shape(bad.length).document : null)
  const { body, gzip } = await openLines(client, ref, signal)
  for await (const batch of readLines(body, signal, !gzip))
    for (const { number, bytes, ended } of batch) {
      if (!bytes)
        throw new Refused(
          `Line ${number} of ${ref.key} is longer than ${MAX_LINE_BYTES / 1024 / 1024} MiB and cannot be judged.`,
        )
      total += 1
      seen.line(bytes, number)
      const fault = judged(bytes, number)
      const isBad = fault !== null && fault !== 'blank'
      if (fault === 'blank') blank += 1
      for (const hash of isBad ? [content] : [content, kept]) {
        hash.update(bytes)
        if (ended) hash.update(LF)
      }
      if (!isBad) continue
      removed.update(bytes).update(LF)
      badBytes += bytes.length + 1
      bad.push({
        number,
        sha256: sha256(bytes),
        reason: fault.reason,
        preview: around(bytes, fault.at, 40).split('\n')[0]!,
      })
      if (bad.length > MAX_BAD_LINES || badBytes > MAX_BAD_BYTES) {
        const is = document()
        if (is) throw notLines(ref.key, is.replace(/, and it ends too early$/, ' so far'))
        throw new Refused(
          `${ref.key} has more than ${bad.length - 1} bad lines (${badBytes} bytes) by line ${number}: too many to set aside one by one. Have the producer write it again.`,
        )
      }
    }
  const is = document()
  if (is) throw notLines(ref.key, is)
  return {
    total,
    blank,
    bad,
    mark: seen.shape(0).mark,
    contentSha: content.digest('hex'),
    keptSha: kept.digest('hex'),
    badSha: removed.digest('hex'),
  }
}

const notLines = (key: string, document: string) =>
  new Refused(
    `${key} is ${document}: no line of it is a record, and nothing is set aside. Have the producer write one record a line.`,
  )
