import { setTimeout as pause } from 'node:timers/promises'
import { maskSecrets } from '../mask.ts'
import { changed } from './changed.ts'
import { SIGNAL_WAIT_MS } from './connection.ts'
import { SqlFault } from './faults.ts'
import { APPLICATION, type Sql } from './session.ts'
import { clean } from './text.ts'

/** One session as pg_stat_activity shows it. Times are ISO 8601 in UTC with microseconds, as the server has them. */
export type Session = Readonly<{
  pid: number
  /** Empty when the role may not see it. */
  backendStart: string
  transactionStart: string
  queryStart: string
  /** Since when it is in its state. */
  stateSince: string
  state: string
  user: string
  database: string
  application: string
  client: string
  /** Untrusted; one line, cut to 300 characters. */
  query: string
  /** Untrusted, as the server has it (it cuts at track_activity_query_size). */
  rawQuery: string
  ageSeconds: number
  /** The lock that it waits for: mode and object; empty when it waits for none. */
  waitsFor: string
  /** Pids that it waits for, sorted; 0 is a prepared transaction. */
  blockedBy: readonly number[]
  /** Why it is never ended; empty when it may be. */
  protectedBecause: string
  maySignal: boolean
}>

const utc = (column: string) => `coalesce(to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '')`

/** Roles of RDS, Cloud SQL, AlloyDB and Azure that keep the server itself; of some of them nobody sees that they are superusers. */
const SERVICE = ['rdsadmin', 'rdsrepladmin', 'cloudsqladmin', 'alloydbadmin', 'azuresu']

/** Why a session is left alone; '' otherwise. `a` is pg_stat_activity, `r` the session's role. */
const PROTECTED = `case
  when a.pid = pg_backend_pid() or (a.application_name = '${APPLICATION}' and a.usename = current_user) then 'a session of Keyturn'
  when a.backend_type = 'walsender' or exists (select from pg_stat_replication s where s.pid = a.pid) then 'a replication session'
  when a.backend_type <> 'client backend' then 'a process of the server (' || a.backend_type || ')'
  when a.usename in (${SERVICE.map((name) => `'${name}'`).join(', ')}) then 'a session of the database service itself'
  when r.rolsuper then 'a superuser session'
  when r.rolreplication then 'a session of a replication role'
  when r.oid is null or a.backend_start is null then 'not visible to ' || current_user || ' (grant pg_monitor)'
  else '' end`

const FROM = 'from pg_stat_activity a left join pg_roles r on r.oid = a.usesysid'

const SESSION = `a.pid, ${utc('a.backend_start')} as backend_start, ${utc('a.xact_start')} as transaction_start,
  ${utc('a.query_start')} as query_start, ${utc('a.state_change')} as state_since,
  coalesce(a.state, '') as state, coalesce(a.usename, '') as "user", coalesce(a.datname, '') as database,
  coalesce(a.application_name, '') as application, coalesce(host(a.client_addr), 'local') as client,
  coalesce(a.query, '') as query, ${PROTECTED} as protected_because,
  coalesce(extract(epoch from clock_timestamp() - coalesce(a.query_start, a.xact_start)), 0)::float8 as age_seconds,
  pg_has_role(current_user, 'pg_signal_backend', 'usage')
    or coalesce(pg_has_role(current_user, a.usesysid, 'usage'), false) as may_signal`

/** Sessions that wait for a lock and the ones that they wait for; pg_locks is readable without further rights. */
const BLOCKING = `
with waiting as (
  select l.pid, min(l.mode || coalesce(' on ' || case when l.database = (select oid from pg_database where datname = current_database())
    then l.relation::regclass::text else l.relation::text end, ' on a ' || l.locktype)) as waits_for
  from pg_locks l where not l.granted group by l.pid
), edges as (
  select w.pid, w.waits_for, array(select distinct b from unnest(pg_blocking_pids(w.pid)) b order by b) as blocked_by from waiting w
), blocked as (select * from edges where cardinality(blocked_by) > 0)
select ${SESSION}, coalesce(b.waits_for, '') as waits_for, coalesce(b.blocked_by, '{}') as blocked_by
${FROM} left join blocked b on b.pid = a.pid
where b.pid is not null or a.pid in (select unnest(blocked_by) from blocked) or a.pid = any($1::int[])
order by a.pid`

const RUNNING = `
select ${SESSION}, coalesce(a.wait_event_type || ': ' || a.wait_event, '') as waits_for, '{}'::int[] as blocked_by
${FROM} where a.state in ('active', 'idle in transaction', 'idle in transaction (aborted)') and a.backend_type = 'client backend'
  and a.pid <> pg_backend_pid()
order by coalesce(a.query_start, a.xact_start), a.pid limit $1`

const CONNECTIONS = `
select coalesce(state, 'unknown') as state, count(*)::int as sessions, current_setting('max_connections')::int as most
from pg_stat_activity where backend_type = 'client backend' group by 1 order by 2 desc, 1`

const HOLDERS = `
select coalesce(usename, '') as "user", coalesce(application_name, '') as application, count(*)::int as sessions,
  (count(*) filter (where state like 'idle%'))::int as idle
from pg_stat_activity where backend_type = 'client backend' group by 1, 2 order by 3 desc, 1, 2 limit $1`

const TIMEOUTS = `
select coalesce(r.rolname, '') as "user", coalesce(d.datname, '') as database, split_part(one, '=', 2) as value
from pg_db_role_setting s cross join lateral unnest(s.setconfig) as one
left join pg_roles r on r.oid = s.setrole left join pg_database d on d.oid = s.setdatabase
where one like 'statement_timeout=%'`

const LOCKS = `
select l.pid, l.mode, count(*)::int as locks, bool_or(not l.granted) as waits,
  coalesce(string_agg(distinct c.relname || ' (~' || greatest(c.reltuples, 0)::bigint || ' rows)', ', ' ), '') as tables
from pg_locks l left join pg_class c on c.oid = l.relation and c.relkind in ('r', 'p', 'm')
  and l.database = (select oid from pg_database where datname = current_database())
where l.pid = any($1::int[]) and l.locktype <> 'virtualxid' group by l.pid, l.mode order by l.pid, l.mode`

type Row = {
  pid: number
  backend_start: string
  transaction_start: string
  query_start: string
  state_since: string
  state: string
  user: string
  database: string
  application: string
  client: string
  query: string
  protected_because: string
  age_seconds: number
  may_signal: boolean
  waits_for: string
  blocked_by: number[]
}

const toSession = (row: Row): Session => ({
  pid: row.pid,
  backendStart: row.backend_start,
  transactionStart: row.transaction_start,
  queryStart: row.query_start,
  stateSince: row.state_since,
  state: row.state,
  user: clean(row.user, 63),
  database: clean(row.database, 63),
  application: clean(row.application, 63),
  client: row.client,
  query: clean(maskSecrets(row.query), 300),
  rawQuery: row.query,
  ageSeconds: row.age_seconds,
  waitsFor: clean(row.waits_for, 120),
  blockedBy: row.blocked_by,
  protectedBecause: row.protected_because,
  maySignal: row.may_signal,
})

/** Everyone who waits for a lock, everyone who is waited for, and the given pids if they exist; sorted by pid. */
export async function readBlocking(client: Sql, also: readonly number[] = []): Promise<Session[]> {
  return (await client.query<Row>(BLOCKING, [also])).rows.map(toSession)
}

/** Sessions with an open statement or transaction, the longest first; Keyturn's own is left out. */
export async function readRunning(client: Sql, limit: number): Promise<Session[]> {
  return (await client.query<Row>(RUNNING, [limit])).rows.map(toSession)
}

/** How many client sessions are in which state, and the server's limit. */
export async function readConnections(client: Sql) {
  return (await client.query<{ state: string; sessions: number; most: number }>(CONNECTIONS)).rows
}

/** Who holds how many of them, those with most first: role and application. */
export async function readHolders(client: Sql, limit: number) {
  return (await client.query<{ user: string; application: string; sessions: number; idle: number }>(HOLDERS, [limit]))
    .rows
}

/** The statement_timeout that a role has in a database of its own or for all of its roles; '' for none. */
export async function readTimeouts(client: Sql) {
  const { rows } = await client.query<{ user: string; database: string; value: string }>(TIMEOUTS)
  return (user: string, database: string): string =>
    rows
      .filter((row) => ['', user].includes(row.user) && ['', database].includes(row.database))
      // https://www.postgresql.org/docs/current/catalog-pg-db-role-setting.html: the more it says, the more it counts.
      .sort(
        (a, b) =>
          Number(b.user !== '') - Number(a.user !== '') || Number(b.database !== '') - Number(a.database !== ''),
      )[0]?.value ?? ''
}

/** The locks of the given pids by mode, with the tables of this database and their estimated rows. */
export async function readLocks(client: Sql, pids: readonly number[]) {
  const { rows } = await client.query<{ pid: number; mode: string; locks: number; waits: boolean; tables: string }>(
    LOCKS,
    [pids],
  )
  return rows
}

/** What makes a session the one that was approved: the process, and the transaction or query it is in. */
export type Identity = Readonly<{ pid: number; backendStart: string; transactionStart: string; queryStart: string }>

/** `left_alone`: no such session any more, another transaction or query by now, or one that is protected. */
export type Signalled = 'ended' | 'signalled' | 'left_alone'

// OFFSET keeps the check in front of the signal, as MATERIALIZED does from Postgres 12 on.
const signal = (call: string, same: string) => `
with target as (
  select a.pid ${FROM} where a.pid = $1 and ${utc('a.backend_start')} = $2 and ${same} = $3 and ${PROTECTED} = '' offset 0
) select ${call} as done from target`

const SAME_TRANSACTION = utc('a.xact_start')
const TERMINATE = signal(`pg_terminate_backend(pid, ${SIGNAL_WAIT_MS})`, SAME_TRANSACTION)
/** Before Postgres 14 the function neither waits nor takes a time: https://www.postgresql.org/docs/release/14.0/ */
const TERMINATE_AT_ONCE = signal('pg_terminate_backend(pid)', SAME_TRANSACTION)
const CANCEL = signal(
  'pg_cancel_backend(pid)',
  `case when a.state = 'active' then ${utc('a.query_start')} else '-' end`,
)
const THERE = `select a.pid from pg_stat_activity a where a.pid = $1 and ${utc('a.backend_start')} = $2`

/** SQLSTATE of a function that the server does not have. */
const UNDEFINED_FUNCTION = '42883'
const LOOK_EVERY_MS = 100

/** Ends the session if it is still the same process in the same transaction: check and signal are one statement. */
export async function terminate(client: Sql, it: Identity): Promise<Signalled> {
  const values = [it.pid, it.backendStart, it.transactionStart]
  if (client.version() === 0 || client.version() >= 14)
    try {
      const { rows } = await changed<{ done: boolean }>(client, TERMINATE, values)
      if (!rows[0]) return 'left_alone'
      return rows[0].done ? 'ended' : 'signalled'
    } catch (error) {
      // The statement was not begun: servers that only look like Postgres 14.
      if (!(error instanceof SqlFault && error.code === UNDEFINED_FUNCTION)) throw error
    }
  const { rows } = await changed<{ done: boolean }>(client, TERMINATE_AT_ONCE, values)
  if (!rows[0]) return 'left_alone'
  try {
    for (let waited = 0; waited < SIGNAL_WAIT_MS; waited += LOOK_EVERY_MS) {
      if ((await client.query(THERE, [it.pid, it.backendStart])).rows.length === 0) return 'ended'
      await pause(LOOK_EVERY_MS)
    }
  } catch {
    // The signal is out; whether it helped is looked at once more when the run is verified.
  }
  return 'signalled'
}

/** Cancels the query if the same process still runs it: check and signal are one statement. */
export async function cancel(client: Sql, it: Identity): Promise<Signalled> {
  const { rows } = await changed<{ done: boolean }>(client, CANCEL, [it.pid, it.backendStart, it.queryStart])
  return rows[0] ? 'signalled' : 'left_alone'
}
