import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { cancelSteps } from '../../../commands/emr/cancel-steps.ts'
import { emrCluster } from '../../../commands/emr/cluster.ts'
import { emrResize } from '../../../commands/emr/resize.ts'
import { emrSteps } from '../../../commands/emr/steps.ts'
import { startSts } from '../aws/sts-server.ts'
import type { World } from '../context.ts'
import { createWorld, propose } from '../context.ts'
import { Fault } from './json-server.ts'
import { startEmr } from './server.ts'

describe('EMR', () => {
  let emr: Awaited<ReturnType<typeof startEmr>>
  let sts: Awaited<ReturnType<typeof startSts>>
  let world: World
  beforeEach(async () => {
    emr = await startEmr()
    sts = await startSts()
    emr.state.steps.push(
      { Id: 's-1', Name: 'parse', state: 'RUNNING', created: 1_770_000_000 },
      { Id: 's-2', Name: 'load', state: 'PENDING', created: 1_770_000_100 },
      { Id: 's-3', Name: 'old', state: 'COMPLETED', created: 1_760_000_000 },
    )
    const group = { InstanceType: 'm6g.xlarge', RequestedInstanceCount: 4, RunningInstanceCount: 2, state: 'RUNNING' }
    emr.state.groups.push(
      { Id: 'ig-1', InstanceGroupType: 'MASTER', ...group },
      { Id: 'ig-2', InstanceGroupType: 'CORE', ...group },
      { Id: 'ig-3', InstanceGroupType: 'TASK', ...group },
    )
    // A second passes with each look at the clock, so that patience ends after so many of them on any machine.
    let clock = Date.parse('2026-03-14T02:10:00.000Z')
    world = createWorld({
      now: () => {
        clock += 1_000
        return new Date(clock)
      },
      secrets: { K: 'local' },
      connections: {
        jobs: {
          kind: 'emr',
          settings: {
            region: 'us-east-1',
            endpoint: emr.endpoint,
            ...sts.settings,
            accessKeyIdFrom: 'K',
            secretAccessKeyFrom: 'K',
            backoffMs: 1,
            pollSeconds: 0.005,
            cancelMinutes: 0.5,
            clusters: ['parsers'],
            maxInstances: 8,
          },
        },
        others: {
          kind: 'emr',
          settings: { region: 'us-east-1', endpoint: emr.endpoint, accessKeyIdFrom: 'K', secretAccessKeyFrom: 'K' },
        },
      },
    })
  })
  afterEach(async () => {
    await world.close()
    await Promise.all([emr.close(), sts.close()])
  })

  const at = { connection: 'jobs', cluster: 'j-1' }
  const refusal = (command: typeof cancelSteps, more: Record<string, unknown>) =>
    propose(command, { ...at, ...more }, world.read()).then(
      () => 'planned',
      (error: Error) => `${error.name}: ${error.message}`,
    )

  it('shows which steps wait and which machines are missing', async () => {
    if (emrSteps.effect !== 'read' || emrCluster.effect !== 'read') throw new Error('no reads')
    const steps = await emrSteps.read(at, world.read())
    expect(steps.summary).toBe('1 of 2 open steps of "parsers" wait.')
    const cluster = await emrCluster.read(at, world.read())
    expect(cluster.summary).toContain('is WAITING; 6 machines that it asked for are missing')
  })

  it('cancels the waiting step that was shown, and no other, and waits until it has ended', async () => {
    const plan = await propose(cancelSteps, { ...at, steps: 's-2' }, world.read())
    expect((await cancelSteps.probe(plan, 'cancel', world.read())).landed).toBe('no')
    emr.state.looks = 6
    const { ctx, recording } = world.run(plan)
    expect(await cancelSteps.run(plan, ctx)).toBe('s-2 is CANCELLED.')
    expect(recording.progress.map((one) => one.note)).toContain('s-2 is CANCEL_PENDING')
    expect(emr.state.steps.map((step) => step.state)).toEqual(['RUNNING', 'CANCELLED', 'COMPLETED'])
    expect(await cancelSteps.verify(plan, world.read())).toEqual([
      { title: 's-2 is cancelled', ok: true, detail: 'CANCELLED' },
    ])
  })

  it('interrupts a running step, says what that does not do, and kills it only when told to', async () => {
    const plan = await propose(cancelSteps, { ...at, steps: 's-1', running: 'yes' }, world.read())
    expect(plan.warnings).toEqual([
      expect.stringContaining('written so far stays'),
      expect.stringContaining('on YARN may go on'),
      expect.stringContaining('Steps that wait do not begin because of this'),
    ])
    await cancelSteps.run(plan, world.run(plan).ctx)
    expect(emr.state.steps.map((step) => step.state)).toEqual(['CANCELLED', 'PENDING', 'COMPLETED'])
    const hard = await propose(cancelSteps, { ...at, steps: 's-2', force: 'yes' }, world.read())
    await cancelSteps.run(hard, world.run(hard).ctx)
    expect(emr.sent('CancelSteps').map((call) => call.input.StepCancellationOption)).toEqual([
      'SEND_INTERRUPT',
      'TERMINATE_PROCESS',
    ])
  })

  it('says after its patience that a step was not ended, and what to do then', async () => {
    const plan = await propose(cancelSteps, { ...at, steps: 's-1', running: 'yes' }, world.read())
    emr.state.looks = Number.POSITIVE_INFINITY
    await expect(cancelSteps.run(plan, world.run(plan).ctx)).rejects.toThrow(
      /within 0\.5 minutes: s-1 is CANCEL_PENDING\. Ask again with "force" set to yes, or kill its application on YARN/,
    )
    expect((await cancelSteps.probe(plan, 'cancel', world.read())).landed).toBe('yes')
    expect((await cancelSteps.probe(plan, 'ended', world.read())).landed).toBe('no')
    expect((await cancelSteps.verify(plan, world.read()))[0]).toMatchObject({ ok: false, detail: 'CANCEL_PENDING' })
  })

  it.each(['COMPLETED', 'FAILED', 'MIGRATED'])('does not call a step cancelled that becomes %s', async (state) => {
    const plan = await propose(cancelSteps, { ...at, steps: 's-1', running: 'yes' }, world.read())
    emr.state.becomes = state
    if (state === 'MIGRATED') emr.surprise()
    await cancelSteps.run(plan, world.run(plan).ctx).catch(() => {})
    expect((await cancelSteps.verify(plan, world.read()))[0]).toMatchObject({
      ok: false,
      detail: state === 'MIGRATED' ? 'unknown: MIGRATED' : state,
    })
  })

  it('says which of several steps EMR did not cancel', async () => {
    emr.state.stubborn.set('s-1', 'no such luck')
    const both = await propose(cancelSteps, { ...at, steps: 's-1, s-2', running: 'yes' }, world.read())
    await expect(cancelSteps.run(both, world.run(both).ctx)).rejects.toThrow(
      /EMR has not ended all .* s-2 is CANCELLED/,
    )
    emr.state.steps[1]!.state = 'PENDING'
    const one = await propose(cancelSteps, { ...at, steps: 's-1', running: 'yes' }, world.read())
    await expect(cancelSteps.run(one, world.run(one).ctx)).rejects.toMatchObject({
      name: 'Refused',
      message: 'EMR did not cancel s-1 (no such luck).',
    })
  })

  it('outlives a throttled account while it waits', async () => {
    const plan = await propose(cancelSteps, { ...at, steps: 's-2' }, world.read())
    emr.refuse('CancelSteps', 2)
    const run = world.run(plan)
    const { step } = run.ctx
    const ctx = {
      ...run.ctx,
      step: <T>(id: string, work: () => Promise<T>) => {
        if (id === 'ended') emr.refuse('ListSteps', 15)
        return step(id, work as never) as Promise<T>
      },
    }
    expect(await cancelSteps.run(plan, ctx as typeof run.ctx)).toBe('s-2 is CANCELLED.')
    expect(run.recording.progress.map((one) => one.note)).toContainEqual(expect.stringMatching(/^No answer for now/))
  })

  it('finds steps of all pages, ten at a time where it names them', async () => {
    emr.state.page = 3
    for (let i = 0; i < 25; i++)
      emr.state.steps.push({ Id: `s-9${i}`, Name: `n${i}`, state: 'PENDING', created: 1_770_001_000 + i })
    const ids = emr.state.steps.filter((step) => step.state === 'PENDING').map((step) => step.Id)
    emr.state.page = 50
    const plan = await propose(cancelSteps, { ...at, steps: ids.join(',') }, world.read())
    emr.state.page = 3
    if (emrSteps.effect !== 'read') throw new Error('no read')
    expect((await emrSteps.read(at, world.read())).summary).toBe('26 of 27 open steps of "parsers" wait.')
    emr.state.page = 50
    await cancelSteps.run(plan, world.run(plan).ctx)
    expect((await cancelSteps.verify(plan, world.read())).every((check) => check.ok)).toBe(true)
  })

  it('refuses to interrupt on a release that cannot', async () => {
    emr.state.release = 'emr-5.27.1'
    expect(await refusal(cancelSteps, { steps: 's-1', running: 'yes' })).toContain('from release 5.28 on only')
    expect(await refusal(cancelSteps, { steps: 's-2' })).toBe('planned')
  })

  it('knows after a lost reply that the steps were cancelled', async () => {
    const plan = await propose(cancelSteps, { ...at, steps: 's-2' }, world.read())
    emr.lose('CancelSteps')
    await expect(cancelSteps.run(plan, world.run(plan).ctx)).rejects.toMatchObject({ name: 'Unanswered' })
    expect((await cancelSteps.probe(plan, 'cancel', world.read())).landed).toBe('yes')
    expect(emr.sent('CancelSteps')).toHaveLength(1)
  })

  it('does not cancel a step that has begun since it was shown waiting', async () => {
    const plan = await propose(cancelSteps, { ...at, steps: 's-2' }, world.read())
    emr.state.steps[1]!.state = 'RUNNING'
    await expect(cancelSteps.run(plan, world.run(plan).ctx)).rejects.toThrow('no longer in the state')
    expect(emr.sent('CancelSteps')).toHaveLength(0)
  })

  it.each([
    [cancelSteps, { steps: 's-1' }, 's-1 ("parse") runs. Set "running" to yes'],
    [cancelSteps, { steps: 's-3' }, 'is not an open step'],
    [cancelSteps, { steps: 's-2', connection: 'others' }, 'is not one that may be changed'],
    [cancelSteps, { steps: 's-2', cluster: 'j-9' }, 'There is no EMR cluster j-9'],
    [emrResize, { group: 'ig-3', instances: 9 }, 'more than the 8'],
    [emrResize, { group: 'ig-2', instances: 3 }, 'may lose HDFS blocks'],
    [emrResize, { group: 'ig-1', instances: 5 }, 'master group'],
    [emrResize, { group: 'ig-3', instances: 4 }, 'wants 4 machines already'],
  ])('%# refuses and says why', async (command, more, why) => {
    expect(await refusal(command, more)).toContain(why)
  })

  it('grows a group within its ceiling, and not over a change made meanwhile', async () => {
    const plan = await propose(emrResize, { ...at, group: 'ig-3', instances: 6 }, world.read())
    emr.state.groups[2]!.RequestedInstanceCount = 5
    await expect(emrResize.run(plan, world.run(plan).ctx)).rejects.toThrow('wants 5 machines now')
    emr.state.groups[2]!.RequestedInstanceCount = 4
    await emrResize.run(plan, world.run(plan).ctx)
    expect(emr.state.groups[2]?.RequestedInstanceCount).toBe(6)
    expect((await emrResize.verify(plan, world.read()))[0]?.ok).toBe(true)
    expect((await emrResize.probe(plan, 'resize', world.read())).landed).toBe('yes')
  })

  it('says that a group which is being resized takes no other size, and what to do', async () => {
    emr.state.groups[2]!.state = 'RESIZING'
    expect(await refusal(emrResize, { group: 'ig-3', instances: 6 })).toMatch(
      /ig-3 is RESIZING: it wants 4 and has 2\..* --instance-groups InstanceGroupId=ig-3,InstanceCount=2$/,
    )
    emr.state.groups[2]!.state = 'ARRESTED'
    expect(await refusal(emrResize, { group: 'ig-3', instances: 6 })).toContain('ig-3 is ARRESTED; wait until')
  })

  it('tells of what would set the size again: managed scaling, and a policy of the group', async () => {
    emr.state.scaling = { min: 2, max: 5 }
    emr.state.groups[2]!.policy = 'ATTACHED'
    const plan = await propose(emrResize, { ...at, group: 'ig-3', instances: 6 }, world.read())
    expect(plan.warnings.slice(1)).toEqual([
      'Managed scaling is on: it keeps the cluster between 2 and 5 instances, and sets another size again by itself.',
      expect.stringContaining('ig-3 has a scaling policy of its own (ATTACHED)'),
    ])
    if (emrCluster.effect !== 'read') throw new Error('no read')
    const { blocks } = await emrCluster.read(at, world.read())
    expect(blocks[1]).toMatchObject({ text: expect.stringContaining('Managed scaling is on') })
    emr.refuse('GetManagedScalingPolicy', 1, new Fault('AccessDeniedException', 'not authorized'))
    const blind = await propose(emrResize, { ...at, group: 'ig-3', instances: 6 }, world.read())
    expect(blind.warnings[1]).toMatch(/^Whether managed scaling is on could not be seen: .*GetManagedScalingPolicy/)
  })

  describe('of instance fleets', () => {
    beforeEach(() => {
      const fleet = { ProvisionedOnDemandCapacity: 1, ProvisionedSpotCapacity: 0, state: 'RUNNING' }
      emr.state.fleets.push(
        { Id: 'if-1', InstanceFleetType: 'MASTER', TargetOnDemandCapacity: 1, TargetSpotCapacity: 0, ...fleet },
        { Id: 'if-2', InstanceFleetType: 'CORE', TargetOnDemandCapacity: 2, TargetSpotCapacity: 0, ...fleet },
        { Id: 'if-3', InstanceFleetType: 'TASK', TargetOnDemandCapacity: 1, TargetSpotCapacity: 3, ...fleet },
      )
    })

    it('shows what each wants and has', async () => {
      if (emrCluster.effect !== 'read') throw new Error('no read')
      const { summary, blocks } = await emrCluster.read(at, world.read())
      expect(summary).toContain('4 units of capacity that it asked for are missing')
      expect(blocks[1]).toMatchObject({
        columns: ['Fleet', 'Role', 'Type', 'Market', 'Runs', 'Wants', 'State'],
        rows: [
          ['if-1', 'MASTER', 'm6g.xlarge', 'ON_DEMAND', '1', '1', 'RUNNING'],
          ['if-2', 'CORE', 'm6g.xlarge', 'ON_DEMAND', '1', '2', 'RUNNING'],
          ['if-3', 'TASK', 'm6g.xlarge', 'ON_DEMAND and SPOT', '1', '4', 'RUNNING'],
        ],
      })
    })

    it('grows the part that was named and keeps the other', async () => {
      expect(await refusal(emrResize, { group: 'if-3', instances: 6 })).toContain('Say by "market" which part')
      expect(await refusal(emrResize, { group: 'if-2', instances: 1 })).toContain('may lose HDFS blocks')
      expect(await refusal(emrResize, { group: 'if-1', instances: 2 })).toContain('master group')
      const plan = await propose(emrResize, { ...at, group: 'if-3', instances: 6, market: 'spot' }, world.read())
      expect(plan.targets[0]?.details.Wants).toBe('4: 1 on demand, 3 spot → 1 on demand, 5 spot')
      await emrResize.run(plan, world.run(plan).ctx)
      expect(emr.state.fleets[2]).toMatchObject({ TargetOnDemandCapacity: 1, TargetSpotCapacity: 5 })
      expect((await emrResize.verify(plan, world.read()))[0]?.ok).toBe(true)
      expect(sts.policies()).toEqual([may('ModifyInstanceFleet', 'ListInstanceFleets', 'DescribeCluster')])
    })
  })

  const may = (...actions: string[]) => [
    {
      Effect: 'Allow',
      Action: actions.map((action) => `elasticmapreduce:${action}`),
      Resource: ['arn:aws:elasticmapreduce:us-east-1:123456789012:cluster/j-1'],
    },
  ]

  it('is changed in a session that may change this cluster only', async () => {
    const cancel = await propose(cancelSteps, { ...at, steps: 's-2' }, world.read())
    const resize = await propose(emrResize, { ...at, group: 'ig-3', instances: 6 }, world.read())
    expect(sts.policies()).toEqual([])
    await cancelSteps.run(cancel, world.run(cancel).ctx)
    await emrResize.run(resize, world.run(resize).ctx)
    const cancelling = may('CancelSteps', 'ListSteps')
    const resizing = may('ModifyInstanceGroups', 'ListInstanceGroups', 'DescribeCluster')
    expect(sts.policies()).toEqual([cancelling, resizing])
    expect(sts.asked()).toEqual([...cancelling, ...resizing].flatMap((one) => one.Action).sort())
  })
})
