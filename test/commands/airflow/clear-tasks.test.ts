import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { clearTasks } from '../../../commands/airflow/clear-tasks.ts'
import { failedTasks } from '../../../commands/airflow/failed-tasks.ts'
import { digest } from '../../../src/domain/plan.ts'
import { propose, type World } from '../context.ts'
import { startJobs } from './world.ts'

const RUN = 'scheduled__2026-03-13T00:00:00+00:00'

describe.each([1, 2] as const)('failed tasks, API v%i', (api) => {
  let jobs: Awaited<ReturnType<typeof startJobs>>
  let world: World

  beforeAll(async () => {
    jobs = await startJobs(api, {
      dags: ['nightly', 'odd*', 'backfill'],
      critical: { dags: ['billing'] },
      backfills: { dags: ['backfill'] },
    })
  })
  beforeEach(() => {
    const { state } = jobs.server
    state.addDag('nightly', { extract: ['load'], load: ['report'], report: [] })
    state.addRun('nightly', RUN, 'failed', { extract: 'success', load: 'failed', report: 'upstream_failed' })
    const log =
      api === 1
        ? '*** Found local files\nTraceback\nTimeoutError: 3600 s'
        : '{"timestamp":"2026-03-14T01:10:00Z","level":"error","event":"TimeoutError: 3600 s"}\n'
    state.logs.set(`nightly/${RUN}/load/2`, log)
    world = jobs.open()
  })
  afterEach(async () => {
    await world.close()
    const wrong = [...jobs.server.wrong]
    jobs.server.reset()
    expect(wrong).toEqual([])
  })
  afterAll(() => jobs.server.stop())

  const plan = (params: object = {}) =>
    propose(clearTasks, { connection: 'jobs', dag: 'nightly', run: RUN, ...params }, world.read())
  const refusal = (params: object) =>
    plan(params).then(
      () => 'planned',
      (e: Error) => `${e.name}: ${e.message}`,
    )
  const taskState = (task: string) => jobs.server.state.tasks.find((t) => t.task === task)?.state

  it('lists what failed with the end of its log', async () => {
    const params = failedTasks.params.parse({ connection: 'jobs' })
    const { summary, blocks } = await failedTasks.read(params, world.read())
    expect(summary).toBe('1 failed task in all DAGs within 24 h; the first is nightly.load at 2026-03-14T01:10:00Z.')
    expect(blocks[0]).toMatchObject({
      rows: [['nightly', RUN, 'load', '2', '2026-03-14T01:00:00Z', '2026-03-14T01:10:00Z', 'PythonOperator', 'no']],
    })
    expect(blocks[1]).toMatchObject({
      text: expect.stringMatching(/^nightly\.load, try 2:\n[\s\S]*TimeoutError: 3600 s$/),
    })
    jobs.server.state.logs.clear()
    expect((await failedTasks.read(params, world.read())).blocks[1]).toMatchObject({
      text: expect.stringContaining('no log'),
    })
  })

  it('clears exactly the failed tasks of the run, and sees them run again', async () => {
    const proposed = await plan()
    expect(proposed.targets.map((t) => [t.name, t.fingerprint])).toEqual([
      ['nightly.load', 'try 2 failed 2026-03-14T01:10:00Z'],
      ['nightly.report', 'try 0 upstream_failed'],
    ])
    expect(digest(await plan())).toBe(digest(proposed))
    const { ctx } = world.run(proposed)
    expect(await clearTasks.run(proposed, ctx)).toContain('Cleared load, report of nightly')
    expect([taskState('extract'), taskState('load'), taskState('report')]).toEqual(['success', null, null])
    expect((await clearTasks.verify(proposed, world.read())).map((c) => c.ok)).toEqual([true, true])
    expect(jobs.server.changes()).toEqual(['post_clear_task_instances'])
  })

  it('clears one mapped task by its name', async () => {
    jobs.server.state.addDag('oddly')
    jobs.server.state.addRun('oddly', 'm', 'failed', {})
    for (const map of [0, 1, 2])
      jobs.server.state.addTask('oddly', 'm', 'part', map === 1 ? 'failed' : 'success', { map })
    const proposed = await plan({ dag: 'oddly', run: 'm', tasks: 'part' })
    expect(proposed.targets.map((t) => t.name)).toEqual(['oddly.part[1]'])
    await clearTasks.run(proposed, world.run(proposed).ctx)
    expect(jobs.server.state.tasks.filter((t) => t.task === 'part').map((t) => t.state)).toEqual([
      'success',
      null,
      'success',
    ])
  })

  it('clears a named task that succeeded only when that is asked for', async () => {
    const proposed = await plan({ tasks: 'extract', succeeded: 'yes' })
    expect(proposed.targets.map((t) => t.fingerprint)).toEqual(['try 2 success 2026-03-14T01:10:00Z'])
    await clearTasks.run(proposed, world.run(proposed).ctx)
    expect([taskState('extract'), taskState('load')]).toEqual([null, 'failed'])
    expect((await clearTasks.verify(proposed, world.read())).map((c) => c.ok)).toEqual([true])
    expect(await refusal({ succeeded: 'yes' })).toBe('Refused: Name the tasks to clear though they succeeded.')
    jobs.server.state.tasks.find((t) => t.task === 'extract')!.state = 'skipped'
    expect(await refusal({ tasks: 'extract', succeeded: 'yes' })).toMatch(
      /^Refused: extract neither failed nor succeeded .* it is skipped/,
    )
  })

  it('clears what failed after a named task with it, or says that the run fails again', async () => {
    const proposed = await plan({ tasks: 'load' })
    expect(proposed.targets.map((t) => t.name)).toEqual(['nightly.load', 'nightly.report'])
    expect(proposed.warnings).toEqual(['What failed after them is cleared too: report.'])
    expect(jobs.server.changes()).toEqual([])
    await clearTasks.run(proposed, world.run(proposed).ctx)
    expect(['load', 'report'].map(taskState)).toEqual([null, null])
    jobs.server.state.tasks.find((t) => t.task === 'load')!.state = 'failed'
    jobs.server.state.tasks.find((t) => t.task === 'report')!.state = 'upstream_failed'
    const alone = await plan({ tasks: 'load', downstream: 'no' })
    expect([alone.targets.map((t) => t.name), alone.warnings]).toEqual([
      ['nightly.load'],
      ['report stay as they are: the run fails again because of them.'],
    ])
  })

  it('shows what Airflow clears beside it: setup tasks that succeeded', async () => {
    jobs.server.state.dags.get('nightly')!.setups = { load: ['extract'] }
    const proposed = await plan({ tasks: 'load' })
    expect(proposed.targets.map((t) => t.name)).toEqual(['nightly.extract', 'nightly.load', 'nightly.report'])
    expect(proposed.warnings[0]).toMatch(/Airflow also clears extract, though not failed: success\.$/)
    await clearTasks.run(proposed, world.run(proposed).ctx)
    expect(taskState('extract')).toBe(null)
    expect((await clearTasks.verify(proposed, world.read())).every((c) => c.ok)).toBe(true)
  })

  it('refuses what it may not change, what is not there, what did not fail and what still runs', async () => {
    const { state } = jobs.server
    state.addDag('payroll')
    state.addDag('odd')
    state.addRun('odd', 'r', 'running', { work: 'running' })
    expect(await refusal({ dag: 'payroll' })).toMatch(
      /^Refused: The connection does not allow changes to the DAG "payroll"/,
    )
    expect(await refusal({ dag: 'oddity' })).toBe('Refused: Airflow knows no DAG "oddity".')
    expect(await refusal({ run: 'never' })).toBe('Refused: The DAG "nightly" has no run "never".')
    expect(await refusal({ run: '..' })).toMatch(/^Refused: ".." is no name/)
    expect(await refusal({ tasks: 'load, ghost' })).toMatch(/^Refused: There is no task "ghost"/)
    expect(await refusal({ tasks: 'extract' })).toMatch(/^Refused: extract did not fail .* it is success/)
    expect(await refusal({ dag: 'odd', run: 'r', tasks: 'work' })).toMatch(/^Refused: work is running/)
    expect(await refusal({ dag: 'odd', run: 'r' })).toMatch(/^Refused: No task failed/)
    expect(jobs.server.changes()).toEqual([])
  })

  it('refuses a backfill while a critical DAG runs or is due, and lets others pass', async () => {
    const { state } = jobs.server
    state.addDag('billing')
    state.addDag('backfill')
    state.addRun('backfill', 'b', 'failed', { work: 'failed' })
    state.addRun('billing', 'now', 'running', { work: 'running' })
    expect(await refusal({ dag: 'backfill', run: 'b' })).toMatch(
      /^Refused: backfill is a backfill, and the critical DAG billing is running \(now\)/,
    )
    expect(await refusal({})).toBe('planned')
    state.runs.find((r) => r.dag === 'billing')!.state = 'success'
    state.dags.get('billing')!.next = new Date(Date.now() + 60_000).toISOString()
    expect(await refusal({ dag: 'backfill', run: 'b' })).toMatch(/^Refused: .*critical DAG billing is due at/)
    state.dags.get('billing')!.next = new Date(Date.now() + 3_600_000).toISOString()
    expect(await refusal({ dag: 'backfill', run: 'b' })).toBe('planned')
  })

  it('changes nothing when a task was tried again after the plan', async () => {
    const proposed = await plan()
    jobs.server.state.tasks.find((t) => t.task === 'load')!.try = 3
    await expect(clearTasks.run(proposed, world.run(proposed).ctx)).rejects.toMatchObject({
      name: 'Refused',
      message: 'load is try 3 failed 2026-03-14T01:10:00Z now; approved was try 2 failed 2026-03-14T01:10:00Z.',
    })
    expect(jobs.server.changes()).toEqual([])
    expect((await clearTasks.verify(proposed, world.read()))[1]).toMatchObject({ ok: false })
  })

  it('probes by looking, also when the answer to the clear was lost', async () => {
    const proposed = await plan()
    expect((await clearTasks.probe(proposed, 'clear', world.read())).landed).toBe('no')
    jobs.server.loseNext('post_clear_task_instances')
    await expect(clearTasks.run(proposed, world.run(proposed).ctx)).rejects.toThrow('got no complete answer')
    expect((await clearTasks.probe(proposed, 'clear', world.read())).landed).toBe('yes')
    jobs.server.state.tasks.find((t) => t.task === 'report')!.state = 'upstream_failed'
    expect((await clearTasks.probe(proposed, 'clear', world.read())).landed).toBe('cannot_tell')
  })

  it('warns that a paused DAG runs nothing, and buys a token with the password', async () => {
    jobs.server.state.dags.get('nightly')!.paused = true
    expect((await plan()).warnings).toEqual([expect.stringContaining('is paused')])
    const auth =
      api === 1
        ? { kind: 'basic', user: 'keyturn', passwordFrom: 'AIRFLOW_PASSWORD' }
        : { kind: 'token', user: 'keyturn', passwordFrom: 'AIRFLOW_PASSWORD' }
    const other = jobs.open({ auth })
    const read = await failedTasks.read(
      failedTasks.params.parse({ connection: 'jobs', dag: 'nightly', run: RUN }),
      other.read(),
    )
    expect(read.summary).toContain('1 failed task in nightly')
    const wrong = jobs.open({ auth: { ...auth, passwordFrom: 'GOOD_PASSWORD' } })
    await expect(failedTasks.read(failedTasks.params.parse({ connection: 'jobs' }), wrong.read())).rejects.toThrow(
      /401/,
    )
  })
})
