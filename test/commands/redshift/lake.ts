import type { startS3 } from '../../../src/sandbox/targets/s3.ts'
import type { Files } from './copy.ts'

type Lake = Awaited<ReturnType<typeof startS3>>

/** The files that a COPY reads, from the bucket `lake` of a real S3 server: a location is a prefix of keys. */
export const filesOf =
  (s3: Lake): Files =>
  async (location) => {
    const keys = (await s3.keys()).filter(
      (key) => key !== undefined && `s3://lake/${key}`.startsWith(location),
    ) as string[]
    return Promise.all(keys.map(async (key) => ({ location: `s3://lake/${key}`, bytes: await s3.bytes(key) })))
  }

/** The settings of an `s3` connection to it, and its secret. */
export const lakeConnection = (s3: Lake) => ({
  region: 'us-east-1',
  endpoint: s3.endpoint,
  forcePathStyle: true,
  accessKeyIdFrom: 'LAKE_KEY',
  secretAccessKeyFrom: 'LAKE_KEY',
  buckets: ['lake'],
})
export const LAKE_SECRETS = { LAKE_KEY: 'S3RVER' }
