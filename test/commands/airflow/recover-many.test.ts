import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { recoverMany } from '../../../commands/airflow/recover-many.ts'
import { digest } from '../../../src/domain/plan.ts'
import { startMischief } from '../../harness/mischief.ts'
import { propose, type World } from '../context.ts'
import { startJobs } from './world.ts'

const DAGS = ['extract', 'clean', 'load_a', 'load_b', 'report']

describe.each([1, 2] as const)('recovering many runs, API v%i', (api) => {
  let jobs: Awaited<ReturnType<typeof startJobs>>
  let world: World

  beforeAll(async () => {
    jobs = await startJobs(api, {
      pools: { parsers: { max: 64 }, left: { max: 64, usual: 8 } },
      dependsOn: { report: ['load_a'] },
      critical: { dags: ['billing'] },
      backfills: { dags: ['backfill*'] },
    })
  })
  // extract → (dataset) clean → (sensor) load_a, load_b; load_a → (configuration) report.
  beforeEach(() => {
    const { state } = jobs.server
    for (const dag of DAGS) {
      state.addDag(dag)
      state.addRun(dag, 'late', 'failed', {})
      const sensor = dag.startsWith('load')
        ? { operator: 'ExternalTaskSensor', rendered: { external_dag_id: 'clean' } }
        : {}
      state.addTask(dag, 'late', 'work', 'failed', sensor)
    }
    state.datasets.push({ uri: 's3://lake/raw', producers: ['extract'], consumers: ['clean'] })
    state.pools.set('parsers', { slots: 8, running: 0, queued: 0, scheduled: 0 })
    state.pools.set('left', { slots: 32, running: 0, queued: 0, scheduled: 0 })
    world = jobs.open()
  })
  afterEach(async () => {
    await world.close()
    const wrong = [...jobs.server.wrong]
    jobs.server.reset()
    expect(wrong).toEqual([])
  })
  afterAll(() => jobs.server.stop())

  const plan = (params: object = {}) => propose(recoverMany, { connection: 'jobs', ...params }, world.read())
  const refusal = (params: object) =>
    plan(params).then(
      () => 'planned',
      (e: Error) => `${e.name}: ${e.message}`,
    )
  const cleared = () => jobs.server.sent('post_clear_task_instances').map((call) => call.params.dag_id)
  const slots = (pool: string) => jobs.server.state.pools.get(pool)!.slots
  const wavesIn = (proposed: Awaited<ReturnType<typeof plan>>) =>
    proposed.targets.flatMap((t) => (t.details.Wave ? [`${t.details.Wave} ${t.name}`] : []))

  it('lists every run in the order of datasets, sensors and the configuration', async () => {
    const proposed = await plan()
    expect(proposed.summary).toBe('Run 5 failed runs of 5 DAGs again, in 4 waves')
    expect(wavesIn(proposed)).toEqual([
      '1 extract late',
      '2 clean late',
      '3 load_a late',
      '3 load_b late',
      '4 report late',
    ])
    expect(proposed.steps.map((s) => s.id)).toEqual([
      ...['clear:extract/late', 'wait:extract/late', 'clear:clean/late', 'wait:clean/late'],
      ...[
        'clear:load_a/late',
        'clear:load_b/late',
        'wait:load_a/late',
        'wait:load_b/late',
        'clear:report/late',
        'wait:report/late',
      ],
    ])
    expect(proposed.warnings).toEqual([expect.stringContaining('one more run of clean')])
    expect(digest(await plan())).toBe(digest(proposed))
    expect(jobs.server.changes()).toEqual([])
  })

  it('starts a wave only when the one before has succeeded', async () => {
    const proposed = await plan()
    const { ctx, recording } = world.run(proposed)
    // What had ended at the moment of each clear.
    const before: string[][] = []
    jobs.server.on((call) => {
      if (call.id === 'post_clear_task_instances') before.push([String(call.params.dag_id), ...jobs.server.state.ended])
    })
    expect(await recoverMany.run(proposed, ctx)).toBe('All 5 runs succeeded, in 4 waves.')
    const [extract, clean, ...loads] = ['extract success', 'clean success', 'load_a success', 'load_b success']
    expect(before).toEqual([
      ['extract'],
      ['clean', extract],
      ['load_a', extract, clean],
      ['load_b', extract, clean],
      ['report', extract, clean, ...loads],
    ])
    expect((await recoverMany.verify(proposed, world.read())).every((c) => c.ok)).toBe(true)
    expect(recording.progress.at(-1)).toMatchObject({ done: 5, total: 5 })
  })

  it('stops at the first wave that fails, and sets the pool back all the same', async () => {
    const proposed = await plan({ pool: 'parsers', poolSlots: '32' })
    jobs.server.state.failsAgain.add('load_b')
    const during: number[] = []
    jobs.server.on((call) => {
      if (call.id === 'post_clear_task_instances') during.push(slots('parsers'))
    })
    await expect(recoverMany.run(proposed, world.run(proposed).ctx)).rejects.toThrow(
      'Wave 3 of 4 failed: load_b/late. 1 runs after it were not touched.',
    )
    expect(during).toEqual([32, 32, 32, 32])
    expect(cleared()).toEqual(['extract', 'clean', 'load_a', 'load_b'])
    expect(slots('parsers')).toBe(8)
    expect((await recoverMany.verify(proposed, world.read())).filter((c) => !c.ok).map((c) => c.title)).toEqual([
      'load_b late succeeded',
      'report late succeeded',
    ])
  })

  it('sets the pool back when it is cancelled, though no step may begin any more', async () => {
    const proposed = await plan({ pool: 'parsers', poolSlots: '32' })
    const stop = new AbortController()
    const { ctx, recording } = world.run(proposed, { signal: stop.signal })
    jobs.server.on((call) => {
      if (call.id === 'get_dag_run' && jobs.server.sent('post_clear_task_instances').length === 2)
        stop.abort(new Error('cancelled'))
    })
    await expect(recoverMany.run(proposed, ctx)).rejects.toThrow()
    expect(cleared()).toEqual(['extract', 'clean'])
    expect(slots('parsers')).toBe(8)
    expect(recording.started).not.toContain('pool-back')
  })

  it('runs the heaviest alone before the pool grows and the rest follows', async () => {
    const proposed = await plan({ dags: 'load_*, report', alone: 'load_b', pool: 'parsers' })
    expect(wavesIn(proposed)).toEqual(['1 load_b late', '2 load_a late', '3 report late'])
    expect(proposed.steps.map((s) => s.id).slice(0, 4)).toEqual([
      'clear:load_b/late',
      'wait:load_b/late',
      'pool',
      'clear:load_a/late',
    ])
    expect(proposed.warnings).toContainEqual(
      expect.stringContaining('load_a needs clean, which failed and is not in this plan'),
    )
    await recoverMany.run(proposed, world.run(proposed).ctx)
    expect([cleared(), slots('parsers')]).toEqual([['load_b', 'load_a', 'report'], 8])
  })

  it('runs the rest again after the heaviest has succeeded, and says that it is not among them', async () => {
    const { state } = jobs.server
    Object.assign(state.runs.find((r) => r.dag === 'load_b')!, { state: 'success' })
    const proposed = await plan({ dags: 'load_*, report', alone: 'load_b' })
    expect(wavesIn(proposed)).toEqual(['1 load_a late', '2 report late'])
    expect(proposed.warnings).toContain(
      'load_b was to run alone first, and is not in this plan: no run of it is to be cleared.',
    )
  })

  it('sets a pool that an earlier run left large back to its usual size', async () => {
    const proposed = await plan({ pool: 'left', poolSlots: '32' })
    await recoverMany.run(proposed, world.run(proposed).ctx)
    expect(slots('left')).toBe(8)
  })

  it('leaves out what is named, takes further dependencies, and keeps an order through what is not chosen', async () => {
    const proposed = await plan({ leaveOut: 'clean, load_b', dependsOn: 'extract: report' }).catch(
      (e: Error) => e.message,
    )
    expect(proposed).toMatch(/^These DAGs wait for each other in a circle: .*report/)
    const open = await plan({ leaveOut: 'clean, load_b/late', dependsOn: 'report: extract' })
    expect(wavesIn(open)).toEqual(['1 extract late', '2 load_a late', '3 report late'])
    expect(open.warnings).toContainEqual(expect.stringContaining('load_a needs clean'))
  })

  it('waits for a run outside of the plan that is still going, and resumes without what is done', async () => {
    const { state } = jobs.server
    // An earlier worker cleared extract and died while it ran.
    Object.assign(state.runs.find((r) => r.dag === 'extract')!, { state: 'running' })
    Object.assign(state.tasks.find((t) => t.dag === 'extract')!, { state: null })
    const proposed = await plan()
    expect(wavesIn(proposed)[0]).toBe('1 clean late')
    const before: string[][] = []
    jobs.server.on((call) => {
      if (call.id === 'post_clear_task_instances') before.push([String(call.params.dag_id), ...state.ended])
    })
    await recoverMany.run(proposed, world.run(proposed).ctx)
    expect(before[0]).toEqual(['clean', 'extract success'])
    expect(cleared()).toEqual(['clean', 'load_a', 'load_b', 'report'])
  })

  it('starts nothing when a run that it waits for fails', async () => {
    const { state } = jobs.server
    Object.assign(state.runs.find((r) => r.dag === 'extract')!, { state: 'running' })
    Object.assign(state.tasks.find((t) => t.dag === 'extract')!, { state: null })
    state.failsAgain.add('extract')
    const proposed = await plan()
    await expect(recoverMany.run(proposed, world.run(proposed).ctx)).rejects.toThrow(
      /^extract\/late failed, and what comes next/,
    )
    expect(jobs.server.changes()).toEqual([])
  })

  it('refuses when there is nothing, too much, a circle, paused DAGs only, or a pool beyond its ceiling', async () => {
    const { state } = jobs.server
    expect(await refusal({ dags: 'nothing' })).toMatch(/^Refused: No run failed within 24 h among nothing/)
    expect(await refusal({ leaveOut: 'ghost' })).toMatch(/^Refused: "ghost" is to be left out, but is none/)
    expect(await refusal({ dependsOn: 'report' })).toMatch(/^Refused: "report" is no dependency/)
    expect(await refusal({ dependsOn: 'extract: report' })).toMatch(/circle: clean → extract → report → load_a → clean/)
    expect(await refusal({ alone: 'ghost' })).toMatch(/^Refused: "ghost" is to run alone/)
    expect(await refusal({ pool: 'parsers', poolSlots: '65' })).toMatch(
      /^Refused: 65 slots are above the ceiling of 64/,
    )
    expect(await refusal({ pool: 'other', poolSlots: '2' })).toMatch(
      /^Refused: The connection "jobs" does not list the pool/,
    )
    expect(await refusal({ poolSlots: '2' })).toMatch(/^Refused: Name the pool/)
    expect(await refusal({ pool: 'parsers', poolSlots: '8' })).toMatch(/^Refused: The pool parsers has 8 slots already/)
    for (const dag of state.dags.values()) dag.paused = true
    expect(await refusal({})).toMatch(/^Refused: None of the 5 failed runs can be run again\..*The DAG clean is paused/)
    expect(jobs.server.changes()).toEqual([])
  })

  it('leaves out what cannot be run again, and says why of each', async () => {
    const { state } = jobs.server
    state.dags.get('extract')!.paused = true
    state.tasks.find((t) => t.dag === 'clean')!.state = 'success'
    state.addRun('load_a', 'later', 'success', { work: 'success' }, { date: '2026-03-14T00:00:00Z' })
    state.addRun('load_b', 'before', 'success', { work: 'success' }, { date: '2026-03-12T00:00:00Z' })
    const proposed = await plan()
    expect(wavesIn(proposed)).toEqual(['1 load_b late', '1 report late'])
    expect(proposed.warnings).toEqual(
      expect.arrayContaining([
        'Left out: extract/late. The DAG extract is paused: its runs would wait for ever. Resume it first.',
        expect.stringMatching(/^Left out: clean\/late\. It failed without a failed task/),
        expect.stringMatching(/^Left out: load_a\/late\. A newer run succeeded since \(later\)/),
        'report needs load_a, which failed and is not in this plan: it may fail again or read old data.',
      ]),
    )
    expect(proposed.targets[0]?.details).toMatchObject({ Processes: '2026-03-13' })
    expect(wavesIn(await plan({ superseded: 'yes' }))).toContain('1 load_a late')
  })

  it('says what Airflow clears of a run beside its failed tasks', async () => {
    const { state } = jobs.server
    Object.assign(state.dags.get('extract')!, { tasks: { setup: ['work'], work: [] }, setups: { work: ['setup'] } })
    state.addTask('extract', 'late', 'setup', 'success')
    expect((await plan({ dags: 'extract' })).warnings).toEqual([
      'Of extract/late Airflow also clears setup, though not failed.',
    ])
    expect(jobs.server.changes()).toEqual([])
  })

  it('takes only runs that failed in the pool that is asked for', async () => {
    jobs.server.state.tasks.find((t) => t.dag === 'load_a')!.pool = 'parsers'
    const proposed = await plan({ inPool: 'parsers' })
    expect(wavesIn(proposed)).toEqual(['1 load_a late'])
    expect(proposed.warnings).toContain('Left out: 4 runs with no failed task in the pool parsers.')
  })

  it('takes a run that began long before the hours and failed within them', async () => {
    const { state } = jobs.server
    state.runs.length = 0
    state.addRun('extract', 'long', 'failed', {}, { start: '2026-03-12T20:00:00Z', end: '2026-03-14T02:00:00Z' })
    state.tasks.length = 0
    state.addTask('extract', 'long', 'work', 'failed')
    expect(wavesIn(await plan())).toEqual(['1 extract long'])
  })

  it('goes on waiting through a token that expires and a proxy that is down, and says so', async () => {
    const proxy = await startMischief(jobs.server.origin)
    const auth = { kind: 'token', user: 'keyturn', passwordFrom: 'AIRFLOW_PASSWORD' }
    const other = jobs.open({ baseUrl: proxy.url, ...(api === 2 && { auth }) })
    try {
      const proposed = await propose(recoverMany, { connection: 'jobs', dags: 'extract' }, other.read())
      const { ctx, recording } = other.run(proposed)
      let looks = 0
      jobs.server.on((call) => {
        if (call.id !== 'get_dag_run' || jobs.server.sent('post_clear_task_instances').length === 0) return
        looks++
        if (looks > 1) return
        proxy.play('unavailable', { times: 9 })
        if (api === 2) jobs.server.expire(403)
      })
      expect(await recoverMany.run(proposed, ctx)).toBe('All 1 runs succeeded, in 1 wave.')
      expect(recording.progress.map((p) => p.note).join('\n')).toMatch(/not to be seen: .*answered 503/)
      if (api === 2) expect(jobs.server.bought()).toBe(2)
    } finally {
      await other.close()
      await proxy.close()
    }
  })

  it('counts a state that nobody knows as no success', async () => {
    const proposed = await plan({ dags: 'extract' })
    jobs.server.asInTheField()
    jobs.server.on((call) => {
      const run = jobs.server.state.runs.find((r) => r.dag === 'extract')!
      if (call.id === 'get_dag_run' && run.state === 'running')
        Object.assign(run, { state: 'melted', end: '2026-03-14T04:00:00Z' })
    })
    await expect(recoverMany.run(proposed, world.run(proposed).ctx)).rejects.toThrow(
      'Wave 1 of 1 failed: extract/late (unknown: melted). 0 runs after it were not touched.',
    )
    expect((await recoverMany.verify(proposed, world.read()))[0]).toMatchObject({
      ok: false,
      detail: 'unknown: melted',
    })
  })

  it('touches nothing when a run was cleared by somebody else after the plan', async () => {
    const proposed = await plan({ dags: 'extract' })
    state().try = 3
    await expect(recoverMany.run(proposed, world.run(proposed).ctx)).rejects.toThrow(
      'extract/late is failed and not as it was',
    )
    expect(jobs.server.changes()).toEqual([])
    function state() {
      return jobs.server.state.tasks.find((t) => t.dag === 'extract')!
    }
  })

  it('probes each kind of step by looking', async () => {
    const proposed = await plan({ dags: 'extract', pool: 'parsers', poolSlots: '32' })
    const landed = async (...steps: string[]) => {
      const all = []
      for (const step of steps) all.push((await recoverMany.probe(proposed, step, world.read())).landed)
      return all
    }
    const steps = ['pool', 'clear:extract/late', 'wait:extract/late', 'pool-back']
    expect(await landed(...steps)).toEqual(['no', 'no', 'no', 'yes'])
    jobs.server.loseNext('post_clear_task_instances')
    await expect(recoverMany.run(proposed, world.run(proposed).ctx)).rejects.toThrow('got no complete answer')
    expect(await landed('clear:extract/late', 'pool-back')).toEqual(['yes', 'yes'])
    jobs.server.state.pools.get('parsers')!.slots = 5
    expect(await landed('pool', 'pool-back')).toEqual(['cannot_tell', 'cannot_tell'])
  })
})
