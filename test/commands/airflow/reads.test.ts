import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { dagRuns } from '../../../commands/airflow/dag-runs.ts'
import { matches } from '../../../commands/airflow/guards.ts'
import { hosts } from '../../../commands/airflow/hosts.ts'
import { importErrors } from '../../../commands/airflow/import-errors.ts'
import { pool } from '../../../commands/airflow/pool.ts'
import { taskDurations } from '../../../commands/airflow/task-durations.ts'
import { taskLog } from '../../../commands/airflow/task-log.ts'
import { tasks } from '../../../commands/airflow/tasks.ts'
import type { ReadCommand } from '../../../src/domain/command.ts'
import type { World } from '../context.ts'
import { startJobs } from './world.ts'

describe.each([1, 2] as const)('evidence, API v%i', (api) => {
  let jobs: Awaited<ReturnType<typeof startJobs>>
  let world: World

  beforeAll(async () => {
    jobs = await startJobs(api, {
      critical: { dags: ['billing'] },
      backfills: { dags: ['backfill*'] },
      pools: { parsers: { max: 64 } },
    })
  })
  beforeEach(() => {
    world = jobs.open({}, () => new Date('2026-03-14T03:30:00Z'))
  })
  afterEach(async () => {
    await world.close()
    const wrong = [...jobs.server.wrong]
    jobs.server.reset()
    expect(wrong).toEqual([])
  })
  afterAll(() => jobs.server.stop())

  const read = (command: ReadCommand, params: object = {}) =>
    command.read(command.params.parse({ connection: 'jobs', ...params }), world.read())

  it('charts the last 30 runs of a task, the running one until now', async () => {
    const { state } = jobs.server
    state.addDag('parse')
    for (let day = 1; day <= 31; day++) {
      const start = `2026-02-${String(day).padStart(2, '0')}T01:00:00Z`
      state.addRun('parse', `run-${day}`, 'success', {}, { start, date: start })
      state.addTask(
        'parse',
        `run-${day}`,
        'work',
        day === 31 ? 'running' : 'success',
        day === 31 ? { start: '2026-03-14T02:00:00Z' } : { duration: 300 + day },
      )
    }
    const { summary, blocks } = await read(taskDurations, { dag: 'parse', task: 'work' })
    expect(summary).toBe(
      'parse.work took 90 min in the latest run; half of the 29 before took less than 5.3 min, the longest 5.5 min.',
    )
    const [chart] = blocks
    expect(chart).toMatchObject({ type: 'chart', unit: 'min' })
    expect(chart?.type === 'chart' && [chart.points.length, chart.points[0], chart.points.at(-1)]).toEqual([
      30,
      { label: '2026-02-02 01:00', value: 5 },
      { label: '2026-02-31 01:00', value: 90 },
    ])
    await expect(read(taskDurations, { dag: 'parse', task: 'ghost' })).rejects.toMatchObject({ name: 'Refused' })
  })

  it('reads long lists to their end', async () => {
    const { state } = jobs.server
    for (let i = 0; i < 250; i++)
      state.importErrors.push({
        import_error_id: i,
        timestamp: '2026-03-14T00:00:00Z',
        filename: `/dags/d${i}.py`,
        stack_trace: 'x',
      })
    expect((await read(importErrors)).summary).toMatch(/^250 DAG files do not import/)
    expect(jobs.server.sent('get_import_errors').map((call) => call.query.offset)).toEqual(['0', '100', '200'])
  })

  it('names file, line and error of a DAG that does not import', async () => {
    const stack_trace =
      'Traceback (most recent call last):\n  File "/dags/orders.py", line 12, in <module>\n    import imp\n  File "/usr/lib/x.py", line 99, in y\nModuleNotFoundError: No module named \'imp\'\n'
    jobs.server.state.importErrors.push({
      import_error_id: 1,
      timestamp: '2026-03-14T00:00:00Z',
      filename: '/dags/orders.py',
      stack_trace,
    })
    const { summary, blocks } = await read(importErrors, { file: 'orders' })
    expect(summary).toBe('1 DAG file does not import; the latest is /dags/orders.py.')
    expect(blocks[0]).toMatchObject({
      rows: [['2026-03-14T00:00:00Z', '/dags/orders.py', '12', "ModuleNotFoundError: No module named 'imp'"]],
    })
    expect((await read(importErrors, { file: 'users' })).summary).toBe(
      'No file like "users" is among the 1 that do not import.',
    )
    jobs.server.state.importErrors.length = 0
    expect((await read(importErrors)).summary).toBe('Every DAG file imports.')
  })

  it('shows how full a pool is and which of its tasks are critical', async () => {
    const { state } = jobs.server
    state.pools.set('parsers', { slots: 16, running: 14, queued: 1, scheduled: 90 })
    state.addRun('billing', 'b', 'running', {})
    state.addTask('billing', 'b', 'work', 'running', { pool: 'parsers', slots: 4, start: '2026-03-14T02:00:00Z' })
    state.addTask('billing', 'b', 'elsewhere', 'running')
    state.addTask('billing', 'b', 'next', 'queued', { pool: 'parsers' })
    const { summary, blocks } = await read(pool, { pool: 'parsers' })
    expect(summary).toBe(
      'Pool parsers: 14 of 16 slots run, 1 queued, 90 waiting. billing holds the most: 4 of the running slots.',
    )
    expect(blocks[0]).toMatchObject({ rows: [['16', '14', '1', '90', '1', '64']] })
    expect(blocks[1]).toMatchObject({
      columns: ['DAG', ...Array(3).fill(expect.anything())],
      rows: [['billing', '4', '1', '2']],
    })
    expect(blocks[2]).toMatchObject({
      rows: [
        ['billing.work', 'b', 'running', '4', '2026-03-14T02:00:00Z', 'yes'],
        ['billing.next', 'b', 'queued', '1', '', 'yes'],
      ],
    })
    await expect(read(pool, { pool: 'ghost' })).rejects.toMatchObject({ name: 'Refused' })
  })

  it('lists running runs with backfills and critical ones marked', async () => {
    const { state } = jobs.server
    state.addRun('billing', 'b', 'running', {}, { start: '2026-03-14T02:00:00Z' })
    state.addRun('backfill_orders', 'f', 'running', {}, { type: 'backfill' })
    state.addRun('other', 'o', 'success', {})
    const { summary, blocks } = await read(dagRuns, { state: 'running' })
    expect(summary).toBe('2 running runs of all DAGs; 1 of critical DAGs.')
    expect(blocks[0]?.type === 'table' && blocks[0].rows.map((row) => [row[0], row.at(-1)])).toEqual([
      ['billing', 'critical'],
      ['backfill_orders', 'backfill'],
    ])
  })

  it('lists runs of some DAGs only, the longest first, those that go on until now', async () => {
    const { state } = jobs.server
    state.addRun('parse_clicks', 'a', 'failed', {}, { start: '2026-03-14T01:00:00Z', end: '2026-03-14T02:20:00Z' })
    state.addRun('parse_views', 'b', 'running', {}, { start: '2026-03-14T03:00:00Z' })
    state.addRun('report', 'c', 'failed', {}, { start: '2026-03-13T01:00:00Z', end: '2026-03-14T01:00:00Z' })
    state.addRun('parse_new', 'd', 'queued', {}, { start: undefined, end: undefined })
    const { summary, blocks } = await read(dagRuns, { dags: 'parse_*', order: 'longest' })
    expect(summary).toContain('3 runs of all DAGs; 0 of critical DAGs. The longest is parse_clicks with 80 min.')
    expect(blocks[0]?.type === 'table' && blocks[0].rows.map((row) => [row[0], row.at(-2)])).toEqual([
      ['parse_clicks', '80'],
      ['parse_views', '30'],
      ['parse_new', ''],
    ])
  })

  it('shows tasks of one run that have not begun, and says which are critical', async () => {
    const { state } = jobs.server
    state.addRun('billing', 'r', 'failed', { load: 'failed', downscale: 'upstream_failed', next: null })
    const { summary, blocks } = await read(tasks, { dag: 'billing', run: 'r', tasks: 'downscale' })
    expect(summary).toBe('billing, run r: downscale is upstream_failed.')
    expect(blocks[0]).toMatchObject({
      rows: [['downscale', 'upstream_failed', '0', '', '', 'PythonOperator', 'yes']],
    })
    const all = await read(tasks, { dag: 'billing', run: 'r' })
    expect(all.summary).toBe('billing, run r: 1 failed, 1 none, 1 upstream_failed.')
    await expect(read(tasks, { dag: 'billing', run: 'r', tasks: 'ghost' })).rejects.toThrow('no task "ghost"')
    await expect(read(tasks, { dag: 'billing', run: 'x' })).rejects.toMatchObject({ name: 'Refused' })
  })

  it('shows first the machines on which a backfill runs beside critical tasks', async () => {
    const { state } = jobs.server
    const on = (dag: string, task: string, host: string, taskState = 'running') =>
      state.addTask(dag, 'r', task, taskState, { host, start: '2026-03-14T02:00:00Z' })
    for (const dag of ['billing', 'backfill_orders', 'report']) state.addRun(dag, 'r', 'running', {})
    on('report', 'work', 'worker-1')
    on('backfill_orders', 'alone', 'worker-1')
    on('billing', 'work', 'worker-2')
    on('billing', 'done', 'worker-1', 'success')
    on('backfill_orders', 'work', 'worker-2')
    const { summary, blocks } = await read(hosts)
    expect(summary).toBe(
      '4 running tasks on 2 machines. A backfill runs beside critical tasks on worker-2. They are of backfill_orders, billing, report.',
    )
    expect(blocks[0]?.type === 'table' && blocks[0].rows.map((row) => [row[0], row[1], row[4]])).toEqual([
      ['worker-2', 'billing.work', 'critical'],
      ['worker-2', 'backfill_orders.work', 'backfill'],
      ['worker-1', 'backfill_orders.alone', 'backfill'],
      ['worker-1', 'report.work', ''],
    ])
    state.tasks.pop()
    expect((await read(hosts)).summary).toContain('On none of them')
  })

  it('shows the end of a long log only, and which try it is', async () => {
    const { state } = jobs.server
    state.addRun('nightly', 'r', 'failed', { load: 'failed' })
    const lines = Array.from({ length: 20_000 }, (_, i) =>
      api === 1 ? `line ${i}` : JSON.stringify({ timestamp: 't', level: 'info', event: `line ${i}` }),
    )
    state.logs.set('nightly/r/load/2', lines.join('\n'))
    const { summary, blocks } = await read(taskLog, { dag: 'nightly', run: 'r', task: 'load', lines: '3' })
    expect(summary).toBe('The end of the log of nightly.load, run r, try 2 (failed).')
    const prefix = api === 1 ? '' : 't info '
    expect(blocks).toEqual([
      { type: 'code', text: [19_997, 19_998, 19_999].map((i) => `${prefix}line ${i}`).join('\n') },
    ])
  })
})

it('matches names by patterns with stars and nothing else', () => {
  expect(matches(['parse_*'], 'parse_clicks')).toBe(true)
  expect(matches(['parse_*_v2', 'x'], 'parse_clicks_v2')).toBe(true)
  expect(matches(['a*a'], 'a')).toBe(false)
  expect(matches(['parse'], 'parse_clicks')).toBe(false)
  expect(matches(['*a*b*'], 'xxaxxbxx')).toBe(true)
  expect(matches(['*a*b*'], 'xxbxxaxx')).toBe(false)
  expect(matches(['p.rse'], 'parse')).toBe(false)
})
