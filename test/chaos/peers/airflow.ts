import { type Call, namesIn, type Peer, type Question } from './peer.ts'

const END = '2026-03-14T01:10:00Z'

/** A question that changes something; a dry run is none. */
const isChange = ({ method, input }: Question): boolean => method !== 'GET' && input.dry_run !== true

function body(question: Question, call: Call): unknown {
  const { method, segments, query, input } = question
  const [noun, name, kind, run, tasks] = segments.slice(segments.indexOf('api') + 2)
  const changed = call.before.some(isChange)
  const runOf = (dag = '', id = 'r1') => ({
    ...{ dag_id: dag, dag_run_id: id, state: changed ? 'success' : 'failed', end_date: END },
    conf: {},
  })
  if (kind === 'clearTaskInstances' && Array.isArray(input.task_ids))
    return {
      task_instances: input.task_ids.map((task_id) => ({
        id: task_id,
        dag_id: name,
        dag_run_id: input.dag_run_id,
        task_id,
      })),
    }
  if (method !== 'GET') return {}
  if (noun === 'backfills') return { backfills: [], total_entries: 0 }
  if (noun === 'dags' && !kind) return { dag_id: name, is_paused: call.id === 'airflow.resume-dag', owners: ['data'] }
  if (noun === 'dags' && kind === 'tasks') return { tasks: [{ task_id: 'load', downstream_task_ids: ['after'] }] }
  if (noun === 'dags' && tasks) {
    const task = (task_id: string) => ({ dag_id: name, dag_run_id: run, task_id, state: 'failed', end_date: END })
    const names = [...new Set([...namesIn(call.params.tasks), 'after'])]
    return name === '~'
      ? { task_instances: [], total_entries: 0 }
      : { task_instances: names.map(task), total_entries: names.length }
  }
  if (noun === 'dags' && run) return runOf(name, run)
  if (noun === 'dags') {
    const failed = query.getAll('state').includes('failed') ? namesIn(call.params.dags) : []
    return { dag_runs: failed.map((dag) => runOf(dag)), total_entries: failed.length }
  }
  if (noun === 'pools') return { name, slots: 1 }
  if (noun === 'connections') return { connection_id: name, conn_type: 'postgres', host: 'before.example' }
  return { assets: [], total_entries: 0 }
}

/** An Airflow 3 with failed runs of every DAG. */
export const airflow: Peer = {
  settings: ({ base }) => ({
    baseUrl: base,
    api: 2,
    auth: { kind: 'bearer', tokenFrom: 'T' },
    dags: ['*'],
    pools: { pool: { max: 9 } },
    trigger: { etl: { numbers: { day: 9 }, texts: ['note'] } },
    connections: { warehouse: { type: 'postgres', host: 'good.example', passwordFrom: 'T' } },
    pollSeconds: 0.001,
  }),
  reply: (question, call) => ({ json: body(question, call) }),
}
