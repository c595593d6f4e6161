import { startPostgres } from '../../../src/sandbox/targets/postgres.ts'

/**
 * System views of Redshift over what Postgres has: names are padded, times are UTC without a zone, pids are real. The columns
 * are those of the developer guide (see facts.ts).
 */
const VIEWS = `
  create view stv_sessions as select date_trunc('milliseconds', backend_start at time zone 'UTC') as starttime,
    pid as process, usename::char(50) as user_name, datname::char(50) as db_name, 0 as timeout_sec
    from pg_stat_activity where backend_type = 'client backend';
  create view sys_session_history as select usesysid::text::char(50) as user_id, pid as session_id,
    datname::char(50) as database_name, 'active'::char(10) as status, 0 as session_timeout,
    backend_start at time zone 'UTC' as start_time, null::timestamp as end_time
    from pg_stat_activity where backend_type = 'client backend';
  create view svv_transactions as select a.usename::char(50) as txn_owner, a.datname::char(50) as txn_db,
    ('x' || substr(md5(l.virtualtransaction), 1, 8))::bit(32)::bigint as xid, l.pid,
    a.xact_start at time zone 'UTC' as txn_start, l.mode as lock_mode, l.locktype as lockable_object_type,
    l.relation::int8 as relation, l.granted from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where a.xact_start is not null;
  create view stv_recents as select 0 as userid, (case state when 'active' then 'Running' else 'Done' end)::char(20) as status,
    query_start at time zone 'UTC' as starttime, 0 as duration, usename::char(50) as user_name, datname::char(50) as db_name,
    left(query, 600)::char(600) as query, case state when 'active' then pid else -1 end as pid
    from pg_stat_activity where backend_type = 'client backend';
  create table sys_query_log (query_id bigint, transaction_id bigint, session_id int, status char(10), start_time timestamp,
    end_time timestamp, query_text char(4000), error_message char(512));
  create view sys_query_history as select * from sys_query_log union all
    select 0, 0, pid, 'running', query_start at time zone 'UTC', null, left(query, 4000), null
    from pg_stat_activity where backend_type = 'client backend' and state = 'active';
  create view svv_columns as select * from information_schema.columns;
  create table encodings (table_name text, column_name text, encoding text, sortkey int default 0);
  create view svv_redshift_columns as select current_database()::varchar(128) as database_name,
    c.table_schema::varchar(128) as schema_name, c.table_name::varchar(128) as table_name,
    c.column_name::varchar(128) as column_name, c.ordinal_position::int as ordinal_position,
    c.data_type::varchar(32) as data_type, c.column_default::varchar(4000) as column_default,
    c.is_nullable::varchar(3) as is_nullable, coalesce(e.encoding, 'lzo')::varchar(128) as encoding, false as distkey,
    coalesce(e.sortkey, 0) as sortkey, null::varchar(128) as column_acl, null::varchar(256) as remarks
    from information_schema.columns c left join encodings e on e.table_name = c.table_name and e.column_name = c.column_name;
  create table svv_external_columns (schemaname text, tablename text, columnname text, external_type text, columnnum int,
    part_key int default 0, is_nullable text);
  create table stl_load_errors (userid int default 1, slice int default 0, tbl int, starttime timestamp, session int, query int,
    filename char(256), line_number bigint, colname char(127), type char(10), col_length char(10), position int,
    raw_line char(1024), raw_field_value char(1024), err_code int, err_reason char(100), is_partial int default 0);
  create table svl_s3log (pid int, query int, segment int default 0, step int default 0, node int default 0, slice int default 0,
    eventtime timestamp, message char(512));
  create table sys_load_history (user_id int default 1, query_id bigint, transaction_id bigint, session_id int,
    database_name text default current_database(), status text, table_name text, start_time timestamp, end_time timestamp,
    duration bigint, data_source text, file_format text, loaded_rows bigint, loaded_bytes bigint, source_file_count int,
    error_count bigint);
  create table sys_load_error_detail (user_id int default 1, query_id bigint, transaction_id bigint, session_id int default 1,
    database_name char(64) default current_database(), table_id int, start_time timestamp, file_name char(256),
    line_number bigint, column_name char(127), column_type char(10), column_length char(10), position int default 0,
    error_code int, error_message char(512));
  create table sys_transaction_history (user_id int default 1, transaction_id bigint, isolation_level text, status text,
    transaction_start_time timestamp, commit_start_time timestamp, commit_end_time timestamp, blocks_committed bigint,
    undo_transaction_id bigint default -1);`

/** What a provisioned cluster shows, and Serverless refuses. */
const PROVISIONED = 'stv_sessions, stv_recents, stl_load_errors, svl_s3log'
const EVERYWHERE =
  'sys_session_history, svv_transactions, sys_query_history, svv_columns, svv_redshift_columns, svv_external_columns, sys_load_history, sys_load_error_detail'

/** A real Postgres with those names, and a schema `events` that its role `keyturn` owns. */
export async function startWarehouse() {
  const server = await startPostgres()
  let admin = await server.session('postgres', 'admin')
  await admin.query(`${VIEWS} grant create on database postgres to keyturn; revoke pg_read_all_data from keyturn;
    grant select on ${PROVISIONED}, ${EVERYWHERE} to keyturn`)
  return {
    ...server,
    /** Asks as a superuser. */
    ask: (sql: string) => admin.query(sql),
    /** The settings of a `redshift` connection; AWS is at `endpoint`. */
    connection(endpoint: string, more: Readonly<Record<string, unknown>> = {}) {
      const { explain: _, ...reach } = server.settings
      const kind = 'workgroup' in more ? {} : { cluster: 'wh-1' }
      const keys = { accessKeyIdFrom: 'AWS_KEY', secretAccessKeyFrom: 'AWS_KEY' }
      return {
        ...reach,
        ...keys,
        region: 'us-east-1',
        endpoint,
        ...kind,
        orchestrator: 'none',
        backoffMs: 1,
        pollSeconds: 0.01,
        ...more,
      }
    },
    secrets: { ...server.secrets, AWS_KEY: 'local' },
    /** Makes the tables of a test anew, as their owner, and forgets what was loaded. */
    async reset(ddl: string): Promise<void> {
      await admin.query(`drop schema if exists events cascade; create schema events authorization keyturn;
        grant usage on schema events to app; set role keyturn; ${ddl}; grant all on all tables in schema events to app;
        reset role;
        truncate svv_external_columns, stl_load_errors, svl_s3log, sys_load_history, sys_load_error_detail, sys_query_log,
          sys_transaction_history, encodings`)
    },
    /** Shows what Serverless shows, or a cluster in one zone (`provisioned`); with `superuser` also who committed. */
    async shows(what: 'provisioned' | 'serverless' | 'superuser'): Promise<void> {
      await admin.query(
        what === 'superuser'
          ? 'grant select on sys_transaction_history to keyturn'
          : `revoke select on sys_transaction_history from keyturn;
             ${what === 'serverless' ? `revoke select on ${PROVISIONED} from` : `grant select on ${PROVISIONED} to`} keyturn`,
      )
    },
    /** Ends every session, as a reboot does. */
    async reboot(): Promise<void> {
      await admin.query(
        `select pg_terminate_backend(pid, 5000) from pg_stat_activity
         where pid <> pg_backend_pid() and backend_type = 'client backend'`,
      )
      await admin.end()
      admin = await server.session('postgres', 'admin')
    },
  }
}
export type Warehouse = Awaited<ReturnType<typeof startWarehouse>>
