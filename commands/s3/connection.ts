import { S3Client } from '@aws-sdk/client-s3'
import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { awsClient, awsSettings } from '../aws/client.ts'
import { Deletable } from './deletable.ts'

const Settings = z.strictObject({
  ...awsSettings,
  /** `true` for servers that know buckets as the first part of the path only. */
  forcePathStyle: z.boolean().default(false),
  /** Nothing outside is read or written: `bucket`, or `bucket/prefix` (whole path segments). */
  buckets: z
    .array(
      z
        .string()
        .min(1)
        .refine((entry) => !/--(x-s3|table-s3)(\/|$)/.test(entry), 'directory and table buckets are not supported'),
    )
    .min(1),
  /** Where copies of originals and the removed lines go, in the bucket of the object. */
  quarantinePrefix: z
    .string()
    .regex(/^[^/].*\/$/, 'ends in / and does not begin with it')
    .default('quarantine/'),
  /** Where the files of an event of a day are: `bucket/raw/{event}/{yyyy}-{mm}-{dd}/`, the days in UTC. */
  events: z
    .string()
    .regex(/^[^/{}]+\/.*\/$/, 'a bucket, then a folder ending in /')
    .refine(
      (layout) => ['{event}', '{yyyy}', '{mm}', '{dd}'].every((part) => layout.split(part).length === 2),
      'names {event}, {yyyy}, {mm} and {dd}, once each',
    )
    .optional(),
  /** Nothing is deleted elsewhere; left out, nothing at all. */
  deletable: z.array(Deletable).default([]),
})
type Settings = z.output<typeof Settings>

/** One S3 endpoint with the buckets that may be touched. Every write is conditional on an ETag, so it may be sent again. */
export const s3 = defineConnection<Settings, S3Client>({
  kind: 's3',
  settings: Settings,
  open: (settings, secret, rights) =>
    awsClient(S3Client, settings, secret, 3, {
      rights,
      config: { forcePathStyle: settings.forcePathStyle },
    }),
  close: (client) => client.destroy(),
})

/** To S3 `..` is a name like any other; a proxy, or another server that speaks its protocol, may climb by it. */
const CLIMBS = /(^|\/)\.{1,2}(\/|$)/

/** Is a key, or a whole prefix of keys, inside what the connection allows? */
export function isAllowed(settings: Pick<Settings, 'buckets'>, bucket: string, keyOrPrefix: string): boolean {
  if (CLIMBS.test(keyOrPrefix)) return false
  return settings.buckets.some((entry) => {
    const [name, ...path] = entry.replace(/\/+$/, '').split('/')
    const prefix = path.join('/')
    return name === bucket && (prefix === '' || keyOrPrefix === prefix || keyOrPrefix.startsWith(`${prefix}/`))
  })
}
