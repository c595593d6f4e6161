import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { checkConnection } from '../../../commands/airflow/check-connection.ts'
import { markSuccess } from '../../../commands/airflow/mark-success.ts'
import { pauseDag } from '../../../commands/airflow/pause-dag.ts'
import { restoreConnection } from '../../../commands/airflow/restore-connection.ts'
import { resumeDag } from '../../../commands/airflow/resume-dag.ts'
import { setPoolSlots } from '../../../commands/airflow/set-pool-slots.ts'
import { triggerRun } from '../../../commands/airflow/trigger-run.ts'
import type { ChangeCommand } from '../../../src/domain/command.ts'
import { propose, type World } from '../context.ts'
import { startJobs } from './world.ts'

const GOOD = {
  type: 'aws',
  host: 'logs.example.com',
  login: 'AKIAEXAMPLE',
  passwordFrom: 'GOOD_PASSWORD',
  extraFrom: 'GOOD_EXTRA',
}
const CANARIES = /canary-(connection-password|extra|airflow-token|old)/

describe.each([1, 2] as const)('changes, API v%i', (api) => {
  let jobs: Awaited<ReturnType<typeof startJobs>>
  let world: World

  beforeAll(async () => {
    jobs = await startJobs(api, {
      critical: { dags: ['billing'], tasks: ['nightly.publish'] },
      backfills: { dags: ['backfill*'] },
      pools: { parsers: { max: 64 } },
      trigger: { parse: { numbers: { partitions: 600 }, texts: ['day'] }, backfill: {} },
      connections: { remote_logs: GOOD },
    })
  })
  beforeEach(() => {
    const { state } = jobs.server
    state.addDag('nightly', {
      extract: ['train', 'load'],
      train: ['report'],
      load: [],
      report: ['publish'],
      publish: [],
    })
    state.addRun('nightly', 'r1', 'failed', {
      extract: 'success',
      train: 'failed',
      load: 'success',
      report: 'upstream_failed',
      publish: 'upstream_failed',
    })
    state.addDag('parse')
    state.addDag('backfill')
    state.addDag('billing')
    state.addRun('parse', 'heavy', 'failed', { work: 'failed' }, { conf: { partitions: 200, event: 'clicks' } })
    state.pools.set('parsers', { slots: 32, running: 12, queued: 3, scheduled: 40 })
    world = jobs.open()
  })
  afterEach(async () => {
    await world.close()
    const wrong = [...jobs.server.wrong]
    jobs.server.reset()
    expect(wrong).toEqual([])
  })
  afterAll(() => jobs.server.stop())

  const plan = (command: ChangeCommand, params: object) =>
    propose(command, { connection: 'jobs', ...params }, world.read())
  const refusal = (command: ChangeCommand, params: object) =>
    plan(command, params).then(
      () => 'planned',
      (e: Error) => `${e.name}: ${e.message}`,
    )
  const landed = async (command: ChangeCommand, proposed: Awaited<ReturnType<typeof plan>>, step: string) =>
    (await command.probe(proposed, step, world.read())).landed
  const stateOf = (task: string) => jobs.server.state.tasks.find((t) => t.dag === 'nightly' && t.task === task)?.state

  describe('airflow.mark-success', () => {
    const params = { dag: 'nightly', run: 'r1', tasks: 'train' }

    it('marks the task, and what failed after it runs again, whoever clears it', async () => {
      const proposed = await plan(markSuccess, params)
      expect(proposed.summary).toBe('Mark train of nightly, run r1, as success and clear publish, report after')
      expect([await landed(markSuccess, proposed, 'mark:train'), await landed(markSuccess, proposed, 'clear')]).toEqual(
        ['no', 'no'],
      )
      await markSuccess.run(proposed, world.run(proposed).ctx)
      expect(['extract', 'train', 'load', 'report', 'publish'].map(stateOf)).toEqual([
        'success',
        'success',
        'success',
        null,
        null,
      ])
      // Airflow cleared them itself, so nothing more was sent.
      expect(jobs.server.changes()).toEqual(['patch_task_instance'])
      expect((await markSuccess.verify(proposed, world.read())).every((c) => c.ok)).toBe(true)
      expect([await landed(markSuccess, proposed, 'mark:train'), await landed(markSuccess, proposed, 'clear')]).toEqual(
        ['yes', 'yes'],
      )
    })

    it('clears by itself what Airflow left', async () => {
      const proposed = await plan(markSuccess, params)
      jobs.server.state.markSuccess = (task) => {
        task.state = 'success'
      }
      await markSuccess.run(proposed, world.run(proposed).ctx)
      expect(jobs.server.sent('post_clear_task_instances')[0]?.body).toMatchObject({
        task_ids: ['publish', 'report'],
        only_failed: true,
      })
      expect(['report', 'publish'].map(stateOf)).toEqual([null, null])
    })

    it('marks several from the last to the first, so that none is cleared by another', async () => {
      const proposed = await plan(markSuccess, { ...params, tasks: 'train, report' })
      expect(proposed.steps.map((s) => s.id)).toEqual(['mark:report', 'mark:train', 'clear'])
      await markSuccess.run(proposed, world.run(proposed).ctx)
      expect(['train', 'report', 'publish'].map(stateOf)).toEqual(['success', 'success', null])
    })

    it('lets a run end that has no failed task any more, and marks no other task for that', async () => {
      const { state } = jobs.server
      state.addRun('nightly', 'leaf', 'failed', {
        extract: 'success',
        train: 'success',
        load: 'failed',
        report: 'skipped',
      })
      const proposed = await plan(markSuccess, { dag: 'nightly', run: 'leaf', tasks: 'load' })
      expect(proposed.steps.map((s) => s.id)).toEqual(['mark:load', 'end'])
      expect(await landed(markSuccess, proposed, 'end')).toBe('no')
      await markSuccess.run(proposed, world.run(proposed).ctx)
      expect(jobs.server.changes()).toEqual([
        'patch_task_instance',
        api === 1 ? 'update_dag_run_state' : 'patch_dag_run',
      ])
      expect(state.tasks.filter((t) => t.run === 'leaf').map((t) => t.state)).toEqual([
        'success',
        'success',
        'success',
        'skipped',
      ])
      const checks = await markSuccess.verify(proposed, world.read())
      expect(checks.map((c) => c.ok)).toEqual([true, true])
      expect(await landed(markSuccess, proposed, 'end')).toBe('yes')
    })

    it('says that a run stays failed because of what failed elsewhere in it', async () => {
      jobs.server.state.tasks.find((t) => t.task === 'load')!.state = 'failed'
      const proposed = await plan(markSuccess, params)
      expect(proposed.warnings).toContain('The run stays failed: load failed as well and do not come after.')
    })

    it('refuses critical tasks and DAGs, what is success, what runs and what moved', async () => {
      const { state } = jobs.server
      state.addRun('billing', 'b', 'failed', { work: 'failed' })
      expect(await refusal(markSuccess, { ...params, tasks: 'publish' })).toMatch(
        /^Refused: nightly\.publish is critical/,
      )
      expect(await refusal(markSuccess, { dag: 'billing', run: 'b', tasks: 'work' })).toMatch(
        /^Refused: billing\.work is critical/,
      )
      expect(await refusal(markSuccess, { ...params, tasks: 'load' })).toMatch(/^Refused: load is success already/)
      expect(await refusal(markSuccess, { ...params, tasks: 'ghost' })).toMatch(/^Refused: There is no task "ghost"/)
      const proposed = await plan(markSuccess, params)
      state.tasks.find((t) => t.task === 'train')!.state = 'running'
      expect(await refusal(markSuccess, params)).toMatch(/^Refused: train is running/)
      await expect(markSuccess.run(proposed, world.run(proposed).ctx)).rejects.toMatchObject({ name: 'Refused' })
      expect(jobs.server.changes()).toEqual([])
    })
  })

  describe('airflow.trigger-run', () => {
    const params = { dag: 'parse', from: 'heavy', conf: '{"partitions": 400}' }
    const run = 'keyturn__2026-03-14T02:07:00.000Z'

    it('starts one run with the old conf and more partitions, once', async () => {
      const proposed = await plan(triggerRun, params)
      expect(proposed.targets[0]?.details).toMatchObject({
        Run: run,
        partitions: '200 → 400 (ceiling 600)',
        event: '"clicks" → "clicks"',
      })
      expect(await landed(triggerRun, proposed, 'start')).toBe('no')
      jobs.server.loseNext(api === 1 ? 'post_dag_run' : 'trigger_dag_run')
      await expect(triggerRun.run(proposed, world.run(proposed).ctx)).rejects.toThrow('got no complete answer')
      expect(await landed(triggerRun, proposed, 'start')).toBe('yes')
      expect(await triggerRun.run(proposed, world.run(proposed).ctx)).toBe(
        `The run ${run} of parse was started already.`,
      )
      expect(jobs.server.state.runs.filter((r) => r.dag === 'parse').map((r) => [r.run, r.conf])).toEqual([
        ['heavy', { partitions: 200, event: 'clicks' }],
        [run, { partitions: 400, event: 'clicks' }],
      ])
      expect((await triggerRun.verify(proposed, world.read())).every((c) => c.ok)).toBe(true)
    })

    it('refuses numbers above the ceiling, other keys, other DAGs, a second run, and what is paused', async () => {
      const { state } = jobs.server
      const conf = (value: unknown) =>
        refusal(triggerRun, { ...params, conf: typeof value === 'string' ? value : JSON.stringify(value) })
      expect(await conf({ partitions: 601 })).toMatch(/^Refused: partitions 601 is above the ceiling of 600 for parse/)
      expect(await conf({ partitions: '400' })).toMatch(/^Refused: partitions must be a number above 0, and is "400"/)
      expect(await conf({ partitions: -1 })).toMatch(/^Refused: partitions must be a number above 0/)
      expect(await conf({ event: 'views' })).toMatch(/^Refused: The connection does not allow to set "event"/)
      expect(await conf({ day: 3 })).toMatch(/^Refused: The connection does not allow to set "day"/)
      expect(await conf('{"partitions":')).toMatch(/^Refused: The conf is not a JSON object/)
      expect(await refusal(triggerRun, { dag: 'nightly', conf: '{}' })).toMatch(
        /^Refused: The connection does not list the DAG "nightly" under trigger/,
      )
      state.addRun('parse', 'now', 'running', { work: 'running' })
      expect(await refusal(triggerRun, params)).toMatch(/^Refused: A run of parse is running already: now/)
      state.dags.get('parse')!.paused = true
      expect(await refusal(triggerRun, params)).toMatch(/^Refused: The DAG parse is paused/)
      state.addRun('billing', 'b', 'running', {})
      expect(await refusal(triggerRun, { dag: 'backfill', conf: '{}' })).toMatch(/^Refused: backfill is a backfill/)
      expect(jobs.server.changes()).toEqual([])
    })
  })

  it('pauses a backfill at once, and resumes it only when no critical DAG runs, also at the last moment', async () => {
    const { state } = jobs.server
    state.addRun('billing', 'b', 'running', { work: 'running' })
    const pausing = await plan(pauseDag, { dag: 'backfill' })
    expect(await landed(pauseDag, pausing, 'pause')).toBe('no')
    await pauseDag.run(pausing, world.run(pausing).ctx)
    expect([state.dags.get('backfill')!.paused, (await pauseDag.verify(pausing, world.read()))[0]?.ok]).toEqual([
      true,
      true,
    ])
    expect(await landed(pauseDag, pausing, 'pause')).toBe('yes')
    expect(await refusal(pauseDag, { dag: 'backfill' })).toMatch(/^Refused: .*paused already/)
    expect(await refusal(resumeDag, { dag: 'backfill' })).toMatch(
      /^Refused: backfill is a backfill, and the critical DAG billing is running/,
    )
    state.runs.find((r) => r.dag === 'billing')!.state = 'success'
    const resuming = await plan(resumeDag, { dag: 'backfill' })
    state.runs.find((r) => r.dag === 'billing')!.state = 'running'
    await expect(resumeDag.run(resuming, world.run(resuming).ctx)).rejects.toMatchObject({ name: 'Refused' })
    expect(state.dags.get('backfill')!.paused).toBe(true)
    state.runs.find((r) => r.dag === 'billing')!.state = 'success'
    await resumeDag.run(resuming, world.run(resuming).ctx)
    expect(state.dags.get('backfill')!.paused).toBe(false)
  })

  it('pauses what a backfill makes, or says that it cannot', async () => {
    const { state } = jobs.server
    if (api === 1) {
      state.addRun('backfill', 'backfill__2026-03-01', 'running', {}, { type: 'backfill' })
      const pausing = await plan(pauseDag, { dag: 'backfill' })
      expect(pausing.warnings).toContainEqual(
        expect.stringMatching(/`airflow dags backfill` goes on all the same.*\(backfill__2026-03-01\)/),
      )
      await pauseDag.run(pausing, world.run(pausing).ctx)
      const checks = await pauseDag.verify(pausing, world.read())
      expect(checks.map((c) => [c.title, c.ok])).toEqual([
        ['The DAG is paused', true],
        ['No backfill of the DAG goes on', false],
      ])
      return
    }
    const made = {
      dag: 'backfill',
      from: '2026-03-01T00:00:00Z',
      to: '2026-03-05T00:00:00Z',
      behavior: 'none',
      conf: {},
    }
    state.backfills.push(
      { ...made, id: 6, paused: false, completed: '2026-03-10T00:00:00Z' },
      { ...made, id: 7, paused: false },
    )
    const pausing = await plan(pauseDag, { dag: 'backfill' })
    expect(pausing.steps.map((s) => s.id)).toEqual(['pause', 'backfill:7'])
    expect(pausing.targets[0]?.details.Backfills).toBe('7: 2026-03-01 to 2026-03-05')
    expect(await landed(pauseDag, pausing, 'backfill:7')).toBe('no')
    await pauseDag.run(pausing, world.run(pausing).ctx)
    expect(state.backfills.map((b) => b.paused)).toEqual([false, true])
    expect(await landed(pauseDag, pausing, 'backfill:7')).toBe('yes')
    expect((await pauseDag.verify(pausing, world.read())).map((c) => c.ok)).toEqual([true, true])
    // Resumed with its DAG; and where the DAG alone was resumed meanwhile, it can still be.
    const resuming = await plan(resumeDag, { dag: 'backfill' })
    expect(resuming.steps.map((s) => s.id)).toEqual(['resume', 'backfill:7'])
    await resumeDag.run(resuming, world.run(resuming).ctx)
    expect(state.backfills[1]?.paused).toBe(false)
  })

  it('lowers a pool, but not below its running critical tasks, and raises it to its ceiling only', async () => {
    const { state } = jobs.server
    state.addRun('billing', 'b', 'running', {})
    state.addTask('billing', 'b', 'work', 'running', { pool: 'parsers', slots: 10 })
    state.addTask('parse', 'heavy', 'more', 'running', { pool: 'parsers', slots: 20 })
    expect(await refusal(setPoolSlots, { pool: 'parsers', slots: '9' })).toMatch(
      /^Refused: 9 slots are fewer than the 10 that critical tasks hold now: billing\.work/,
    )
    expect(await refusal(setPoolSlots, { pool: 'parsers', slots: '65' })).toMatch(
      /^Refused: 65 slots are above the ceiling of 64/,
    )
    expect(await refusal(setPoolSlots, { pool: 'other', slots: '5' })).toMatch(
      /^Refused: The connection "jobs" does not list the pool "other"/,
    )
    expect(await refusal(setPoolSlots, { pool: 'parsers', slots: '32' })).toMatch(/^Refused: .*32 slots already/)
    const proposed = await plan(setPoolSlots, { pool: 'parsers', slots: '10' })
    expect(await landed(setPoolSlots, proposed, 'set')).toBe('no')
    state.pools.get('parsers')!.slots = 20
    await expect(setPoolSlots.run(proposed, world.run(proposed).ctx)).rejects.toMatchObject({
      message: expect.stringContaining('has 20 slots now'),
    })
    expect(await landed(setPoolSlots, proposed, 'set')).toBe('cannot_tell')
    state.pools.get('parsers')!.slots = 32
    await setPoolSlots.run(proposed, world.run(proposed).ctx)
    expect([state.pools.get('parsers')!.slots, await landed(setPoolSlots, proposed, 'set')]).toEqual([10, 'yes'])
    expect((await setPoolSlots.verify(proposed, world.read()))[0]?.ok).toBe(true)
  })

  describe('connections of Airflow', () => {
    const broken = {
      conn_type: 'aws',
      host: 'logs.example.org',
      login: 'AKIAEXAMPLE',
      schema: null,
      port: null,
      password: 'canary-old',
      extra: '{"aws_session_token":"canary-old"}',
    }
    const look = (id: string) =>
      checkConnection.read(checkConnection.params.parse({ connection: 'jobs', id }), world.read())

    it('shows what is wrong and restores the last good value without showing a secret', async () => {
      jobs.server.state.connections.set('remote_logs', { ...broken })
      const evidence = await look('remote_logs')
      expect(evidence.blocks).toMatchObject([
        {
          rows: expect.arrayContaining([
            ['Host', 'logs.example.org'],
            ['Keys of extra', 'aws_session_token'],
          ]),
        },
        { text: expect.stringMatching(/It differs from its last good value in: host\.\nThe last good value works/) },
      ])
      const proposed = await plan(restoreConnection, { id: 'remote_logs' })
      expect(proposed.targets[0]?.details).toMatchObject({
        host: 'logs.example.org → logs.example.com',
        password: 'from the variable GOOD_PASSWORD, not shown',
      })
      expect(await landed(restoreConnection, proposed, 'write')).toBe('no')
      const { ctx, recording } = world.run(proposed)
      const said = await restoreConnection.run(proposed, ctx)
      expect(jobs.server.state.connections.get('remote_logs')).toMatchObject({
        host: 'logs.example.com',
        password: 'canary-connection-password',
      })
      const checks = await restoreConnection.verify(proposed, world.read())
      expect(checks.map((c) => c.ok)).toEqual([true, true])
      expect(await landed(restoreConnection, proposed, 'write')).toBe('yes')
      expect(JSON.stringify([evidence, proposed, recording, said, checks])).not.toMatch(CANARIES)
    })

    it('writes the schema of a connection, under whichever name Airflow knows it', async () => {
      const other = jobs.open({ connections: { warehouse: { type: 'postgres', host: 'db', schema: 'shop' } } })
      jobs.server.state.connections.set('warehouse', {
        ...broken,
        conn_type: 'postgres',
        host: 'db',
        login: null,
        schema: 'old',
      })
      const proposed = await propose(restoreConnection, { connection: 'jobs', id: 'warehouse' }, other.read())
      await restoreConnection.run(proposed, other.run(proposed).ctx)
      expect(jobs.server.state.connections.get('warehouse')?.schema).toBe('shop')
      expect((await restoreConnection.verify(proposed, other.read()))[0]?.ok).toBe(true)
      await other.close()
    })

    it('makes one that is gone, and says what cannot be told', async () => {
      jobs.server.state.testable = false
      expect((await look('remote_logs')).summary).toMatch(
        /^The connection remote_logs is not in Airflow's database\. It may stand in AIRFLOW_CONN_REMOTE_LOGS or in a secrets backend/,
      )
      const proposed = await plan(restoreConnection, { id: 'remote_logs' })
      expect(proposed.summary).toMatch(/^Make the connection/)
      expect(proposed.warnings.join(' ')).toMatch(
        /secrets backend, mend it there.*read by nobody.*restart the web server \(Airflow 3: the API server\)/,
      )
      await restoreConnection.run(proposed, world.run(proposed).ctx)
      expect(jobs.server.changes()).toEqual(['post_connection'])
      const again = await plan(restoreConnection, { id: 'remote_logs' })
      // Only secrets would be written: nobody can see whether they were.
      expect(await landed(restoreConnection, again, 'write')).toBe('cannot_tell')
    })

    it('refuses one without a last good value, and one that changed after the plan', async () => {
      expect(await refusal(restoreConnection, { id: 'warehouse' })).toBe(
        'Refused: No last good value of "warehouse" is configured for "jobs". There is one of: remote_logs.',
      )
      jobs.server.state.connections.set('remote_logs', { ...broken })
      const proposed = await plan(restoreConnection, { id: 'remote_logs' })
      jobs.server.state.connections.get('remote_logs')!.login = 'somebody'
      await expect(restoreConnection.run(proposed, world.run(proposed).ctx)).rejects.toMatchObject({ name: 'Refused' })
      expect(jobs.server.changes()).toEqual([])
    })
  })
})
