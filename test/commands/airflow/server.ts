import { microsOf } from '../../../commands/airflow/dates.ts'
import { startService } from '../http/server.ts'
import { type Asked, recognise } from './calls.ts'
import { openSpec } from './specs.ts'
import { emptyState, type State, wire } from './state.ts'

export const TOKEN = 'canary-airflow-token'

type Reviver = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown
const engine = JSON as unknown as { parse(text: string, reviver: Reviver): unknown; rawJSON(text: string): unknown }
/** As Python reads JSON: each number keeps its digits. */
const readJson = (text: string): unknown =>
  engine.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source ? engine.rawJSON(source) : value,
  )
/** As Python writes JSON: a number without end is `Infinity`. */
const writeJson = (value: unknown): string =>
  JSON.stringify(value, (_key, inner) => (inner === Number.POSITIVE_INFINITY ? '\u0000Infinity' : inner)).replaceAll(
    '"\\u0000Infinity"',
    'Infinity',
  )

/** An answer that is an error. */
export class Fault extends Error {
  readonly status: number
  constructor(status: number, detail: string) {
    super(detail)
    this.status = status
  }
}

/**
 * Airflow's API over HTTP with state behind it. A request that the spec (or, without one, the project's own table of
 * calls) does not allow is answered as Airflow would, and listed in `wrong`.
 */
export async function startAirflow(api: 1 | 2) {
  const spec = await openSpec(api)
  let state = emptyState(api)
  const wrong: string[] = []
  const asked: Asked[] = []
  let before: ((call: Asked) => void) | undefined
  let lose: string | undefined
  let good = new Set([TOKEN])
  let bought = 0
  let refusal = 401
  /** An answer that the spec has no word for is one of the world all the same. */
  let odd = false

  const service = await startService((seen, incoming, outgoing) => {
    const url = new URL(seen.url, 'http://airflow')
    const send = (status: number, body: unknown, type = 'application/json') =>
      outgoing.writeHead(status, { 'content-type': type }).end(typeof body === 'string' ? body : writeJson(body))
    const body: unknown = seen.body === '' ? undefined : readJson(seen.body)
    if (seen.method === 'POST' && url.pathname === '/auth/token') {
      if ((body as { password?: string }).password !== 'pw') return send(401, { detail: 'Invalid credentials' })
      bought++
      const token = `${TOKEN}-${bought}`
      good.add(token)
      return send(201, { access_token: token })
    }
    const basic = `Basic ${Buffer.from('keyturn:pw').toString('base64')}`
    const given = seen.headers.authorization ?? ''
    if (given !== basic && ![...good].some((token) => given === `Bearer ${token}`))
      return send(given.startsWith(`Bearer ${TOKEN}`) ? refusal : 401, {
        detail: given.startsWith(`Bearer ${TOKEN}`) ? 'Token Expired' : 'Unauthorized',
      })

    const headers = { ...(seen.headers as Record<string, string>) }
    const judged = spec?.judge({ method: seen.method, url, headers, body })
    const call = recognise(api, seen.method, url, body)
    for (const verdict of [judged, call])
      if (verdict && 'status' in verdict) {
        wrong.push(`${seen.method} ${seen.url}: ${verdict.detail}`)
        return send(verdict.status, { detail: verdict.detail })
      }
    const is = call as Asked
    if (judged && 'id' in judged && judged.id !== is.id) wrong.push(`${is.id} is ${judged.id} in the spec`)
    asked.push(is)
    try {
      before?.(is)
      const answer = answerTo(state, is)
      if (lose === is.id) {
        lose = undefined
        incoming.socket.destroy()
        return
      }
      if (typeof answer === 'string') return send(200, answer, api === 1 ? 'text/plain' : 'application/x-ndjson')
      const fault = spec?.faults(is.id, 200, answer)
      if (fault && !odd) wrong.push(`the answer to ${is.id}: ${fault}`)
      send(200, answer)
    } catch (error) {
      if (!(error instanceof Fault)) wrong.push(String(error))
      send(error instanceof Fault ? error.status : 500, { detail: String(error) })
    }
  })

  return {
    origin: service.origin,
    get state() {
      return state
    },
    wrong,
    /** Every call so far of this operation, but for dry runs. */
    sent: (id: string) => asked.filter((call) => call.id === id && call.body.dry_run !== true),
    changes: () => asked.filter(isChange).map((call) => call.id),
    /** Called before each request is handled: what others do at that moment. */
    on(what: typeof before) {
      before = what
    },
    /** The next call of this operation is done, and its answer never comes. */
    loseNext(id: string) {
      lose = id
    },
    /** No token is good any more that was given until now; a new one can be bought. */
    expire(status: 401 | 403 = 401) {
      good = new Set()
      refusal = status
    },
    bought: () => bought,
    /** What comes now is not held to the spec: answers as they were seen in the field. */
    asInTheField() {
      odd = true
    },
    reset() {
      good = new Set([TOKEN])
      bought = 0
      refusal = 401
      odd = false
      state = emptyState(api)
      wrong.length = 0
      asked.length = 0
      before = undefined
      lose = undefined
    },
    stop: service.stop,
  }
}

/** A call that changes something. */
const isChange = ({ id, body }: Asked): boolean =>
  !/^(get|list)_/.test(id) && !['test_connection', 'create_backfill_dry_run'].includes(id) && body.dry_run !== true

const must = <T>(found: T | undefined, what: string): T => {
  if (found === undefined) throw new Fault(404, `${what} not found`)
  return found
}

function answerTo(state: State, { id, params, query, body }: Asked): unknown {
  const w = wire(state)
  const {
    dag_id: dag = '',
    dag_run_id: run = '',
    task_id: task = '',
    pool_name: pool = '',
    connection_id: conn = '',
  } = params
  const many = (key: string) => (query[key] === undefined ? null : [query[key]].flat())
  // A larger page than the configuration allows is made smaller without a word.
  const size = Math.min(Number(query.limit), state.maximumPageLimit)
  const page = <T>(items: readonly T[]) =>
    items.slice(0, items.length - state.hidden).slice(Number(query.offset), Number(query.offset) + size)
  const wanted = (name: string, given: string) => given === '~' || name === given
  const map = Number(params.map_index ?? -1)
  const theTask = () =>
    must(
      state.tasks.find((t) => t.dag === dag && t.run === run && t.task === task && t.map === map),
      `task ${task}`,
    )
  const theRun = () =>
    must(
      state.runs.find((r) => r.dag === dag && r.run === run),
      `run ${run}`,
    )
  const theDag = () => must(state.dags.get(dag), `DAG ${dag}`)
  const states = many('state')
  const endedSince = many('end_date_gte')?.[0]
  const touchedSince = many('updated_at_gte')?.[0]
  /** SQL: what is null is not greater. */
  const isSince = (value: string | undefined, bound: string | undefined) =>
    bound === undefined || (value !== undefined && Date.parse(value) >= Date.parse(bound))
  const dates = state.api === 1 ? 'execution_date' : 'logical_date'
  const [from, to] = [many(`${dates}_gte`)?.[0], many(`${dates}_lte`)?.[0]]
  switch (id) {
    case 'get_dag':
      return w.dag(dag, theDag())
    case 'patch_dag':
      theDag().paused = body.is_paused === true
      return w.dag(dag, theDag())
    case 'get_tasks':
      return w.structure(theDag())
    case 'get_dag_runs': {
      const found = state.runs
        .filter(
          (r) =>
            wanted(r.dag, dag) &&
            (!states || states.includes(r.state)) &&
            isSince(r.end, endedSince) &&
            isSince(r.date, from) &&
            (to === undefined || (r.date !== undefined && Date.parse(r.date) <= Date.parse(to))),
        )
        .toSorted((a, b) => ((a.start ?? '') < (b.start ?? '') ? 1 : -1))
      return { dag_runs: page(found).map(w.run), total_entries: found.length }
    }
    case 'get_dag_run':
      state.advance(theRun())
      return w.run(theRun())
    case 'get_task_instances': {
      if (run !== '~') theRun()
      const pools = many('pool')
      const found = state.tasks.filter(
        (t) =>
          wanted(t.dag, dag) &&
          wanted(t.run, run) &&
          (!states || states.includes(t.state ?? 'none')) &&
          (!pools || pools.includes(t.pool)) &&
          isSince(t.end, endedSince) &&
          isSince(t.updated ?? t.end ?? t.start, touchedSince),
      )
      return { task_instances: page(found).map(w.task), total_entries: found.length }
    }
    case 'get_task_instance':
    case 'get_mapped_task_instance':
      return w.task(theTask())
    case 'get_version':
      return { version: state.version, git_version: null }
    case 'get_log': {
      const number = Number(params.task_try_number ?? params.try_number)
      const key = `${dag}/${run}/${task}/${number}`
      if (number < 1) throw new Fault(state.api === 1 ? 500 : 422, 'try_number: Input should be greater than 0')
      const fault = state.logFaults.get(key)
      if (fault) throw new Fault(fault, 'the log cannot be read')
      return must(state.logs.get(key), 'log')
    }
    case 'patch_task_instance':
    case 'patch_mapped_task_instance':
    case 'patch_task_instance_by_map_index': {
      const changed = theTask()
      state.markSuccess(changed)
      return w.marked(changed)
    }
    case 'post_clear_task_instances': {
      const of = must(
        state.runs.find((r) => r.dag === dag && r.run === body.dag_run_id),
        'run',
      )
      const how = [of, body.task_ids as string[], body.only_failed === true, body.include_downstream === true] as const
      return w.cleared(body.dry_run === true ? state.taken(...how) : state.clear(...how))
    }
    case 'update_dag_run_state':
    case 'patch_dag_run': {
      const of = theRun()
      if (body.state === 'success') for (const t of state.tasks) if (t.dag === dag && t.run === run) t.state = 'success'
      Object.assign(of, { state: body.state, ...(body.state === 'queued' && { start: undefined, end: undefined }) })
      return w.run(of)
    }
    case 'list_backfills': {
      const found = state.backfills.filter((b) => b.dag === query.dag_id)
      return { backfills: page(found).map(w.backfill), total_entries: found.length }
    }
    case 'create_backfill_dry_run': {
      must(state.dags.get(String(body.dag_id)), 'DAG')
      const dates = state.backfillDates(body)
      if (!dates) throw new Fault(422, `${body.dag_id} has no schedule`)
      return { backfills: dates.map((d) => ({ logical_date: d.date })), total_entries: dates.length }
    }
    case 'create_backfill': {
      must(state.dags.get(String(body.dag_id)), 'DAG')
      const dates = state.backfillDates(body)
      if (!dates) throw new Fault(422, `${body.dag_id} has no schedule`)
      if (state.backfills.some((b) => b.dag === body.dag_id && !b.completed))
        throw new Fault(409, `There is already a running backfill for dag ${body.dag_id}`)
      if (dates.length === 0) throw new Fault(500, 'No runs to create')
      return w.backfill(state.backfill(body))
    }
    case 'pause_backfill':
    case 'unpause_backfill': {
      const own = must(
        state.backfills.find((b) => b.id === Number(params.backfill_id)),
        'backfill',
      )
      if (own.completed) throw new Fault(409, 'Backfill is already completed.')
      own.paused = id === 'pause_backfill'
      return w.backfill(own)
    }
    case 'post_dag_run':
    case 'trigger_dag_run': {
      theDag()
      if (state.runs.some((r) => r.dag === dag && r.run === body.dag_run_id))
        throw new Fault(409, 'DAGRun already exists')
      const given = body.logical_date as string | null | undefined
      const [start, end] = [
        body.data_interval_start as string | undefined,
        body.data_interval_end as string | undefined,
      ]
      if (Boolean(start) !== Boolean(end)) throw new Fault(422, 'both ends of a data interval, or neither')
      if (state.api === 1 && start && Number(state.version.split('.')[1]) < 9) throw new Fault(400, 'Unknown field.')
      // A date has one run: the constraint dag_run_dag_id_logical_date_key.
      const date = given ?? (state.api === 1 ? state.now() : undefined)
      const isDate = (r: { date?: string }) => date !== undefined && microsOf(r.date ?? '') === microsOf(date)
      if (state.runs.some((r) => r.dag === dag && isDate(r))) throw new Fault(409, 'DAGRun logical date already exists')
      const made = {
        ...{ dag, run: String(body.dag_run_id), state: 'queued', conf: body.conf as object, type: 'manual' },
        ...(date !== undefined && { date }),
        // Airflow 3 passes an interval over that comes without a date (datamodels/dag_run.py, validate_context).
        ...(date !== undefined && start && end && { interval: [start, end] as const }),
      }
      state.runs.push(made)
      return w.run(made)
    }
    case 'get_import_errors':
      return { import_errors: page(state.importErrors), total_entries: state.importErrors.length }
    case 'get_pool':
      return w.pool(pool, must(state.pools.get(pool), 'pool'))
    case 'patch_pool':
      must(state.pools.get(pool), 'pool').slots = Number(body.slots)
      return w.pool(pool, state.pools.get(pool)!)
    case 'get_connection':
      return w.connection(conn, must(state.connections.get(conn), 'connection'))
    case 'post_connection':
      if (state.connections.has(String(body.connection_id))) throw new Fault(409, 'exists')
      state.connections.set(String(body.connection_id), body)
      return w.connection(String(body.connection_id), body)
    case 'patch_connection': {
      if (body.connection_id !== conn) throw new Fault(400, 'The connection_id in the request body does not match')
      const fields = [query.update_mask!].flat().flatMap((part) => part.split(','))
      const stored = must(state.connections.get(conn), 'connection')
      // Airflow 3 intersects the mask with the names of its model, where this one is `schema_`.
      const read = fields.filter((field) => state.api === 1 || field !== 'schema')
      for (const field of read)
        stored[field === 'schema_' ? 'schema' : field] = body[field === 'schema_' ? 'schema' : field]
      return w.connection(conn, stored)
    }
    case 'test_connection':
      if (!state.testable) throw new Fault(403, 'Testing connections is disabled in Airflow configuration.')
      return body.password === state.goodPassword
        ? { status: true, message: 'Connection successfully tested' }
        : { status: false, message: 'Access Denied' }
    case 'get_datasets':
      return { datasets: page(state.datasets).map(w.dataset), total_entries: state.datasets.length }
    case 'get_assets':
      return { assets: page(state.datasets).map(w.dataset), total_entries: state.datasets.length }
    default:
      throw new Error(`the server has no answer to ${id}`)
  }
}
