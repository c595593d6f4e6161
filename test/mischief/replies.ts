import type { Call, Question, Reply } from '../chaos/peers/peer.ts'
import type { Row } from '../chaos/peers/sql.ts'

const AT = '2026-03-14T01:00:00Z'
const json = (value: unknown): Reply => ({ json: value })
const meta = (name: string) => ({ name, uid: name, generation: 1, resourceVersion: '1', creationTimestamp: AT })
const listed = (...items: readonly object[]): Reply => json({ metadata: { resourceVersion: '7' }, items })

/** What each look finds in its system: always something that is wrong, so that an all-clear is false. */
const REPLIES: Readonly<Record<string, (question: Question, call: Call) => Reply | null>> = {
  'http.graphql': () => json({ data: { job: { id: '7', state: 'failed' } } }),
  'alertmanager.silences': ({ path }) =>
    path.endsWith('/silences')
      ? json([
          {
            id: 's1',
            status: { state: 'active' },
            matchers: [{ name: 'alertname', value: 'Lag', isRegex: false, isEqual: true }],
            ...{ startsAt: AT, endsAt: '2026-03-15T01:00:00Z', updatedAt: AT, createdBy: 'Ona', comment: 'known' },
          },
        ])
      : null,
  'rds.export-tasks': ({ action }) =>
    action === 'DescribeExportTasks'
      ? {
          headers: { 'content-type': 'text/xml' },
          body: `<DescribeExportTasksResponse><DescribeExportTasksResult><ExportTasks><ExportTask><ExportTaskIdentifier>nightly</ExportTaskIdentifier><SourceArn>arn:aws:rds:us-east-1:123456789012:snapshot:a</SourceArn><Status>IN_PROGRESS</Status><PercentProgress>4</PercentProgress><S3Bucket>exports</S3Bucket></ExportTask></ExportTasks></DescribeExportTasksResult></DescribeExportTasksResponse>`,
        }
      : null,
  'airflow.import-errors': ({ path }) =>
    path.endsWith('/importErrors')
      ? json({
          import_errors: [
            { import_error_id: 1, timestamp: AT, filename: 'etl.py', bundle_name: 'dags', stack_trace: 'NameError: x' },
          ],
          total_entries: 1,
        })
      : null,
  'airflow.task-log': ({ path }) =>
    path.includes('/logs/')
      ? {
          headers: { 'content-type': 'application/x-ndjson' },
          body: `${JSON.stringify({ timestamp: AT, event: 'disk is full' })}\n`,
        }
      : path.endsWith('/taskInstances/load')
        ? json({
            dag_id: 'etl',
            dag_run_id: 'r1',
            task_id: 'load',
            state: 'failed',
            try_number: 1,
            start_date: AT,
            end_date: AT,
          })
        : null,
  'airflow.task-durations': ({ path }) =>
    path.endsWith('/dagRuns')
      ? json({ dag_runs: [{ dag_id: 'etl', dag_run_id: 'r1', state: 'success', start_date: AT }], total_entries: 1 })
      : path.includes('/taskInstances/load')
        ? json({
            dag_id: 'etl',
            dag_run_id: 'r1',
            task_id: 'load',
            state: 'success',
            try_number: 1,
            duration: 600,
            start_date: AT,
            end_date: '2026-03-14T01:10:00Z',
          })
        : null,
  'airflow.dag-runs': ({ path }) =>
    path.endsWith('/dagRuns')
      ? json({
          dag_runs: [{ dag_id: 'etl', dag_run_id: 'r1', state: 'failed', start_date: AT, end_date: AT }],
          total_entries: 1,
        })
      : null,
  'airflow.hosts': ({ path }) =>
    path.endsWith('/taskInstances')
      ? json({
          task_instances: [
            {
              dag_id: 'etl',
              dag_run_id: 'r1',
              task_id: 'load',
              state: 'running',
              try_number: 1,
              hostname: 'h1',
              start_date: AT,
            },
          ],
          total_entries: 1,
        })
      : null,
  'emr.steps': ({ action }) =>
    action === 'ListSteps'
      ? json({
          Steps: [
            { Id: 's-1', Name: 'parse', Status: { State: 'PENDING', Timeline: { CreationDateTime: 1_770_000_000 } } },
          ],
        })
      : null,
  'emr.applications': ({ action }) =>
    action === 'GetCommandInvocation'
      ? json({
          ...{ Status: 'Success', StatusDetails: 'Success', ResponseCode: 0 },
          StandardOutputContent:
            '1\napplication_1700000000000_0007\tparse\tSPARK\thadoop\tdefault\tRUNNING\tUNDEFINED\t10%\n',
        })
      : null,
  'github.checks': ({ path }) =>
    path.endsWith('/check-runs')
      ? json({
          total_count: 1,
          check_runs: [
            { id: 1, name: 'tests', status: 'completed', conclusion: 'failure', started_at: AT, completed_at: AT },
          ],
        })
      : null,
  'github.commits': ({ path }) =>
    path.endsWith('/commits')
      ? json([
          {
            sha: 'a'.repeat(40),
            commit: { message: 'Fix it', author: { name: 'Ona', date: AT }, committer: { name: 'Ona', date: AT } },
          },
        ])
      : path.endsWith('/check-runs')
        ? json({
            total_count: 1,
            check_runs: [
              { id: 1, name: 'tests', status: 'completed', conclusion: 'failure', started_at: AT, completed_at: AT },
            ],
          })
        : null,
  'kubernetes.events': ({ path }) =>
    path.endsWith('/events')
      ? json({
          metadata: {},
          items: [
            {
              ...{
                metadata: { name: 'e1', namespace: 'shop', creationTimestamp: AT },
                type: 'Warning',
                reason: 'BackOff',
              },
              ...{ message: 'Back-off restarting failed container', count: 7, firstTimestamp: AT, lastTimestamp: AT },
              involvedObject: { kind: 'Pod', name: 'pod-0', namespace: 'shop', uid: 'pod-0' },
            },
          ],
        })
      : null,
  'kubernetes.workloads': ({ path }) =>
    path.endsWith('/statefulsets')
      ? listed({
          metadata: meta('queue'),
          spec: { replicas: 3, updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } } },
          status: { observedGeneration: 1, replicas: 3, readyReplicas: 1, currentRevision: 'a', updateRevision: 'a' },
        })
      : path.endsWith('/jobs')
        ? listed({
            metadata: meta('load'),
            spec: { completions: 1, backoffLimit: 6 },
            status: { failed: 7, conditions: [{ type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded' }] },
          })
        : /\/(daemonsets|cronjobs)$/.test(path)
          ? listed()
          : path.endsWith('/deployments')
            ? listed({
                metadata: meta('web'),
                spec: {
                  ...{ replicas: 2, selector: { matchLabels: { app: 'web' } } },
                  template: {
                    metadata: { labels: { app: 'web' } },
                    spec: { containers: [{ name: 'app', image: 'web:3' }] },
                  },
                },
                status: {
                  ...{ observedGeneration: 1, replicas: 2, updatedReplicas: 2, availableReplicas: 2 },
                  conditions: [{ type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable' }],
                },
              })
            : null,
  'kubernetes.volumes': ({ path }) =>
    path.endsWith('/persistentvolumeclaims')
      ? listed({
          metadata: meta('data'),
          spec: { storageClassName: 'fast', volumeName: 'pv-1', resources: { requests: { storage: '20Gi' } } },
          status: {
            ...{ phase: 'Bound', capacity: { storage: '10Gi' } },
            conditions: [{ type: 'ControllerResizeError', status: 'True', reason: 'Quota', message: 'quota exceeded' }],
          },
        })
      : path.endsWith('/storageclasses/fast')
        ? json({ metadata: meta('fast'), provisioner: 'ebs.csi.aws.com', allowVolumeExpansion: true })
        : null,
  'kubernetes.nodes': ({ path }) =>
    path.endsWith('/pods')
      ? listed({
          metadata: meta('web-0'),
          spec: { nodeName: 'n1', containers: [{ name: 'app', image: 'web:3' }] },
          status: { phase: 'Running', containerStatuses: [{ name: 'app', ready: true, restartCount: 0 }] },
        })
      : path.endsWith('/nodes/n1')
        ? json({
            metadata: meta('n1'),
            spec: { unschedulable: true },
            status: {
              conditions: [{ type: 'Ready', status: 'False', reason: 'KubeletNotReady', message: 'disk is full' }],
              nodeInfo: { kubeletVersion: 'v1.34.1' },
            },
          })
        : null,
  'kubernetes.log-tail': ({ path }) =>
    path.endsWith('/log') ? { headers: { 'content-type': 'text/plain' }, body: 'out of memory\n' } : null,
}

/** An answer of its own for a look; null where the peer's usual one will do. */
export const replyOf = (question: Question, call: Call): Reply | null => REPLIES[call.id]?.(question, call) ?? null

const BEGAN = '2026-01-01 00:00:00'
const SESSION: Row = {
  ...{
    pid: 7,
    backend_start: BEGAN,
    transaction_start: BEGAN,
    query_start: BEGAN,
    state_since: BEGAN,
    state: 'active',
  },
  ...{ user: 'u', database: 'd', application: 'app', client: 'local', query: 'select 1', protected_because: '' },
  ...{ age_seconds: 900, may_signal: true, waits_for: '', blocked_by: [] },
}

/** Rows of their own for a look at a database; null where the usual ones will do. */
export const rowsOf = (statement: string, { id }: Call): readonly Row[] | null =>
  id === 'postgres.longest-queries' && /from pg_stat_activity/.test(statement) ? [SESSION] : null
