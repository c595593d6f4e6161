import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type pg from 'pg'
import { blockingSessions } from '../../../commands/postgres/blocking-sessions.ts'
import { terminateSessions } from '../../../commands/postgres/terminate-sessions.ts'
import { type ReadCommand, Refused } from '../../../src/domain/command.ts'
import { digest } from '../../../src/domain/plan.ts'
import { type PostgresServer, startPostgres } from '../../../src/sandbox/targets/postgres.ts'
import { createWorld, propose, type World } from '../context.ts'
import { pidOf, untilWaiting } from './sessions.ts'

let server: PostgresServer
let world: World
const sessions: pg.Client[] = []

async function session(...args: Parameters<PostgresServer['session']>) {
  const client = await server.session(...args)
  sessions.push(client)
  return client
}

/** A session in a transaction that has changed row `id` and says no more. */
async function holder(id: number, ...args: Parameters<PostgresServer['session']>) {
  const client = await session(...args)
  await client.query('begin')
  await client.query('update accounts set balance = balance - 1 where id = $1', [id])
  return client
}

/** A session that waits for row `id`; `done` settles with what became of its statement. */
async function waiter(id: number, client?: pg.Client) {
  const waiting = client ?? (await session())
  const done = waiting.query('update accounts set balance = balance + 10 where id = $1', [id]).then(
    () => 'updated',
    (error: Error) => error.message,
  )
  await untilWaiting(server, pidOf(waiting))
  return { client: waiting, pid: pidOf(waiting), done }
}

const call = (command: ReadCommand, params: Record<string, unknown> = {}) =>
  command.read(command.params.parse({ connection: 'warehouse', ...params }), world.read())

const plan = (pids = 'roots') => propose(terminateSessions, { connection: 'warehouse', pids }, world.read())

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())
beforeEach(() => {
  world = createWorld({
    connections: { warehouse: { kind: 'postgres', settings: server.settings } },
    secrets: server.secrets,
  })
})
afterEach(async () => {
  await world.close()
  // Ended in order: the holders come first, so nobody is left waiting.
  for (const client of sessions.splice(0)) await client.end()
})

describe('postgres.blocking-sessions', () => {
  it('says that nobody waits when nobody waits', async () => {
    const evidence = await call(blockingSessions as ReadCommand)
    expect(evidence).toEqual({ summary: 'No session on warehouse waits for another one.', blocks: [] })
  })

  it('draws who waits for whom with the session at the root on top', async () => {
    const root = await holder(1)
    const middle = await holder(2)
    const first = await waiter(1, middle)
    const second = await waiter(2)
    const evidence = await call(blockingSessions as ReadCommand)
    const rootPid = pidOf(root)
    expect(evidence.summary).toBe(
      `2 sessions on warehouse wait for a lock. At the root: ${rootPid} (app, idle in transaction).`,
    )
    const tree = evidence.blocks[0]?.type === 'code' ? evidence.blocks[0].text.split('\n') : []
    expect(tree.map((line) => line.slice(0, line.indexOf(' app@')))).toEqual([
      `${rootPid}`,
      `└─ ${first.pid}`,
      `   └─ ${second.pid}`,
    ])
    expect(evidence.blocks[1]).toMatchObject({
      type: 'table',
      rows: [
        [
          String(rootPid),
          '2',
          'app',
          'test',
          '127.0.0.1',
          'idle in transaction',
          expect.anything(),
          expect.anything(),
          'update accounts set balance = balance - 1 where id = $1',
          '',
        ],
      ],
    })
  })

  it('names a prepared transaction as what holds the lock', async () => {
    const preparing = await holder(3)
    await preparing.query("prepare transaction 'left behind'")
    await waiter(3)
    try {
      const evidence = await call(blockingSessions as ReadCommand)
      expect(evidence.summary).toContain('a prepared transaction holds the lock')
      await expect(plan()).rejects.toThrow('A prepared transaction on warehouse holds the lock')
    } finally {
      await (await session('postgres')).query("rollback prepared 'left behind'")
    }
  })
})

describe('postgres.terminate-sessions', () => {
  it('ends the session at the root and lets the others go on', async () => {
    const root = await holder(1)
    const held = await waiter(1)
    const pid = pidOf(root)
    const made = await plan()
    expect(made.targets).toMatchObject([{ id: `postgres:warehouse/pid/${pid}`, details: { user: 'app' } }])
    expect(made.steps.map((s) => s.id)).toEqual([`terminate-${pid}`])
    expect(await terminateSessions.probe(made, `terminate-${pid}`, world.read())).toMatchObject({ landed: 'no' })

    const { ctx, recording } = world.run(made)
    expect(await terminateSessions.run(made, ctx)).toBe(`Terminated ${pid}.`)
    expect(recording.finished).toEqual([{ id: `terminate-${pid}`, result: 'ended' }])
    expect(await held.done).toBe('updated')
    expect(await terminateSessions.verify(made, world.read())).toEqual([
      { title: 'The sessions have ended', ok: true, detail: '' },
      { title: 'No session waits for another one', ok: true, detail: '' },
    ])
    expect(await terminateSessions.probe(made, `terminate-${pid}`, world.read())).toMatchObject({ landed: 'yes' })
    await expect(root.query('select 1')).rejects.toThrow()
  })

  it('makes the same plan, byte for byte, while more sessions queue up', async () => {
    await holder(1)
    await waiter(1)
    const before = digest(await plan())
    await waiter(1)
    expect(digest(await plan())).toBe(before)
  })

  it('makes another plan when the session at the root has moved on to another transaction', async () => {
    const root = await holder(1)
    await waiter(1)
    const before = await plan()
    await root.query('commit')
    await root.query('begin')
    await root.query('update accounts set balance = 0 where id = 2')
    await waiter(2)
    const after = await plan()
    expect(after.targets[0]?.id).toBe(before.targets[0]?.id)
    expect(after.targets[0]?.fingerprint).not.toBe(before.targets[0]?.fingerprint)
  })

  it('leaves a session alone that is in another transaction than the approved one', async () => {
    const root = await holder(1)
    await waiter(1)
    const made = await plan()
    await root.query('commit')
    await root.query('begin')
    const { ctx } = world.run(made)
    expect(await terminateSessions.run(made, ctx)).toContain('was left alone')
    expect((await root.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('leaves a session alone whose pid now belongs to a process with another start time', async () => {
    const root = await holder(1)
    await waiter(1)
    const made = (await plan()) as Awaited<ReturnType<typeof plan>> & { data: { sessions: { backendStart: string }[] } }
    made.data.sessions[0]!.backendStart = '2020-01-01T00:00:00.000000Z'
    expect(await terminateSessions.run(made, world.run(made).ctx)).toContain('was left alone')
    expect((await root.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(await terminateSessions.probe(made, made.steps[0]!.id, world.read())).toMatchObject({ landed: 'yes' })
  })

  it('reports that blocking goes on when the session was not ended', async () => {
    await holder(1)
    await waiter(1)
    const made = await plan()
    const checks = await terminateSessions.verify(made, world.read())
    expect(checks.map((c) => c.ok)).toEqual([false, false])
  })

  it('does not repeat a step that an earlier run has done', async () => {
    const root = await holder(1)
    await waiter(1)
    const made = await plan()
    const { ctx, recording } = world.run(made, { done: { [made.steps[0]!.id]: 'ended' } })
    await terminateSessions.run(made, ctx)
    expect(recording.started).toEqual([])
    expect((await root.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('refuses when nobody blocks anybody', async () => {
    await expect(plan()).rejects.toThrow(new Refused('Nothing to do: no session on warehouse blocks another one.'))
  })

  it('refuses a pid that waits for another session, and says for which', async () => {
    const root = await holder(1)
    const held = await waiter(1)
    await expect(plan(String(held.pid))).rejects.toThrow(
      new Refused(`Session ${held.pid} is not at the root: it waits for ${pidOf(root)}.`),
    )
  })

  it('refuses a pid that does not exist and one that is idle', async () => {
    await expect(plan('99999999')).rejects.toThrow(new Refused('There is no session 99999999.'))
    const idle = pidOf(await session())
    await expect(plan(String(idle))).rejects.toThrow('is idle and blocks nobody')
  })

  it.each([
    ['postgres', 'a superuser session'],
    ['mirror', 'a session of a replication role'],
    ['keyturn', 'a session of Keyturn'],
  ] as const)('never ends a session of %s', async (user, why) => {
    const protectedSession = await holder(1, user, user === 'keyturn' ? 'keyturn' : 'test')
    await waiter(1)
    const pid = pidOf(protectedSession)
    await expect(plan()).rejects.toThrow(
      `No session at the root may be terminated. Session ${pid} is left alone: it is ${why}.`,
    )
    await expect(plan(String(pid))).rejects.toThrow(`it is ${why}`)
  })

  it('does not signal a session that became protected after the plan', async () => {
    const root = await holder(1)
    await waiter(1)
    const made = await plan()
    const admin = await session('postgres')
    await admin.query('alter role app superuser')
    try {
      expect(await terminateSessions.run(made, world.run(made).ctx)).toContain('was left alone')
      expect((await root.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    } finally {
      await admin.query('alter role app nosuperuser')
    }
  })

  it('plans for the one root that it may end and warns about the one that it may not', async () => {
    const mine = await holder(1)
    const theirs = await holder(2, 'postgres')
    await waiter(1)
    await waiter(2)
    const made = await plan()
    expect(made.steps.map((s) => s.id)).toEqual([`terminate-${pidOf(mine)}`])
    expect(made.warnings).toContain(`Session ${pidOf(theirs)} is left alone: it is a superuser session.`)
  })

  it('breaks a deadlock by ending the session whose transaction began last', async () => {
    const older = await holder(1)
    const newer = await holder(2)
    const olderWaits = await waiter(2, older)
    await waiter(1, newer)
    const made = await plan()
    expect(made.steps.map((s) => s.id)).toEqual([`terminate-${pidOf(newer)}`])
    await terminateSessions.run(made, world.run(made).ctx)
    expect(await olderWaits.done).toBe('updated')
  })

  it('shows the query of a session as one line of bounded length', async () => {
    const root = await holder(1)
    await root.query(`select '${'x'.repeat(900)}'\n\n as "*_~"`)
    await waiter(1)
    const query = (await plan()).targets[0]?.details.query ?? ''
    expect(query).toMatch(/^select 'x+…$/)
    expect([...query]).toHaveLength(300)
  })

  it('shows no password that a statement sets', async () => {
    const root = await holder(1)
    await root.query(`/* alter role app password 'hunter2' */ select 1`)
    await waiter(1)
    const made = await plan()
    expect(made.targets[0]?.details.query).toBe("/* alter role app password '[secret]' */ select 1")
    expect(JSON.stringify(made)).not.toContain('hunter2')
  })
})
