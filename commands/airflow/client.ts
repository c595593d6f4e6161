import { z } from 'zod'
import type { Settings } from './connection.ts'
import { Dag, DagRun, Dataset, ImportError, Pool, StoredConnection, Task, TaskInstance } from './nouns.ts'
import type { Call, Query, Rest } from './rest.ts'

const PAGE = 100
/** More of anything than a person could read, and the end of a list that never ends. */
const MOST = 2000

export type TaskKey = Readonly<{ dag: string; run: string; task: string; mapIndex: number }>
type LastGood = Settings['connections'][string]

export type Airflow = ReturnType<typeof createAirflow>

/** The calls that commands make, the same for both versions of the API. Whoever reads what is not there gets null. */
export function createAirflow(api: 1 | 2, rest: Rest, secret: (variable: string) => string) {
  async function one<T>(schema: z.ZodType<T>, path: string[], signal: AbortSignal): Promise<T | null> {
    const found = await rest.json({ method: 'GET', path, missing: [404], signal })
    return found === undefined ? null : schema.parse(found)
  }
  async function list<T>(
    schema: z.ZodType<T>,
    path: string[],
    key: string,
    query: Query,
    signal: AbortSignal,
    most = MOST,
  ) {
    const all: T[] = []
    while (all.length < most) {
      const limit = Math.min(PAGE, most - all.length)
      const page = await rest.json({ method: 'GET', path, query: { ...query, limit, offset: all.length }, signal })
      const items = z.object({ [key]: z.array(schema) }).parse(page)[key] as T[]
      all.push(...items)
      if (items.length < limit) break
    }
    return all
  }
  const send = (
    method: Call['method'],
    path: string[],
    body: unknown,
    signal: AbortSignal,
    query?: Query,
    missing?: number[],
  ) => rest.json({ method, path, body, signal, ...(query && { query }), ...(missing && { missing }) })
  /** Airflow 2 reads a mask as one list, Airflow 3 as a repeated key. */
  const mask = (fields: string[]): Query => ({ update_mask: api === 1 ? [fields.join(',')] : fields })
  const mapped = (key: TaskKey) => (key.mapIndex >= 0 ? [String(key.mapIndex)] : [])

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

  return {
    dag: (dag: string, signal: AbortSignal) => one(Dag, ['dags', dag], signal),
    run: (dag: string, run: string, signal: AbortSignal) => one(DagRun, ['dags', dag, 'dagRuns', run], signal),
    /** The newest first; `dag` may be `~` for all DAGs. */
    runs: (dag: string, query: { states?: string[]; since?: string; most?: number }, signal: AbortSignal) =>
      list(
        DagRun,
        ['dags', dag, 'dagRuns'],
        'dag_runs',
        { order_by: '-start_date', state: query.states, start_date_gte: query.since },
        signal,
        query.most,
      ),
    /** `dag` and `run` may be `~` for all. */
    tasks: (
      dag: string,
      run: string,
      query: { states?: string[]; pool?: string; since?: string },
      signal: AbortSignal,
    ) =>
      list(
        TaskInstance,
        ['dags', dag, 'dagRuns', run, 'taskInstances'],
        'task_instances',
        { state: query.states, pool: query.pool && [query.pool], start_date_gte: query.since },
        signal,
      ),
    /** One mapped or plain task of a run, or null. */
    task: (key: TaskKey, signal: AbortSignal) =>
      one(TaskInstance, ['dags', key.dag, 'dagRuns', key.run, 'taskInstances', key.task, ...mapped(key)], signal),
    async structure(dag: string, signal: AbortSignal): Promise<Task[]> {
      const found = await rest.json({ method: 'GET', path: ['dags', dag, 'tasks'], signal })
      return z.object({ tasks: z.array(Task) }).parse(found).tasks
    },
    /** The last `bytes` of the log of one try, or null if there is none. */
    async log(key: TaskKey, tryNumber: number, bytes: number, signal: AbortSignal): Promise<string | null> {
      const path = ['dags', key.dag, 'dagRuns', key.run, 'taskInstances', key.task, 'logs', String(tryNumber)]
      const query = { full_content: true, map_index: key.mapIndex }
      const accept = api === 1 ? 'text/plain' : 'application/x-ndjson'
      const text = await rest.tail({ method: 'GET', path, query, missing: [404], signal }, accept, bytes)
      if (text === undefined) return null
      return api === 1 ? text : text.split('\n').map(lineOf).join('\n')
    },
    importErrors: (signal: AbortSignal) => list(ImportError, ['importErrors'], 'import_errors', {}, signal),
    pool: (pool: string, signal: AbortSignal) => one(Pool, ['pools', pool], signal),
    connection: (id: string, signal: AbortSignal) => one(StoredConnection, ['connections', id], signal),
    datasets: (signal: AbortSignal) =>
      api === 1 ? list(Dataset, ['datasets'], 'datasets', {}, signal) : list(Dataset, ['assets'], 'assets', {}, signal),

    /** Clears exactly these tasks of a run, by default those only that failed; the run is queued again. */
    clear: (dag: string, run: string, tasks: readonly string[], signal: AbortSignal, onlyFailed = true) =>
      send(
        'POST',
        ['dags', dag, 'clearTaskInstances'],
        { dry_run: false, dag_run_id: run, task_ids: tasks, only_failed: onlyFailed, reset_dag_runs: true },
        signal,
      ),
    markSuccess(key: TaskKey, signal: AbortSignal) {
      const path = ['dags', key.dag, 'dagRuns', key.run, 'taskInstances', key.task]
      return api === 1
        ? send('PATCH', [...path, ...mapped(key)], { dry_run: false, new_state: 'success' }, signal)
        : send('PATCH', [...path, ...mapped(key)], { new_state: 'success' }, signal, mask(['new_state']))
    },
    /** Starts a run under this id. False if there is one of that id already. */
    async trigger(dag: string, run: string, conf: object, signal: AbortSignal): Promise<boolean> {
      const body = { dag_run_id: run, conf, ...(api === 2 && { logical_date: null }) }
      return (await send('POST', ['dags', dag, 'dagRuns'], body, signal, undefined, [409])) !== undefined
    },
    setPaused: (dag: string, paused: boolean, signal: AbortSignal) =>
      send('PATCH', ['dags', dag], { is_paused: paused }, signal, mask(['is_paused'])),
    setSlots: (pool: string, slots: number, signal: AbortSignal) =>
      send('PATCH', ['pools', pool], { ...(api === 1 && { name: pool }), slots }, signal, mask(['slots'])),
    /** Writes the last good value over the connection, or makes it. */
    async restoreConnection(id: string, good: LastGood, exists: boolean, signal: AbortSignal): Promise<void> {
      const body = connectionBody(id, good)
      const fields = Object.keys(body).filter((field) => field !== 'connection_id')
      if (exists) await send('PATCH', ['connections', id], body, signal, mask(fields))
      else await send('POST', ['connections'], body, signal)
    },
    /** Whether Airflow can connect with the last good value; null where its administrator switched such tests off. */
    async testConnection(id: string, good: LastGood, signal: AbortSignal) {
      const said = await send('POST', ['connections', 'test'], connectionBody(id, good), signal, undefined, [403, 404])
      return said === undefined ? null : z.object({ status: z.boolean(), message: z.string().default('') }).parse(said)
    },
  }
}

/** A structured log line as `time level event`; the first line of a tail may be cut and stays as it is. */
function lineOf(json: string): string {
  try {
    const { timestamp, level, event, ...rest } = JSON.parse(json) as Record<string, unknown>
    if (typeof event !== 'string') return json
    const detail = rest.error_detail === undefined ? '' : ` ${JSON.stringify(rest.error_detail)}`
    return [timestamp, level, event].filter(Boolean).join(' ') + detail
  } catch {
    return json
  }
}
