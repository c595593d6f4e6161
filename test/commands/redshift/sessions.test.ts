import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type pg from 'pg'
import { lockTree } from '../../../commands/redshift/lock-tree.ts'
import { rebootCluster } from '../../../commands/redshift/reboot-cluster.ts'
import { sessions } from '../../../commands/redshift/sessions.ts'
import { terminateSessions } from '../../../commands/redshift/terminate-sessions.ts'
import type { ReadCommand } from '../../../src/domain/command.ts'
import { Refused } from '../../../src/domain/command.ts'
import type { Plan } from '../../../src/domain/plan.ts'
import { digest } from '../../../src/domain/plan.ts'
import { createWorld, propose, type World } from '../context.ts'
import { pidOf, until } from '../postgres/sessions.ts'
import { startRedshift } from './server.ts'
import { startWarehouse, type Warehouse } from './warehouse.ts'

let warehouse: Warehouse
let aws: Awaited<ReturnType<typeof startRedshift>>
let world: World
const open: pg.Client[] = []

function options() {
  const settings = (more = {}) => ({ kind: 'redshift', settings: warehouse.connection(aws.endpoint, more) })
  return {
    connections: {
      warehouse: settings({ reboot: true }),
      kept: settings(),
      gone: settings({ reboot: true, cluster: 'wh-9' }),
      hanging: settings({ reboot: true, port: 1 }),
    },
    secrets: warehouse.secrets,
    requestedAt: new Date(),
  }
}

async function session(user: 'app' | 'keyturn' = 'app') {
  const client = await warehouse.session(user)
  open.push(client)
  return client
}

/** A session in a transaction that holds a table as a load or as a DROP does, and runs nothing. */
async function holder(table: string, mode = 'access exclusive', client?: pg.Client) {
  const holding = client ?? (await session())
  await holding.query('begin')
  await holding.query(`lock table events.${table} in ${mode} mode`)
  return holding
}

/** A session that waits for a table; `done` settles with what became of its statement. */
async function waiter(table: string, mode = 'access share', client?: pg.Client) {
  const waiting = client ?? (await session())
  if (!client) await waiting.query('begin')
  const done = waiting.query(`lock table events.${table} in ${mode} mode`).then(
    () => 'locked',
    (error: Error) => error.message,
  )
  await until(warehouse, `exists (select from pg_locks where pid = ${pidOf(waiting)} and not granted)`)
  return { client: waiting, pid: pidOf(waiting), done }
}

const plan = (pids = 'roots') => propose(terminateSessions, { connection: 'warehouse', pids }, world.read())
const tree = () => (lockTree as ReadCommand).read({ connection: 'warehouse' }, world.read())

beforeAll(async () => {
  warehouse = await startWarehouse()
  aws = await startRedshift({ run: async () => ({ query: 1, error: null }), reboot: () => warehouse.reboot() })
})
afterAll(async () => {
  await aws.close()
  await warehouse.stop()
})
beforeEach(async () => {
  await warehouse.reset('create table events.clicks (id int); create table events.views (id int)')
  aws.state.status = 'available'
  world = createWorld(options())
})
afterEach(async () => {
  await world.close()
  // Ended in order: the holders come first, so nobody is left waiting.
  for (const client of open.splice(0)) await client.end().catch(() => {})
})

describe('redshift.lock-tree', () => {
  it('says that nobody waits, and how many hold a transaction open', async () => {
    await holder('clicks', 'access share')
    const { summary, blocks } = await tree()
    expect(summary).toMatch(/^No session on warehouse waits for a lock\. 1 of \d+ sessions have a transaction open/)
    expect(blocks).toEqual([])
  })

  it('draws who waits for which table, with the holder on top and readers behind the DROP that waits', async () => {
    const root = await holder('clicks', 'access share')
    const drop = await waiter('clicks', 'access exclusive')
    const reader = await waiter('clicks', 'access share')
    const { summary, blocks } = await tree()
    expect(summary).toMatch(
      new RegExp(
        `^2 of \\d+ sessions on warehouse wait for a lock\\. At the root: ${pidOf(root)} \\(app, idle in transaction\\)\\.$`,
      ),
    )
    const text = blocks[0]?.type === 'code' ? blocks[0].text : ''
    expect(text.split('\n').map((line) => line.slice(0, line.indexOf(' app@')))).toEqual([
      `${pidOf(root)}`,
      `└─ ${drop.pid}`,
      `   └─ ${reader.pid}`,
    ])
    expect(text).toContain('waits for AccessExclusiveLock on events.clicks')
    expect(blocks[1]).toMatchObject({
      rows: [[String(pidOf(root)), '2', 'app', 'idle in transaction', ...Array(5).fill(expect.any(String))]],
    })
  })

  it('does not take two loads of one table apart from readers for a conflict', async () => {
    await holder('clicks', 'share row exclusive')
    await holder('clicks', 'access share')
    const second = await waiter('clicks', 'share row exclusive')
    const { summary } = await tree()
    expect(summary).toMatch(/^1 of /)
    expect((await plan()).steps.map((s) => s.id)).not.toContain(`terminate-${second.pid}`)
  })
})

describe('redshift.sessions', () => {
  const look = (schema?: string) =>
    (sessions as ReadCommand).read(sessions.params.parse({ connection: 'warehouse', schema }), world.read())

  it('shows which tables each session holds or waits for, those that hold most first', async () => {
    const loader = await holder('clicks')
    await loader.query('lock table events.views in access share mode')
    const other = await session()
    await other.query('begin; create temp table note (id int)')
    const report = await waiter('clicks')
    const { summary, blocks } = await look('events')
    expect(summary).toMatch(/^1 of \d+ sessions on warehouse hold locks and have to do with events; 1 wait for one\.$/)
    const rows = blocks[0]?.type === 'table' ? blocks[0].rows.map((r) => [r[0], r[2], r[6], r[7]]) : []
    expect(rows).toEqual([
      [
        String(pidOf(loader)),
        'idle in transaction',
        'AccessExclusiveLock on events.clicks, AccessShareLock on events.views',
        '–',
      ],
      [String(report.pid), expect.any(String), '–', 'AccessShareLock on events.clicks'],
    ])
    const all = await look()
    expect(all.blocks[0]?.type === 'table' && all.blocks[0].rows.map((row) => row[0])).toEqual(
      expect.arrayContaining([String(pidOf(loader)), String(pidOf(other)), String(report.pid)]),
    )
    expect(() => sessions.params.parse({ connection: 'warehouse', schema: "e'x" })).toThrow('the name of a schema')
  })
})

describe('redshift.terminate-sessions', () => {
  it('ends the session that holds the lock, and lets the others go on', async () => {
    const root = await holder('clicks')
    const held = await waiter('clicks')
    const pid = pidOf(root)
    const made = await plan()
    expect(made.targets).toMatchObject([
      {
        id: `redshift:warehouse/pid/${pid}`,
        details: {
          cluster: 'wh-1',
          user: 'app',
          'session began': expect.stringMatching(/^\d{4}-.*Z$/),
          transaction: expect.stringMatching(/^\d+$/),
        },
      },
    ])
    expect(await terminateSessions.probe(made, `terminate-${pid}`, world.read())).toMatchObject({ landed: 'no' })
    expect((await terminateSessions.verify(made, world.read())).map((c) => c.ok)).toEqual([false, false])
    const { ctx, recording } = world.run(made)
    expect(await terminateSessions.run(made, ctx)).toBe(`Terminated ${pid}.`)
    expect(recording.finished).toEqual([{ id: `terminate-${pid}`, result: 'signalled' }])
    expect(await held.done).toBe('locked')
    expect((await terminateSessions.verify(made, world.read())).map((c) => c.ok)).toEqual([true, true])
    expect(await terminateSessions.probe(made, `terminate-${pid}`, world.read())).toMatchObject({ landed: 'yes' })
    await expect(root.query('select 1')).rejects.toThrow()
  })

  it('makes the same plan, byte for byte, while more sessions queue up', async () => {
    await holder('clicks')
    await waiter('clicks')
    const before = digest(await plan())
    await waiter('clicks')
    expect(digest(await plan())).toBe(before)
  })

  it('leaves a session alone whose pid belongs to another start by now', async () => {
    const root = await holder('clicks')
    await waiter('clicks')
    const made = (await plan()) as Plan<{ sessions: { began: string }[] }>
    made.data.sessions[0]!.began = '2020-01-01 00:00:00'
    expect(await terminateSessions.run(made, world.run(made).ctx)).toContain('was left alone')
    expect((await root.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('leaves a session alone that is in another transaction than the one shown', async () => {
    const root = await holder('clicks')
    await waiter('clicks')
    const made = await plan()
    await root.query('commit')
    await holder('views', 'access exclusive', root)
    expect(await terminateSessions.run(made, world.run(made).ctx)).toContain('was left alone')
    expect((await root.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect((await plan('roots').catch((e: Error) => e.message)) as string).toContain('Nothing to do')
  })

  it('does not repeat a step that an earlier run has done', async () => {
    const root = await holder('clicks')
    await waiter('clicks')
    const made = await plan()
    const { ctx, recording } = world.run(made, { done: { [made.steps[0]!.id]: 'signalled' } })
    await terminateSessions.run(made, ctx)
    expect(recording.started).toEqual([])
    expect((await root.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('breaks a deadlock by ending the session whose transaction began last', async () => {
    const older = await holder('clicks')
    const newer = await holder('views')
    const olderWaits = await waiter('views', 'access share', older)
    await waiter('clicks', 'access share', newer)
    const made = await plan()
    expect(made.steps.map((s) => s.id)).toEqual([`terminate-${pidOf(newer)}`])
    await terminateSessions.run(made, world.run(made).ctx)
    expect(await olderWaits.done).toBe('locked')
  })

  it('refuses when nobody waits, a pid that waits, one that is not there, one that is idle, and its own user', async () => {
    await expect(plan()).rejects.toThrow(new Refused('Nothing to do: no session on warehouse waits for another one.'))
    const idle = await session()
    await expect(plan(String(pidOf(idle)))).rejects.toThrow('is idle and blocks nobody')
    const root = await holder('clicks')
    const held = await waiter('clicks')
    await expect(plan(String(held.pid))).rejects.toThrow(`is not at the root: it waits for ${pidOf(root)}.`)
    await expect(plan('99999999')).rejects.toThrow(new Refused('There is no session 99999999.'))
    await root.query('rollback')
    await held.client.query('rollback')
    const own = await holder('clicks', 'access exclusive', await session('keyturn'))
    await waiter('clicks')
    await expect(plan(String(pidOf(own)))).rejects.toThrow('a session of Keyturn')
    await expect(plan()).rejects.toThrow('No session at the root may be terminated.')
  })

  it('takes nothing for pids but pids', async () => {
    await expect(plan('1); drop table x; --')).rejects.toThrow('write \\"roots\\"')
  })
})

describe('redshift.reboot-cluster', () => {
  const at = (connection = 'warehouse') => propose(rebootCluster, { connection }, world.read())
  const checks = async (made: Plan) => {
    // A check opens its own session, as the worker does.
    await world.close()
    return (await rebootCluster.verify(made, world.read())).map((c) => c.ok)
  }

  it('shows the cluster, reboots it, and knows by its sessions that it was', async () => {
    const loader = await holder('clicks')
    world = createWorld({ ...options(), requestedAt: new Date() })
    const made = await at()
    expect(made.targets[0]).toMatchObject({
      id: 'redshift:warehouse/cluster/wh-1',
      details: { cluster: 'wh-1', account: '123456789012', status: 'available', nodes: '4 × ra3.xlplus' },
    })
    expect(digest(await at())).toBe(digest(made))
    expect(await rebootCluster.probe(made, 'reboot', world.read())).toMatchObject({ landed: 'cannot_tell' })
    expect(await checks(made)).toEqual([true, true, false])
    expect(await rebootCluster.run(made, world.run(made).ctx)).toBe('The cluster wh-1 was rebooted and is available.')
    expect(await checks(made)).toEqual([true, true, true])
    expect(await rebootCluster.probe(made, 'reboot', world.read())).toMatchObject({ landed: 'yes' })
    await expect(loader.query('select 1')).rejects.toThrow()
  })

  it('knows after a lost reply that the reboot began, and asks for it once', async () => {
    const made = await at()
    const before = aws.sent('RebootCluster')
    aws.lose('RebootCluster')
    await expect(rebootCluster.run(made, world.run(made).ctx)).rejects.toMatchObject({ name: 'Unanswered' })
    expect(aws.sent('RebootCluster') - before).toBe(1)
    expect(await rebootCluster.probe(made, 'reboot', world.read())).toMatchObject({ landed: 'yes' })
  })

  it('needs no session of the cluster to plan the reboot of one that hangs', async () => {
    expect((await at('hanging')).summary).toBe('Reboot the cluster wh-1')
  })

  it('refuses where it is not allowed, an unknown cluster, and one that is busy, also at the last moment', async () => {
    await expect(at('kept')).rejects.toThrow(/^The connection "kept" may not reboot its cluster/)
    await expect(at('gone')).rejects.toThrow(
      new Refused('There is no Redshift cluster wh-9 in this account and region.'),
    )
    const made = await at()
    aws.state.status = 'resizing'
    await expect(at()).rejects.toThrow('is resizing; only an available one is rebooted')
    await expect(rebootCluster.run(made, world.run(made).ctx)).rejects.toThrow(Refused)
  })
})

it('no secret is in what a failed log-in says', async () => {
  const canary = 'canary-redshift-password'
  const refused = createWorld({ ...options(), secrets: { ...warehouse.secrets, TEST_PG_PASSWORD: canary } })
  const error = await (lockTree as ReadCommand).read({ connection: 'warehouse' }, refused.read()).catch((e: Error) => e)
  await refused.close()
  const told = inspect(error, { depth: 9, showHidden: true })
  expect(told).toContain('check the cluster, the network path, the password and the certificate')
  expect(told).toContain('password authentication failed')
  expect(told).not.toContain(canary)
})
