import type { Command, ConnectionKind } from '../src/domain/command.ts'
import { checkConnection } from './airflow/check-connection.ts'
import { clearTasks } from './airflow/clear-tasks.ts'
import { airflow } from './airflow/connection.ts'
import { dagRuns } from './airflow/dag-runs.ts'
import { failedTasks } from './airflow/failed-tasks.ts'
import { hosts } from './airflow/hosts.ts'
import { importErrors } from './airflow/import-errors.ts'
import { markSuccess } from './airflow/mark-success.ts'
import { pauseDag } from './airflow/pause-dag.ts'
import { pool as airflowPool } from './airflow/pool.ts'
import { recoverMany } from './airflow/recover-many.ts'
import { restoreConnection } from './airflow/restore-connection.ts'
import { resumeDag } from './airflow/resume-dag.ts'
import { setPoolSlots } from './airflow/set-pool-slots.ts'
import { taskDurations } from './airflow/task-durations.ts'
import { taskLog } from './airflow/task-log.ts'
import { tasks as airflowTasks } from './airflow/tasks.ts'
import { triggerRun } from './airflow/trigger-run.ts'
import { alertmanager } from './alertmanager/connection.ts'
import { silence } from './alertmanager/silence.ts'
import { silences } from './alertmanager/silences.ts'
import { cloudformation } from './cloudformation/connection.ts'
import { rollBack } from './cloudformation/roll-back.ts'
import { cloudformationStack } from './cloudformation/stack.ts'
import { dynamodb } from './dynamodb/connection.ts'
import { goOnDemand } from './dynamodb/go-on-demand.ts'
import { setCapacity } from './dynamodb/set-capacity.ts'
import { throttling } from './dynamodb/throttling.ts'
import { emrApplications } from './emr/applications.ts'
import { cancelSteps } from './emr/cancel-steps.ts'
import { emrCluster } from './emr/cluster.ts'
import { emr } from './emr/connection.ts'
import { killApplication } from './emr/kill-application.ts'
import { emrResize } from './emr/resize.ts'
import { emrSteps } from './emr/steps.ts'
import { githubChecks } from './github/checks.ts'
import { githubCommits } from './github/commits.ts'
import { github } from './github/connection.ts'
import { bulk } from './http/bulk.ts'
import { http } from './http/connection.ts'
import { httpGet } from './http/get.ts'
import { graphql } from './http/graphql.ts'
import { httpList } from './http/list.ts'
import { operate } from './http/operate.ts'
import { httpRequest } from './http/request.ts'
import { kafka } from './kafka/connection.ts'
import { findBadRecord } from './kafka/find-bad-record.ts'
import { lag } from './kafka/lag.ts'
import { replay } from './kafka/replay.ts'
import { skipRecord } from './kafka/skip-record.ts'
import { validateDump } from './kafka/validate-dump.ts'
import { kubernetes } from './kubernetes/connection.ts'
import { events as kubernetesEvents } from './kubernetes/events.ts'
import { logTail } from './kubernetes/log-tail.ts'
import { nodes } from './kubernetes/nodes.ts'
import { pods } from './kubernetes/pods.ts'
import { resumeAutoscaler } from './kubernetes/resume-autoscaler.ts'
import { revisions } from './kubernetes/revisions.ts'
import { rolloutRestart } from './kubernetes/rollout-restart.ts'
import { rolloutUndo } from './kubernetes/rollout-undo.ts'
import { scale } from './kubernetes/scale.ts'
import { volumes } from './kubernetes/volumes.ts'
import { workloads } from './kubernetes/workloads.ts'
import { cleanUp } from './machines/clean-up.ts'
import { machines } from './machines/connection.ts'
import { cycleInstances } from './machines/cycle-instances.ts'
import { machinesDiskUsage } from './machines/disk-usage.ts'
import { machinesJournal } from './machines/journal.ts'
import { machinesPackages } from './machines/packages.ts'
import { pinPackages } from './machines/pin-packages.ts'
import { resizeGroup } from './machines/resize-group.ts'
import { restartUnits } from './machines/restart-units.ts'
import { machinesStackSample } from './machines/stack-sample.ts'
import { machinesUnits } from './machines/units.ts'
import { machinesUrls } from './machines/urls.ts'
import { network } from './network/connection.ts'
import { reachability } from './network/reachability.ts'
import { acknowledge } from './pagerduty/acknowledge.ts'
import { pagerduty } from './pagerduty/connection.ts'
import { incident as pagerdutyIncident } from './pagerduty/incident.ts'
import { resolve as pagerdutyResolve } from './pagerduty/resolve.ts'
import { blockingSessions } from './postgres/blocking-sessions.ts'
import { cancelQuery } from './postgres/cancel-query.ts'
import { postgres } from './postgres/connection.ts'
import { longestQueries } from './postgres/longest-queries.ts'
import { terminateSessions } from './postgres/terminate-sessions.ts'
import { cancelExport } from './rds/cancel-export.ts'
import { rds } from './rds/connection.ts'
import { exportTasks } from './rds/export-tasks.ts'
import { resizeInstance } from './rds/resize-instance.ts'
import { startExport } from './rds/start-export.ts'
import { alterColumns } from './redshift/alter-columns.ts'
import { redshift } from './redshift/connection.ts'
import { copy } from './redshift/copy.ts'
import { loadErrors } from './redshift/load-errors.ts'
import { loads } from './redshift/loads.ts'
import { lockTree } from './redshift/lock-tree.ts'
import { quarantineRejected } from './redshift/quarantine-rejected.ts'
import { rebootCluster } from './redshift/reboot-cluster.ts'
import { rejectedRows } from './redshift/rejected-rows.ts'
import { sessions as redshiftSessions } from './redshift/sessions.ts'
import { tableColumns } from './redshift/table-columns.ts'
import { terminateSessions as terminateRedshiftSessions } from './redshift/terminate-sessions.ts'
import { compareFolders } from './s3/compare-folders.ts'
import { s3 } from './s3/connection.ts'
import { deletePrefix } from './s3/delete-prefix.ts'
import { eventVolume } from './s3/event-volume.ts'
import { findMalformedJson } from './s3/find-malformed-json.ts'
import { listPrefix } from './s3/list-prefix.ts'
import { quarantineRecords } from './s3/quarantine-records.ts'
import { repackArchive } from './s3/repack-archive.ts'
import { testArchiveCommand } from './s3/test-archive.ts'
import { script } from './script/connection.ts'
import { scriptLook } from './script/look.ts'
import { scriptRun } from './script/run.ts'

/** Every command that a playbook can call. */
export const commands: readonly Command[] = [
  blockingSessions,
  longestQueries,
  cancelQuery,
  terminateSessions,
  httpGet,
  httpRequest,
  graphql,
  httpList,
  operate,
  bulk,
  reachability,
  silences,
  silence,
  pagerdutyIncident,
  acknowledge,
  pagerdutyResolve,
  scriptLook,
  scriptRun,
  findMalformedJson,
  quarantineRecords,
  listPrefix,
  compareFolders,
  eventVolume,
  deletePrefix,
  testArchiveCommand,
  repackArchive,
  throttling,
  goOnDemand,
  setCapacity,
  exportTasks,
  startExport,
  cancelExport,
  resizeInstance,
  failedTasks,
  clearTasks,
  taskLog,
  airflowTasks,
  hosts,
  importErrors,
  taskDurations,
  airflowPool,
  checkConnection,
  dagRuns,
  markSuccess,
  triggerRun,
  pauseDag,
  resumeDag,
  setPoolSlots,
  restoreConnection,
  recoverMany,
  lag,
  findBadRecord,
  skipRecord,
  validateDump,
  replay,
  emrCluster,
  emrSteps,
  emrApplications,
  cancelSteps,
  killApplication,
  emrResize,
  cloudformationStack,
  rollBack,
  githubChecks,
  githubCommits,
  loadErrors,
  lockTree,
  redshiftSessions,
  tableColumns,
  loads,
  rejectedRows,
  terminateRedshiftSessions,
  quarantineRejected,
  alterColumns,
  copy,
  rebootCluster,
  pods,
  workloads,
  volumes,
  nodes,
  logTail,
  kubernetesEvents,
  revisions,
  scale,
  rolloutRestart,
  resumeAutoscaler,
  rolloutUndo,
  machinesUnits,
  machinesPackages,
  machinesDiskUsage,
  machinesJournal,
  machinesUrls,
  restartUnits,
  pinPackages,
  cleanUp,
  cycleInstances,
  resizeGroup,
  machinesStackSample,
]

/** Every kind of system that a connection in keyturn.yaml can name. */
export const connectionKinds: readonly ConnectionKind[] = [
  postgres as ConnectionKind,
  http as ConnectionKind,
  network as ConnectionKind,
  alertmanager as ConnectionKind,
  pagerduty as ConnectionKind,
  script as ConnectionKind,
  s3 as ConnectionKind,
  dynamodb as ConnectionKind,
  rds as ConnectionKind,
  airflow as ConnectionKind,
  kafka as ConnectionKind,
  emr as ConnectionKind,
  cloudformation as ConnectionKind,
  github as ConnectionKind,
  redshift as ConnectionKind,
  kubernetes as ConnectionKind,
  machines as ConnectionKind,
]
