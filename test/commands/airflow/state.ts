export type Dag = { paused: boolean; next?: string; owners: string[]; tasks: Record<string, string[]> }
export type Run = {
  dag: string
  run: string
  state: string
  type?: string
  date?: string
  start?: string
  end?: string
  conf?: object
}
export type Task = {
  dag: string
  run: string
  task: string
  map: number
  state: string | null
  try: number
  start?: string
  end?: string
  duration?: number
  pool: string
  slots: number
  operator?: string
  host?: string
  rendered?: object
}
export type Dataset = { uri: string; producers: string[]; consumers: string[] }

const STAMP = { created_at: '2026-01-01T00:00:00Z', updated_at: '2026-01-01T00:00:00Z' }

/** What the server knows, and how Airflow changes it. */
export function emptyState(api: 1 | 2) {
  let clock = 0
  const state = {
    api,
    dags: new Map<string, Dag>(),
    runs: [] as Run[],
    tasks: [] as Task[],
    logs: new Map<string, string>(),
    pools: new Map<string, { slots: number; running: number; queued: number; scheduled: number }>(),
    connections: new Map<string, Record<string, unknown>>(),
    datasets: [] as Dataset[],
    importErrors: [] as { import_error_id: number; timestamp: string; filename: string; stack_trace: string }[],
    testable: true,
    goodPassword: 'canary-connection-password',
    /** DAGs whose runs fail again after they were cleared. */
    failsAgain: new Set<string>(),
    /** Each time a run ends, in order. */
    ended: [] as string[],
    now: () => `2026-03-14T04:00:${String(clock++ % 60).padStart(2, '0')}.000Z`,

    addDag(dag: string, tasks: Record<string, string[]> = { work: [] }) {
      state.dags.set(dag, { paused: false, owners: ['data-team'], tasks })
    },
    /** A run with its tasks by state; a task that is not named has none. */
    addRun(dag: string, run: string, runState: string, tasks: Record<string, string | null>, more: Partial<Run> = {}) {
      const times = { start: '2026-03-14T01:00:00Z', ...(runState !== 'running' && { end: '2026-03-14T01:30:00Z' }) }
      state.runs.push({ dag, run, state: runState, date: '2026-03-13T00:00:00Z', type: 'scheduled', ...times, ...more })
      for (const [task, taskState] of Object.entries(tasks)) state.addTask(dag, run, task, taskState)
    },
    addTask(dag: string, run: string, task: string, taskState: string | null, more: Partial<Task> = {}) {
      const done = taskState === 'failed' || taskState === 'success'
      state.tasks.push({
        ...{ dag, run, task, map: -1, state: taskState, try: done ? 2 : 0, pool: 'default_pool', slots: 1 },
        ...(done && { start: '2026-03-14T01:00:00Z', end: '2026-03-14T01:10:00Z', duration: 600 }),
        ...more,
      })
    },
    /** These, or only the failed ones of them; the run is queued again. */
    clear(run: Run, ids: readonly string[], onlyFailed = true): Task[] {
      const cleared = state.tasks.filter(
        (t) =>
          t.dag === run.dag &&
          t.run === run.run &&
          ids.includes(t.task) &&
          (!onlyFailed || ['failed', 'upstream_failed'].includes(t.state ?? '')),
      )
      for (const task of cleared) Object.assign(task, { state: null, end: undefined })
      if (cleared.length > 0) Object.assign(run, { state: 'queued', start: undefined, end: undefined })
      return cleared
    },
    /** Sets one task to success and, as Airflow does, clears what failed downstream of it. */
    markSuccess(task: Task): void {
      Object.assign(task, { state: 'success', end: state.now() })
      const below = new Set<string>()
      const walk = (id: string) => {
        for (const next of state.dags.get(task.dag)?.tasks[id] ?? [])
          if (!below.has(next)) {
            below.add(next)
            walk(next)
          }
      }
      walk(task.task)
      const run = state.runs.find((r) => r.dag === task.dag && r.run === task.run)!
      state.clear(run, [...below])
    },
    /** One step of the scheduler: a queued run starts, a run that was started by a clear ends. */
    advance(run: Run): void {
      if (state.dags.get(run.dag)?.paused) return
      if (run.state === 'queued') {
        Object.assign(run, { state: 'running', start: state.now() })
        return
      }
      if (run.state !== 'running') return
      const own = state.tasks.filter((t) => t.dag === run.dag && t.run === run.run)
      if (own.some((t) => t.state === 'running')) return
      const fails = state.failsAgain.has(run.dag)
      for (const task of own.filter((t) => t.state === null))
        Object.assign(task, { state: fails ? 'failed' : 'success', try: task.try + 1, end: state.now() })
      Object.assign(run, { state: fails ? 'failed' : 'success', end: state.now() })
      state.ended.push(`${run.dag} ${run.state}`)
    },
  }
  return state
}

export type State = ReturnType<typeof emptyState>

/** The state as each version of the API writes it. */
export function wire(state: State) {
  const v2 = state.api === 2
  const date = (value: string | undefined) => value ?? null
  const reference = (dag: string) => ({ dag_id: dag, ...STAMP })
  const task = (t: Task) => ({
    dag_id: t.dag,
    dag_run_id: t.run,
    task_id: t.task,
    map_index: t.map,
    state: t.state,
    try_number: t.try,
    max_tries: 2,
    start_date: date(t.start),
    end_date: date(t.end),
    duration: t.duration ?? null,
    pool: t.pool,
    pool_slots: t.slots,
    operator: t.operator ?? 'PythonOperator',
    hostname: t.host ?? '',
    executor_config: '{}',
    task_display_name: t.task,
    rendered_fields: t.rendered ?? {},
    ...(v2 && {
      id: '01890a5d-ac96-774b-bcce-b302099a8057',
      run_after: '2026-03-14T00:00:00Z',
      dag_display_name: t.dag,
    }),
  })
  return {
    task,
    dag: (id: string, dag: Dag) => ({
      dag_id: id,
      dag_display_name: id,
      is_paused: dag.paused,
      owners: dag.owners,
      fileloc: `/dags/${id}.py`,
      file_token: 'token',
      has_import_errors: false,
      has_task_concurrency_limits: false,
      max_active_tasks: 16,
      max_consecutive_failed_dag_runs: 0,
      tags: [],
      ...(v2
        ? { is_stale: false, timetable_partitioned: false, next_dagrun_run_after: date(dag.next) }
        : { is_active: true, next_dagrun_create_after: date(dag.next) }),
    }),
    structure: (dag: Dag) => ({
      tasks: Object.entries(dag.tasks).map(([id, downstream]) => ({
        task_id: id,
        downstream_task_ids: downstream,
        depends_on_past: false,
        wait_for_downstream: false,
        ...(v2
          ? { retry_exponential_backoff: 0, extra_links: [] }
          : { retry_exponential_backoff: false, extra_links: [] }),
      })),
      total_entries: Object.keys(dag.tasks).length,
    }),
    run: (r: Run) => ({
      dag_id: r.dag,
      dag_run_id: r.run,
      state: r.state,
      run_type: r.type ?? 'manual',
      logical_date: date(r.date),
      start_date: date(r.start),
      end_date: date(r.end),
      conf: r.conf ?? {},
      ...(v2 && { run_after: '2026-03-14T00:00:00Z', dag_versions: [], dag_display_name: r.dag }),
    }),
    pool: (name: string, pool: { slots: number; running: number; queued: number; scheduled: number }) => ({
      name,
      slots: pool.slots,
      description: null,
      include_deferred: false,
      occupied_slots: pool.running + pool.queued,
      running_slots: pool.running,
      queued_slots: pool.queued,
      scheduled_slots: pool.scheduled,
      deferred_slots: 0,
      open_slots: pool.slots - pool.running - pool.queued,
    }),
    /** As read back: Airflow 2 leaves the password out, Airflow 3 masks it. */
    connection: (id: string, stored: Record<string, unknown>) => {
      const { password, ...open } = {
        host: null,
        login: null,
        schema: null,
        port: null,
        extra: null,
        ...stored,
      } as Record<string, unknown>
      return { ...open, connection_id: id, description: null, ...(v2 && { password: password ? '***' : null }) }
    },
    dataset: (d: Dataset, index: number) => {
      const producing_tasks = d.producers.map((dag) => ({ ...reference(dag), task_id: 'work' }))
      const base = { id: index + 1, uri: d.uri, producing_tasks, ...STAMP }
      if (!v2) return { ...base, consuming_dags: d.consumers.map(reference) }
      return {
        ...base,
        name: d.uri,
        group: 'asset',
        scheduled_dags: d.consumers.map(reference),
        consuming_tasks: [],
        aliases: [],
        watchers: [],
      }
    },
    cleared: (tasks: Task[]) =>
      v2
        ? { task_instances: tasks.map(task), total_entries: tasks.length }
        : { task_instances: tasks.map((t) => ({ dag_id: t.dag, dag_run_id: t.run, task_id: t.task })) },
    marked: (t: Task) =>
      v2
        ? { task_instances: [task(t)], total_entries: 1 }
        : t.map < 0
          ? { dag_id: t.dag, dag_run_id: t.run, task_id: t.task }
          : { dag_id: t.dag, dag_run_id: t.run, task_id: t.task },
  }
}
