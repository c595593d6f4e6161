import type { Client } from 'pg'
import { changed } from '../postgres/changed.ts'
import type { Session } from '../postgres/sessions.ts'
import { clean } from '../postgres/text.ts'
import { utc } from './errors.ts'

/** A session of Redshift, and the transaction it is in; `xid` is '' outside of one. `holds`: `mode on schema.table`. */
export type Locker = Session & Readonly<{ xid: string; began: string; holds: readonly string[] }>

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

/** Granted locks whose tables are named; a load of a partitioned schema holds hundreds. */
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

/**
 * Every session with what it waits for, sorted by pid: from stv_sessions, pg_locks, svv_transactions and stv_recents. They
 * are read one after the other, since Redshift does not join all of them in one statement.
 */
export async function readLockers(sql: Client, now: Date): Promise<Locker[]> {
  const { rows: own } = await sql.query<{ pid: number; user: string }>(
    'select pg_backend_pid() as pid, current_user as "user"',
  )
  const { rows: sessions } = await sql.query<{ pid: number; began: string; user: string; database: string }>(
    `select process as pid, cast(starttime as varchar) as began, rtrim(user_name) as "user", rtrim(db_name) as database
     from stv_sessions order by process`,
  )
  const { rows: transactions } = await sql.query<{ pid: number; xid: string; started: string }>(
    'select distinct pid, xid, cast(txn_start as varchar) as started from svv_transactions order by pid, started, xid',
  )
  const { rows: locks } = await sql.query<Lock>(
    'select distinct pid, relation, mode, granted from pg_locks where relation is not null',
  )
  const { rows: running } = await sql.query<{ pid: number; started: string; query: string }>(
    `select pid, cast(starttime as varchar) as started, rtrim(query) as query from stv_recents
     where rtrim(status) = 'Running' order by starttime`,
  )
  const waits = edges(locks)
  const held = locks.filter((lock) => lock.granted).slice(0, MOST_HELD)
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
      query: clean(query?.query ?? '', 300),
      rawQuery: query?.query ?? '',
      ageSeconds: Math.max(0, (now.getTime() - Date.parse(utc(since))) / 1000),
      waitsFor: wait ? named(wait.lock) : '',
      holds: held
        .filter((lock) => lock.pid === s.pid)
        .map(named)
        .sort(),
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

async function namesOf(sql: Client, relations: readonly string[]): Promise<Map<string, string>> {
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
export type Identity = Readonly<{ pid: number; began: string; user: string; xid: string }>

/** Ends the session if its pid still belongs to the same start and user: check and signal are one statement. */
export async function terminate(sql: Client, it: Identity): Promise<'signalled' | 'left_alone'> {
  const { rows: transactions } = await sql.query<{ xid: string }>(
    'select distinct xid from svv_transactions where pid = $1',
    [it.pid],
  )
  const same = it.xid === '' ? transactions.length === 0 : transactions.some((t) => String(t.xid) === it.xid)
  if (!same) return 'left_alone'
  const { rowCount } = await changed(
    sql,
    `select pg_terminate_backend(process) from stv_sessions
     where process = $1 and cast(starttime as varchar) = $2 and rtrim(user_name) = $3`,
    [it.pid, it.began, it.user],
  )
  return rowCount === 1 ? 'signalled' : 'left_alone'
}
