import type { Right } from '../../src/domain/command.ts'
import { literal } from '../aws/credentials.ts'
import type { ObjectRef } from './objects.ts'

/** Three keys must fit into a session policy: of a long one its beginning is allowed. */
const LONGEST = 300
const BEGINNING = 48

const arnOf = (bucket: string, key = '') => `arn:aws:s3:::${bucket}${key && `/${short(key)}`}`

function short(key: string): string {
  const name = literal(key)
  const size = [...name].reduce((sum, one) => sum + (one > '~' ? 6 * one.length : 1), 0)
  return size > LONGEST ? `${literal([...key].slice(0, BEGINNING).join(''))}*` : name
}

/** Objects that are encrypted with a key of KMS; which one, the bucket knows. */
const KMS: Right = { actions: ['kms:Decrypt', 'kms:GenerateDataKey'], resources: ['*'] }

/** Without it S3 answers 403 for a key that is not there: API reference, HeadObject. */
const LIST = (bucket: string): Right => ({ actions: ['s3:ListBucket'], resources: [arnOf(bucket)] })

/** All that a run needs which writes one object again and others beside it. */
export const rewriting = ({ bucket, key }: ObjectRef, beside: readonly string[]): readonly Right[] => [
  {
    actions: [
      ...['s3:GetObject', 's3:GetObjectVersion', 's3:GetObjectTagging', 's3:GetObjectVersionTagging'],
      ...['s3:PutObject', 's3:PutObjectTagging', 's3:AbortMultipartUpload'],
    ],
    resources: [key, ...beside].map((one) => arnOf(bucket, one)),
  },
  LIST(bucket),
  KMS,
]

/** All that a run needs which deletes what is below a folder. */
export const deleting = (bucket: string, prefix: string): readonly Right[] => [
  { actions: ['s3:DeleteObject', 's3:GetObject'], resources: [`${arnOf(bucket, prefix)}*`] },
  LIST(bucket),
]
