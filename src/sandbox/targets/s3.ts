import { mkdtemp, rm, utimes } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'

type S3rver = { run(): Promise<AddressInfo>; close(): Promise<void> }
const S3rver = createRequire(import.meta.url)('s3rver') as new (options: Record<string, unknown>) => S3rver

/** A real S3 server in this process with one bucket, and short words to look at it. It ignores If-Match on writes. */
export async function startS3(bucket: string) {
  const directory = await mkdtemp(join(tmpdir(), 'keyturn-s3-'))
  const server = new S3rver({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory,
    configureBuckets: [{ name: bucket }],
  })
  const { port } = await server.run()
  const endpoint = `http://127.0.0.1:${port}`
  const client = new S3Client({
    region: 'us-east-1',
    endpoint,
    forcePathStyle: true,
    credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
  })
  const bytes = async (key: string) => {
    const got = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }))
    return Buffer.from((await got.Body?.transformToByteArray()) ?? [])
  }
  return {
    endpoint,
    bytes,
    put: (key: string, body: Buffer, extra: Record<string, unknown> = {}) =>
      client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ...extra })),
    putLines: (key: string, lines: readonly string[], extra: Record<string, unknown> = {}) =>
      client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: gzipSync(lines.join('\n')), ...extra })),
    /** Makes an object as old as that, since the server takes the time from the file. */
    date: (key: string, when: Date) => utimes(join(directory, bucket, `${key}._S3rver_object`), when, when),
    head: (key: string) => client.send(new HeadObjectCommand({ Bucket: bucket, Key: key })),
    keys: async () =>
      ((await client.send(new ListObjectsV2Command({ Bucket: bucket }))).Contents ?? []).map((o) => o.Key),
    async close() {
      client.destroy()
      await server.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
