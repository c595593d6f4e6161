import { startService } from '../http/server.ts'
import { type Asked, recognise } from './calls.ts'
import { openSpec } from './specs.ts'
import { emptyState, type State, wire } from './state.ts'

export const TOKEN = 'canary-airflow-token'

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

  const service = await startService((seen, incoming, outgoing) => {
    const url = new URL(seen.url, 'http://airflow')
    const send = (status: number, body: unknown, type = 'application/json') =>
      outgoing.writeHead(status, { 'content-type': type }).end(typeof body === 'string' ? body : JSON.stringify(body))
    const body: unknown = seen.body === '' ? undefined : JSON.parse(seen.body)
    if (seen.method === 'POST' && url.pathname === '/auth/token')
      return (body as { password?: string }).password === 'pw'
        ? send(201, { access_token: TOKEN })
        : send(401, { detail: 'Invalid credentials' })
    const basic = `Basic ${Buffer.from('keyturn:pw').toString('base64')}`
    if (![`Bearer ${TOKEN}`, basic].includes(seen.headers.authorization ?? ''))
      return send(401, { detail: 'Unauthorized' })

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
      if (fault) wrong.push(`the answer to ${is.id}: ${fault}`)
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
    /** Every call so far of this operation. */
    sent: (id: string) => asked.filter((call) => call.id === id),
    changes: () =>
      asked.filter((call) => !call.id.startsWith('get_') && call.id !== 'test_connection').map((call) => call.id),
    /** Called before each request is handled: what others do at that moment. */
    on(what: typeof before) {
      before = what
    },
    /** The next call of this operation is done, and its answer never comes. */
    loseNext(id: string) {
      lose = id
    },
    reset() {
      state = emptyState(api)
      wrong.length = 0
      asked.length = 0
      before = undefined
      lose = undefined
    },
    stop: service.stop,
  }
}

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
  const page = <T>(items: readonly T[]) => items.slice(Number(query.offset), Number(query.offset) + Number(query.limit))
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
  const since = many('start_date_gte')?.[0]
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
          (r) => wanted(r.dag, dag) && (!states || states.includes(r.state)) && (!since || (r.start ?? '') >= since),
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
          (!since || (t.start ?? '') >= since),
      )
      return { task_instances: page(found).map(w.task), total_entries: found.length }
    }
    case 'get_task_instance':
    case 'get_mapped_task_instance':
      return w.task(theTask())
    case 'get_log':
      return must(state.logs.get(`${dag}/${run}/${task}/${params.task_try_number ?? params.try_number}`), 'log')
    case 'patch_task_instance':
    case 'patch_mapped_task_instance':
    case 'patch_task_instance_by_map_index': {
      const changed = theTask()
      state.markSuccess(changed)
      return w.marked(changed)
    }
    case 'post_clear_task_instances': {
      const cleared = state.clear(
        must(
          state.runs.find((r) => r.dag === dag && r.run === body.dag_run_id),
          'run',
        ),
        body.task_ids as string[],
        body.only_failed === true,
      )
      return w.cleared(cleared)
    }
    case 'post_dag_run':
    case 'trigger_dag_run': {
      theDag()
      if (state.runs.some((r) => r.dag === dag && r.run === body.dag_run_id))
        throw new Fault(409, 'DAGRun already exists')
      const made = { dag, run: String(body.dag_run_id), state: 'queued', conf: body.conf as object, type: 'manual' }
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
      for (const field of fields) stored[field] = body[field]
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
