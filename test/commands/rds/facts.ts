import { defineFacts } from '../../harness/facts.ts'

const model = (type: string) => `@aws-sdk/client-rds 3.1169.0, models_0.d.ts, ${type}`
const read = '2026-11-28'

export const facts = defineFacts({
  of: 'Amazon RDS',
  enforcedBy: ['test/commands/rds/server.ts', 'test/commands/rds/instances.ts'],
  facts: [
    {
      says: 'A snapshot is asked for by its identifier; one that was taken automatically by its type as well.',
      source: model('DescribeDBSnapshotsMessage'),
      read,
    },
    {
      says: 'Types of snapshots are automated, manual, shared, public and, of instances only, awsbackup; shared ones are left out unless asked for.',
      source: model('DescribeDBSnapshotsMessage and DescribeDBClusterSnapshotsMessage'),
      read,
    },
    {
      says: 'A snapshot that another account shares has its ARN as its identifier.',
      source: 'boto/boto3#2335',
      read,
    },
    {
      says: 'A cluster is found by identifier or ARN.',
      source: model('DescribeDBClustersMessage.DBClusterIdentifier'),
      read,
    },
    {
      says: 'Lists have pages of 20 to 100, 100 if nothing is said; export tasks, snapshots.',
      source: model('DescribeExportTasksMessage, DescribeDBSnapshotsMessage'),
      read,
    },
    {
      says: 'An export is starting, in_progress, canceling, canceled, complete or failed.',
      source: model('DescribeExportTasksMessage, filter status'),
      read,
    },
    {
      says: 'Five exports may run in an account; a name is used once.',
      source: 'https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-export-snapshot.Considerations.html',
      read,
    },
  ],
  unchecked: [
    {
      says: 'A snapshot of the account itself that is asked for by its ARN is not found.',
      why: 'moto answers so; the reference speaks of identifiers only. The command asks by the identifier.',
    },
    {
      says: 'The rights of KMS that an export takes are asked of whoever starts it, session policy included.',
      why: 'The user guide lists them for the starting role; how a session policy bears on them is on no page that could be read here.',
    },
    {
      says: 'A cancel is not seen by the first looks after it, and neither is another class.',
      why: 'No page says how soon a change is read back. No account to try it on.',
    },
    {
      says: 'Cluster snapshots of AWS Backup are found without a type.',
      why: 'The reference names no type for them, and an account with one could not be had.',
    },
    {
      says: 'A shared snapshot can be exported from the account that it is shared with.',
      why: 'The considerations of the user guide name conditions on its key; not tried.',
    },
  ],
})
