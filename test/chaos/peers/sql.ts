import { awsAt, type Call, type Peer } from './peer.ts'

export type Row = Readonly<Record<string, string | number | boolean | readonly number[] | null>>

const BEGAN = '2026-01-01 00:00:00'
const SESSION = {
  ...{ backend_start: BEGAN, transaction_start: BEGAN, query_start: BEGAN, state_since: BEGAN, state: 'active' },
  ...{ user: 'u', database: 'd', application: 'app', client: 'local', query: 'select 1', protected_because: '' },
  ...{ age_seconds: 9, may_signal: true, waits_for: '', blocked_by: [] },
}
const PIDS = [7, 8, 77]
const LOAD = {
  ...{
    query: '7',
    transaction: '5',
    status: 'aborted',
    table: 'orders',
    source: 's3://lake/in/',
    start: BEGAN,
    end: BEGAN,
  },
  ...{ rows: '0', files: '1', errors: '1' },
}
/** Of the object that the S3 peer has under every key. */
export const BAD_LINE = { number: 2, text: '{"id":' }
const PLACE = { file: 's3://lake/in/a.json', line: String(BAD_LINE.number), column: 'id' }
const ERROR = { ...PLACE, at: BEGAN, type: 'int4', length: '0', code: '1207', reason: 'Invalid digit', tbl: '100' }
const column = (name: string, type: string, length: string | null = null): Row => ({
  ...{ name, type, length, precision: null, scale: null, nullable: 'YES' },
})

/** What statements give, by words of them; the first that fits. Everything else gives nothing. */
const ROWS: readonly [words: RegExp, rows: (values: readonly string[], call: Call) => readonly Row[]][] = [
  [/^\s*with waiting/, ([pids = '']) => (pids.match(/\d+/g) ?? []).map((pid) => ({ ...SESSION, pid: Number(pid) }))],
  [/pg_(terminate|cancel)_backend/, () => [{ done: true }]],
  [/pg_backend_pid/, () => [{ pid: 1, user: 'keyturn' }]],
  // After a reboot.
  [/min\(starttime\)/, () => [{ began: '2100-01-01 00:00:00' }]],
  [/from stv_sessions order/, () => PIDS.map((pid) => ({ pid, began: BEGAN, user: 'u', database: 'd' }))],
  [
    /from svv_transactions/,
    () =>
      PIDS.map((pid) => ({ pid, xid: '5', started: BEGAN, mode: 'AccessShareLock', relation: null, granted: true })),
  ],
  [/as id from pg_class/, () => [{ id: '100' }]],
  [/from sys_load_history/, () => [LOAD]],
  [/from svv_columns/, () => [column('id', 'integer'), column('name', 'character varying', '10')]],
  [/from sys_load_error_detail/, () => [ERROR]],
  [/from stl_load_errors/, () => [{ ...PLACE, raw_line: BAD_LINE.text, value: '' }]],
]

export const rowsOf = (text: string, values: readonly string[], call: Call): readonly Row[] =>
  ROWS.find(([words]) => words.test(text))?.[1](values, call) ?? []

const sql = (port: number) => ({
  ...{ host: '127.0.0.1', port, database: 'd', user: 'u', passwordFrom: 'T', tls: 'off' },
})

/** A Postgres with every session. */
export const postgres: Peer = { settings: ({ sqlPort }) => sql(sqlPort) }

/** A Redshift with a failed load; its APIs are among those of AWS. */
export const redshift: Peer = {
  settings: ({ origin, sqlPort }) => ({
    ...sql(sqlPort),
    ...awsAt(origin),
    cluster: 'wh',
    orchestrator: 'none',
    reboot: true,
    loads: {
      orders: {
        ...{ table: 'public.orders', from: 's3://lake/in/', iamRole: 'arn:aws:iam::123456789012:role/load' },
        ...{ format: 'json', maxErrors: 9, s3: 's3' },
      },
    },
    pollSeconds: 0.001,
  }),
}
