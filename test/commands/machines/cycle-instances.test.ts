import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { cycleInstances } from '../../../commands/machines/cycle-instances.ts'
import { startAirflow, TOKEN } from '../airflow/server.ts'
import { propose } from '../context.ts'
import { IDS, type Machines, startMachines } from './world.ts'

describe('machines.cycle-instances', () => {
  let m: Machines
  beforeEach(async () => {
    m = await startMachines()
  })
  afterEach(() => m.close())

  const at = { connection: 'prod', group: 'airflow', instances: 'all' }
  const plan = (more: object = {}) => propose(cycleInstances, { ...at, ...more }, m.world.read())
  const refusal = (more: object = {}) =>
    plan(more).then(
      () => 'planned',
      (error: Error) => `${error.name}: ${error.message}`,
    )
  const ids = () =>
    m.scaling.state.instances.filter((one) => one.LifecycleState === 'InService').map((one) => one.InstanceId)
  const sick = (id: string) =>
    Object.assign(m.scaling.state.instances.find((one) => one.InstanceId === id)!, { HealthStatus: 'Unhealthy' })

  it('replaces every machine, and takes none away before the one before it is replaced', async () => {
    const shown = await plan()
    expect(shown.targets.map((target) => target.id)).toEqual(IDS.map((id) => `machines:prod/${id}`))
    expect(shown.targets[0]?.details).toMatchObject({
      'Auto Scaling group': 'airflow-prod (1–8, wants 3)',
      'Made from': 'nightly version 7',
    })
    await cycleInstances.run(shown, m.world.run(shown).ctx)
    expect(m.scaling.state.inServiceAtTermination).toEqual([3, 3, 3])
    expect(ids()).toHaveLength(3)
    expect(ids().filter((id) => IDS.some((one) => one === id))).toEqual([])
    expect(m.scaling.state.desired).toBe(3)
    expect((await cycleInstances.verify(shown, m.world.read())).map((check) => check.ok)).toEqual([true, true])
  })

  it('replaces the named machines only, also a sick one', async () => {
    sick(IDS[1])
    const shown = await plan({ instances: IDS[1] })
    await cycleInstances.run(shown, m.world.run(shown).ctx)
    expect(ids()).toEqual(expect.arrayContaining([IDS[0], IDS[2]]))
    expect(ids()).toHaveLength(3)
  })

  it('stops when a replacement does not come', async () => {
    m.scaling.state.looks = Number.POSITIVE_INFINITY
    const shown = await plan()
    await expect(cycleInstances.run(shown, m.world.run(shown).ctx)).rejects.toThrow(
      /was not replaced within .* minutes: 2 of 3 machines are in service; 2 machines after it were not touched/,
    )
    expect(m.scaling.sent('TerminateInstanceInAutoScalingGroup')).toHaveLength(1)
    expect((await cycleInstances.probe(shown, `replaced:${IDS[0]}`, m.world.read())).landed).toBe('no')
    expect((await cycleInstances.verify(shown, m.world.read())).map((check) => check.ok)).toEqual([false, false])
    expect(await refusal({ instances: IDS[1] })).toContain('take no other machine away')
  })

  it('knows after a lost reply that the machine is going, and what is left to do then', async () => {
    const shown = await plan({ instances: `${IDS[0]}, ${IDS[1]}` })
    expect((await cycleInstances.probe(shown, `terminate:${IDS[0]}`, m.world.read())).landed).toBe('no')
    m.scaling.lose('TerminateInstanceInAutoScalingGroup')
    const run = cycleInstances.run(shown, m.world.run(shown).ctx)
    await expect(run).rejects.toMatchObject({ name: 'Unanswered' })
    expect((await cycleInstances.probe(shown, `terminate:${IDS[0]}`, m.world.read())).landed).toBe('yes')
    for (let i = 0; i < 20 && ids().length < 3; i++) await cycleInstances.verify(shown, m.world.read())
    const rest = await plan({ instances: `${IDS[0]}, ${IDS[1]}` })
    expect(rest.targets.map((target) => target.name)).toEqual([IDS[1]])
    expect(rest.warnings).toContain(`${IDS[0]} is not in the group (any more): it is left out.`)
  })

  it('terminates nothing when another machine has fallen out of service meanwhile', async () => {
    const shown = await plan({ instances: IDS[0] })
    sick(IDS[2])
    await expect(cycleInstances.run(shown, m.world.run(shown).ctx)).rejects.toThrow('no other machine was taken away')
    expect(m.scaling.sent('TerminateInstanceInAutoScalingGroup')).toHaveLength(0)
  })

  it('terminates nothing when the machine is not as it was shown', async () => {
    const shown = await plan({ instances: IDS[0] })
    sick(IDS[0])
    await expect(cycleInstances.run(shown, m.world.run(shown).ctx)).rejects.toThrow('not as it was shown')
    expect(m.scaling.sent('TerminateInstanceInAutoScalingGroup')).toHaveLength(0)
  })

  it('stops waiting when it is cancelled', async () => {
    m.scaling.state.looks = Number.POSITIVE_INFINITY
    const shown = await plan()
    const stop = new AbortController()
    const { ctx } = m.world.run(shown, { signal: stop.signal })
    const progress = (_done: number, _total: number, note = '') => {
      if (note.includes('in service')) stop.abort(new Error('cancelled'))
    }
    await expect(cycleInstances.run(shown, { ...ctx, progress })).rejects.toMatchObject({ name: 'Refused' })
    expect(m.scaling.sent('TerminateInstanceInAutoScalingGroup')).toHaveLength(1)
  })

  it('refuses while a machine would not be replaced, or others are replaced', async () => {
    m.scaling.state.suspended = ['Launch']
    expect(await refusal()).toContain('Launch of "airflow-prod" is suspended')
    m.scaling.hold(...IDS)
    m.scaling.state.refresh = 'InProgress'
    expect(await refusal()).toContain('An instance refresh of "airflow-prod" is going on (InProgress)')
    m.scaling.hold(...IDS)
    m.scaling.state.desired = 2
    expect(await refusal()).toContain('wants 2 machines and has 3')
    m.scaling.hold(...IDS)
    m.scaling.state.instances[0]!.LifecycleState = 'Terminating:Wait'
    expect(await refusal()).toContain('is Terminating:Wait already')
    expect(m.scaling.sent('TerminateInstanceInAutoScalingGroup')).toHaveLength(0)
  })

  it('refuses what the settings do not list and what is no machine', async () => {
    expect(await refusal({ group: 'bare' })).toContain('names no Auto Scaling group')
    expect(await refusal({ group: 'elsewhere' })).toContain('There is no Auto Scaling group "gone"')
    expect(await refusal({ instances: 'i-0c000001' })).toContain('has none of the machines')
    for (const instances of ['i-1', 'i-0a000001 all', 'every', '*'])
      expect(await refusal({ instances })).toMatch(/^ZodError/)
  })

  it('shows health checks, hooks and what is suspended, and warns where a hook holds longer than is waited', async () => {
    m.scaling.state.suspended = ['AZRebalance']
    m.scaling.state.hooks = [
      {
        LifecycleHookName: 'drain',
        LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING',
        HeartbeatTimeout: 900,
      },
      { LifecycleHookName: 'warm', LifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING', HeartbeatTimeout: 5 },
    ]
    const shown = await plan()
    expect(shown.targets[0]?.details).toMatchObject({
      'Health checks': 'EC2, after 300 s',
      'Suspended processes': 'AZRebalance',
      'Lifecycle hooks':
        'drain: on leaving, up to 15 minutes, then ABANDON; warm: on coming, up to 1 minutes, then ABANDON',
    })
    const warnings = shown.warnings.join(' ')
    expect(warnings).toContain(
      'The hook drain may hold a machine for 15 minutes, longer than the 0.2 that are waited for',
    )
    expect(warnings).toContain('In service means that EC2 says so')
    m.scaling.state.health = 'ELB'
    expect((await plan()).warnings.join(' ')).not.toContain('In service means that EC2 says so')
  })

  it('takes away no machine that is protected from scale-in, unless it was named', async () => {
    m.scaling.state.instances[1]!.ProtectedFromScaleIn = true
    expect(await refusal()).toContain(`${IDS[1]} of "airflow-prod" is protected from scale-in`)
    expect((await plan({ instances: IDS[1] })).warnings.at(-1)).toContain(`${IDS[1]} is protected from scale-in`)
  })

  it('outlives a throttled account while a replacement comes', async () => {
    const shown = await plan({ instances: IDS[0] })
    const { ctx, recording } = m.world.run(shown)
    const { step } = ctx
    const throttled = async (id: string, work: () => Promise<unknown>) => {
      if (id.startsWith('replaced:')) m.scaling.refuse('DescribeAutoScalingGroups', 15)
      return step(id, work as never)
    }
    await cycleInstances.run(shown, { ...ctx, step: throttled as typeof step })
    expect(ids()).toHaveLength(3)
    expect(recording.progress.map((one) => one.note)).toContainEqual(expect.stringMatching(/^No answer for now/))
  })

  it('says that what else runs there is not known where no Airflow is named', async () => {
    expect((await plan()).warnings.join(' ')).toContain('What else runs on these machines is not looked at')
  })

  describe('of workers of Airflow', () => {
    let jobs: Awaited<ReturnType<typeof startAirflow>>
    beforeEach(async () => {
      await m.close()
      jobs = await startAirflow(2)
      jobs.state.addDag('billing', { load: [] })
      const settings = {
        baseUrl: jobs.origin,
        api: 2,
        auth: { kind: 'bearer', tokenFrom: 'AIRFLOW_TOKEN' },
        dags: ['billing'],
      }
      m = await startMachines(
        { airflow: 'jobs' },
        {},
        { connections: { jobs: { kind: 'airflow', settings } }, secrets: { AIRFLOW_TOKEN: TOKEN } },
      )
    })
    afterEach(() => jobs.stop())
    const runOn = (host: string) => {
      jobs.state.addRun('billing', 'b1', 'running', { load: 'running' })
      Object.assign(jobs.state.tasks.find((task) => task.run === 'b1')!, { host })
    }

    it.each(['af-2', 'af-2.prod.example.com', IDS[1]])('takes none away on which a task runs: %s', async (host) => {
      runOn(host)
      expect(await refusal()).toContain(
        'Tasks of Airflow run there, and would be interrupted: af-2: billing.load (run b1)',
      )
      expect(await refusal({ instances: IDS[0] })).toBe('planned')
      expect((await plan({ interrupt: 'yes' })).warnings.join(' ')).toContain('of whatever DAG')
    })

    it('stops before a machine on which a task has begun meanwhile', async () => {
      const shown = await plan()
      const { ctx } = m.world.run(shown)
      const { step } = ctx
      const meanwhile = async (id: string, work: () => Promise<unknown>) => {
        if (id === `replaced:${IDS[0]}`) runOn('af-2')
        return step(id, work as never)
      }
      await expect(cycleInstances.run(shown, { ...ctx, step: meanwhile as typeof step })).rejects.toThrow(
        'af-2: billing.load',
      )
      expect(m.scaling.sent('TerminateInstanceInAutoScalingGroup')).toHaveLength(1)
    })
  })
})
