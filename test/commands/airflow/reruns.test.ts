import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { triggerRun } from '../../../commands/airflow/trigger-run.ts'
import { digest } from '../../../src/domain/plan.ts'
import { propose, type World } from '../context.ts'
import { startJobs } from './world.ts'

const RUN = 'keyturn__2026-03-14T02:07:00.000Z'
const INTERVAL = ['2026-03-01T00:00:00+00:00', '2026-03-02T00:00:00+00:00'] as const

describe.each([1, 2] as const)('a run that repeats another, API v%i', (api) => {
  let jobs: Awaited<ReturnType<typeof startJobs>>
  let world: World
  const post = api === 1 ? 'post_dag_run' : 'trigger_dag_run'

  beforeAll(async () => {
    jobs = await startJobs(api, {
      trigger: { parse: { numbers: { partitions: 600 }, texts: ['day'] }, by_hand: { numbers: { partitions: 600 } } },
    })
  })
  beforeEach(() => {
    const { state } = jobs.server
    state.addDag('parse')
    state.addRun(
      'parse',
      'heavy',
      'failed',
      { work: 'failed' },
      {
        date: INTERVAL[0],
        interval: INTERVAL,
        conf: { partitions: 200 },
      },
    )
    world = jobs.open()
  })
  afterEach(async () => {
    await world.close()
    const wrong = [...jobs.server.wrong]
    jobs.server.reset()
    expect(wrong).toEqual([])
  })
  afterAll(() => jobs.server.stop())

  const plan = (params: object = {}, of = world) =>
    propose(
      triggerRun,
      { connection: 'jobs', dag: 'parse', from: 'heavy', conf: '{"partitions":400}', ...params },
      of.read(),
    )
  const refusal = (params: object, of = world) =>
    plan(params, of).then(
      () => 'planned',
      (e: Error) => `${e.name}: ${e.message}`,
    )
  const run = (proposed: Awaited<ReturnType<typeof plan>>, of = world) => triggerRun.run(proposed, of.run(proposed).ctx)
  const checks = async (proposed: Awaited<ReturnType<typeof plan>>) =>
    (await triggerRun.verify(proposed, world.read())).map((c) => [c.title, c.ok])

  it('names the date of the failed run and carries its data interval under a date that is free', async () => {
    const proposed = await plan()
    expect(proposed.warnings[0]).toMatch(/^This run processes 2026-03-01, as the failed one did/)
    expect(proposed.targets[0]?.details).toMatchObject({
      Processes: '2026-03-01, as heavy',
      Interval: '2026-03-01 to 2026-03-02',
    })
    expect(proposed.steps[0]?.detail).toContain(`data_interval_start=${INTERVAL[0]} data_interval_end=${INTERVAL[1]}`)
    expect(digest(await plan())).toBe(digest(proposed))
    await run(proposed)
    expect(jobs.server.sent(post)[0]?.body).toEqual({
      dag_run_id: RUN,
      conf: { partitions: 400 },
      logical_date: '2026-03-01T00:00:00.000001Z',
      data_interval_start: INTERVAL[0],
      data_interval_end: INTERVAL[1],
    })
    expect(await checks(proposed)).toEqual([
      ['The run exists and has not failed', true],
      ['It has the approved conf', true],
      [`It processes ${INTERVAL[0]} to ${INTERVAL[1]}`, true],
    ])
    // Another run took the next date meanwhile: the one after it.
    Object.assign(jobs.server.state.runs.at(-1)!, { state: 'failed', end: '2026-03-14T03:00:00Z' })
    expect((await plan()).targets[0]?.details['Logical date']).toBe('2026-03-01T00:00:00.000002Z')
  })

  it('says that a run of another interval is not what was approved', async () => {
    const proposed = await plan()
    await run(proposed)
    jobs.server.state.runs.at(-1)!.interval = ['2026-03-13T00:00:00Z', '2026-03-14T00:00:00Z']
    expect((await checks(proposed)).at(-1)).toEqual([`It processes ${INTERVAL[0]} to ${INTERVAL[1]}`, false])
  })

  it('tells a run of the same id from one that took the date in between', async () => {
    const proposed = await plan()
    jobs.server.state.addRun('parse', 'other', 'success', {}, { date: '2026-03-01T00:00:00.000001Z' })
    await expect(run(proposed)).rejects.toThrow(
      /^Airflow has another run of parse with the date .* Nothing was started\.$/,
    )
  })

  it('refuses where tasks wait for the run before, which is the failed one', async () => {
    jobs.server.state.dags.get('parse')!.needsPast = true
    expect(await refusal({})).toMatch(/^Refused: work of parse wait for the run before .* Clear the failed run instead/)
  })

  it('lets a DAG take its date from its conf only where its conf has it', async () => {
    const other = jobs.open({ dateFromConf: { parse: 'day' } })
    expect(await refusal({}, other)).toMatch(/^Refused: parse takes its date from "day" of its conf/)
    const proposed = await plan({ conf: '{"partitions":400,"day":"2026-03-01"}' }, other)
    expect(proposed.warnings).toEqual(['This run processes day "2026-03-01", which its conf names.'])
    expect(proposed.steps[0]?.detail).not.toContain('data_interval')
    await other.close()
  })

  it('hands numbers of the conf on digit by digit', async () => {
    const { state } = jobs.server
    const since = '1524831183200260097'
    const engine = JSON as unknown as { rawJSON(text: string): unknown }
    state.runs[0]!.conf = { since_id: engine.rawJSON(since), ratio: engine.rawJSON('2.0'), partitions: 200 }
    const proposed = JSON.parse(JSON.stringify(await plan())) as Awaited<ReturnType<typeof plan>>
    expect(proposed.targets[0]?.details).toMatchObject({ since_id: `${since} → ${since}`, ratio: '2.0 → 2.0' })
    await run(proposed)
    expect(JSON.stringify(jobs.server.state.runs.at(-1)!.conf)).toBe(
      `{"since_id":${since},"ratio":2.0,"partitions":400}`,
    )
    expect((await checks(proposed))[1]).toEqual(['It has the approved conf', true])
    jobs.server.state.runs.at(-1)!.conf = {
      since_id: engine.rawJSON('1524831183200260000'),
      ratio: engine.rawJSON('2.0'),
      partitions: 400,
    }
    expect((await checks(proposed))[1]).toEqual(['It has the approved conf', false])
  })

  it('holds a typed number to its ceiling however it is written, and refuses what JSON cannot carry', async () => {
    expect(await refusal({ conf: '{"partitions": 6.01e2}' })).toMatch(
      /^Refused: partitions 6\.01e2 is above the ceiling of 600/,
    )
    expect(await refusal({ conf: '{"partitions": 9007199254740993}' })).toMatch(
      /^Refused: partitions 9007199254740993 is above/,
    )
    expect(await refusal({ conf: '[1]' })).toMatch(/^Refused: The conf is not a JSON object/)
    expect(await refusal({ conf: '{"partitions": NaN}' })).toMatch(/^Refused: The conf holds NaN/)
  })

  if (api === 1) {
    it('refuses where Airflow is too old to take a date, and for a scheduled DAG without a run to repeat', async () => {
      jobs.server.state.version = '2.8.4'
      expect(await refusal({})).toMatch(/^Refused: heavy processes 2026-03-01\. A new run would process another date/)
      expect(await refusal({ from: '' })).toMatch(/^Refused: A new run of parse would process its latest interval/)
    })

    it('says that a DAG without a schedule gets the date of its start', async () => {
      jobs.server.state.addDag('by_hand')
      jobs.server.state.dags.get('by_hand')!.schedule = null
      expect((await plan({ dag: 'by_hand', from: '' })).warnings[0]).toMatch(
        /^This run has the moment of its start as its date/,
      )
    })
    return
  }

  it('refuses to repeat a run of a partition, which a new one would not take over', async () => {
    Object.assign(jobs.server.state.runs[0]!, { date: undefined, partition: 'eu-2026-03-01' })
    expect(await refusal({})).toMatch(/^Refused: heavy processes the partition eu-2026-03-01, which a new run does not/)
  })

  it('says that a run processes no date, as the failed one did', async () => {
    jobs.server.state.runs[0]!.date = undefined
    expect((await plan()).warnings).toEqual([
      expect.stringMatching(/^This run processes no date, as the failed one did/),
    ])
    expect((await plan({ from: '' })).warnings).toEqual([
      expect.stringMatching(/^This run processes no date: .* fails/),
    ])
  })

  describe('by a backfill, from 3.2.2 on', () => {
    beforeEach(() => {
      jobs.server.state.version = '3.2.2'
    })

    it('runs the failed run itself again, with the new conf', async () => {
      const proposed = await plan()
      expect(proposed.summary).toBe('Run heavy of parse again with {"partitions":400}')
      expect(proposed.warnings[0]).toMatch(
        /^This run processes 2026-03-01, as the failed one did: it is the failed run itself/,
      )
      expect((await triggerRun.probe(proposed, 'start', world.read())).landed).toBe('no')
      jobs.server.loseNext('create_backfill')
      await expect(run(proposed)).rejects.toThrow('got no complete answer')
      expect((await triggerRun.probe(proposed, 'start', world.read())).landed).toBe('yes')
      expect(await run(proposed)).toBe('The run heavy of parse was started already.')
      expect(jobs.server.sent('create_backfill').map((call) => call.body)).toEqual([
        expect.objectContaining({
          from_date: INTERVAL[0],
          to_date: INTERVAL[0],
          reprocess_behavior: 'failed',
          dag_run_conf: { partitions: 400 },
        }),
      ])
      expect(jobs.server.state.runs).toMatchObject([{ run: 'heavy', conf: { partitions: 400 }, type: 'backfill' }])
      expect(await checks(proposed)).toEqual([
        ['The run exists and has not failed', true],
        ['It has the approved conf', true],
        [`It processes ${INTERVAL[0]}`, true],
      ])
    })

    it('does not take the old failure for the end of the new try', async () => {
      const proposed = await plan()
      expect((await triggerRun.verify(proposed, world.read()))[0]).toMatchObject({ ok: false, detail: 'failed' })
    })

    it('takes a new run where the date is not on the schedule, or a backfill is going', async () => {
      jobs.server.state.runs[0]!.date = '2026-03-01T05:17:00Z'
      expect((await plan()).steps[0]?.detail).toContain('logical_date=2026-03-01T05:17:00.000001Z')
      jobs.server.state.runs[0]!.date = INTERVAL[0]
      jobs.server.state.backfills.push({
        ...{ id: 1, dag: 'parse', from: '2026-01-01T00:00:00Z', to: '2026-02-01T00:00:00Z' },
        ...{ paused: false, behavior: 'none', conf: {} },
      })
      expect((await plan()).steps[0]?.detail).toContain('POST dags/parse/dagRuns')
    })
  })
})
