import { gunzipSync } from 'node:zlib'
import { startDynamo } from './targets/dynamodb.ts'
import { startPostgres } from './targets/postgres.ts'
import { startS3 } from './targets/s3.ts'

/** A real system of the demo that can be broken, and that a playbook mends. */
export type Breakage = Readonly<{
  id: string
  /** What the panel calls the system, and the alert that fires once it is broken. */
  title: string
  alertTitle: string
  columns: string[]
  /** The state that a person would look at. */
  rows(): Promise<string[][]>
  /** Breaks it; the alert that a monitoring system would send. */
  damage(): Promise<{ labels: Record<string, string>; annotations: Record<string, string> }>
  /** The worker's connection, by name, and its secrets. */
  connection: Readonly<{ kind: string; environment: string } & Record<string, unknown>>
  secrets: Readonly<Record<string, string>>
  stop(): Promise<void>
}>

/** A loader leaves its transaction open; two reports wait for its lock. */
export async function breakWarehouse(): Promise<Breakage> {
  const server = await startPostgres()
  const admin = await server.session('postgres', 'demo')
  const rows = async () => {
    const { rows } = await admin.query<{ pid: number; state: string; blocked_by: string; query: string }>(
      `select pid, state, array_to_string(pg_blocking_pids(pid), ', ') as blocked_by, left(query, 60) as query
       from pg_stat_activity where application_name in ('loader', 'report') order by pid`,
    )
    return rows.map((r) => [String(r.pid), r.state, r.blocked_by || '–', r.query])
  }
  return {
    id: 'warehouse',
    title: 'Postgres: sessions',
    alertTitle: 'A session blocks the warehouse',
    columns: ['pid', 'state', 'blocked by', 'query'],
    rows,
    async damage() {
      const waiting = async () => (await rows()).filter((r) => r[2] !== '–').length
      // A second loader would wait for the first one's lock, and this for the second one.
      if ((await waiting()) === 0) {
        const blocker = await server.session('app', 'loader')
        await blocker.query('begin')
        await blocker.query('update accounts set balance = balance + 1')
        for (const id of [1, 2]) {
          const report = await server.session('app', 'report')
          report.query('update accounts set balance = 0 where id = $1', [id]).catch(() => {})
        }
        while ((await waiting()) < 2);
      }
      return {
        labels: { alertname: 'PostgresBlockedSessions', connection: 'warehouse', severity: 'critical' },
        annotations: { summary: 'Reports on the warehouse have waited for a lock for 5 minutes' },
      }
    },
    connection: { kind: 'postgres', environment: 'staging', ...server.settings },
    secrets: server.secrets,
    stop: () => server.stop(),
  }
}

const BUCKET = 'lake'
const KEY = 'events/clicks/2026-11-21T02.json.gz'

/** A producer died while it wrote: one line of an event's file is not JSON. */
export async function breakLake(): Promise<Breakage> {
  const server = await startS3(BUCKET)
  const events = Array.from({ length: 40 }, (_, i) => JSON.stringify({ event: 'click', id: i, page: `/p/${i % 7}` }))
  const whole = (line: string) => {
    try {
      JSON.parse(line)
      return true
    } catch {
      return false
    }
  }
  await server.putLines(KEY, events)
  return {
    id: 'lake',
    title: 'S3: files of the bucket',
    alertTitle: 'A line of an event file is not JSON',
    columns: ['file', 'lines', 'not JSON'],
    async rows() {
      const keys = (await server.keys()).filter((k) => k !== undefined)
      return Promise.all(
        keys.map(async (key) => {
          const bytes = await server.bytes(key)
          const text = (key.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()
          const lines = text.split('\n').filter(Boolean)
          return [key, String(lines.length), String(lines.filter((l) => !whole(l)).length)]
        }),
      )
    },
    async damage() {
      await server.putLines(KEY, events.with(23, '{"event":"click","id":23,"pa'))
      return {
        labels: {
          alertname: 'ParserMalformedJson',
          connection: 'lake',
          bucket: BUCKET,
          prefix: 'events/clicks/',
          key: KEY,
          severity: 'critical',
        },
        annotations: { summary: 'The parser of clicks stopped: unexpected end of JSON input' },
      }
    },
    connection: {
      kind: 's3',
      environment: 'production',
      region: 'us-east-1',
      endpoint: server.endpoint,
      forcePathStyle: true,
      buckets: [BUCKET],
      accessKeyIdFrom: 'LAKE_KEY_ID',
      secretAccessKeyFrom: 'LAKE_SECRET_KEY',
    },
    secrets: { LAKE_KEY_ID: 'S3RVER', LAKE_SECRET_KEY: 'S3RVER' },
    stop: () => server.close(),
  }
}

const TABLE = 'ledger'

/** More is written to a table than is provisioned. The table takes `updateTableMs` to change. */
export async function breakLedger(updateTableMs = 700): Promise<Breakage> {
  const server = await startDynamo(updateTableMs)
  await server.create(TABLE, 10, 10)
  return {
    id: 'ledger',
    title: 'DynamoDB: capacity of the table',
    alertTitle: 'A table throttles its writes',
    columns: ['table', 'status', 'read units', 'write units'],
    async rows() {
      const table = await server.describe(TABLE)
      const units = table?.ProvisionedThroughput
      return [[TABLE, table?.TableStatus ?? '', String(units?.ReadCapacityUnits), String(units?.WriteCapacityUnits)]]
    },
    async damage() {
      return {
        labels: { alertname: 'DynamoDBWriteThrottled', connection: 'ledger', table: TABLE, severity: 'critical' },
        annotations: {
          summary: 'The ledger rejects 120 writes a minute',
          consumed_write: '10',
          throttled_writes: '120',
          wanted_write: '20',
        },
      }
    },
    connection: {
      kind: 'dynamodb',
      environment: 'production',
      region: 'us-east-1',
      endpoint: server.endpoint,
      tables: { [TABLE]: { maxRead: 100, maxWrite: 100 } },
      pollSeconds: 0.2,
      accessKeyIdFrom: 'LEDGER_KEY_ID',
      secretAccessKeyFrom: 'LEDGER_SECRET_KEY',
    },
    secrets: { LEDGER_KEY_ID: 'local', LEDGER_SECRET_KEY: 'local-ledger-secret' },
    stop: () => server.close(),
  }
}
