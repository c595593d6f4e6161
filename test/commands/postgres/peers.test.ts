import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import pg from 'pg'
import { blockingSessions } from '../../../commands/postgres/blocking-sessions.ts'
import { cancelQuery } from '../../../commands/postgres/cancel-query.ts'
import { longestQueries } from '../../../commands/postgres/longest-queries.ts'
import { terminateSessions } from '../../../commands/postgres/terminate-sessions.ts'
import type { ReadCommand } from '../../../src/domain/command.ts'
import { endProgram, freePort } from '../../../src/sandbox/processes.ts'
import { type PostgresServer, startPostgres } from '../../../src/sandbox/targets/postgres.ts'
import { describeWith, programOf } from '../../harness/peer.ts'
import { createWorld, propose, type World } from '../context.ts'
import { GOOD, KEY } from '../network/certificates.ts'
import { installed } from './installed.ts'
import { pidOf, until, untilWaiting } from './sessions.ts'

/** Another folder of Postgres's programs than the installed one, to try a version by hand. */
const BIN = process.env.KEYTURN_TEST_POSTGRES_BIN
const program = (name: string): string => (BIN ? join(BIN, name) : programOf(name)!)

let server: PostgresServer
let folder: string
const open: pg.Client[] = []
const worlds: World[] = []

const worldOf = (settings: Record<string, unknown> = {}): World => {
  const world = createWorld({
    connections: { db: { kind: 'postgres', settings: { ...server.settings, ...settings } } },
    secrets: server.secrets,
  })
  worlds.push(world)
  return world
}
const read = (command: unknown, world: World) =>
  (command as ReadCommand).read((command as ReadCommand).params.parse({ connection: 'db' }), world.read())
async function session(...args: Parameters<PostgresServer['session']>) {
  const client = await server.session(...args)
  open.push(client)
  return client
}
/** One session holds a row and another one waits for it. */
async function blocked() {
  const root = await session('app')
  await root.query('begin')
  await root.query('update accounts set balance = 1 where id = 1')
  const waiting = await session('app')
  const done = waiting.query('update accounts set balance = 2 where id = 1').then(
    () => 'updated',
    (error: Error) => error.message,
  )
  await untilWaiting(server, pidOf(waiting))
  return { root, waiting, done }
}

describeWith(['initdb'], 'a Postgres as Debian ships it', () => {
  beforeAll(async () => {
    folder = mkdtempSync('/tmp/keyturn-tls-')
    const key = join(folder, 'key.pem')
    writeFileSync(key, KEY, { mode: 0o600 })
    writeFileSync(join(folder, 'cert.pem'), GOOD)
    chmodSync(folder, 0o755)
    const flags = ['-c', 'ssl=on', '-c', `ssl_cert_file=${join(folder, 'cert.pem')}`, '-c', `ssl_key_file=${key}`]
    if (userInfo().uid === 0) {
      const { execFileSync } = await import('node:child_process')
      const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
      chownSync(key, id('-u'), id('-g'))
    }
    server = await startPostgres(installed(program, flags))
  })
  afterAll(async () => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.close()
    for (const client of open.splice(0)) await client.end().catch(() => {})
  })

  it('draws the tree, and ends the session at its root', async () => {
    const world = worldOf()
    const { root, waiting, done } = await blocked()
    expect((await read(blockingSessions, world)).blocks[0]).toMatchObject({
      text: expect.stringMatching(new RegExp(`^${pidOf(root)} app@postgres[\\s\\S]*└─ ${pidOf(waiting)} `)),
    })
    expect((await read(longestQueries, world)).summary).toContain(`session ${pidOf(root)} of app`)
    const made = await propose(terminateSessions, { connection: 'db', pids: 'roots' }, world.read())
    expect(await terminateSessions.run(made, world.run(made).ctx)).toBe(`Terminated ${pidOf(root)}.`)
    expect(await done).toBe('updated')
    expect((await terminateSessions.verify(made, world.read())).map((c) => c.ok)).toEqual([true, true])
  })

  it('ends a session where the function neither waits nor takes a time, as before Postgres 14', async () => {
    const admin = await session('postgres')
    await admin.query(`create schema before14; grant usage on schema before14 to keyturn;
      create function before14.pg_terminate_backend(int, int) returns bool language plpgsql as $$
      begin raise undefined_function using message = 'function pg_terminate_backend(integer, integer) does not exist'; end $$;
      alter role keyturn set search_path = before14, pg_catalog, public`)
    try {
      const world = worldOf()
      const { root, done } = await blocked()
      const made = await propose(terminateSessions, { connection: 'db', pids: 'roots' }, world.read())
      expect(await terminateSessions.run(made, world.run(made).ctx)).toBe(`Terminated ${pidOf(root)}.`)
      expect(await done).toBe('updated')
    } finally {
      await admin.query('alter role keyturn reset search_path; drop schema before14 cascade')
    }
  })

  it('cancels a query and keeps its session', async () => {
    const world = worldOf()
    const client = await session('app')
    const done = client.query('select pg_sleep(600)').catch((error: Error) => error.message)
    await until(server, `(select state from pg_stat_activity where pid = ${pidOf(client)}) = 'active'`)
    const made = await propose(cancelQuery, { connection: 'db', pid: pidOf(client) }, world.read())
    await cancelQuery.run(made, world.run(made).ctx)
    expect(await done).toContain('canceling statement due to user request')
    expect(await cancelQuery.verify(made, world.read())).toMatchObject([{ ok: true }])
  })

  it('is trusted by the certificate of its authority, inline or in a file, and by its name', async () => {
    const host = { host: 'localhost', tls: 'verify' }
    for (const trust of [{ ca: GOOD }, { caFile: join(folder, 'cert.pem') }])
      expect((await read(blockingSessions, worldOf({ ...host, ...trust }))).summary).toContain('No session')
    await expect(read(blockingSessions, worldOf(host))).rejects.toThrow(
      /The certificate of localhost is signed by itself\. Set caFile \(or ca\) to it/,
    )
    await expect(read(blockingSessions, worldOf({ tls: 'verify', ca: GOOD }))).rejects.toThrow(
      /The certificate is not one of 127\.0\.0\.1: set host to a name that stands in it/,
    )
    await expect(read(blockingSessions, worldOf({ ...host, caFile: '/nowhere.pem' }))).rejects.toThrow(
      'caFile /nowhere.pem cannot be read',
    )
  })

  it.each([
    ['a wrong database', { database: 'nope' }, /There is no database nope there/],
    ['a port that nobody listens on', { port: 1 }, /Nothing listens on 127\.0\.0\.1:1/],
    ['a host without a name', { host: 'db.invalid' }, /There is no host db\.invalid|does not answer for db\.invalid/],
    ['another role', { user: 'nobody-at-all' }, /The password is not that of nobody-at-all/],
  ])('says what is wrong with %s', async (_, settings, says) => {
    await expect(read(blockingSessions, worldOf(settings))).rejects.toThrow(says)
  })

  it('says that it is full', async () => {
    const admin = await session('postgres')
    await admin.query('alter role keyturn connection limit 0')
    try {
      await expect(read(blockingSessions, worldOf())).rejects.toThrow(/No session is free for keyturn/)
    } finally {
      await admin.query('alter role keyturn connection limit -1')
    }
  })

  it('names the right that is missing', async () => {
    const admin = await session('postgres')
    await admin.query('revoke select on pg_catalog.pg_stat_activity from public; revoke pg_read_all_data from keyturn')
    try {
      await expect(read(blockingSessions, worldOf())).rejects.toThrow(
        /permission denied for .*: grant pg_monitor to keyturn/,
      )
    } finally {
      await admin.query('grant select on pg_catalog.pg_stat_activity to public; grant pg_read_all_data to keyturn')
    }
  })

  it('leaves sessions of the service itself alone, as those of rdsadmin', async () => {
    const admin = await session('postgres')
    const own = await session('app')
    await own.query('begin')
    await admin.query('alter role app rename to rdsadmin')
    try {
      await expect(
        propose(terminateSessions, { connection: 'db', pids: String(pidOf(own)) }, worldOf().read()),
      ).rejects.toThrow('it is a session of the database service itself')
    } finally {
      await admin.query('alter role rdsadmin rename to app')
    }
  })

  it('shows the limit of a role and who holds the sessions', async () => {
    const admin = await session('postgres')
    await admin.query("alter role app set statement_timeout = '15min'")
    try {
      const client = await session('app', 'reports')
      const done = client.query('select pg_sleep(600)').catch(() => {})
      await until(server, `(select state from pg_stat_activity where pid = ${pidOf(client)}) = 'active'`)
      const { blocks } = await read(longestQueries, worldOf({ explain: false }))
      const [first, said] = blocks
      const at = first?.type === 'table' ? first.columns.indexOf('statement_timeout') : -1
      expect(first).toMatchObject({ rows: [expect.arrayContaining(['15min'])] })
      expect(first?.type === 'table' && first.rows[0]?.[at]).toBe('15min')
      expect(said).toMatchObject({ type: 'text', text: expect.stringContaining('Estimates are off') })
      expect(blocks.at(-1)).toMatchObject({ rows: expect.arrayContaining([['app', 'reports', '1', '0']]) })
      await admin.query('select pg_cancel_backend($1)', [pidOf(client)])
      await done
    } finally {
      await admin.query('alter role app reset statement_timeout')
    }
  })
})

describeWith(['initdb', 'pgbouncer'], 'a Postgres behind pgbouncer, which pools transactions', () => {
  let stop = async () => {}
  let port: number

  beforeAll(async () => {
    folder = mkdtempSync('/tmp/keyturn-pgbouncer-')
    chmodSync(folder, 0o755)
    server = await startPostgres(installed(program))
    port = await freePort()
    const password = Object.values(server.secrets)[0]
    writeFileSync(join(folder, 'users.txt'), `"keyturn" "${password}"\n"app" "${password}"\n`)
    writeFileSync(
      join(folder, 'pgbouncer.ini'),
      `[databases]\npostgres = host=127.0.0.1 port=${server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\n` +
        `unix_socket_dir =\nauth_type = plain\nauth_file = ${join(folder, 'users.txt')}\npool_mode = transaction\ndefault_pool_size = 1\n`,
    )
    const user = userInfo().uid === 0 ? ['-u', 'postgres'] : []
    const child = spawn(programOf('pgbouncer')!, [...user, join(folder, 'pgbouncer.ini')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    await new Promise<void>((ready, fail) => {
      child.stderr.on('data', (part) => String(part).includes('process up') && ready())
      child.once('exit', (code) => fail(new Error(`pgbouncer ended with ${code}`)))
    })
    stop = () => endProgram(child, 'SIGTERM')
  })
  afterAll(async () => {
    await stop()
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.close()
    for (const client of open.splice(0)) await client.end().catch(() => {})
  })

  it('is looked at and changed, and its other users do not inherit a limit', async () => {
    const world = worldOf({ port })
    const { root, done } = await blocked()
    expect((await read(blockingSessions, world)).summary).toContain('1 session on db waits')
    expect((await read(longestQueries, world)).blocks).toContainEqual(
      expect.objectContaining({ text: expect.stringContaining('a pooler of transactions keeps no session') }),
    )
    const made = await propose(terminateSessions, { connection: 'db', pids: 'roots' }, world.read())
    expect(await terminateSessions.run(made, world.run(made).ctx)).toBe(`Terminated ${pidOf(root)}.`)
    expect(await done).toBe('updated')
    const other = new pg.Client({
      ...{ host: '127.0.0.1', port, user: 'keyturn', database: 'postgres' },
      password: Object.values(server.secrets)[0],
    })
    await other.connect()
    expect((await other.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '0' }])
    await other.end()
    await expect(read(blockingSessions, worldOf({ port, host: 'localhost', tls: 'verify' }))).rejects.toThrow(
      'The server speaks no TLS',
    )
  })
})

it('a server that is too old, or that is Redshift, is refused with what it is', async () => {
  const message = (type: string, body: string | Uint8Array) => {
    const bytes = Buffer.from(body)
    const head = Buffer.alloc(5)
    head.write(type)
    head.writeInt32BE(bytes.length + 4, 1)
    return Buffer.concat([head, bytes])
  }
  const old = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      const said = message('S', 'server_version\u00008.0.2\u0000')
      socket.write(Buffer.concat([message('R', Buffer.alloc(4)), said, message('Z', 'I')]))
    })
  }).listen(0, '127.0.0.1')
  await once(old, 'listening')
  const settings = {
    host: '127.0.0.1',
    port: (old.address() as AddressInfo).port,
    database: 'd',
    user: 'u',
    tls: 'off',
  }
  const world = createWorld({
    connections: { db: { kind: 'postgres', settings: { ...settings, passwordFrom: 'P' } } },
    secrets: { P: 'p' },
  })
  await expect(read(blockingSessions, world)).rejects.toMatchObject({
    name: 'Refused',
    message: expect.stringMatching(/is version 8; .*from 10 on .*of the kind redshift/),
  })
  await world.close()
  old.close()
})
