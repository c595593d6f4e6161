import { z } from 'zod'
import { checked, parseVerbatim } from './answer.ts'
import type { Settings } from './connection.ts'
import { type Listed, readList, whole } from './list.ts'
import { Backfill, Dag, DagRun, Dataset, ImportError, Pool, StoredConnection, Task, TaskInstance } from './nouns.ts'
import { Answered, type Call, type Query, type Rest } from './rest.ts'

export type TaskKey = Readonly<{ dag: string; run: string; task: string; mapIndex: number }>
type LastGood = Settings['connections'][string]

/** What a new run is given. Without a date Airflow 3 gives it none, and Airflow 2 the moment. */
export type NewRun = Readonly<{
  run: string
  conf: object
  date?: Readonly<{ logical: string; start: string; end: string }> | undefined
}>
export type Clearing = Readonly<{ tasks: readonly string[]; onlyFailed: boolean; downstream: boolean }>
export type NewBackfill = Readonly<{ dag: string; date: string; behavior: 'failed' | 'completed'; conf: object }>

export type Airflow = ReturnType<typeof createAirflow>

/** The calls that commands make, the same for both versions of the API. Whoever reads what is not there gets null. */
export function createAirflow(settings: Settings, rest: Rest, secret: (variable: string) => string) {
  const { api } = settings

  /** An answer is held to its question: what it leaves out is what was asked for, and another name is none of it. */
  function about<T extends Readonly<Record<string, unknown>>>(
    value: T,
    asked: Readonly<Record<string, string>>,
    what: string,
  ): T {
    const filled: Record<string, unknown> = { ...value }
    for (const [key, name] of Object.entries(asked)) {
      if (filled[key] === '') filled[key] = name
      if (filled[key] !== name)
        throw new Error(
          `airflow: ${what} answered about ${JSON.stringify(filled[key])} and not about ${JSON.stringify(name)}`,
        )
    }
    return filled as T
  }
  async function one<T extends Readonly<Record<string, unknown>>>(
    schema: z.ZodType<T>,
    path: string[],
    asked: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<T | null> {
    const found = await rest.json({ method: 'GET', path, missing: [404], signal })
    const what = `GET ${path.join('/')}`
    return found === undefined ? null : about(checked(schema, found, what), asked, what)
  }
  const send = (
    method: Call['method'],
    path: string[],
    body: unknown,
    signal: AbortSignal,
    more: Pick<Call, 'query' | 'missing' | 'reads'> = {},
  ) => rest.json({ method, path, body, signal, ...more })
  /** Airflow 2 reads a mask as one list, Airflow 3 as a repeated key. */
  const mask = (fields: string[]) => ({ query: { update_mask: api === 1 ? [fields.join(',')] : fields } })
  const mapped = (key: TaskKey) => (key.mapIndex >= 0 ? [String(key.mapIndex)] : [])
  const named = (dag: string, run?: string) => ({
    ...(dag !== '~' && { dag }),
    ...(run !== undefined && run !== '~' && { run }),
  })
  /** Of a list over all DAGs each item must say whose it is. */
  function owned<T extends { dag: string; run: string }>(
    items: Listed<T>,
    dag: string,
    run: string,
    what: string,
  ): Listed<T> {
    const own = items.map((item) => about(item, named(dag, run), what))
    if (own.some((item) => item.dag === '' || item.run === ''))
      throw new Error(`airflow: ${what} left out of which DAG and run something is`)
    return Object.assign(own, { total: items.total, cut: items.cut })
  }

  async function listTasks(dag: string, run: string, query: Query, signal: AbortSignal): Promise<Listed<TaskInstance>> {
    const path = ['dags', dag, 'dagRuns', run, 'taskInstances']
    const listed = await readList<TaskInstance>(rest, {
      schema: TaskInstance,
      path,
      under: 'task_instances',
      // Airflow 2 takes no order here.
      query: { ...query, ...(api === 2 && { order_by: 'id' }) },
      keyOf: (t) => `${t.dag} ${t.run} ${t.task} ${t.mapIndex}`,
      signal,
    })
    return owned(listed, dag, run, `GET ${path.join('/')}`)
  }

  /** The body that writes a last good value; its secrets are read here and go nowhere else. */
  const connectionBody = (id: string, good: LastGood) => ({
    connection_id: id,
    conn_type: good.type,
    host: good.host || null,
    login: good.login || null,
    schema: good.schema || null,
    port: good.port,
    ...(good.passwordFrom && { password: secret(good.passwordFrom) }),
    ...(good.extraFrom && { extra: secret(good.extraFrom) }),
  })
  const backfillBody = ({ dag, date, behavior, conf }: NewBackfill) => ({
    dag_id: dag,
    from_date: date,
    to_date: date,
    reprocess_behavior: behavior,
    max_active_runs: 1,
    run_backwards: false,
    dag_run_conf: conf,
  })

  const client = {
    close: () => rest.close(),
    /** `3.2.1` as numbers, or null where Airflow does not say it. */
    async version(signal: AbortSignal): Promise<readonly number[] | null> {
      try {
        const found = await rest.json({ method: 'GET', path: ['version'], missing: [401, 403, 404], signal })
        const text =
          found === undefined ? '' : checked(z.object({ version: z.string().nullish() }), found, 'GET version').version
        const numbers = /^(\d+)\.(\d+)\.(\d+)/
          .exec(text ?? '')
          ?.slice(1)
          .map(Number)
        return numbers ?? null
      } catch (error) {
        if (error instanceof Answered) return null
        throw error
      }
    },
    dag: (dag: string, signal: AbortSignal) => one(Dag, ['dags', dag], { dag }, signal),
    run: (dag: string, run: string, signal: AbortSignal) =>
      one(DagRun, ['dags', dag, 'dagRuns', run], { dag, run }, signal),
    /** The newest first; `dag` may be `~` for all DAGs. With `most` the first ones; else all, or a refusal. */
    async runs(
      dag: string,
      query: {
        states?: readonly string[] | undefined
        endedSince?: string
        most?: number
        near?: string
        cut?: boolean
      },
      signal: AbortSignal,
    ): Promise<Listed<DagRun>> {
      const path = ['dags', dag, 'dagRuns']
      const dates = api === 1 ? 'execution_date' : 'logical_date'
      const listed = await readList<DagRun>(rest, {
        schema: DagRun,
        path,
        under: 'dag_runs',
        query: {
          order_by: '-start_date',
          state: query.states,
          end_date_gte: query.endedSince,
          ...(query.near && { [`${dates}_gte`]: query.near, [`${dates}_lte`]: afterASecond(query.near) }),
        },
        keyOf: (r) => `${r.dag} ${r.run}`,
        most: query.most,
        signal,
      })
      const own = owned(listed, dag, '~', `GET ${path.join('/')}`)
      return query.most === undefined && !query.cut ? whole(own, `such runs of ${dag === '~' ? 'all DAGs' : dag}`) : own
    },
    /** `dag` and `run` may be `~` for all. All of them, or a refusal. `since`: those that ended after it, or have no end. */
    async tasks(
      dag: string,
      run: string,
      query: { states?: readonly string[]; pool?: string; since?: string | undefined; cut?: boolean },
      signal: AbortSignal,
    ): Promise<Listed<TaskInstance>> {
      const asked = { state: query.states, pool: query.pool && [query.pool] }
      let listed: Listed<TaskInstance>
      if (query.since === undefined) listed = await listTasks(dag, run, asked, signal)
      else {
        const ended = await listTasks(dag, run, { ...asked, end_date_gte: query.since }, signal)
        // A task that an executor lost may have neither a start nor an end. Airflow before 2.6 does not know this filter.
        const touched = await listTasks(dag, run, { ...asked, updated_at_gte: query.since }, signal).catch((error) => {
          if (error instanceof Answered && error.status === 400) return Object.assign([], { total: 0, cut: false })
          throw error
        })
        const endless = touched.filter((t) => t.end === '')
        listed = Object.assign([...ended, ...endless], {
          total: ended.total + endless.length,
          cut: ended.cut || touched.cut,
        })
      }
      return query.cut ? listed : whole(listed, `such tasks of ${run === '~' ? 'all runs' : `the run ${run}`}`)
    },
    /** One mapped or plain task of a run, or null. */
    task: (key: TaskKey, signal: AbortSignal) =>
      one(
        TaskInstance,
        ['dags', key.dag, 'dagRuns', key.run, 'taskInstances', key.task, ...mapped(key)],
        { dag: key.dag, run: key.run, task: key.task },
        signal,
      ),
    async structure(dag: string, signal: AbortSignal): Promise<Task[]> {
      const found = await rest.json({ method: 'GET', path: ['dags', dag, 'tasks'], signal })
      return checked(z.object({ tasks: z.array(Task).nullish() }), found, `GET dags/${dag}/tasks`).tasks ?? []
    },
    /** The last `bytes` of the log of one try, or null if there is none. */
    async log(key: TaskKey, tryNumber: number, bytes: number, signal: AbortSignal): Promise<string | null> {
      // Airflow answers 422 or 500 for the log of a try that never was.
      if (tryNumber < 1) return null
      const path = ['dags', key.dag, 'dagRuns', key.run, 'taskInstances', key.task, 'logs', String(tryNumber)]
      const query = { full_content: true, map_index: key.mapIndex }
      const accept = api === 1 ? 'text/plain' : 'application/x-ndjson'
      const text = await rest.tail({ method: 'GET', path, query, missing: [404], signal }, accept, bytes)
      if (text === undefined) return null
      return api === 1 ? text : text.split('\n').map(lineOf).join('\n')
    },
    importErrors: (signal: AbortSignal) =>
      readList(rest, {
        schema: ImportError,
        path: ['importErrors'],
        under: 'import_errors',
        query: { order_by: 'import_error_id' },
        keyOf: (e) => `${e.id} ${e.file}`,
        signal,
      }),
    pool: (pool: string, signal: AbortSignal) => one(Pool, ['pools', pool], { pool }, signal),
    connection: (id: string, signal: AbortSignal) => one(StoredConnection, ['connections', id], { id }, signal),
    async datasets(signal: AbortSignal): Promise<Listed<Dataset>> {
      const noun = api === 1 ? 'datasets' : 'assets'
      const query = { order_by: 'id' }
      const keyOf = (d: Dataset) => `${d.id} ${d.uri}`
      return whole(await readList(rest, { schema: Dataset, path: [noun], under: noun, query, keyOf, signal }), noun)
    },
    /** Backfills of a DAG that have not ended, as Airflow 3 keeps them. Airflow 2 keeps none. */
    async backfills(dag: string, signal: AbortSignal): Promise<readonly Backfill[]> {
      if (api === 1) return []
      const query = { dag_id: dag, order_by: 'id' }
      const keyOf = (b: Backfill) => String(b.id)
      const all = await readList(rest, {
        schema: Backfill,
        path: ['backfills'],
        under: 'backfills',
        query,
        keyOf,
        signal,
      })
      return whole(all, `backfills of ${dag}`).filter((b) => b.dag === dag || b.dag === '')
    },

    /** The dates that such a backfill would run, or null where it would be refused. Changes nothing. */
    async tryBackfill(wanted: NewBackfill, signal: AbortSignal): Promise<readonly string[] | null> {
      const missing = [400, 403, 404, 405, 409, 422]
      const path = ['backfills', 'dry_run']
      const said = await send('POST', path, backfillBody(wanted), signal, { missing, reads: true })
      if (said === undefined) return null
      const dates = z.object({ backfills: z.array(z.object({ logical_date: z.string().nullish() })).nullish() })
      return (checked(dates, said, 'POST backfills/dry_run').backfills ?? []).map((b) => b.logical_date ?? '')
    },
    /** False if a backfill of the DAG is going already. */
    backfill: async (wanted: NewBackfill, signal: AbortSignal): Promise<boolean> =>
      (await send('POST', ['backfills'], backfillBody(wanted), signal, { missing: [409] })) !== undefined,
    /** False for one that has ended. */
    pauseBackfill: async (id: number, paused: boolean, signal: AbortSignal): Promise<boolean> =>
      (await rest.json({
        method: 'PUT',
        path: ['backfills', String(id), paused ? 'pause' : 'unpause'],
        missing: [409],
        signal,
      })) !== undefined,

    /** What a clear takes, or would take if `dryRun`. The run is queued again. Airflow 2 gives names only. */
    async clear(dag: string, run: string, clearing: Clearing, dryRun: boolean, signal: AbortSignal) {
      const body = {
        dry_run: dryRun,
        dag_run_id: run,
        task_ids: clearing.tasks,
        only_failed: clearing.onlyFailed,
        include_downstream: clearing.downstream,
        reset_dag_runs: true,
      }
      const path = ['dags', dag, 'clearTaskInstances']
      const said = await send('POST', path, body, signal, { reads: dryRun })
      const Taken = z.object({ task_instances: z.array(TaskInstance).nullish() })
      return checked(Taken, said ?? {}, `POST ${path.join('/')}`).task_instances ?? []
    },
    markSuccess(key: TaskKey, signal: AbortSignal) {
      const path = ['dags', key.dag, 'dagRuns', key.run, 'taskInstances', key.task]
      return api === 1
        ? send('PATCH', [...path, ...mapped(key)], { dry_run: false, new_state: 'success' }, signal)
        : send('PATCH', [...path, ...mapped(key)], { new_state: 'success' }, signal, mask(['new_state']))
    },
    /** Lets the scheduler look at a run again: it ends as its tasks stand. (Setting `success` would set every task so.) */
    queueRun: (dag: string, run: string, signal: AbortSignal) =>
      send('PATCH', ['dags', dag, 'dagRuns', run], { state: 'queued' }, signal, api === 2 ? mask(['state']) : {}),
    /** Starts a run. False where Airflow has a run of this id or of this date already. */
    async trigger(dag: string, wanted: NewRun, signal: AbortSignal): Promise<boolean> {
      const { run, conf, date } = wanted
      const body = {
        dag_run_id: run,
        conf,
        ...(api === 2 && { logical_date: null }),
        ...(date && { logical_date: date.logical, data_interval_start: date.start, data_interval_end: date.end }),
      }
      return (await send('POST', ['dags', dag, 'dagRuns'], body, signal, { missing: [409] })) !== undefined
    },
    setPaused: (dag: string, paused: boolean, signal: AbortSignal) =>
      send('PATCH', ['dags', dag], { is_paused: paused }, signal, mask(['is_paused'])),
    setSlots: (pool: string, slots: number, signal: AbortSignal) =>
      send('PATCH', ['pools', pool], { ...(api === 1 && { name: pool }), slots }, signal, mask(['slots'])),
    /** Writes the last good value over the connection, or makes it. */
    async restoreConnection(id: string, good: LastGood, exists: boolean, signal: AbortSignal): Promise<void> {
      const body = connectionBody(id, good)
      const fields = Object.keys(body).filter((field) => field !== 'connection_id')
      // Airflow 3 calls the field `schema_` inside and holds the mask against that name; a name that it does not know is passed over.
      const known = api === 2 ? [...fields, 'schema_'] : fields
      if (exists) await send('PATCH', ['connections', id], body, signal, mask(known))
      else await send('POST', ['connections'], body, signal)
    },
    /** Whether Airflow can connect with the last good value; null where its administrator switched such tests off. */
    async testConnection(id: string, good: LastGood, signal: AbortSignal) {
      const body = connectionBody(id, good)
      const said = await send('POST', ['connections', 'test'], body, signal, { missing: [403, 404], reads: true })
      const Said = z.object({ status: z.boolean().nullish(), message: z.string().nullish() })
      if (said === undefined) return null
      const { status, message } = checked(Said, said, 'POST connections/test')
      return { status: status === true, message: message ?? '' }
    },
  }
  return client
}

/** A moment one second later, for a filter that takes both ends. */
const afterASecond = (date: string): string => new Date(Date.parse(date) + 1000).toISOString()

/** A structured log line as `time level event`; the first line of a tail may be cut and stays as it is. */
function lineOf(json: string): string {
  try {
    const { timestamp, level, event, ...rest } = parseVerbatim(json) as Record<string, unknown>
    if (typeof event !== 'string') return json
    const detail = rest.error_detail === undefined ? '' : ` ${JSON.stringify(rest.error_detail)}`
    return [timestamp, level, event].filter(Boolean).join(' ') + detail
  } catch {
    return json
  }
}
