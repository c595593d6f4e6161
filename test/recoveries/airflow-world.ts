import { startAirflow, TOKEN } from '../commands/airflow/server.ts'
import type { State } from '../commands/airflow/state.ts'
import { TOKEN as CI_TOKEN, startGitHub } from '../commands/github/server.ts'
import { TOKEN as KUBE_TOKEN, startKubernetes } from '../commands/kubernetes/server.ts'
import { startFleet } from '../commands/machines/fleet.ts'
import type { Desk } from './desk.ts'
import type { Row } from './row.ts'
import { startLake } from './s3.ts'

type Firing = { labels: Record<string, string>; annotations?: Record<string, string> }
type Sketch = {
  id: string
  failure: string
  playbook: string
  /** Of the connection `jobs`. */
  settings?: object
  /** Further connections, and what closes them. */
  beside?(): Promise<Beside>
  /** What these are. */
  also?: string
  arrange(state: State): void
  firing: Firing
  evidence: readonly RegExp[]
  recover?(desk: Desk, incident: string, state: State): Promise<void>
  mended(state: State): boolean
  guards: readonly {
    arrange?(state: State): void
    firing?: Firing
    /** Up to the step that must be refused, if it is not the first. */
    climb?(desk: Desk, incident: string, state: State): Promise<void>
    says: RegExp
  }[]
}
type Beside = Pick<Awaited<ReturnType<Row['begin']>>, 'connections' | 'secrets' | 'stop'>

/** Rows that Airflow has, each against version 2 of its API (Airflow 3); the commands' own tests hold both versions. */
export function row({
  settings = {},
  beside,
  also,
  arrange,
  firing,
  recover,
  mended,
  guards,
  evidence,
  ...rest
}: Sketch): Row {
  const more = also ? `; ${also}` : ''
  return {
    ...rest,
    peer: `a server that speaks Airflow’s REST API, held to its published specification where that is at hand${more}`,
    async begin() {
      const server = await startAirflow(2)
      const other = await beside?.()
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
        connections: { jobs: connection, ...other?.connections },
        secrets: {
          AIRFLOW_TOKEN: TOKEN,
          GOOD_PASSWORD: 'canary-connection-password',
          GOOD_EXTRA: '{"region_name":"eu-west-1"}',
          ...other?.secrets,
        },
        async alert() {
          arrange(server.state)
          return firing
        },
        evidence,
        ...(recover && { recover: (desk: Desk, id: string) => recover(desk, id, server.state) }),
        async mended() {
          if (!mended(server.state))
            throw new Error(`not mended: ${JSON.stringify([server.state.runs, server.state.tasks])}`)
          if (server.wrong.length > 0) throw new Error(server.wrong.join('\n'))
        },
        guards: guards.map((guard) => ({
          async arrange(desk) {
            server.reset()
            arrange(server.state)
            guard.arrange?.(server.state)
            const id = await desk.fire(guard.firing ?? firing)
            await guard.climb?.(desk, id, server.state)
            return id
          },
          says: guard.says,
        })),
        async stop() {
          await server.stop()
          await other?.stop()
        },
      }
    },
  }
}

/** The last proposal is approved and must end so. */
export async function approve(desk: Desk, incident: string, then = 'succeeded'): Promise<void> {
  await desk.approve(incident)
  const { status, run, note } = (await desk.last(incident))!
  if (status !== then) throw new Error(`ended as ${status} and not ${then}: ${run?.message ?? note}`)
}

/** A lake with events of today and of the seven days before, by their size in bytes. */
export const lakeOf = (sizes: Record<string, number>) => async (): Promise<Beside> => {
  const lake = await startLake()
  const DAY = 24 * 3_600_000
  for (const [event, today] of Object.entries(sizes)) {
    // s3rver knows a folder by what is directly in it.
    await lake.s3.put(`raw/${event}/schema.json`, Buffer.from('{}'))
    for (let ago = 0; ago <= 7; ago++) {
      const when = new Date(Date.now() - ago * DAY - 1000)
      const key = `raw/${event}/${new Date(Date.now() - ago * DAY).toISOString().slice(0, 10)}/part-0`
      await lake.s3.put(key, Buffer.alloc(ago === 0 ? today : 1024))
      await lake.s3.date(key, when)
    }
  }
  const { lake: settings } = lake.connections
  return {
    connections: { lake: { ...settings, events: 'lake/raw/{event}/{yyyy}-{mm}-{dd}/' } },
    secrets: lake.secrets,
    stop: () => lake.stop(),
  }
}

/** Several of these at once. */
export const all =
  (...many: (() => Promise<Beside>)[]) =>
  async (): Promise<Beside> => {
    const open = await Promise.all(many.map((one) => one()))
    return {
      connections: Object.assign({}, ...open.map((one) => one.connections)),
      secrets: Object.assign({}, ...open.map((one) => one.secrets)),
      stop: async () => void (await Promise.all(open.map((one) => one.stop()))),
    }
  }

/** A cluster whose namespace `airflow` holds one deployment of two pods. */
export const clusterOf = (deployment: string) => async (): Promise<Beside> => {
  const server = await startKubernetes()
  await server.state.deploy('airflow', deployment, 'app:1', 2)
  const cluster = {
    ...{ kind: 'kubernetes', environment: 'production', server: server.url, tokenFrom: 'KUBE_TOKEN' },
    namespaces: { airflow: { deployments: { [deployment]: {} } } },
    ...{ readyMinutes: 0.2, steadySeconds: 0.05 },
  }
  return { connections: { cluster }, secrets: { KUBE_TOKEN }, stop: () => server.stop() }
}

/** A machine of the group `airflow` on which one unit runs. */
export const machineWith = (unit: string) => async (): Promise<Beside> => {
  const fleet = await startFleet()
  await fleet.add('i-0a000001', 'af-1', { Role: 'airflow' })
  await fleet.unit('i-0a000001', unit)
  const settings = {
    ...{ kind: 'machines', environment: 'production', region: 'us-east-1', endpoint: fleet.endpoint },
    ...{ autoScalingEndpoint: fleet.endpoint, accessKeyIdFrom: 'K', secretAccessKeyFrom: 'K' },
    ...{ pollSeconds: 0.01, backoffMs: 1, comeBackSeconds: 8 },
    groups: { airflow: { tag: { name: 'Role', value: 'airflow' }, units: [unit] } },
  }
  return { connections: { fleet: settings }, secrets: { K: 'local' }, stop: () => fleet.close() }
}

/** The repository of the DAGs, with a commit that came lately. */
export async function dagRepository(): Promise<Beside> {
  const ci = await startGitHub('data/dags')
  ci.commits.set('d'.repeat(40), { message: 'Move parse.py to the new importer', runs: [], statuses: [] })
  const github = {
    ...{ kind: 'github', environment: 'production', baseUrl: ci.baseUrl, tokenFrom: 'CI_TOKEN' },
    repositories: { 'data/dags': { required: ['tests'] } },
  }
  return { connections: { ci: github }, secrets: { CI_TOKEN }, stop: () => ci.close() }
}

export const at = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString()
export const recent = { date: at(600), start: at(90), end: at(60) }
export const nightly = (state: State) => {
  state.addDag('nightly', { extract: ['train', 'load'], train: ['report'], load: [], report: ['publish'], publish: [] })
  state.addRun(
    'nightly',
    'r1',
    'failed',
    { extract: 'success', train: 'failed', load: 'success', report: 'upstream_failed', publish: 'upstream_failed' },
    recent,
  )
  state.logs.set('nightly/r1/train/2', 'ValueError: model of the day before is missing')
}
export const taskOf = (state: State, dag: string, task: string) =>
  state.tasks.find((t) => t.dag === dag && t.task === task)
export const parse = (state: State) => {
  state.addDag('parse')
  state.addRun(
    'parse',
    'heavy',
    'failed',
    { work: 'failed' },
    { ...recent, conf: { partitions: 200, event: 'clicks' } },
  )
  const lost = 'distributed.comm.core.CommClosedError: in <TLS Scheduler>: Stream is closed'
  state.logs.set('parse/heavy/work/2', lost)
}
export const spike = (partitions: number): Firing => ({
  labels: {
    alertname: 'ParserWorkersLost',
    connection: 'jobs',
    dag: 'parse',
    run: 'heavy',
    task: 'work',
    s3: 'lake',
    event: 'clicks',
    kubernetes: 'cluster',
    namespace: 'airflow',
  },
  annotations: { wanted_conf: JSON.stringify({ partitions }) },
})
export const trigger = { parse: { numbers: { partitions: 600 }, texts: ['event'] } }
export const late = (state: State, dag: string, began: number) => {
  const times = { start: at(began), end: at(60) }
  state.addRun(dag, 'late', 'failed', {}, { ...recent, ...times })
  state.addTask(dag, 'late', 'work', 'failed', times)
}
export const many = (state: State) => {
  for (const [i, dag] of ['extract', 'clean', 'report'].entries()) {
    state.addDag(dag)
    late(state, dag, 90 - i)
  }
  state.datasets.push({ uri: 's3://lake/raw', producers: ['extract'], consumers: ['clean'] })
}
export const timedOut = (state: State) => {
  many(state)
  // The one that is to run alone needs another run's result in no way.
  Object.assign(state.runs.find((r) => r.dag === 'report')!, { start: at(300) })
  state.pools.set('parsers', { slots: 8, running: 0, queued: 0, scheduled: 0 })
}
export const onRun = { connection: 'jobs', dag: 'nightly', run: 'r1' }
/** Each slot that a pool ever had, in order. */
export const slotsOf = (state: State) => {
  const pool = state.pools.get('parsers')!
  const had: number[] = []
  let now = pool.slots
  Object.defineProperty(pool, 'slots', {
    get: () => now,
    set(next: number) {
      had.push(next)
      now = next
    },
  })
  return had
}

export const backfill = (state: State) => {
  for (const dag of ['backfill', 'billing']) state.addDag(dag)
  const going = { ...recent, end: undefined }
  state.addRun('backfill', 'b1', 'running', {}, going)
  state.addTask('backfill', 'b1', 'work', 'running', { host: 'worker-1', start: at(80) })
  state.addRun('billing', 'c1', 'running', {}, going)
  state.addTask('billing', 'c1', 'work', 'running', { host: 'worker-1', start: at(70) })
}
/** What runs comes to its end, the backfill because its machine went down. */
export const over = (state: State) => {
  for (const run of state.runs) Object.assign(run, { state: run.dag === 'backfill' ? 'failed' : 'success', end: at(1) })
  for (const task of state.tasks) Object.assign(task, { state: 'success', end: at(1) })
}
export const chunk = (from: string, days: number) => ({ conf: JSON.stringify({ from, days }) })
export const RESUME = 'resume-it-outside-of-the-critical-window'
export const CHUNK = 'go-on-in-chunks'

export const lately = { alertname: 'AirflowPoolOverload', connection: 'jobs', pool: 'parsers' }
export const gone = (state: State) =>
  void state.connections.set('remote_logs', {
    connection_id: 'remote_logs',
    conn_type: 'aws',
    host: 'gone.example.com',
    login: 'AKIAEXAMPLE',
    password: 'canary-old',
  })
