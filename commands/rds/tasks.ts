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
  paginateDescribeExportTasks,
} from '@aws-sdk/client-rds'

/** Per AWS account: "Limitations" of exporting DB snapshot data to Amazon S3, Amazon RDS and Aurora user guides. */
export const MAX_RUNNING = 5

/** A task that is being cancelled still holds its slot. */
const RUNNING = new Set(['STARTING', 'IN_PROGRESS', 'CANCELING'])
export const isRunning = (task: ExportTask): boolean => RUNNING.has((task.Status ?? '').toUpperCase())
export const isComplete = (task: ExportTask): boolean => task.Status?.toUpperCase() === 'COMPLETE'

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

/** Looks a source up by its ARN; null if it does not exist (any more) or is no snapshot or cluster. */
export async function findSource(client: RDSClient, arn: string, signal: AbortSignal): Promise<Source | null> {
  const options = { abortSignal: signal }
  try {
    switch (arn.split(':')[5]) {
      case 'cluster': {
        const found = (await client.send(new DescribeDBClustersCommand({ DBClusterIdentifier: arn }), options))
          .DBClusters?.[0]
        return found
          ? toSource(arn, 'cluster', `cluster ${found.DBClusterIdentifier}`, found.Status, found.ClusterCreateTime)
          : null
      }
      case 'cluster-snapshot': {
        const input = { DBClusterSnapshotIdentifier: arn }
        const found = (await client.send(new DescribeDBClusterSnapshotsCommand(input), options)).DBClusterSnapshots?.[0]
        return found
          ? toSource(arn, 'snapshot', `cluster ${found.DBClusterIdentifier}`, found.Status, found.SnapshotCreateTime)
          : null
      }
      case 'snapshot': {
        const found = (await client.send(new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: arn }), options))
          .DBSnapshots?.[0]
        return found
          ? toSource(arn, 'snapshot', `instance ${found.DBInstanceIdentifier}`, found.Status, found.SnapshotCreateTime)
          : null
      }
      default:
        return null
    }
  } catch (error) {
    const gone = [DBClusterNotFoundFault, DBClusterSnapshotNotFoundFault, DBSnapshotNotFoundFault]
    if (gone.some((fault) => error instanceof fault)) return null
    throw error
  }
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
