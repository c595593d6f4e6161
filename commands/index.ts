import type { Command, ConnectionKind } from '../src/domain/command.ts'
import { clearTasks } from './airflow/clear-tasks.ts'
import { airflow } from './airflow/connection.ts'
import { failedTasks } from './airflow/failed-tasks.ts'
import { dynamodb } from './dynamodb/connection.ts'
import { setCapacity } from './dynamodb/set-capacity.ts'
import { throttling } from './dynamodb/throttling.ts'
import { http } from './http/connection.ts'
import { httpGet } from './http/get.ts'
import { httpRequest } from './http/request.ts'
import { blockingSessions } from './postgres/blocking-sessions.ts'
import { cancelQuery } from './postgres/cancel-query.ts'
import { postgres } from './postgres/connection.ts'
import { longestQueries } from './postgres/longest-queries.ts'
import { terminateSessions } from './postgres/terminate-sessions.ts'
import { rds } from './rds/connection.ts'
import { exportTasks } from './rds/export-tasks.ts'
import { startExport } from './rds/start-export.ts'
import { s3 } from './s3/connection.ts'
import { findMalformedJson } from './s3/find-malformed-json.ts'
import { quarantineRecords } from './s3/quarantine-records.ts'
import { script } from './script/connection.ts'
import { scriptRun } from './script/run.ts'

/** Every command that a playbook can call. */
export const commands: readonly Command[] = [
  blockingSessions,
  longestQueries,
  cancelQuery,
  terminateSessions,
  httpGet,
  httpRequest,
  scriptRun,
  findMalformedJson,
  quarantineRecords,
  throttling,
  setCapacity,
  exportTasks,
  startExport,
  failedTasks,
  clearTasks,
]

/** Every kind of system that a connection in keyturn.yaml can name. */
export const connectionKinds: readonly ConnectionKind[] = [
  postgres as ConnectionKind,
  http as ConnectionKind,
  script as ConnectionKind,
  s3 as ConnectionKind,
  dynamodb as ConnectionKind,
  rds as ConnectionKind,
  airflow as ConnectionKind,
]
