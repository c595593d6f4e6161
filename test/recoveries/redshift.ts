import { copyText, Load } from '../../commands/redshift/load.ts'
import { startS3 } from '../../src/sandbox/targets/s3.ts'
import { startAirflow, TOKEN } from '../commands/airflow/server.ts'
import { copyInto } from '../commands/redshift/copy.ts'
import { filesOf, LAKE_SECRETS, lakeConnection } from '../commands/redshift/lake.ts'
import { startRedshift } from '../commands/redshift/server.ts'
import { startWarehouse } from '../commands/redshift/warehouse.ts'
import type { Desk } from './desk.ts'
import type { Row } from './row.ts'

const ROLE = 'arn:aws:iam::123456789012:role/load'
const SQL = 'Postgres with Redshift’s system views'
const PEER = `${SQL}, a server that speaks the Data API, s3rver, and a server that speaks Airflow’s REST API`
const LOADS = {
  clicks: {
    table: 'events.clicks',
    from: 's3://lake/clicks/',
    iamRole: ROLE,
    format: 'csv',
    options: ['GZIP'],
    maxErrors: 2,
    s3: 'lake',
    keys: ['id'],
  },
  orders: {
    table: 'events.orders',
    from: 's3://lake/orders/',
    iamRole: ROLE,
    format: 'parquet',
    external: 'spectrum.orders',
  },
}
const TABLES = `create table events.clicks (id int not null, at timestamp not null, note varchar(16));
  create table events.orders (id int, title varchar(8))`
/** Each row has a folder of its own. */
const fileOf = (id: string) => `clicks/${id}/part-0.csv.gz`
const GOOD = Array.from({ length: 40 }, (_, i) => `${i},2026-11-20 01:00:00,n${i}`)

/** A warehouse with a lake, and the job that loads it every night. */
async function startPipeline() {
  const warehouse = await startWarehouse()
  const s3 = await startS3('lake')
  let query = 1000
  const run = async (sql: string) => {
    const session = await warehouse.session('postgres')
    try {
      query += 1
      return await copyInto(session, ROLE, sql, query, filesOf(s3))
    } finally {
      await session.end()
    }
  }
  const aws = await startRedshift({ run, reboot: () => warehouse.reboot() })
  const airflow = await startAirflow(2)
  airflow.state.addDag('nightly')
  return {
    warehouse,
    s3,
    aws,
    airflow,
    connections: {
      warehouse: {
        kind: 'redshift',
        environment: 'production',
        ...warehouse.connection(aws.endpoint, { loads: LOADS, reboot: true }),
      },
      lake: { kind: 's3', environment: 'production', ...lakeConnection(s3) },
      jobs: airflowConnection(airflow.origin),
    },
    secrets: { ...warehouse.secrets, ...LAKE_SECRETS, AIRFLOW_TOKEN: TOKEN },
    nightly: (load: keyof typeof LOADS, id: string) =>
      run(copyText(Load.parse(LOADS[load]), `${LOADS[load].from}${id}/`, 0)),
    /** Ends every session and makes the tables anew. */
    async reset() {
      await warehouse.reboot()
      await warehouse.reset(TABLES)
      aws.state.status = 'available'
    },
    rows: async (sql: string) => (await warehouse.ask(sql)).rows.map((row) => Object.values(row).join(' ')),
    async close() {
      await airflow.stop()
      await aws.close()
      await s3.close()
      await warehouse.stop()
    },
  }
}
type Pipeline = Awaited<ReturnType<typeof startPipeline>>

let shared: Promise<Pipeline> | undefined
/** One pipeline for all rows, since a Postgres takes seconds to start; each begins with new tables. */
async function begin() {
  shared ??= startPipeline()
  const pipeline = await shared
  await pipeline.reset()
  return { ...pipeline, stop: () => pipeline.reset() }
}
/** Stops what the rows of Redshift have in common. */
export const stopPipeline = async (): Promise<void> => (await shared)?.close()

const must = (holds: boolean, what: unknown) => {
  if (!holds) throw new Error(`not mended: ${JSON.stringify(what)}`)
}

type Broken = {
  id: string
  failure: string
  playbook: string
  load: keyof typeof LOADS
  labels: Record<string, string>
  /** Breaks the night's load. */
  break(pipeline: Pipeline): Promise<void>
  evidence: readonly RegExp[]
  /** Nothing runs the load but Keyturn, by a rung of its own. */
  own?: true
  /** The last rung, for when those before it were not enough. */
  more(pipeline: Pipeline, desk: Desk, id: string): Promise<void>
  mended(pipeline: Pipeline): Promise<void>
  guards: readonly {
    arrange(pipeline: Pipeline, desk: Desk, fire: () => Promise<string>): Promise<string>
    says: RegExp
  }[]
}

const CLEAR = 'run-the-failed-task-again'
const OWN = 'load-it-without-an-orchestrator'

/** The first two rungs: mend, and clear the failed tasks. `runs` is what Airflow then does. */
async function climb({ airflow }: Pipeline, desk: Desk, id: string, runs: () => Promise<unknown>): Promise<void> {
  await desk.approve(id)
  await desk.ask(id, CLEAR)
  await desk.approve(id)
  const left = airflow.state.tasks.filter((task) => FAILED.includes(String(task.state)))
  must(left.length === 0, left)
  await runs()
}
const FAILED = ['failed', 'upstream_failed']

/** A load that failed, is mended by the first step, and goes through by the second. */
function broken(row: Broken): Row {
  return {
    id: row.id,
    failure: row.failure,
    playbook: row.playbook,
    peer: PEER,
    async begin() {
      const pipeline = await begin()
      const job = { airflow: 'jobs', dag: 'nightly', run: row.id }
      const firing = { labels: { connection: 'warehouse', load: row.load, ...job, ...row.labels } }
      const fail = async () => {
        await row.break(pipeline)
        must((await pipeline.nightly(row.load, row.id)).error !== null, 'the load went through')
        const { state } = pipeline.airflow
        state.runs.splice(0)
        state.tasks.splice(0)
        state.addRun('nightly', row.id, 'failed', { load: 'failed', report: 'upstream_failed' })
      }
      return {
        ...pipeline,
        async alert() {
          await fail()
          return firing
        },
        evidence: row.evidence,
        async recover(desk, id) {
          const runs = async () => must((await pipeline.nightly(row.load, row.id)).error === null, 'it failed again')
          await climb(pipeline, desk, id, row.own ? async () => {} : runs)
          await row.more(pipeline, desk, id)
          if (row.own) {
            await desk.ask(id, OWN)
            await desk.approve(id)
          }
        },
        mended: () => row.mended(pipeline),
        guards: row.guards.map(({ arrange, says }) => ({
          async arrange(desk) {
            await pipeline.reset()
            await fail()
            return arrange(pipeline, desk, () => desk.fire(firing))
          },
          says,
        })),
      }
    },
  }
}

const loaded = async ({ rows }: Pipeline, wanted = '40 39') => {
  const found = await rows('select count(*), max(id) from events.clicks')
  must(found[0] === wanted, found)
}
/** The next file has such a line as well, and nobody will miss it. */
const passOver = (name: string, line: string) => async (pipeline: Pipeline, desk: Desk, id: string) => {
  await loaded(pipeline)
  await pipeline.s3.putLines(fileOf(name), ['100,2026-11-20 02:00:00,next', line])
  must((await pipeline.nightly('clicks', name)).error !== null, 'the load went through')
  await desk.ask(id, OWN, { maxErrors: '1' })
  await desk.approve(id)
}
const tooTolerant: Broken['guards'][number] = {
  async arrange(pipeline, desk, fire) {
    const id = await fire()
    await climb(pipeline, desk, id, async () => {})
    await desk.ask(id, OWN, { maxErrors: '3' })
    return id
  },
  says: /3 errors are more than the 2 that the load "clicks" may pass over/,
}
const quarantined = async ({ s3 }: Pipeline, id: string, lines: string[]) => {
  const kept = (await s3.keys()).filter((key) => key?.startsWith(`quarantine/${fileOf(id)}`))
  const bad = await s3.bytes(kept.find((key) => key?.endsWith('.bad-lines.txt'))!)
  must(kept.length === 2 && bad.toString() === `${lines.join('\n')}\n`, [kept, bad.toString()])
}

const TOO_LARGE = '2147483648,2026-11-20 01:00:03,x'
const HOLLOW = ['900,,', '901,,']

/** Sessions of the warehouse: the loader holds a table, and a report waits for it. */
async function block({ warehouse }: Pipeline, session?: Awaited<ReturnType<Pipeline['warehouse']['session']>>) {
  const loader = session ?? (await warehouse.session('app'))
  await loader.query('begin')
  await loader.query('lock table events.clicks in access exclusive mode')
  const report = await warehouse.session('app')
  report.query('select count(*) from events.clicks').catch(() => {})
  while ((await warehouse.ask('select 1 from pg_locks where not granted')).rowCount === 0);
  return loader
}
const free = async ({ rows }: Pipeline) => {
  const waiting = await rows('select pid from pg_locks where not granted')
  must(waiting.length === 0, waiting)
}

const airflowConnection = (baseUrl: string) => ({
  kind: 'airflow',
  environment: 'production',
  baseUrl,
  api: 2,
  auth: { kind: 'bearer', tokenFrom: 'AIRFLOW_TOKEN' },
  dags: ['nightly'],
})

export const REDSHIFT_ROWS: readonly Row[] = [
  broken({
    id: 'A1',
    failure: 'A load into Redshift fails on a value outside the integer range',
    playbook: 'redshift/load-rejects-record',
    load: 'clicks',
    labels: { alertname: 'RedshiftLoadFailed', err_code: '1207' },
    break: async ({ s3 }) => void (await s3.putLines(fileOf('A1'), GOOD.toSpliced(7, 0, TOO_LARGE))),
    evidence: [
      /One error of the load \d+ at .*in column id, line 8/,
      /s3:\/\/lake\/clicks\/A1\/part-0\.csv\.gz.*2147483648.*\(1207\)/,
      /line 8 of .{0,80}2147483648,2026-11-20 01:00:03,x/,
    ],
    more: passOver('A1-next', TOO_LARGE),
    async mended(pipeline) {
      await loaded(pipeline, '41 100')
      await quarantined(pipeline, 'A1', [TOO_LARGE])
    },
    guards: [tooTolerant],
  }),
  broken({
    id: 'A2',
    failure: 'A load into Redshift fails on rows with their key and nothing else',
    playbook: 'redshift/empty-rows',
    load: 'clicks',
    labels: { alertname: 'RedshiftLoadFailed', err_code: '1213' },
    break: async ({ s3 }) => void (await s3.putLines(fileOf('A2'), GOOD.toSpliced(7, 0, ...HOLLOW))),
    evidence: [/line 8 of .{0,80}900,,/, /2 rows are to be set aside, those with nothing but their key included/],
    more: passOver('A2-next', '903,,'),
    async mended(pipeline) {
      await loaded(pipeline, '41 100')
      await quarantined(pipeline, 'A2', HOLLOW)
    },
    guards: [
      tooTolerant,
      {
        async arrange({ s3 }, _, fire) {
          await s3.putLines(fileOf('A2'), GOOD.toSpliced(7, 0, '905,2026-11-20 02:00:00,sent again', '901,,'))
          return fire()
        },
        says: /Line 8 of .* is no longer the one that Redshift rejected/,
      },
    ],
  }),
  broken({
    id: 'B1',
    own: true,
    failure: 'A load into Redshift fails on a value longer than its column',
    playbook: 'redshift/value-too-long',
    load: 'clicks',
    labels: { alertname: 'RedshiftLoadFailed', err_code: '1204' },
    break: async ({ s3 }) =>
      void (await s3.putLines(fileOf('B1'), GOOD.with(3, '3,2026-11-20 01:00:00,a note of thirty characters it is'))),
    async mended(pipeline) {
      await loaded(pipeline)
      const found = await pipeline.rows('select note from events.clicks where id = 3')
      must(found[0] === 'a note of thirty characters it is', found)
    },
    // The statement is shown before anybody decides.
    evidence: [
      /String length exceeds DDL length in column note, line 4\./,
      /ALTER TABLE .{0,40}clicks.{0,40}note.{0,20}TYPE character varying\(64\)/,
    ],
    async more(_, desk, id) {
      await desk.ask(id, 'widen-what-you-name', { widen: 'note 512' })
      await desk.approve(id)
    },
    guards: [
      {
        async arrange(pipeline, desk, fire) {
          const id = await fire()
          await climb(pipeline, desk, id, async () => {})
          await desk.ask(id, 'widen-what-you-name', { widen: 'note 8' })
          return id
        },
        says: /"note" has the length 64; it is never made shorter/,
      },
    ],
  }),
  broken({
    id: 'B4',
    own: true,
    failure: 'Columns are missing in the target table',
    playbook: 'redshift/columns-missing',
    load: 'orders',
    labels: { alertname: 'RedshiftColumnsMissing' },
    async break({ s3, warehouse }) {
      const order = { id: 1, title: 'a', seen: '2026-11-20 01:00:00', ok: true, n: 9_000_000_000, doc: '{"a":1}' }
      await s3.put('orders/B4/part-0.parquet', Buffer.from(JSON.stringify(order)))
      const types = { id: 'int', title: 'varchar(8)', seen: 'timestamp', ok: 'boolean', n: 'bigint' }
      // The crawler has not seen the newest one yet.
      for (const [i, [name, type]] of Object.entries(types).entries())
        await warehouse.ask(
          `insert into svv_external_columns values ('spectrum', 'orders', '${name}', '${type}', ${i}, 0, 'true')`,
        )
    },
    async mended({ rows }) {
      const found = await rows("select id, to_char(seen, 'YYYY-MM-DD'), ok, n, doc from events.orders")
      must(found[0] === '1 2026-11-20 true 9000000000 {"a":1}', found)
    },
    evidence: [
      /Against .*, 3 columns are missing in events\.orders, 0 are too short, 0 have another type\./,
      /ALTER TABLE .{0,40}orders.{0,40}ADD COLUMN .{0,20}seen.{0,20} timestamp/,
    ],
    async more({ warehouse }, desk, id) {
      await desk.ask(id, 'add-what-you-name', { add: 'doc varchar(200)' })
      await desk.approve(id)
      // The crawler has run.
      await warehouse.ask(
        "insert into svv_external_columns values ('spectrum', 'orders', 'doc', 'varchar(200)', 5, 0, 'true')",
      )
    },
    guards: [
      {
        async arrange({ warehouse }, _, fire) {
          await warehouse.ask("update svv_external_columns set external_type = 'struct<a:int>' where columnname = 'n'")
          return fire()
        },
        says: /No plain type holds "n" \(struct<a:int>\)/,
      },
    ],
  }),
  {
    id: 'B7',
    failure: 'Redshift is deadlocked',
    playbook: 'redshift/deadlock',
    peer: SQL,
    async begin() {
      const pipeline = await begin()
      const firing = { labels: { alertname: 'RedshiftBlockedSessions', connection: 'warehouse' } }
      let loader: Awaited<ReturnType<typeof block>>
      return {
        ...pipeline,
        async alert() {
          loader = await block(pipeline)
          return firing
        },
        evidence: [/1 of \d+ sessions on warehouse wait for a lock\. At the root: \d+ \(app, idle in transaction\)/],
        async recover(desk, id) {
          // The same session is in another transaction when the first approval comes: it is left alone, and asked for anew.
          const first = (await desk.last(id))!.digest
          await loader.query('commit')
          await block(pipeline, loader)
          await desk.approve(id)
          const now = (await desk.last(id))!
          must(now.status === 'open' && now.digest !== first, [now.status, now.note])
          await loader.query('select 1')
          await desk.approve(id)
        },
        mended: () => free(pipeline),
        guards: [{ arrange: (desk) => desk.fire(firing), says: /no session on warehouse waits for another one/ }],
      }
    },
  },
  {
    id: 'C1',
    failure: 'The warehouse loader hangs with nothing in progress',
    playbook: 'redshift/loader-hangs',
    peer: `${SQL}, and servers that speak the protocols of Redshift’s API and Airflow`,
    async begin() {
      const pipeline = await begin()
      const { aws } = pipeline
      const airflow = await startAirflow(2)
      airflow.state.addDag('nightly')
      airflow.state.addRun('nightly', 'r1', 'running', {})
      airflow.state.addTask('nightly', 'r1', 'load', 'running', { try: 1 })
      airflow.state.logs.set('nightly/r1/load/1', 'dropping the schema\nwip-count 0\nwip-count 0')
      const job = { airflow: 'jobs', dag: 'nightly', run: 'r1', task: 'load' }
      const firing = {
        labels: {
          alertname: 'WarehouseLoaderHangs',
          connection: 'warehouse',
          load: 'clicks',
          schema: 'events',
          ...job,
        },
      }
      return {
        connections: { ...pipeline.connections, jobs: airflowConnection(airflow.origin) },
        secrets: { ...pipeline.secrets, AIRFLOW_TOKEN: TOKEN },
        async stop() {
          await airflow.stop()
          await pipeline.stop()
        },
        async alert() {
          await block(pipeline)
          return firing
        },
        evidence: [
          /1 of \d+ sessions on warehouse hold locks and have to do with events; 1 wait for one/,
          /At the root: \d+ \(app, idle in transaction\)/,
          /dropping the schema.{1,4}wip-count 0.{1,4}wip-count 0/,
        ],
        async recover(desk, id) {
          await desk.approve(id)
          await free(pipeline)
          // It hangs again, and the next rung takes two people.
          await block(pipeline)
          await desk.ask(id, 'reboot-the-cluster')
          await desk.approve(id)
          const decisions = (await desk.last(id))?.decisions ?? []
          must(new Set(decisions.map((d) => d.user)).size === 2, decisions)
        },
        async mended() {
          await free(pipeline)
          must(aws.state.status === 'available' && aws.sent('RebootCluster') === 1, aws.state)
        },
        guards: [
          {
            async arrange(desk) {
              await block(pipeline)
              const id = await desk.fire(firing)
              await desk.approve(id)
              aws.state.status = 'resizing'
              await desk.ask(id, 'reboot-the-cluster')
              return id
            },
            says: /is resizing; only an available one is rebooted/,
          },
        ],
      }
    },
  },
]
