import type { Right } from '../../src/domain/command.ts'
import type { Own } from '../aws/narrow.ts'
import type { Wanted } from './wanted.ts'

const LOOK_AT_TASKS = 'rds:DescribeExportTasks'

/** What RDS does with the key of an export by the rights of whoever starts it: user guide, exporting a snapshot to S3. */
const KEY = ['kms:CreateGrant', 'kms:DescribeKey', 'kms:Encrypt', 'kms:Decrypt', 'kms:GenerateDataKey']
const MORE_KEY = ['kms:GenerateDataKeyWithoutPlaintext', 'kms:ReEncryptFrom', 'kms:ReEncryptTo']

/** All that a run needs which starts one export. The sources of others that run are looked at, too. Tasks have no ARN. */
export const exporting = (own: Own, { role, key }: Wanted): readonly Right[] => [
  {
    actions: [
      ...['rds:StartExportTask', LOOK_AT_TASKS],
      ...['rds:DescribeDBClusters', 'rds:DescribeDBClusterSnapshots', 'rds:DescribeDBSnapshots'],
    ],
    resources: ['*'],
  },
  { actions: ['iam:PassRole'], resources: [role] },
  { actions: [...KEY, ...MORE_KEY], resources: [keyOf(own, key)] },
]

/** An alias is no resource of these rights: which key it stands for, KMS knows. */
const keyOf = (own: Own, key: string): string =>
  /^arn:[^:]+:kms:[^:]*:[^:]*:key\//.test(key) ? key : /(^|:)alias\//.test(key) ? '*' : own('kms', `key/${key}`)

/** All that a run needs which cancels one export. */
export const cancelling: readonly Right[] = [{ actions: ['rds:CancelExportTask', LOOK_AT_TASKS], resources: ['*'] }]

/** All that a run needs which gives one instance another class. */
export const resizing = (own: Own, instance: string): readonly Right[] => [
  { actions: ['rds:ModifyDBInstance'], resources: [own('rds', `db:${instance}`)] },
  { actions: ['rds:DescribeDBInstances'], resources: ['*'] },
]
