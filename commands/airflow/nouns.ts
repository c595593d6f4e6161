import { z } from 'zod'

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '')
// A pool without limit has `Infinity` open slots, which zod's own number refuses.
const anyNumber = z.custom<number>((value) => typeof value === 'number')
const number = anyNumber.nullish().transform((value) => value ?? null)
const numberOr = (fallback: number) => anyNumber.nullish().transform((value) => value ?? fallback)
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? null)
const list = <T>(of: z.ZodType<T>) =>
  z
    .array(of)
    .nullish()
    .transform((value) => value ?? [])

const TASK_STATES = new Set([
  ...['none', 'scheduled', 'queued', 'running', 'restarting', 'deferred', 'up_for_retry', 'up_for_reschedule'],
  ...['success', 'skipped', 'failed', 'upstream_failed', 'removed', 'sensing', 'shutdown'],
])
const RUN_STATES = new Set(['queued', 'running', 'success', 'failed'])
/** A state that this bot does not know is none of those it does: neither failed nor a success. */
const known = (states: ReadonlySet<string>, state: string): string =>
  states.has(state) ? state : `unknown: ${state || 'not said'}`

/** One try of one task in one run. `mapIndex` is -1 for a task that is not mapped; `state` is `none` before it is scheduled. */
export const TaskInstance = z
  .object({
    id: text,
    dag_id: text,
    dag_run_id: text,
    task_id: text,
    map_index: numberOr(-1),
    state: z.string().nullish(),
    try_number: number,
    start_date: text,
    end_date: text,
    duration: number,
    operator: text,
    pool: text,
    pool_slots: numberOr(1),
    hostname: text,
    rendered_fields: z.record(z.string(), z.unknown()).nullish(),
  })
  .transform((t) => ({
    /** Of Airflow 3; its process on a worker is called by it. */
    id: t.id,
    dag: t.dag_id,
    run: t.dag_run_id,
    task: t.task_id,
    mapIndex: t.map_index,
    state: known(TASK_STATES, t.state ?? 'none'),
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
    dag_id: text,
    dag_run_id: text,
    state: text,
    run_type: text,
    logical_date: text,
    data_interval_start: text,
    data_interval_end: text,
    partition_key: text,
    start_date: text,
    end_date: text,
    conf: z.record(z.string(), z.unknown()).nullish(),
  })
  .transform((r) => ({
    dag: r.dag_id,
    run: r.dag_run_id,
    state: known(RUN_STATES, r.state),
    type: r.run_type,
    /** What the run processes; empty for a run of Airflow 3 that has no date. */
    logicalDate: r.logical_date,
    intervalStart: r.data_interval_start,
    intervalEnd: r.data_interval_end,
    /** Of Airflow from 3.2 on: what a run without a date processes. */
    partition: r.partition_key,
    start: r.start_date,
    end: r.end_date,
    /** Its numbers as they came: `ExactNumber` where a double would write them otherwise. */
    conf: r.conf ?? {},
  }))
export type DagRun = z.output<typeof DagRun>

export const Dag = z
  .object({
    dag_id: text,
    is_paused: flag,
    owners: list(z.string()),
    has_import_errors: flag,
    fileloc: text,
    /** Airflow 2 and 3 name the time of the next run, and the schedule, differently. */
    next_dagrun_create_after: text,
    next_dagrun_run_after: text,
    schedule_interval: z.unknown().optional(),
    timetable_summary: text,
    timetable_description: text,
  })
  .transform((d) => ({
    dag: d.dag_id,
    /** Null where Airflow does not say it. */
    paused: d.is_paused,
    owners: d.owners.toSorted().join(', '),
    importErrors: d.has_import_errors ?? false,
    file: d.fileloc,
    nextRun: d.next_dagrun_run_after || d.next_dagrun_create_after,
    /** False for a DAG that is started by others only; true also where Airflow does not say it. */
    scheduled: isScheduled(d),
  }))
export type Dag = z.output<typeof Dag>

/** `Never, external triggers only` and `None` are what NullTimetable says of itself (airflow/timetables/simple.py). */
function isScheduled(d: { schedule_interval?: unknown; timetable_summary: string; timetable_description: string }) {
  if (d.timetable_description.startsWith('Never') || d.timetable_summary === 'None') return false
  return d.schedule_interval !== null || d.timetable_description !== ''
}

export const Task = z
  .object({ task_id: text, downstream_task_ids: list(z.string()), depends_on_past: flag, wait_for_downstream: flag })
  .transform((t) => ({
    task: t.task_id,
    downstream: t.downstream_task_ids.toSorted(),
    needsPast: t.depends_on_past === true || t.wait_for_downstream === true,
  }))
export type Task = z.output<typeof Task>

export const ImportError = z
  .object({ import_error_id: number, timestamp: text, filename: text, stack_trace: text })
  .transform((e) => ({ id: e.import_error_id ?? 0, time: e.timestamp, file: e.filename, trace: e.stack_trace }))
export type ImportError = z.output<typeof ImportError>

/** `slots` is -1 for a pool without limit, and null where Airflow does not say it. */
export const Pool = z
  .object({
    name: text,
    slots: number,
    running_slots: number,
    queued_slots: number,
    scheduled_slots: number,
    open_slots: number,
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
    connection_id: text,
    conn_type: text,
    host: text,
    login: text,
    schema: text,
    port: number,
    extra: text,
  })
  .transform((c) => ({
    id: c.connection_id,
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

/** A backfill of Airflow 3: runs of one DAG between two dates. It goes on until it has ended. */
export const Backfill = z
  .object({ id: anyNumber, dag_id: text, from_date: text, to_date: text, is_paused: flag, completed_at: text })
  .transform((b) => ({
    id: b.id,
    dag: b.dag_id,
    from: b.from_date,
    to: b.to_date,
    paused: b.is_paused,
    ended: b.completed_at,
  }))
export type Backfill = z.output<typeof Backfill>

const reference = z.object({ dag_id: text })
const references = list(reference)
/** What one dataset (Airflow 2) or asset (Airflow 3) joins: who writes it, and which DAGs it starts. */
export const Dataset = z
  .object({
    id: number,
    uri: text,
    producing_tasks: references,
    consuming_dags: references,
    scheduled_dags: references,
  })
  .transform((d) => ({
    id: d.id,
    uri: d.uri,
    producers: d.producing_tasks.map((p) => p.dag_id).filter(Boolean),
    consumers: [...d.consuming_dags, ...d.scheduled_dags].map((c) => c.dag_id).filter(Boolean),
  }))
export type Dataset = z.output<typeof Dataset>
