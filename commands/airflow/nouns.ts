import { z } from 'zod'

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '')
const number = z
  .number()
  .nullish()
  .transform((value) => value ?? null)

/** One try of one task in one run. `mapIndex` is -1 for a task that is not mapped; `state` is `none` before it is scheduled. */
export const TaskInstance = z
  .object({
    dag_id: z.string(),
    dag_run_id: z.string(),
    task_id: z.string(),
    map_index: z.number().default(-1),
    state: z.string().nullish(),
    try_number: z.number().nullish(),
    start_date: text,
    end_date: text,
    duration: number,
    operator: text,
    pool: text,
    pool_slots: z.number().default(1),
    hostname: text,
    rendered_fields: z.record(z.string(), z.unknown()).nullish(),
  })
  .transform((t) => ({
    dag: t.dag_id,
    run: t.dag_run_id,
    task: t.task_id,
    mapIndex: t.map_index,
    state: t.state ?? 'none',
    tryNumber: t.try_number ?? 0,
    start: t.start_date,
    end: t.end_date,
    /** Seconds. */
    duration: t.duration,
    operator: t.operator,
    pool: t.pool,
    poolSlots: t.pool_slots,
    /** The machine that it runs or ran on; empty before it began. */
    host: t.hostname,
    rendered: t.rendered_fields ?? {},
  }))
export type TaskInstance = z.output<typeof TaskInstance>

export const DagRun = z
  .object({
    dag_id: z.string(),
    dag_run_id: z.string(),
    state: z.string(),
    run_type: text,
    logical_date: text,
    start_date: text,
    end_date: text,
    conf: z.record(z.string(), z.unknown()).nullish(),
  })
  .transform((r) => ({
    dag: r.dag_id,
    run: r.dag_run_id,
    state: r.state,
    type: r.run_type,
    logicalDate: r.logical_date,
    start: r.start_date,
    end: r.end_date,
    conf: r.conf ?? {},
  }))
export type DagRun = z.output<typeof DagRun>

export const Dag = z
  .object({
    dag_id: z.string(),
    is_paused: z.boolean().nullish(),
    owners: z.array(z.string()).nullish(),
    has_import_errors: z.boolean().nullish(),
    fileloc: text,
    /** Airflow 2 and 3 name the time of the next run differently. */
    next_dagrun_create_after: text,
    next_dagrun_run_after: text,
  })
  .transform((d) => ({
    dag: d.dag_id,
    paused: d.is_paused ?? false,
    owners: (d.owners ?? []).toSorted().join(', '),
    importErrors: d.has_import_errors ?? false,
    file: d.fileloc,
    nextRun: d.next_dagrun_run_after || d.next_dagrun_create_after,
  }))
export type Dag = z.output<typeof Dag>

export const Task = z
  .object({ task_id: text, downstream_task_ids: z.array(z.string()).nullish() })
  .transform((t) => ({ task: t.task_id, downstream: (t.downstream_task_ids ?? []).toSorted() }))
export type Task = z.output<typeof Task>

export const ImportError = z
  .object({ import_error_id: z.number(), timestamp: text, filename: text, stack_trace: text })
  .transform((e) => ({ id: e.import_error_id, time: e.timestamp, file: e.filename, trace: e.stack_trace }))
export type ImportError = z.output<typeof ImportError>

/** `slots` is -1 for a pool without limit. */
export const Pool = z
  .object({
    name: z.string(),
    slots: z.number(),
    running_slots: z.number().default(0),
    queued_slots: z.number().default(0),
    scheduled_slots: z.number().default(0),
    open_slots: z.number().default(0),
  })
  .transform((p) => ({
    pool: p.name,
    slots: p.slots,
    running: p.running_slots,
    queued: p.queued_slots,
    scheduled: p.scheduled_slots,
    open: p.open_slots,
  }))
export type Pool = z.output<typeof Pool>

/** A connection of Airflow without its password. `extra` may hold secrets: only the names of its keys are kept. */
export const StoredConnection = z
  .object({
    connection_id: z.string(),
    conn_type: z.string(),
    host: text,
    login: text,
    schema: text,
    port: number,
    extra: text,
  })
  .transform((c) => ({
    type: c.conn_type,
    host: c.host,
    login: c.login,
    schema: c.schema,
    port: c.port,
    extraKeys: keysOf(c.extra),
  }))
export type StoredConnection = z.output<typeof StoredConnection>

/** The sorted names in a JSON object; a text that is none counts as one name. */
export function keysOf(json: string): string[] {
  if (json.trim() === '') return []
  try {
    const parsed: unknown = JSON.parse(json)
    if (typeof parsed === 'object' && parsed !== null) return Object.keys(parsed).sort()
  } catch {
    // Said below: its text may be a secret.
  }
  return ['(not a JSON object)']
}

const reference = z.object({ dag_id: text })
/** What one dataset (Airflow 2) or asset (Airflow 3) joins: who writes it, and which DAGs it starts. */
export const Dataset = z
  .object({
    uri: text,
    producing_tasks: z.array(reference).default([]),
    consuming_dags: z.array(reference).default([]),
    scheduled_dags: z.array(reference).default([]),
  })
  .transform((d) => ({
    uri: d.uri,
    producers: d.producing_tasks.map((p) => p.dag_id),
    consumers: [...d.consuming_dags, ...d.scheduled_dags].map((c) => c.dag_id),
  }))
export type Dataset = z.output<typeof Dataset>
