import { createHash } from 'node:crypto'
import type { S3Client } from '@aws-sdk/client-s3'
import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import { z } from 'zod'
import { Refused } from '../../src/domain/command.ts'

/** One object of a listing. `etag` keeps S3's quotes; `modified` is in milliseconds since the epoch. */
export type Listed = Readonly<{ key: string; etag: string; size: number; modified: number }>

/** A bucket and a folder in it: whole path segments, so that `tmp/job-1/` never takes `tmp/job-10/` along. */
export const place = {
  connection: z.string().describe('S3 connection'),
  bucket: z.string().min(1).describe('Bucket'),
  prefix: z
    .string()
    .max(900)
    .regex(
      /^(?!\/|(?:.*\/)?\.{0,2}\/)[^\p{Cc}]+\/$/u,
      'a folder such as tmp/job-7/: ends in /, no empty part, no . or ..',
    )
    .describe('Folder, ending in /'),
}

/** A key as it was listed: encoded, where the server did what it was asked for. XML has no place for some characters. */
const keyOf = (text: string, encoding: string | undefined): string =>
  encoding === 'url' ? decodeURIComponent(text.replaceAll('+', ' ')) : text

/** Every object under a prefix in the order of its key (UTF-8), page by page to the end. */
export async function* listUnder(
  client: S3Client,
  bucket: string,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<Listed> {
  for await (const page of pagesUnder(client, bucket, prefix, signal))
    for (const { Key, ETag, Size, LastModified } of page.Contents ?? []) {
      // Without one of these an object could be passed over, be taken for old, or be deleted whatever it is by now.
      if (Key === undefined || !ETag || Size === undefined || !LastModified)
        throw new Refused(
          `S3 lists ${Key ?? 'an object'} without its ${Key ? 'ETag, size or time' : 'key'}. Try again in a minute.`,
        )
      const key = keyOf(Key, page.EncodingType)
      if (!key.startsWith(prefix)) throw new Error(`S3 listed ${key}, which is not under ${prefix}`)
      yield { key, etag: ETag, size: Size, modified: LastModified.getTime() }
    }
}

/** The names of the folders directly below a prefix, in their order, without the prefix and the slash. */
export async function folderNames(
  client: S3Client,
  bucket: string,
  prefix: string,
  signal: AbortSignal,
): Promise<string[]> {
  const names: string[] = []
  for await (const page of pagesUnder(client, bucket, prefix, signal, '/'))
    for (const { Prefix = '' } of page.CommonPrefixes ?? [])
      names.push(keyOf(Prefix, page.EncodingType).slice(prefix.length, -1))
  return names
}

async function* pagesUnder(client: S3Client, Bucket: string, Prefix: string, signal: AbortSignal, Delimiter?: string) {
  let from: Readonly<{ StartAfter?: string; ContinuationToken?: string | undefined }> = {}
  for (;;) {
    const page = await client.send(
      new ListObjectsV2Command({ Bucket, Prefix, EncodingType: 'url', ...(Delimiter && { Delimiter }), ...from }),
      { abortSignal: signal },
    )
    yield page
    const isEmpty = !page.Contents?.length && !page.CommonPrefixes?.length
    // Left out, it is no end: one more page, which holds nothing, is.
    if (page.IsTruncated === false || (page.IsTruncated === undefined && (isEmpty || Delimiter !== undefined))) return
    const last = page.Contents?.at(-1)?.Key
    const token = page.NextContinuationToken
    // StartAfter goes on where a token would, and holds for servers whose tokens don't work; folders are in no order with it.
    if (last !== undefined && !Delimiter) from = { StartAfter: keyOf(last, page.EncodingType) }
    else if (token && token !== from.ContinuationToken) from = { ContinuationToken: token }
    else throw new Error(`The listing of s3://${Bucket}/${Prefix} was cut, and S3 does not say how it goes on`)
  }
}

/** How many objects, how large, and how old; `oldest` and `newest` in milliseconds, 0 for none. */
export type Totals = { objects: number; bytes: number; oldest: number; newest: number }

export const none = (): Totals => ({ objects: 0, bytes: 0, oldest: 0, newest: 0 })

/** Counts one more object. */
export function add(totals: Totals, { size, modified }: Listed): void {
  totals.oldest = totals.objects === 0 ? modified : Math.min(totals.oldest, modified)
  totals.newest = Math.max(totals.newest, modified)
  totals.objects += 1
  totals.bytes += size
}

/** Evidence has a minute: so many keys are counted, a thousand a request. */
export const MOST_KEYS = 100_000
/** The name under which what lies in no folder is counted. */
export const HERE = '(directly here)'

/** All objects under a prefix, in all and by the folders directly below it; `more` when there were too many to count. */
export async function foldersUnder(client: S3Client, bucket: string, prefix: string, signal: AbortSignal) {
  const all = none()
  const folders = new Map<string, Totals>()
  for await (const object of listUnder(client, bucket, prefix, signal)) {
    if (all.objects === MOST_KEYS) return { all, folders, more: true }
    const end = object.key.indexOf('/', prefix.length)
    const folder = end < 0 ? HERE : object.key.slice(prefix.length, end + 1)
    const totals = folders.get(folder) ?? none()
    add(totals, object)
    folders.set(folder, totals)
    add(all, object)
  }
  return { all, folders, more: false }
}

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** `1536` as `1.5 KiB`. */
export function sizeOf(bytes: number): string {
  if (bytes < 1024) return counted(Math.round(bytes), 'byte')
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length)
  return `${Number((bytes / 1024 ** power).toFixed(1))} ${UNITS[power - 1]}`
}

/** An absolute time to the second. */
export const timeOf = (milliseconds: number): string => new Date(milliseconds).toISOString().replace('.000Z', 'Z')

export const counted = (n: number, noun: string, plural = `${noun}s`): string => `${n} ${n === 1 ? noun : plural}`

/** Over key, ETag, size and time of each object, in their order. */
export function digestOf(objects: readonly Listed[]): string {
  const hash = createHash('sha256')
  for (const { key, etag, size, modified } of objects) hash.update(`${key}\0${etag}\0${size}\0${modified}\n`)
  return `sha256:${hash.digest('hex')}`
}

const SAMPLE = 5

/** The first and the last objects, one a line. */
export function sampleOf(objects: readonly Listed[]): string {
  const line = ({ key, size, modified }: Listed) => `${key} ${sizeOf(size)} ${timeOf(modified)}`
  if (objects.length <= 2 * SAMPLE) return objects.map(line).join('\n')
  return [
    ...objects.slice(0, SAMPLE).map(line),
    `… ${objects.length - 2 * SAMPLE} more …`,
    ...objects.slice(-SAMPLE).map(line),
  ].join('\n')
}
