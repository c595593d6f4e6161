import type { ExportTask, RDSClient } from '@aws-sdk/client-rds'
import {
  DBClusterNotFoundFault,
  DBClusterSnapshotNotFoundFault,
  DBSnapshotNotFoundFault,
  DescribeDBClusterSnapshotsCommand,
  DescribeDBClustersCommand,
  DescribeDBSnapshotsCommand,
  DescribeExportTasksCommand,
  ExportTaskNotFoundFault,
  paginateDescribeDBClusterSnapshots,
  paginateDescribeDBSnapshots,
  paginateDescribeExportTasks,
} from '@aws-sdk/client-rds'

/** Per AWS account: "Limitations" of exporting DB snapshot data to Amazon S3, Amazon RDS and Aurora user guides. */
export const MAX_RUNNING = 5

/** A task that is being cancelled still holds its slot, and so does one in a state that is unknown here. */
const ENDED = new Set(['COMPLETE', 'FAILED', 'CANCELED', 'CANCELLED'])
const KNOWN = new Set([...ENDED, 'STARTING', 'IN_PROGRESS', 'CANCELING'])
export const stateOf = (task: ExportTask | null): string => {
  const state = task?.Status?.toUpperCase() ?? ''
  if (!task) return 'GONE'
  return KNOWN.has(state) ? state : `unknown: ${task.Status ?? 'no state'}`
}
export const isRunning = (task: ExportTask): boolean => !ENDED.has(stateOf(task))
export const isComplete = (task: ExportTask): boolean => stateOf(task) === 'COMPLETE'
/** It starts or runs, and nobody has cancelled it. */
export const isAlive = (task: ExportTask | null): boolean => ['STARTING', 'IN_PROGRESS'].includes(stateOf(task))

/** Every export task that RDS still knows, newest first; those without a start time (STARTING) come before. */
export async function listTasks(client: RDSClient, signal: AbortSignal): Promise<ExportTask[]> {
  const tasks: ExportTask[] = []
  for await (const page of paginateDescribeExportTasks({ client, pageSize: 100 }, {}, { abortSignal: signal }))
    tasks.push(...(page.ExportTasks ?? []))
  const started = (task: ExportTask) => task.TaskStartTime?.getTime() ?? Number.MAX_SAFE_INTEGER
  return tasks.sort((a, b) => started(b) - started(a) || (nameOf(a) < nameOf(b) ? -1 : 1))
}

/** The task of this name; null if there is none. */
export async function findTask(client: RDSClient, name: string, signal: AbortSignal): Promise<ExportTask | null> {
  try {
    const { ExportTasks } = await client.send(new DescribeExportTasksCommand({ ExportTaskIdentifier: name }), {
      abortSignal: signal,
    })
    return ExportTasks?.find((task) => task.ExportTaskIdentifier === name) ?? null
  } catch (error) {
    if (error instanceof ExportTaskNotFoundFault) return null
    throw error
  }
}

/** A snapshot or cluster as RDS describes it. `owner` names the cluster or instance whose data it is. */
export type Source = Readonly<{
  arn: string
  kind: 'snapshot' | 'cluster'
  owner: string
  status: string
  created: string
}>

/** The name of a snapshot in its ARN: automated ones begin with `rds:`, those of AWS Backup with `awsbackup:`. */
const nameIn = (arn: string): string => arn.split(':').slice(6).join(':')

/**
 * Looks a source up by its ARN; null if it does not exist (any more) or is no snapshot or cluster. Snapshots are asked for by
 * identifier and type, and one that another account shares by its type alone: DescribeDBSnapshots, API reference.
 */
export async function findSource(client: RDSClient, arn: string, signal: AbortSignal): Promise<Source | null> {
  try {
    switch (arn.split(':')[5]) {
      case 'cluster': {
        const input = { DBClusterIdentifier: arn }
        const { DBClusters } = await client.send(new DescribeDBClustersCommand(input), { abortSignal: signal })
        const found = DBClusters?.find((one) => one.DBClusterArn === arn)
        return found
          ? toSource(arn, 'cluster', `cluster ${found.DBClusterIdentifier}`, found.Status, found.ClusterCreateTime)
          : null
      }
      case 'cluster-snapshot': {
        const found = await findClusterSnapshot(client, arn, signal)
        return found
          ? toSource(arn, 'snapshot', `cluster ${found.DBClusterIdentifier}`, found.Status, found.SnapshotCreateTime)
          : null
      }
      case 'snapshot': {
        const found = await findSnapshot(client, arn, signal)
        return found
          ? toSource(arn, 'snapshot', `instance ${found.DBInstanceIdentifier}`, found.Status, found.SnapshotCreateTime)
          : null
      }
      default:
        return null
    }
  } catch (error) {
    if (error instanceof DBClusterNotFoundFault) return null
    throw error
  }
}

async function findSnapshot(client: RDSClient, arn: string, signal: AbortSignal) {
  const DBSnapshotIdentifier = nameIn(arn)
  const SnapshotType = /^(rds|awsbackup):/.exec(DBSnapshotIdentifier)?.[1]?.replace('rds', 'automated') ?? 'manual'
  try {
    const input = { DBSnapshotIdentifier, SnapshotType }
    const { DBSnapshots } = await client.send(new DescribeDBSnapshotsCommand(input), { abortSignal: signal })
    const found = DBSnapshots?.find((one) => one.DBSnapshotArn === arn)
    if (found) return found
  } catch (error) {
    if (!(error instanceof DBSnapshotNotFoundFault)) throw error
  }
  const shared = { SnapshotType: 'shared', IncludeShared: true }
  const pages = paginateDescribeDBSnapshots({ client, pageSize: 100 }, shared, { abortSignal: signal })
  for await (const { DBSnapshots = [] } of pages)
    for (const one of DBSnapshots) if (one.DBSnapshotArn === arn || one.DBSnapshotIdentifier === arn) return one
  return null
}

async function findClusterSnapshot(client: RDSClient, arn: string, signal: AbortSignal) {
  const DBClusterSnapshotIdentifier = nameIn(arn)
  // The API reference knows no type of its own for those of AWS Backup here.
  const SnapshotType = DBClusterSnapshotIdentifier.startsWith('rds:')
    ? 'automated'
    : DBClusterSnapshotIdentifier.startsWith('awsbackup:')
      ? undefined
      : 'manual'
  try {
    const input = { DBClusterSnapshotIdentifier, SnapshotType }
    const { DBClusterSnapshots } = await client.send(new DescribeDBClusterSnapshotsCommand(input), {
      abortSignal: signal,
    })
    const found = DBClusterSnapshots?.find((one) => one.DBClusterSnapshotArn === arn)
    if (found) return found
  } catch (error) {
    if (!(error instanceof DBClusterSnapshotNotFoundFault)) throw error
  }
  const shared = { SnapshotType: 'shared', IncludeShared: true }
  const pages = paginateDescribeDBClusterSnapshots({ client, pageSize: 100 }, shared, { abortSignal: signal })
  for await (const { DBClusterSnapshots = [] } of pages)
    for (const one of DBClusterSnapshots)
      if (one.DBClusterSnapshotArn === arn || one.DBClusterSnapshotIdentifier === arn) return one
  return null
}

const toSource = (arn: string, kind: Source['kind'], owner: string, status?: string, created?: Date): Source => ({
  arn,
  kind,
  owner,
  status: status ?? 'unknown',
  created: created?.toISOString() ?? 'unknown',
})

export const nameOf = (task: ExportTask): string => task.ExportTaskIdentifier ?? ''
export const onlyOf = (task: ExportTask): string[] => [...(task.ExportOnly ?? [])].sort()
export const databasesOf = (only: readonly string[]): string => only.join(', ') || 'all'
export const placeOf = (task: ExportTask): string =>
  `s3://${[task.S3Bucket, task.S3Prefix, nameOf(task)].filter(Boolean).join('/')}`

/** Does an export of `have` hold everything that one of `want` would? An empty list is everything. */
export const covers = (have: readonly string[], want: readonly string[]): boolean =>
  have.length === 0 || (want.length > 0 && want.every((w) => have.some((h) => w === h || w.startsWith(`${h}.`))))
