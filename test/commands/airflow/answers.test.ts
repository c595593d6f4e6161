import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { clearTasks } from '../../../commands/airflow/clear-tasks.ts'
import { dagRuns } from '../../../commands/airflow/dag-runs.ts'
import { failedTasks } from '../../../commands/airflow/failed-tasks.ts'
import { pool } from '../../../commands/airflow/pool.ts'
import { resumeDag } from '../../../commands/airflow/resume-dag.ts'
import { setPoolSlots } from '../../../commands/airflow/set-pool-slots.ts'
import { taskLog } from '../../../commands/airflow/task-log.ts'
import type { ChangeCommand, ReadCommand } from '../../../src/domain/command.ts'
import { startMischief } from '../../harness/mischief.ts'
import { propose, type World } from '../context.ts'
import { startJobs } from './world.ts'

describe.each([1, 2] as const)('answers as they are in the field, API v%i', (api) => {
  let jobs: Awaited<ReturnType<typeof startJobs>>
  let world: World

  beforeAll(async () => {
    jobs = await startJobs(api, {
      critical: { dags: ['billing'] },
      backfills: { dags: ['backfill'] },
      pools: { parsers: { max: 64 } },
    })
  })
  beforeEach(() => {
    world = jobs.open({}, () => new Date('2026-03-14T02:07:00Z'))
  })
  afterEach(async () => {
    await world.close()
    const wrong = [...jobs.server.wrong]
    jobs.server.reset()
    expect(wrong).toEqual([])
  })
  afterAll(() => jobs.server.stop())

  const read = (command: ReadCommand, params: object = {}, of = world) =>
    command.read(command.params.parse({ connection: 'jobs', ...params }), of.read())
  const plan = (command: ChangeCommand, params: object) =>
    propose(command, { connection: 'jobs', ...params }, world.read())
  const refusal = (command: ChangeCommand, params: object) =>
    plan(command, params).then(
      () => 'planned',
      (e: Error) => `${e.name}: ${e.message}`,
    )

  it('counts what failed within the hours, whenever it began, and what has neither start nor end', async () => {
    const { state } = jobs.server
    state.addDag('backfill')
    state.addRun('backfill', 'long', 'failed', {})
    state.addTask('backfill', 'long', 'work', 'failed', { start: '2026-03-12T20:00:00Z', end: '2026-03-14T02:00:00Z' })
    state.addTask('backfill', 'long', 'old', 'failed', { start: '2026-03-12T20:00:00Z', end: '2026-03-13T01:00:00Z' })
    const never = { start: undefined, end: undefined, try: 0, updated: '2026-03-14T01:59:00Z' }
    state.addTask('backfill', 'long', 'never', 'failed', never)
    const { summary, blocks } = await read(failedTasks)
    expect(summary).toMatch(/^2 failed tasks in all DAGs within 24 h/)
    expect(blocks[0]?.type === 'table' && blocks[0].rows.map((row) => row[2])).toEqual(['never', 'work'])
  })

  it('shows the rest where one log cannot be read, and asks for none of a task that never ran', async () => {
    const { state } = jobs.server
    state.addDag('nightly')
    state.addRun('nightly', 'r', 'failed', {})
    for (const [task, end] of [
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
    ] as const)
      state.addTask('nightly', 'r', task, 'failed', {
        end: `2026-03-14T01:0${end}:00Z`,
        ...(task === 'a' && { try: 0, start: undefined }),
      })
    state.logFaults.set('nightly/r/b/2', 403)
    state.logs.set('nightly/r/c/2', api === 1 ? 'ValueError: c' : '{"event":"ValueError: c"}')
    const { blocks } = await read(failedTasks, { dag: 'nightly', run: 'r' })
    expect(blocks.flatMap((b) => (b.type === 'code' ? [b.text] : []))).toEqual([
      'nightly.a, try 0:\nIt never ran: there is no log.',
      expect.stringMatching(/^nightly\.b, try 2:\nIts log cannot be read: .* answered 403/),
      'nightly.c, try 2:\nValueError: c',
    ])
    expect((await read(taskLog, { dag: 'nightly', run: 'r', task: 'a' })).summary).toBe(
      'nightly.a, run r, never ran (failed): there is no log.',
    )
  })

  it('shows a pool without limit, whose open slots Python writes as Infinity', async () => {
    const { state } = jobs.server
    jobs.server.asInTheField()
    state.pools.set('parsers', { slots: -1, running: 3, queued: 2, scheduled: 0 })
    const { summary, blocks } = await read(pool, { pool: 'parsers' })
    expect(summary).toBe('Pool parsers: 3 of no limit slots run, 2 queued, 0 waiting.')
    expect(blocks[0]).toMatchObject({ rows: [['no limit', '3', '2', '0', 'no limit', '64']] })
    expect((await plan(setPoolSlots, { pool: 'parsers', slots: 8 })).summary).toBe(
      'Set the pool parsers from no limit to 8 slots',
    )
  })

  it('takes null like a value that is not there', async () => {
    const { state } = jobs.server
    jobs.server.asInTheField()
    state.addDag('nightly')
    state.addRun('nightly', 'r', 'failed', {})
    state.addTask('nightly', 'r', 'load', 'failed', { odd: { pool_slots: null, map_index: null, operator: null } })
    expect((await read(failedTasks)).summary).toMatch(/^1 failed task /)
    expect((await plan(clearTasks, { dag: 'nightly', run: 'r' })).targets).toHaveLength(1)
  })

  it('says in one sentence what is not as expected, and holds an answer to its question', async () => {
    const { state } = jobs.server
    jobs.server.asInTheField()
    state.addDag('nightly')
    state.addRun('nightly', 'r', 'failed', {})
    state.addTask('nightly', 'r', 'load', 'failed', { odd: { pool: 7 } })
    await expect(read(failedTasks)).rejects.toThrow(
      /^airflow: GET dags\/~\/dagRuns\/~\/taskInstances answered something that .*"task_instances\.0\.pool" is not as expected\. Check "api"/,
    )
    state.tasks[0]!.odd = { dag_id: 'other' }
    await expect(read(taskLog, { dag: 'nightly', run: 'r', task: 'load' })).rejects.toThrow(
      /answered about "other" and not about "nightly"$/,
    )
  })

  it('finds the failed one among 2,300 mapped tasks, also where pages are smaller than asked for', async () => {
    const { state } = jobs.server
    state.maximumPageLimit = 50
    state.addDag('big')
    state.addRun('big', 'r', 'failed', {})
    for (let map = 0; map < 2300; map++) state.addTask('big', 'r', 'work', map === 2250 ? 'failed' : 'success', { map })
    expect((await plan(clearTasks, { dag: 'big', run: 'r' })).targets.map((t) => t.name)).toEqual(['big.work[2250]'])
    expect(jobs.server.sent('get_task_instances')).toHaveLength(46)
  })

  it('refuses to decide on a list of which a part is missing, and says so in what it shows', async () => {
    const { state } = jobs.server
    state.addDag('backfill')
    state.dags.get('backfill')!.paused = true
    state.addDag('billing')
    for (let i = 0; i < 3; i++) state.addRun('other', `r${i}`, 'running', {})
    const proxy = await startMischief(jobs.server.origin)
    const cut = jobs.open({ baseUrl: proxy.url })
    jobs.server.asInTheField()
    state.hidden = 1
    const failed = propose(resumeDag, { connection: 'jobs', dag: 'backfill' }, cut.read()).catch(
      (e: Error) => e.message,
    )
    expect(await failed).toMatch(
      /^Airflow has 3 such runs of all DAGs, and 2 of them could be read\. Nothing is decided/,
    )
    expect((await read(dagRuns, {}, cut)).summary).toContain('Only the latest 2 of 3 were looked at.')
    await cut.close()
    await proxy.close()
  })

  it('asks again what was refused for a moment, and says how often where it stays so', async () => {
    const proxy = await startMischief(jobs.server.origin)
    const other = jobs.open({ baseUrl: proxy.url })
    try {
      for (const mischief of ['throttled', 'unavailable', 'partial', 'lost'] as const) {
        proxy.play(mischief)
        expect([mischief, (await read(failedTasks, {}, other)).summary]).toEqual([
          mischief,
          'No failed task in all DAGs within 24 h.',
        ])
      }
      proxy.play('unavailable', { times: 99 })
      await expect(read(failedTasks, {}, other)).rejects.toThrow(/answered 503 \(asked 4 times\)$/)
    } finally {
      await other.close()
      await proxy.close()
    }
  })

  it('sends a change once more only where it was not let in', async () => {
    const { state } = jobs.server
    state.pools.set('parsers', { slots: 32, running: 0, queued: 0, scheduled: 0 })
    const proxy = await startMischief(jobs.server.origin)
    const other = jobs.open({ baseUrl: proxy.url })
    try {
      const proposed = await propose(setPoolSlots, { connection: 'jobs', pool: 'parsers', slots: 8 }, other.read())
      const on = ({ method }: { method: string }) => method === 'PATCH'
      proxy.play('unavailable', { times: 9, on })
      await expect(setPoolSlots.run(proposed, other.run(proposed).ctx)).rejects.toMatchObject({
        name: 'Unanswered',
        message: expect.stringMatching(/answered 503\. It may have taken effect$/),
      })
      expect(proxy.done()).toBe(1)
      proxy.play('throttled', { on })
      await setPoolSlots.run(proposed, other.run(proposed).ctx)
      expect([proxy.done(), state.pools.get('parsers')!.slots]).toEqual([2, 8])
    } finally {
      await other.close()
      await proxy.close()
    }
  })

  it('says what to do where nothing listens, or a login page answers', async () => {
    const nowhere = jobs.open({ baseUrl: 'http://127.0.0.1:1' })
    await expect(read(failedTasks, {}, nowhere)).rejects.toThrow(
      /cannot be reached \(ECONNREFUSED\); check baseUrl \(asked 4 times\)$/,
    )
    await nowhere.close()
    expect(await refusal(clearTasks, { dag: 'ghost', run: 'r' })).toBe('Refused: Airflow knows no DAG "ghost".')
  })
})
