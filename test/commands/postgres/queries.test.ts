import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type pg from 'pg'
import { cancelQuery } from '../../../commands/postgres/cancel-query.ts'
import { changed } from '../../../commands/postgres/changed.ts'
import { longestQueries } from '../../../commands/postgres/longest-queries.ts'
import { terminateSessions } from '../../../commands/postgres/terminate-sessions.ts'
import { type Evidence, type ReadCommand, Refused } from '../../../src/domain/command.ts'
import { type PostgresServer, startPostgres } from '../../../src/sandbox/targets/postgres.ts'
import { createWorld, propose, type World } from '../context.ts'
import { breakingWire } from '../wire.ts'
import { pidOf, until } from './sessions.ts'

let server: PostgresServer
let world: World
const sessions: pg.Client[] = []

/** A session that runs `text` until somebody stops it; `done` gives the message that it stopped with. */
async function heavy(
  text = 'select pg_sleep(600), a.id from accounts a',
  values: unknown[] = [],
  user: 'app' | 'postgres' = 'app',
) {
  const client = await server.session(user)
  sessions.push(client)
  const done = client.query(text, values).then(
    () => 'finished',
    (error: Error) => error.message,
  )
  await until(server, `(select state from pg_stat_activity where pid = ${pidOf(client)}) = 'active'`)
  return { client, pid: pidOf(client), done }
}

const longest = (params: Record<string, unknown> = {}): Promise<Evidence> => {
  const command = longestQueries as ReadCommand
  return command.read(command.params.parse({ connection: 'restored', ...params }), world.read())
}
const plan = (pid: number | string) => propose(cancelQuery, { connection: 'restored', pid }, world.read())
const texts = (evidence: Evidence) => evidence.blocks.flatMap((b) => (b.type === 'code' ? [b.text] : []))

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())
beforeEach(() => {
  world = createWorld({
    connections: {
      restored: { kind: 'postgres', settings: server.settings },
      careful: { kind: 'postgres', settings: { ...server.settings, explain: false } },
    },
    secrets: server.secrets,
  })
})
afterEach(async () => {
  await world.close()
  const admin = await server.session('postgres')
  await admin.query(
    "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename in ('app', 'postgres') and pid <> pg_backend_pid() and query like '%pg_sleep(600)%'",
  )
  await admin.end()
  for (const client of sessions.splice(0)) await client.end().catch(() => {})
})

describe('postgres.longest-queries', () => {
  it('shows the longest query first, with its plan, row estimate, locks and the connections in use', async () => {
    const first = await heavy()
    const second = await heavy('select pg_sleep(600)')
    const evidence = await longest()
    expect(evidence.summary).toMatch(
      new RegExp(
        `^The longest on restored: session ${first.pid} of app, active for \\d+ s\\. \\d+ of 100 connections are in use\\.$`,
      ),
    )
    const table = evidence.blocks[0]
    if (table?.type !== 'table') throw new Error('the first block is not a table')
    expect(table.rows.map((row) => row[0])).toEqual([String(first.pid), String(second.pid)])
    const row = Object.fromEntries(table.columns.map((name, i) => [name, table.rows[0]![i]]))
    expect(Number(row['estimated rows'])).toBeGreaterThan(0)
    expect(Number(row['estimated cost'])).toBeGreaterThan(0)
    expect(texts(evidence)[0]).toMatch(/^plan of \d+\nSeq Scan on accounts a/)
    expect(evidence.blocks).toContainEqual(
      expect.objectContaining({
        type: 'table',
        rows: expect.arrayContaining([
          [String(first.pid), 'AccessShareLock', '2', '', expect.stringContaining('accounts (~')],
        ]),
      }),
    )
    expect(evidence.blocks.at(-2)).toMatchObject({ type: 'chart', unit: 'sessions' })
  })

  it('shows no more queries than asked for', async () => {
    await heavy()
    await heavy()
    const table = (await longest({ limit: '1' })).blocks[0]
    expect(table?.type === 'table' && table.rows.length).toBe(1)
  })

  it('says so when nothing runs', async () => {
    expect((await longest()).summary).toMatch(/^No query runs on restored\. \d+ of 100/)
  })

  it('estimates a query with parameters', async () => {
    await heavy('select pg_sleep(600), * from accounts where id > $1', [1])
    expect(texts(await longest())[0]).toMatch(/plan of \d+\n.*Scan.* on accounts/)
  })

  it('runs nothing of a query with several statements while it estimates it', async () => {
    await heavy('select pg_sleep(600); drop table accounts')
    expect(texts(await longest())[0]).toContain('none: cannot insert multiple commands into a prepared statement')
    const look = await server.session('app')
    expect((await look.query('select count(*)::int as n from accounts')).rows).toEqual([{ n: 3 }])
    await look.end()
  })

  it('asks for no plan where the connection does not allow it', async () => {
    await heavy()
    const evidence = await longest({ connection: 'careful' })
    expect(evidence.blocks[0]).toMatchObject({ type: 'table' })
    expect(texts(evidence)).toEqual([])
  })
})

describe('postgres.cancel-query', () => {
  it('cancels the query and keeps the session', async () => {
    const { client, pid, done } = await heavy()
    const made = await plan(String(pid))
    expect(made.targets[0]).toMatchObject({
      id: `postgres:restored/pid/${pid}`,
      details: { query: 'select pg_sleep(600), a.id from accounts a' },
    })
    expect(await cancelQuery.probe(made, `cancel-${pid}`, world.read())).toMatchObject({ landed: 'no' })
    expect(await cancelQuery.run(made, world.run(made).ctx)).toBe(`Asked session ${pid} to cancel its query.`)
    expect(await done).toBe('canceling statement due to user request')
    expect(await cancelQuery.verify(made, world.read())).toEqual([
      { title: `Session ${pid} no longer runs the query`, ok: true, detail: '' },
    ])
    expect(await cancelQuery.probe(made, `cancel-${pid}`, world.read())).toMatchObject({ landed: 'yes' })
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it.each([
    ['cancel', cancelQuery, 'pid', /pg_cancel_backend/],
    ['terminate', terminateSessions, 'pids', /pg_terminate_backend/],
  ] as const)(
    'calls it unanswered to %s when the connection breaks before the answer',
    async (verb, command, name, at) => {
      const { pid } = await heavy()
      const wire = await breakingWire(Number(server.settings.port), at)
      const far = createWorld({
        connections: { restored: { kind: 'postgres', settings: { ...server.settings, port: wire.port } } },
        secrets: server.secrets,
      })
      try {
        const made = await propose(command, { connection: 'restored', [name]: String(pid) }, far.read())
        await expect(command.run(made, far.run(made).ctx)).rejects.toMatchObject({ name: 'Unanswered' })
        expect(wire.broken()).toBe(1)
        expect(await command.probe(made, `${verb}-${pid}`, world.read())).toMatchObject({ landed: 'no' })
      } finally {
        await far.close()
        await wire.close()
      }
    },
  )

  it('calls a statement unanswered that the server ended with its session, and passes its other errors on', async () => {
    const client = await server.session('app')
    client.on('error', () => {})
    await expect(changed(client, 'select 1 / 0')).rejects.toMatchObject({ name: 'error', code: '22012' })
    const lost = changed(client, 'select pg_sleep(600)').catch((error: Error) => error)
    await until(server, `(select state from pg_stat_activity where pid = ${pidOf(client)}) = 'active'`)
    const admin = await server.session('postgres')
    await admin.query('select pg_terminate_backend($1, 5000)', [pidOf(client)])
    await admin.end()
    expect(await lost).toMatchObject({ name: 'Unanswered', cause: { code: '57P01' } })
  })

  it('leaves the next query of the same session alone', async () => {
    const first = await heavy()
    const made = await plan(first.pid)
    await cancelQuery.run(made, world.run(made).ctx)
    await first.done
    let ended = false
    const next = first.client.query('select pg_sleep(600)').then(
      () => {},
      () => {
        ended = true
      },
    )
    await until(
      server,
      `(select query from pg_stat_activity where pid = ${first.pid} and state = 'active') = 'select pg_sleep(600)'`,
    )
    expect(await cancelQuery.run(made, world.run(made).ctx)).toBe(
      `The query of session ${first.pid} had ended by itself; nothing was cancelled.`,
    )
    await until(
      server,
      `(select query from pg_stat_activity where pid = ${first.pid} and state = 'active') = 'select pg_sleep(600)'`,
    )
    expect(ended).toBe(false)
    const again = await plan(first.pid)
    await cancelQuery.run(again, world.run(again).ctx)
    await next
    expect(ended).toBe(true)
  })

  it('says that a query which ignores the cancel still runs, and lets the session be terminated next', async () => {
    const { pid, done } = await heavy(`do $$ begin loop
      begin perform pg_sleep(600); exception when query_canceled then null; end;
    end loop; end $$`)
    const cancelling = await plan(pid)
    await cancelQuery.run(cancelling, world.run(cancelling).ctx)
    expect(await cancelQuery.verify(cancelling, world.read())).toMatchObject([
      { ok: false, detail: expect.stringContaining('terminate the session next') },
    ])

    const params = { connection: 'restored', pids: String(pid) }
    const terminating = await propose(terminateSessions, params, world.read())
    expect(await terminateSessions.run(terminating, world.run(terminating).ctx)).toBe(`Terminated ${pid}.`)
    expect(await done).toMatch(/terminating connection due to administrator command|Connection terminated/)
    expect((await terminateSessions.verify(terminating, world.read())).map((c) => c.ok)).toEqual([true, true])
  })

  it('refuses a session that runs nothing, one that does not exist, and a superuser', async () => {
    const idle = await server.session('app')
    sessions.push(idle)
    await idle.query('select 1')
    await expect(plan(pidOf(idle))).rejects.toThrow(
      new Refused(`Session ${pidOf(idle)} runs no query now: it is idle.`),
    )
    await expect(plan(99999999)).rejects.toThrow(new Refused('There is no session 99999999 on restored.'))
    const admin = await heavy('select pg_sleep(600)', [], 'postgres')
    await expect(plan(admin.pid)).rejects.toThrow(
      new Refused(`Session ${admin.pid} is left alone: it is a superuser session.`),
    )
  })

  it('refuses when the role may not signal, and when it may not see', async () => {
    const { pid } = await heavy()
    const admin = await server.session('postgres')
    sessions.push(admin)
    await admin.query('revoke pg_signal_backend from keyturn')
    try {
      await expect(plan(pid)).rejects.toThrow('grant it pg_signal_backend')
    } finally {
      await admin.query('grant pg_signal_backend to keyturn')
    }
    await admin.query('revoke pg_monitor, pg_signal_backend from keyturn')
    try {
      await expect(plan(pid)).rejects.toThrow('not visible to keyturn (grant pg_monitor)')
    } finally {
      await admin.query('grant pg_monitor, pg_signal_backend to keyturn')
    }
  })
})

describe('a postgres connection', () => {
  it('says what to check when the password is wrong, without showing it', async () => {
    const wrong = createWorld({
      connections: { restored: { kind: 'postgres', settings: server.settings } },
      secrets: { TEST_PG_PASSWORD: 'hunter2-hunter2' },
    })
    const command = longestQueries as ReadCommand
    const failed = command.read(command.params.parse({ connection: 'restored' }), wrong.read())
    await expect(failed).rejects.toThrow(/no session on 127\.0\.0\.1:\d+\/postgres as keyturn; check/)
    await expect(failed).rejects.not.toThrow('hunter2')
  })

  it('outlives the end of its own session, and looks again on a new one', async () => {
    const evidence = await longest()
    expect(evidence.summary).toContain('No query runs')
    const admin = await server.session('postgres')
    sessions.push(admin)
    await admin.query("select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'keyturn'")
    expect((await longest()).summary).toContain('No query runs')
  })
})
