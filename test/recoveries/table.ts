import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Breakage, breakWarehouse } from '../../src/sandbox/breakages.ts'
import { startPostgres } from '../../src/sandbox/targets/postgres.ts'
import { startCloudWatch } from '../commands/dynamodb/cloudwatch-server.ts'
import { startTable } from '../commands/dynamodb/table-server.ts'
import { startRds } from '../commands/rds/server.ts'
import { AIRFLOW_ROWS } from './airflow.ts'
import { DEPLOY_ROWS } from './deploy.ts'
import type { Desk } from './desk.ts'
import { EMR_ROWS } from './emr.ts'
import { KAFKA_ROWS } from './kafka.ts'
import { KUBERNETES_ROWS } from './kubernetes.ts'
import { MACHINES_ROWS } from './machines.ts'
import { METADATA_ROWS } from './metadata.ts'
import { NETWORK_ROWS } from './network.ts'
import { REDSHIFT_ROWS } from './redshift.ts'
import type { Row } from './row.ts'
import { S3_ROWS } from './s3.ts'

const must = (holds: boolean, what: string) => {
  if (!holds) throw new Error(what)
}

/** A breakage of the demo as a row's system. */
async function demo(
  start: () => Promise<Breakage>,
  mended: (rows: string[][]) => boolean,
  evidence: readonly RegExp[],
  ...guards: NonNullable<Awaited<ReturnType<Row['begin']>>['guards']>
) {
  const breakage = await start()
  return {
    connections: { [breakage.id]: breakage.connection },
    secrets: breakage.secrets,
    alert: () => breakage.damage(),
    async mended() {
      const rows = await breakage.rows()
      must(mended(rows), `not mended: ${JSON.stringify(rows)}`)
    },
    evidence,
    guards,
    stop: () => breakage.stop(),
  }
}

/** A table whose load rises faster than its capacity can be raised. */
async function ledger() {
  const dynamo = await startTable()
  const cloudwatch = await startCloudWatch()
  cloudwatch.state.points = {
    'ConsumedWriteCapacityUnits orders': [[2, 600]],
    'WriteThrottleEvents orders': [[2, 120]],
  }
  const labels = { alertname: 'DynamoDBWriteThrottled', connection: 'ledger', table: 'orders' }
  const tooMuch = (annotations: Record<string, string>, says: RegExp) => ({
    arrange: async (desk: Desk) => {
      Object.assign(dynamo.state, { onDemand: false, units: { ReadCapacityUnits: 10, WriteCapacityUnits: 10 } })
      return desk.fire({ labels, annotations })
    },
    says,
  })
  return {
    connections: {
      ledger: {
        ...{ kind: 'dynamodb', environment: 'production', region: 'us-east-1', endpoint: dynamo.endpoint },
        cloudwatchEndpoint: cloudwatch.endpoint,
        ...{ tables: { orders: { maxRead: 100, maxWrite: 100, onDemand: true } }, pollSeconds: 0.02 },
        ...{ accessKeyIdFrom: 'LEDGER_KEY', secretAccessKeyFrom: 'LEDGER_KEY' },
      },
    },
    secrets: { LEDGER_KEY: 'local-ledger-key' },
    alert: async () => {
      dynamo.state.units = { ReadCapacityUnits: 10, WriteCapacityUnits: 10 }
      const annotations = { consumed_write: '10', throttled_writes: '120', wanted_write: '20' }
      return { labels, annotations }
    },
    evidence: [
      /Table orders uses all that is provisioned: writes \(10 of 10\)/,
      /120, up to 2\/s at \d\d:\d\d UTC/,
      /Contributor Insights is off: which keys are hot/,
      // The plan says what it costs.
      /\+\$\d+\.\d\d a month/,
    ],
    async recover(desk: Desk, id: string) {
      await desk.approve(id)
      must(dynamo.state.units.WriteCapacityUnits === 20, 'the capacity was not raised')
      // It throttles still.
      await desk.ask(id, 'bill-it-on-demand')
      await desk.approve(id)
    },
    async mended() {
      const { onDemand, max } = dynamo.state
      must(onDemand && max?.MaxWriteRequestUnits === 100, 'it is not billed on demand with its maximum')
    },
    guards: [
      tooMuch({ wanted_write: '5000' }, /5000 write units .*ceiling/i),
      tooMuch({ wanted_write: '30', wanted_read: '6000' }, /6000 read units .*ceiling/i),
    ],
    async stop() {
      await cloudwatch.close()
      await dynamo.close()
    },
  }
}

const ROLE = 'arn:aws:iam::123456789012:role/export'
const ARN = 'arn:aws:rds:us-east-1:123456789012'
const SNAPSHOT = `${ARN}:cluster-snapshot:rds:orders-2026-11-20-03-00`

type Rds = Awaited<ReturnType<typeof startRds>>
async function rds(
  alertname: string,
  evidence: readonly RegExp[],
  ...guards: { arrange(server: Rds): void; says: RegExp }[]
) {
  const server = await startRds(ROLE)
  const reset = () => {
    server.reset()
    server.sources.push({ arn: SNAPSHOT, owner: 'orders', status: 'available', created: '2026-11-20T03:00:00.000Z' })
    for (let i = 0; i < 5; i += 1)
      server.sources.push({
        arn: `${ARN}:snapshot:s${i}`,
        owner: `db${i}`,
        status: 'available',
        created: '2026-11-20T03:00:00.000Z',
      })
  }
  reset()
  const firing = {
    labels: {
      alertname,
      connection: 'prod',
      source: SNAPSHOT,
      export: 'orders',
      name: 'orders',
      databases: 'web,billing',
    },
  }
  const connection = {
    kind: 'rds',
    environment: 'production',
    region: 'us-east-1',
    endpoint: server.endpoint,
    accessKeyIdFrom: 'K',
    secretAccessKeyFrom: 'K',
    bucket: 'exports',
    s3Prefix: 'nightly',
    iamRoleArn: ROLE,
    kmsKeyId: 'key-1',
    pollSeconds: 0.01,
  }
  return {
    server,
    connections: { prod: connection },
    secrets: { K: 'local-secret' },
    alert: async () => firing,
    async mended() {
      const tasks = server.tasks.filter((one) => one.SourceArn === SNAPSHOT)
      const [task] = tasks
      must(
        tasks.length === 1 && /^orders-\d{8}-\d{4}$/.test(task!.ExportTaskIdentifier),
        'no export with a unique name',
      )
      must(task!.ExportOnly.toSorted().join() === 'billing,web', 'not one export of all databases')
    },
    evidence,
    guards: guards.map(({ arrange, says }) => ({
      async arrange(desk: Desk) {
        reset()
        arrange(server)
        return desk.fire(firing)
      },
      says,
    })),
    stop: () => server.close(),
  }
}
const task = (name: string, more: Record<string, unknown> = {}) => ({
  ExportTaskIdentifier: name,
  SourceArn: `${ARN}:snapshot:${name}`,
  S3Bucket: 'exports',
  S3Prefix: 'nightly',
  IamRoleArn: ROLE,
  KmsKeyId: 'key-1',
  ExportOnly: [] as string[],
  Status: 'IN_PROGRESS',
  PercentProgress: 40,
  TaskStartTime: '2026-11-21T01:00:00.000Z',
  ...more,
})

/** A question that a service answers; nothing is mended. */
async function asked(labels: Record<string, string>, path: string, answer: object, evidence: RegExp) {
  const server = createServer((request, response) => {
    const known = request.url === path
    response.writeHead(known ? 200 : 404).end(known ? JSON.stringify(answer) : 'not found')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const allow = ['/transactions/*/datasets/*', '/loads/*/*'].map((one) => ({ method: 'GET', path: one }))
  return {
    connections: { metadata: { kind: 'http', environment: 'production', baseUrl, allow } },
    secrets: {},
    alert: async () => ({ labels: { ...labels, connection: 'metadata' } }),
    evidence: [evidence],
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** To add a row is one entry here. */
const OWN: readonly Row[] = [
  {
    id: 'B2',
    failure: 'ExportTaskAlreadyExists on StartExportTask',
    playbook: 'rds/export-already-exists',
    peer: 'a server that speaks the RDS wire protocol',
    begin: () =>
      rds(
        'RDSExportAlreadyExists',
        [/0 of 5 export slots of the account are taken\. There is no task named orders\./],
        {
          arrange: (server) =>
            void server.tasks.push(
              task('orders-old', { SourceArn: SNAPSHOT, Status: 'COMPLETE', TaskEndTime: '2026-11-21T02:00:00.000Z' }),
            ),
          says: /Use that one/,
        },
      ),
  },
  {
    id: 'B5',
    failure: 'ExportTaskLimitReachedFault: limit of 5 concurrent export tasks',
    playbook: 'rds/export-limit-reached',
    peer: 'a server that speaks the RDS wire protocol',
    async begin() {
      const full = (server: Awaited<ReturnType<typeof startRds>>) => {
        for (let i = 0; i < 5; i += 1) server.tasks.push(task(`s${i}`))
      }
      const { server, ...system } = await rds(
        'RDSExportLimitReached',
        [/5 of 5 export slots of the account are taken/, /"s3".{0,100}"IN_PROGRESS".{0,200}snapshot:s3/],
        { arrange: full, says: /All 5 export slots/ },
        {
          arrange: (server) => void server.tasks.push(task('one-database', { SourceArn: SNAPSHOT })),
          says: /one-database/,
        },
      )
      return {
        ...system,
        async alert() {
          full(server)
          return system.alert()
        },
        async recover(desk, id) {
          must((await desk.last(id))?.status === 'refused', 'started a sixth export')
          await desk.ask(id, 'cancel-an-export-that-nobody-waits-for', { name: 's3' })
          await desk.approve(id)
          await desk.ask(id, 'start-one-export-with-all-databases')
          await desk.approve(id)
        },
        async mended() {
          await system.mended()
          const running = server.tasks.filter((one) => one.Status !== 'CANCELED').map((one) => one.ExportTaskIdentifier)
          must(running.length === 5 && !running.includes('s3'), `run: ${running.join()}`)
        },
      }
    },
  },
  {
    id: 'B6',
    failure: 'A heavy query brings the restored database down',
    playbook: 'postgres/heavy-query',
    peer: 'Postgres, and a server that speaks the RDS wire protocol',
    async begin() {
      const server = await startPostgres()
      const rds = await startRds(ROLE)
      rds.instances.push({
        DBInstanceIdentifier: 'orders-restored',
        DbiResourceId: 'db-ABC',
        DBInstanceClass: 'db.r6g.large',
        DBInstanceStatus: 'available',
        MultiAZ: true,
        pending: {},
      })
      const heavy = async (user: 'app' | 'mirror') => {
        const session = await server.session(user, 'heavy')
        const { rows } = await session.query<{ pid: number }>('select pg_backend_pid() as pid')
        const pid = rows[0]!.pid
        // It takes no cancel.
        const stubborn = 'begin perform pg_sleep(600); exception when query_canceled then null; end'
        session.query(`do $$ begin loop ${stubborn}; end loop; end $$`).catch(() => {})
        const admin = await server.session('postgres', 'watch')
        const active = async () =>
          (await admin.query('select 1 from pg_stat_activity where pid = $1 and state = $2', [pid, 'active']))
            .rowCount === 1
        while (!(await active()));
        return { pid, active }
      }
      let first: Awaited<ReturnType<typeof heavy>> | null = null
      const labels = (pid: number) => ({
        alertname: 'PostgresHeavyQuery',
        connection: 'replica',
        pid: String(pid),
        rds: 'prod',
        instance: 'orders-restored',
      })
      return {
        connections: {
          replica: { kind: 'postgres', environment: 'production', ...server.settings, explain: true },
          prod: {
            kind: 'rds',
            environment: 'production',
            region: 'us-east-1',
            endpoint: rds.endpoint,
            accessKeyIdFrom: 'K',
            secretAccessKeyFrom: 'K',
            resize: { instances: ['orders-restored'], classes: ['db.r6g.xlarge'] },
            pollSeconds: 0.01,
          },
        },
        secrets: { ...server.secrets, K: 'local-secret' },
        async alert() {
          first = await heavy('app')
          const report = await server.session('app', 'report')
          report.query('select pg_sleep(600), * from accounts').catch(() => {})
          return { labels: labels(first.pid) }
        },
        evidence: [
          /The longest on replica: session \d+ of app, active for .*\d+ of 100 connections are in use/,
          /Seq Scan on accounts .{0,80}rows=\d+/,
          /No session on replica waits for another one/,
        ],
        async recover(desk, id) {
          await desk.approve(id)
          must((await desk.last(id))?.status === 'failed', 'the cancel was taken')
          await desk.ask(id, 'terminate-its-session')
          await desk.approve(id)
          must((await desk.last(id))?.status === 'succeeded', 'the session was not terminated')
          await desk.ask(id, 'scale-the-instance-up', { class: 'db.r6g.xlarge' })
          await desk.approve(id)
        },
        async mended() {
          must(!(await first!.active()), 'the query still runs')
          must(rds.instances[0]!.DBInstanceClass === 'db.r6g.xlarge', 'the instance is as small as before')
        },
        guards: [
          {
            async arrange(desk: Desk) {
              const { pid } = await heavy('mirror')
              return desk.fire({ labels: labels(pid) })
            },
            says: /replication/i,
          },
        ],
        async stop() {
          await server.stop()
          await rds.close()
        },
      }
    },
  },
  {
    id: 'B7',
    failure: 'Sessions block each other',
    playbook: 'postgres/blocked-sessions',
    peer: 'Postgres',
    begin: () =>
      demo(
        breakWarehouse,
        (rows) => rows.every((r) => r[2] === '–'),
        [/2 sessions on warehouse wait for a lock\. At the root: \d+ /, /idle in transaction/],
        {
          arrange: async (desk) =>
            desk.fire({ labels: { alertname: 'PostgresBlockedSessions', connection: 'warehouse' } }),
          says: /no session on warehouse blocks another/,
        },
      ),
  },
  {
    id: 'C12',
    failure: 'A database stops itself because its storage table throttles writes',
    playbook: 'dynamodb/write-throttled',
    peer: 'servers that speak the protocols of DynamoDB and CloudWatch',
    begin: ledger,
  },
  {
    id: 'C8',
    failure: 'Was a dataset loaded?',
    playbook: 'metadata/was-it-loaded',
    peer: 'an HTTP server',
    begin: () =>
      asked(
        { alertname: 'DatasetLoadQuestioned', table: 'orders', day: '2026-11-20' },
        '/loads/orders/2026-11-20',
        { rows: 41_822 },
        /41822/,
      ),
  },
  {
    id: 'C13',
    failure: 'Somebody needs a dataset of a run in a notebook',
    playbook: 'metadata/dataset-path',
    peer: 'an HTTP server',
    begin: () =>
      asked(
        { alertname: 'DatasetPathWanted', transaction: 't-77', dataset: 'users' },
        '/transactions/t-77/datasets/users',
        { path: 's3://lake/t-77/users', format: 'parquet' },
        /lake\/t-77\/users/,
      ),
  },
]

/** Each system has a file of its own. */
const SYSTEMS = {
  OWN,
  AIRFLOW_ROWS,
  DEPLOY_ROWS,
  EMR_ROWS,
  KAFKA_ROWS,
  KUBERNETES_ROWS,
  MACHINES_ROWS,
  METADATA_ROWS,
  NETWORK_ROWS,
  REDSHIFT_ROWS,
  S3_ROWS,
}

/** All of them, in the order of their ids. */
export const ROWS: readonly Row[] = Object.values(SYSTEMS)
  .flat()
  .toSorted((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }))

/** The page that docs/recoveries.md is. */
export function page(): string {
  const rows = ROWS.map(
    (r) => `| ${r.id} | ${r.failure} | [${r.playbook}](../playbooks/${r.playbook}.md) | ${r.peer} |`,
  )
  return [
    '# Recoveries',
    '',
    'Failures that can be recovered from the thread. Each row is driven by a test from the alert through evidence, plan, approval',
    'and run, up every rung of its playbook, to a verified effect on the system named; what the thread shows is held against what',
    'a person would have looked up; and each of its guards is run into. This page is made from the table of those tests,',
    '`test/recoveries/table.ts`, and a test holds it to that.',
    '',
    '| | failure | playbook | system in the test |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}
