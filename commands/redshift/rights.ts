import type { Right } from '../../src/domain/command.ts'
import type { Settings } from './connection.ts'

/** The account is not known here; the role's own rights say which one it is. */
const arnOf = (region: string, rest: string): string =>
  `arn:${region.startsWith('cn-') ? 'aws-cn' : region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws'}:redshift:${region}:*:${rest}`

/** Statements of the Data API are known by ids that are made when they are sent. */
const STATEMENTS: Right = {
  actions: ['redshift-data:DescribeStatement', 'redshift-data:ListStatements', 'redshift-data:CancelStatement'],
  resources: ['*'],
}

/** All that a run needs which sends one statement to the Data API. A workgroup's ARN has an id that its name does not tell. */
export function loading({ region, cluster, user, database, secretArn }: Settings): readonly Right[] {
  const logIn: Right[] = secretArn
    ? [
        { actions: ['secretsmanager:GetSecretValue'], resources: [secretArn, `${secretArn}-??????`] },
        // Of a secret with a key of its own.
        { actions: ['kms:Decrypt'], resources: ['*'] },
      ]
    : cluster
      ? [
          {
            actions: ['redshift:GetClusterCredentials'],
            resources: [arnOf(region, `dbuser:${cluster}/${user}`), arnOf(region, `dbname:${cluster}/${database}`)],
          },
        ]
      : [{ actions: ['redshift-serverless:GetCredentials'], resources: ['*'] }]
  return [
    {
      actions: ['redshift-data:ExecuteStatement'],
      resources: [cluster ? arnOf(region, `cluster:${cluster}`) : '*'],
    },
    STATEMENTS,
    ...logIn,
  ]
}

/** All that a run needs which reboots one cluster. */
export const rebooting = ({ region }: Settings, cluster: string): readonly Right[] => [
  { actions: ['redshift:RebootCluster'], resources: [arnOf(region, `cluster:${cluster}`)] },
  { actions: ['redshift:DescribeClusters', 'redshift:DescribeEvents'], resources: ['*'] },
]
