import { startAirflow, TOKEN } from '../commands/airflow/server.ts'
import type { State } from '../commands/airflow/state.ts'
import type { Desk } from './desk.ts'
import type { Row } from './row.ts'

type Firing = { labels: Record<string, string>; annotations?: Record<string, string> }
type Sketch = {
  id: string
  failure: string
  playbook: string
  /** Of the connection `jobs`. */
  settings?: object
  arrange(state: State): void
  firing: Firing
  recover?(desk: Desk, incident: string): Promise<void>
  mended(state: State): boolean
  guard: { arrange?(state: State): void; firing?: Firing; says: RegExp }
}

/** Rows that Airflow has, each against version 2 of its API (Airflow 3); the commands' own tests hold both versions. */
function row({ id, failure, playbook, settings = {}, arrange, firing, recover, mended, guard }: Sketch): Row {
  return {
    id,
    failure,
    playbook,
    peer: 'a server that speaks Airflow’s REST API, held to its published specification where that is at hand',
    async begin() {
      const server = await startAirflow(2)
      const connection = {
        kind: 'airflow',
        environment: 'production',
        baseUrl: server.origin,
        api: 2,
        auth: { kind: 'bearer', tokenFrom: 'AIRFLOW_TOKEN' },
        dags: ['*'],
        pollSeconds: 0.005,
        ...settings,
      }
      return {
        connections: { jobs: connection },
        secrets: {
          AIRFLOW_TOKEN: TOKEN,
          GOOD_PASSWORD: 'canary-connection-password',
          GOOD_EXTRA: '{"region_name":"eu-west-1"}',
        },
        async alert() {
          arrange(server.state)
          return firing
        },
        ...(recover ? { recover } : {}),
        async mended() {
          if (!mended(server.state))
            throw new Error(`not mended: ${JSON.stringify([server.state.runs, server.state.tasks])}`)
          if (server.wrong.length > 0) throw new Error(server.wrong.join('\n'))
        },
        guard: {
          async arrange(desk) {
            server.reset()
            arrange(server.state)
            guard.arrange?.(server.state)
            return desk.fire(guard.firing ?? firing)
          },
          says: guard.says,
        },
        stop: () => server.stop(),
      }
    },
  }
}

const at = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString()
const recent = { date: at(600), start: at(90), end: at(60) }
const nightly = (state: State) => {
  state.addDag('nightly', { extract: ['train', 'load'], train: ['report'], load: [], report: ['publish'], publish: [] })
  state.addRun(
    'nightly',
    'r1',
    'failed',
    { extract: 'success', train: 'failed', load: 'success', report: 'upstream_failed', publish: 'upstream_failed' },
    recent,
  )
}
const taskOf = (state: State, dag: string, task: string) => state.tasks.find((t) => t.dag === dag && t.task === task)
const parse = (state: State) => {
  state.addDag('parse')
  state.addRun(
    'parse',
    'heavy',
    'failed',
    { work: 'failed' },
    { ...recent, conf: { partitions: 200, event: 'clicks' } },
  )
}
const trigger = { parse: { numbers: { partitions: 600 }, texts: ['event'] } }
const many = (state: State) => {
  for (const dag of ['extract', 'clean', 'report']) {
    state.addDag(dag)
    state.addRun(dag, 'late', 'failed', { work: 'failed' }, recent)
  }
  state.datasets.push({ uri: 's3://lake/raw', producers: ['extract'], consumers: ['clean'] })
}
const onRun = { connection: 'jobs', dag: 'nightly', run: 'r1' }

export const AIRFLOW_ROWS: readonly Row[] = [
  row({
    id: 'A5',
    failure: 'A volume spike makes the parser lose its workers',
    playbook: 'airflow/volume-spike',
    settings: { trigger },
    arrange: parse,
    firing: {
      labels: { alertname: 'ParserWorkersLost', connection: 'jobs', dag: 'parse', run: 'heavy', task: 'work' },
      annotations: { wanted_conf: '{"partitions":400}' },
    },
    mended: (state) =>
      state.runs.some(
        (r) => r.dag === 'parse' && r.run !== 'heavy' && (r.conf as { partitions?: number }).partitions === 400,
      ),
    guard: {
      firing: {
        labels: { alertname: 'ParserWorkersLost', connection: 'jobs', dag: 'parse', run: 'heavy', task: 'work' },
        annotations: { wanted_conf: '{"partitions":4000}' },
      },
      says: /600/,
    },
  }),
  row({
    id: 'A7',
    failure: 'A spike in the heaviest event makes all parsers time out',
    playbook: 'airflow/heaviest-event',
    settings: { pools: { parsers: { max: 64, usual: 8 } } },
    arrange(state) {
      many(state)
      state.pools.set('parsers', { slots: 8, running: 0, queued: 0, scheduled: 0 })
    },
    firing: {
      labels: {
        alertname: 'ParsersTimeOut',
        connection: 'jobs',
        heaviest: 'report',
        pool: 'parsers',
        dags: 'extract,clean,report',
      },
    },
    mended: (state) =>
      state.ended[0] === 'report success' && state.ended.length === 3 && state.pools.get('parsers')?.slots === 8,
    guard: { arrange: (state) => void state.runs.splice(0), says: /Nothing to recover/ },
  }),
  row({
    id: 'A9',
    failure: 'Airflow starts more tasks than the cluster bears',
    playbook: 'airflow/pool-overload',
    settings: { pools: { parsers: { max: 64 } } },
    arrange: (state) => void state.pools.set('parsers', { slots: 32, running: 12, queued: 3, scheduled: 40 }),
    firing: {
      labels: { alertname: 'AirflowPoolOverload', connection: 'jobs', pool: 'parsers' },
      annotations: { wanted_slots: '16' },
    },
    mended: (state) => state.pools.get('parsers')?.slots === 16,
    guard: {
      firing: {
        labels: { alertname: 'AirflowPoolOverload', connection: 'jobs', pool: 'parsers' },
        annotations: { wanted_slots: '65' },
      },
      says: /64/,
    },
  }),
  row({
    id: 'A11',
    failure: 'A backfill starves critical workflows',
    playbook: 'airflow/backfill-starves',
    settings: { backfills: { dags: ['backfill*'] } },
    arrange(state) {
      state.addDag('backfill')
      state.addRun('backfill', 'b1', 'running', { work: 'running' }, { ...recent, end: undefined })
    },
    firing: { labels: { alertname: 'BackfillStarvesCritical', connection: 'jobs', dag: 'backfill' } },
    mended: (state) => state.dags.get('backfill')?.paused === true,
    guard: {
      arrange: (state) => void Object.assign(state.dags.get('backfill')!, { paused: true }),
      says: /paused already/,
    },
  }),
  row({
    id: 'A12',
    failure: 'A DAG stops importing after a Python upgrade',
    playbook: 'airflow/import-error',
    arrange(state) {
      state.addDag('parse')
      state.importErrors.push({
        import_error_id: 1,
        timestamp: at(5),
        filename: '/dags/parse.py',
        stack_trace: 'ModuleNotFoundError: imp',
      })
    },
    firing: { labels: { alertname: 'AirflowImportError', connection: 'jobs', dag: 'parse', file: 'parse.py' } },
    mended: (state) => state.dags.get('parse')?.paused === true,
    guard: {
      firing: { labels: { alertname: 'AirflowImportError', connection: 'jobs', dag: 'ghost', file: 'parse.py' } },
      says: /no DAG/i,
    },
  }),
  row({
    id: 'A13',
    failure: 'All task logs vanished from the Airflow UI',
    playbook: 'airflow/remote-logs-gone',
    settings: {
      connections: {
        remote_logs: {
          type: 'aws',
          host: 'logs.example.com',
          login: 'AKIAEXAMPLE',
          passwordFrom: 'GOOD_PASSWORD',
          extraFrom: 'GOOD_EXTRA',
        },
      },
    },
    arrange: (state) =>
      void state.connections.set('remote_logs', {
        connection_id: 'remote_logs',
        conn_type: 'aws',
        host: 'gone.example.com',
        login: 'AKIAEXAMPLE',
        password: 'canary-old',
      }),
    firing: { labels: { alertname: 'AirflowRemoteLogsGone', connection: 'jobs', logs_connection: 'remote_logs' } },
    mended: (state) =>
      state.connections.get('remote_logs')?.host === 'logs.example.com' &&
      state.connections.get('remote_logs')?.password === 'canary-connection-password',
    guard: {
      firing: { labels: { alertname: 'AirflowRemoteLogsGone', connection: 'jobs', logs_connection: 'warehouse' } },
      says: /warehouse/,
    },
  }),
  row({
    id: 'B3',
    failure: 'An upstream table was dropped: its tasks fail',
    playbook: 'airflow/tables-deprecated',
    settings: { critical: { tasks: ['nightly.publish'] } },
    arrange: nightly,
    firing: { labels: { alertname: 'UpstreamTablesDeprecated', ...onRun, tasks: 'train' } },
    mended: (state) => taskOf(state, 'nightly', 'train')?.state === 'success',
    guard: {
      firing: { labels: { alertname: 'UpstreamTablesDeprecated', ...onRun, tasks: 'publish' } },
      says: /critical/,
    },
  }),
  row({
    id: 'C6',
    failure: 'A dataset or model that is not critical fails and blocks everything after it',
    playbook: 'airflow/non-critical-blocks',
    settings: { critical: { dags: ['billing'], tasks: ['nightly.publish'] } },
    arrange: nightly,
    firing: { labels: { alertname: 'NonCriticalTaskBlocks', ...onRun, task: 'train' } },
    mended: (state) =>
      taskOf(state, 'nightly', 'train')?.state === 'success' && !state.tasks.some((t) => t.state === 'upstream_failed'),
    guard: { firing: { labels: { alertname: 'NonCriticalTaskBlocks', ...onRun, task: 'publish' } }, says: /critical/ },
  }),
  row({
    id: 'C7',
    failure: 'Machines scale down after a failure and take the logs with them',
    playbook: 'airflow/logs-lost-by-downscale',
    arrange: nightly,
    firing: { labels: { alertname: 'DownscaleAfterFailure', ...onRun, downscale_task: 'report' } },
    mended: (state) => taskOf(state, 'nightly', 'report')?.state === 'success',
    guard: {
      firing: { labels: { alertname: 'DownscaleAfterFailure', ...onRun, downscale_task: 'load' } },
      says: /success already/,
    },
  }),
  row({
    id: 'D2',
    failure: 'Twenty pipelines failed at once because data was late',
    playbook: 'airflow/many-pipelines-failed',
    settings: { dependsOn: { report: ['clean'] } },
    arrange: many,
    firing: { labels: { alertname: 'ManyPipelinesFailed', connection: 'jobs' } },
    async recover(desk, incident) {
      const whole = (await desk.last(incident))!
      const names = whole.subject!.plan.leaveOut!.names
      if (names.length !== 3) throw new Error(`not three runs: ${names}`)
      // The report is left out by its check box: another plan, which needs its own approval.
      await desk.leaveOut(incident, names.slice(2))
      await desk.approve(incident)
      if (Object.keys((await desk.last(incident))!.run!.steps).some((step) => step.includes('report')))
        throw new Error('the report was run though it was left out')
      await desk.ask(incident, 'clear-them-all-wave-by-wave')
      await desk.approve(incident)
    },
    mended: (state) => state.ended.join() === 'extract success,clean success,report success',
    guard: { arrange: (state) => void state.runs.splice(0), says: /Nothing to recover/ },
  }),
]
