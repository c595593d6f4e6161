export type Dag = {
  paused: boolean
  next?: string
  owners: string[]
  tasks: Record<string, string[]>
  /** A schedule by the day, or none. */
  schedule: '@daily' | null
  needsPast?: boolean
  /** Tasks that Airflow clears beside what is named: setups of it. */
  setups?: Record<string, string[]>
}
export type Backfill = {
  id: number
  dag: string
  from: string
  to: string
  paused: boolean
  completed?: string
  behavior: string
  conf: object
}
export type Run = {
  dag: string
  run: string
  state: string
  type?: string
  date?: string
  start?: string
  end?: string
  conf?: object
  interval?: readonly [string, string]
  partition?: string
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
  updated?: string
  /** Members of its answer that are otherwise. */
  odd?: object
}
export type Dataset = { uri: string; producers: string[]; consumers: string[] }

const DAY = 86_400_000
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
    version: api === 1 ? '2.10.0' : '3.2.1',
    /** `[api] maximum_page_limit`. */
    maximumPageLimit: 100,
    backfills: [] as Backfill[],
    /** How many items of a list never come, though they are counted: what a role may not see, or what moves between pages. */
    hidden: 0,
    /** Status of the log of a try, by the key of `logs`. */
    logFaults: new Map<string, number>(),
    goodPassword: 'canary-connection-password',
    /** DAGs whose runs fail again after they were cleared. */
    failsAgain: new Set<string>(),
    /** Each time a run ends, in order. */
    ended: [] as string[],
    now: () => `2026-03-14T04:00:${String(clock++ % 60).padStart(2, '0')}.000Z`,

    addDag(dag: string, tasks: Record<string, string[]> = { work: [] }) {
      state.dags.set(dag, { paused: false, owners: ['data-team'], tasks, schedule: '@daily' })
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
    /** What a clear takes: these, with what comes after them, and only the failed ones; setups of them always. */
    taken(run: Run, ids: readonly string[], onlyFailed: boolean, downstream: boolean): Task[] {
      const dag = state.dags.get(run.dag)
      const names = new Set(ids)
      if (downstream) for (const id of names) for (const next of dag?.tasks[id] ?? []) names.add(next)
      const setups = new Set([...names].flatMap((id) => dag?.setups?.[id] ?? []))
      const own = state.tasks.filter((t) => t.dag === run.dag && t.run === run.run)
      return own.filter(
        (t) =>
          setups.has(t.task) ||
          (names.has(t.task) && (!onlyFailed || ['failed', 'upstream_failed'].includes(t.state ?? ''))),
      )
    },
    /** A run that has ended is queued again. */
    clear(run: Run, ids: readonly string[], onlyFailed = true, downstream = false): Task[] {
      const cleared = state.taken(run, ids, onlyFailed, downstream)
      for (const task of cleared) Object.assign(task, { state: null, end: undefined })
      if (cleared.length > 0 && ['success', 'failed'].includes(run.state))
        Object.assign(run, { state: 'queued', start: undefined, end: undefined })
      return cleared
    },
    /** What such a backfill would run: midnights of a DAG with a schedule whose day is over, and the run that has the date. */
    backfillDates(body: Record<string, unknown>, now = '2026-03-14T12:00:00Z'): { date: string; run?: Run }[] | null {
      const dag = state.dags.get(String(body.dag_id))
      if (!dag?.schedule) return null
      const dates: { date: string; run?: Run }[] = []
      const end = Date.parse(String(body.to_date))
      const first = Math.ceil(Date.parse(String(body.from_date)) / DAY) * DAY
      for (let at = first; at <= end && at + DAY <= Math.max(Date.parse(now), Date.now()); at += DAY) {
        const run = state.runs.find((r) => r.dag === body.dag_id && r.date && Date.parse(r.date) === at)
        const behavior = body.reprocess_behavior
        const isTaken =
          !run ||
          (run.state === 'failed' && behavior !== 'none') ||
          (run.state === 'success' && behavior === 'completed')
        if (isTaken) dates.push({ date: new Date(at).toISOString(), ...(run && { run }) })
      }
      return dates
    },
    /** From 3.2.2 on the conf of a backfill is written over that of the run that it clears. */
    backfill(body: Record<string, unknown>): Backfill {
      const made: Backfill = {
        ...{ id: state.backfills.length + 1, dag: String(body.dag_id), paused: false },
        ...{ from: String(body.from_date), to: String(body.to_date), behavior: String(body.reprocess_behavior) },
        conf: body.dag_run_conf as object,
      }
      state.backfills.push(made)
      for (const { run } of state.backfillDates(body) ?? [])
        if (run) {
          state.clear(run, Object.keys(state.dags.get(run.dag)!.tasks), false)
          Object.assign(run, { state: 'queued', start: undefined, end: undefined, type: 'backfill' })
          const [major = 0, minor = 0, patch = 0] = state.version.split('.').map(Number)
          if (major > 3 || minor > 2 || (minor === 2 && patch >= 2)) run.conf = made.conf
        }
      return made
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
    ...t.odd,
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
        ? {
            is_stale: false,
            timetable_partitioned: false,
            next_dagrun_run_after: date(dag.next),
            timetable_summary: dag.schedule ?? 'None',
            timetable_description: dag.schedule ? 'At 00:00' : 'Never, external triggers only',
          }
        : {
            is_active: true,
            next_dagrun_create_after: date(dag.next),
            schedule_interval: dag.schedule && { __type: 'CronExpression', value: dag.schedule },
            timetable_description: dag.schedule ? 'At 00:00' : 'Never, external triggers only',
          }),
    }),
    structure: (dag: Dag) => ({
      tasks: Object.entries(dag.tasks).map(([id, downstream]) => ({
        task_id: id,
        downstream_task_ids: downstream,
        depends_on_past: dag.needsPast ?? false,
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
      data_interval_start: date(r.interval?.[0] ?? r.date),
      data_interval_end: date(r.interval?.[1] ?? (r.date && new Date(Date.parse(r.date) + DAY).toISOString())),
      start_date: date(r.start),
      end_date: date(r.end),
      conf: r.conf ?? {},
      ...(v2 && {
        run_after: '2026-03-14T00:00:00Z',
        dag_versions: [],
        dag_display_name: r.dag,
        partition_key: r.partition ?? null,
      }),
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
      // Airflow 2 and 3 answer `Infinity` here, which the spec has no word for.
      open_slots: pool.slots < 0 ? Number.POSITIVE_INFINITY : pool.slots - pool.running - pool.queued,
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
    backfill: (b: Backfill) => ({
      id: b.id,
      dag_id: b.dag,
      dag_display_name: b.dag,
      from_date: b.from,
      to_date: b.to,
      is_paused: b.paused,
      reprocess_behavior: b.behavior,
      max_active_runs: 1,
      dag_run_conf: b.conf,
      completed_at: date(b.completed),
      ...STAMP,
    }),
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
