import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { cancelSteps } from '../../../commands/emr/cancel-steps.ts'
import { emrCluster } from '../../../commands/emr/cluster.ts'
import { emrResize } from '../../../commands/emr/resize.ts'
import { emrSteps } from '../../../commands/emr/steps.ts'
import type { World } from '../context.ts'
import { createWorld, propose } from '../context.ts'
import { startEmr } from './server.ts'

describe('EMR', () => {
  let emr: Awaited<ReturnType<typeof startEmr>>
  let world: World
  beforeEach(async () => {
    emr = await startEmr()
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
    world = createWorld({
      secrets: { K: 'local' },
      connections: {
        jobs: {
          kind: 'emr',
          settings: {
            region: 'us-east-1',
            endpoint: emr.endpoint,
            accessKeyIdFrom: 'K',
            secretAccessKeyFrom: 'K',
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
    await emr.close()
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

  it('cancels the waiting step that was shown, and no other', async () => {
    const plan = await propose(cancelSteps, { ...at, steps: 's-2' }, world.read())
    expect((await cancelSteps.probe(plan, 'cancel', world.read())).landed).toBe('no')
    await cancelSteps.run(plan, world.run(plan).ctx)
    expect(emr.state.steps.map((step) => step.state)).toEqual(['RUNNING', 'CANCELLED', 'COMPLETED'])
    expect(await cancelSteps.verify(plan, world.read())).toEqual([
      { title: 's-2 is cancelled', ok: true, detail: 'CANCELLED' },
    ])
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
})
