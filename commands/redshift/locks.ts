import { Refused } from '../../src/domain/command.ts'
import { maskSecrets } from '../mask.ts'
import { changed } from '../postgres/changed.ts'
import type { Sql } from '../postgres/session.ts'
import type { Session } from '../postgres/sessions.ts'
import { clean } from '../postgres/text.ts'
import { utc } from './errors.ts'
import { unlessHidden } from './views.ts'

/**
 * A session of Redshift, and the transaction it is in; `xid` is '' outside of one. `holds`: `mode on schema.table`. `view` is
 * where its start is from.
 */
export type Locker = Session & Readonly<{ xid: string; began: string; view: View; holds: readonly string[] }>

/** A provisioned cluster has STV tables; Serverless and clusters in two zones have SYS views alone. */
export type View = 'stv' | 'sys'

/** The owner of Redshift's own sessions: "STV_SESSIONS" in the developer guide shows it. */
const INTERNAL = 'rdsdb'

/**
 * Which modes of others a lock waits for. Redshift itself takes AccessShare, ShareRowExclusive and AccessExclusive locks of
 * whole tables; the others are those of Postgres.
 */
const CONFLICTS: Readonly<Record<string, readonly string[]>> = (() => {
  const order = [
    'AccessShareLock',
    'RowShareLock',
    'RowExclusiveLock',
    'ShareUpdateExclusiveLock',
    'ShareLock',
    'ShareRowExclusiveLock',
    'ExclusiveLock',
    'AccessExclusiveLock',
  ]
  const from = (mode: string) => order.slice(order.indexOf(mode))
  return {
    AccessShareLock: from('AccessExclusiveLock'),
    RowShareLock: from('ExclusiveLock'),
    RowExclusiveLock: from('ShareLock'),
    ShareUpdateExclusiveLock: from('ShareUpdateExclusiveLock'),
    ShareLock: [...from('ShareRowExclusiveLock'), 'RowExclusiveLock', 'ShareUpdateExclusiveLock'],
    ShareRowExclusiveLock: from('RowExclusiveLock'),
    ExclusiveLock: from('RowShareLock'),
    AccessExclusiveLock: order,
  }
})()

type Lock = { pid: number; relation: string; mode: string; granted: boolean }

/** Granted locks whose tables are named; a load of a partitioned schema holds hundreds. Those of a session are then cut, and say so. */
const MOST_HELD = 1_000

/** For each pid that waits: for whom, and for what. Behind one that waits itself only if nobody else is in the way. */
function edges(locks: readonly Lock[]): Map<number, { by: number[]; lock: Lock }> {
  const found = new Map<number, { by: number[]; lock: Lock }>()
  for (const lock of locks.filter((one) => !one.granted)) {
    const against = locks.filter(
      (other) =>
        other.pid !== lock.pid && other.relation === lock.relation && CONFLICTS[lock.mode]?.includes(other.mode),
    )
    const held = against.filter((other) => other.granted)
    const by = (held.length > 0 ? held : against).map((other) => other.pid)
    if (by.length === 0) continue
    const before = found.get(lock.pid)?.by ?? []
    found.set(lock.pid, { by: [...new Set([...before, ...by])].sort((a, b) => a - b), lock })
  }
  return found
}

type Base = { pid: number; began: string; user: string; database: string }
type Running = { pid: number; started: string; query: string }

const STV = {
  sessions: `select process as pid, cast(starttime as varchar) as began, rtrim(user_name) as "user", rtrim(db_name) as database
     from stv_sessions order by process`,
  running: `select pid, cast(starttime as varchar) as started, rtrim(query) as query from stv_recents
     where rtrim(status) = 'Running' order by starttime`,
}
/** The states of a query that is not over: SYS_QUERY_HISTORY in the developer guide. */
const SYS = {
  sessions: `select session_id as pid, cast(start_time as varchar) as began, rtrim(cast(user_id as varchar)) as "user",
     rtrim(database_name) as database from sys_session_history where rtrim(status) = 'active' order by session_id`,
  running: `select session_id as pid, cast(start_time as varchar) as started, rtrim(query_text) as query
     from sys_query_history where rtrim(status) in ('planning', 'queued', 'running', 'returning') order by start_time`,
}

/** Sessions and what they run, from where this Redshift has them. */
async function readSessions(sql: Sql): Promise<{ view: View; sessions: Base[]; running: Running[] }> {
  const sessions = await unlessHidden(() => sql.query<Base>(STV.sessions))
  if (sessions) {
    const running = await sql.query<Running>(STV.running)
    return { view: 'stv', sessions: sessions.rows, running: running.rows }
  }
  const { rows } = await sql.query<Base>(SYS.sessions)
  const { rows: running } = await sql.query<Running>(SYS.running)
  // SYS views have numbers for users; Redshift does not join them with the catalogue.
  const { rows: users } = await sql.query<{ id: string; name: string }>(
    'select cast(usesysid as varchar) as id, usename as name from pg_user',
  )
  const names = new Map(users.map((row) => [row.id, row.name]))
  return { view: 'sys', sessions: rows.map((row) => ({ ...row, user: names.get(row.user) ?? row.user })), running }
}

type Transaction = Lock & { xid: string; started: string }

/**
 * Every session with what it waits for, sorted by pid. Locks and transactions are those of svv_transactions, which all kinds of
 * Redshift have but clusters in two zones. The views are read one after the other, since Redshift does not join them.
 */
export async function readLockers(sql: Sql, now: Date): Promise<Locker[]> {
  const { rows: own } = await sql.query<{ pid: number; user: string }>(
    'select pg_backend_pid() as pid, current_user as "user"',
  )
  const { view, sessions, running } = await readSessions(sql)
  const found = await unlessHidden(() =>
    sql.query<Transaction>(
      `select distinct pid, xid, cast(txn_start as varchar) as started, rtrim(lock_mode) as mode, relation, granted from svv_transactions order by pid, started, xid`,
    ),
  )
  if (!found)
    throw new Refused(
      'This Redshift does not show its locks (svv_transactions): a cluster in two zones has SYS views alone. Its sessions are in the query editor.',
    )
  const transactions = found.rows
  // Numbers come as text or not, by their type, which the guide does not say for sure.
  const locks = transactions
    .filter((one) => one.relation !== null)
    .map((one) => ({ ...one, relation: String(one.relation) }))
  const waits = edges(locks)
  const granted = locks.filter((lock) => lock.granted)
  const held = granted.slice(0, MOST_HELD)
  const unnamed = (pid: number) => granted.slice(MOST_HELD).filter((lock) => lock.pid === pid).length
  const tables = await namesOf(
    sql,
    [...[...waits.values()].map(({ lock }) => lock), ...held].map((lock) => lock.relation),
  )
  const named = (lock: Lock) => `${lock.mode} on ${tables.get(String(lock.relation)) ?? lock.relation}`
  return sessions.map((s) => {
    const transaction = transactions.find((t) => t.pid === s.pid)
    const query = running.find((r) => r.pid === s.pid)
    const wait = waits.get(s.pid)
    const since = query?.started ?? transaction?.started ?? s.began
    return {
      pid: s.pid,
      began: s.began,
      view,
      xid: transaction ? String(transaction.xid) : '',
      backendStart: utc(s.began),
      transactionStart: utc(transaction?.started ?? ''),
      queryStart: utc(query?.started ?? ''),
      stateSince: utc(since),
      state: query ? 'active' : transaction ? 'idle in transaction' : 'idle',
      user: clean(s.user, 63),
      database: clean(s.database, 63),
      application: '',
      client: '',
      query: clean(maskSecrets(query?.query ?? ''), 300),
      rawQuery: query?.query ?? '',
      ageSeconds: Math.max(0, (now.getTime() - Date.parse(utc(since))) / 1000),
      waitsFor: wait ? named(wait.lock) : '',
      holds: [
        ...held
          .filter((lock) => lock.pid === s.pid)
          .map(named)
          .sort(),
        ...(unnamed(s.pid) > 0 ? [`${unnamed(s.pid)} more that were not looked up`] : []),
      ],
      blockedBy: wait?.by ?? [],
      protectedBecause:
        s.pid === own[0]?.pid || s.user === own[0]?.user
          ? 'a session of Keyturn'
          : s.user === INTERNAL
            ? 'a session of Redshift itself'
            : '',
      maySignal: true,
    }
  })
}

async function namesOf(sql: Sql, relations: readonly string[]): Promise<Map<string, string>> {
  const ids = [...new Set(relations)]
  if (ids.length === 0) return new Map()
  const { rows } = await sql.query<{ id: string; name: string }>(
    `select c.oid as id, n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.oid in (${ids.map((_, i) => `$${i + 1}`).join(', ')})`,
    ids,
  )
  return new Map(rows.map((row) => [String(row.id), clean(row.name, 120)]))
}

/** What makes a session the one that was approved: stv_sessions has its start to the second, so its transaction counts too. */
export type Identity = Readonly<{ pid: number; began: string; user: string; xid: string; view: View }>

/**
 * Ends the session if its pid still belongs to the same start and user. Where there are STV tables check and signal are one
 * statement; elsewhere the check comes just before, since Redshift calls no function of the leader over a SYS view.
 */
export async function terminate(sql: Sql, it: Identity): Promise<'signalled' | 'left_alone'> {
  const { rows: transactions } = await sql.query<{ xid: string }>(
    'select distinct xid from svv_transactions where pid = $1',
    [it.pid],
  )
  const same = it.xid === '' ? transactions.length === 0 : transactions.some((t) => String(t.xid) === it.xid)
  if (!same) return 'left_alone'
  if (it.view === 'stv') {
    const { rowCount } = await changed(
      sql,
      `select pg_terminate_backend(process) from stv_sessions
     where process = $1 and cast(starttime as varchar) = $2 and rtrim(user_name) = $3`,
      [it.pid, it.began, it.user],
    )
    return rowCount === 1 ? 'signalled' : 'left_alone'
  }
  const { rows } = await sql.query(
    `select session_id from sys_session_history
     where session_id = $1 and cast(start_time as varchar) = $2 and rtrim(status) = 'active'`,
    [it.pid, it.began],
  )
  if (rows.length === 0) return 'left_alone'
  await changed(sql, 'select pg_terminate_backend(cast($1 as integer)) as done', [it.pid])
  return 'signalled'
}
