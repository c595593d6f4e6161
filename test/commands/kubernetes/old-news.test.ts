import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { logTail } from '../../../commands/kubernetes/log-tail.ts'
import { pods } from '../../../commands/kubernetes/pods.ts'
import { rolloutRestart } from '../../../commands/kubernetes/rollout-restart.ts'
import { rolloutUndo } from '../../../commands/kubernetes/rollout-undo.ts'
import { scale } from '../../../commands/kubernetes/scale.ts'
import { LOADER, type Opened, openCluster } from './opened.ts'
import type { PodObject } from './state.ts'

let it_: Opened
beforeEach(async () => {
  it_ = await openCluster()
})
afterEach(() => it_.close())

const OLD = { terminated: { reason: 'OOMKilled', exitCode: 137, finishedAt: '2026-01-02T00:00:00Z' } }
/** As a pod that was started again weeks ago, and runs. */
const age = (pod: PodObject, times = 7) =>
  Object.assign(pod.status.containerStatuses[0]!, { restartCount: times, lastState: OLD })
/** Beside the pods of the deployment: evicted, or done. */
const leave = (phase: string, more: Partial<PodObject['status']> = {}) => {
  const copy = structuredClone(it_.pods()[0]!)
  Object.assign(copy.metadata, { name: `${copy.metadata.name}-${phase.toLowerCase()}`, uid: `uid-${phase}` })
  copy.status = { phase, containerStatuses: [], ...more }
  it_.server.state.objects.pods.push(copy)
  return copy
}
const commands = [
  ['scaled up', scale, { replicas: 4 }],
  ['scaled down', scale, { replicas: 1 }],
  ['scaled to 0', scale, { replicas: 0 }],
  ['restarted', rolloutRestart, { deployments: 'loader' }],
] as const

describe('a pod that no node takes', () => {
  const WHY = '0/3 nodes are available: 3 Insufficient memory.'
  const unschedule = (pod: PodObject) => {
    pod.status = {
      phase: 'Pending',
      conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: WHY }],
    } as unknown as PodObject['status']
  }

  it('is shown with what the scheduler says', async () => {
    unschedule(it_.pods()[0]!)
    const { summary, blocks } = await it_.read(pods, { ...LOADER, deployments: '' })
    expect(summary).toContain(`1 of 2 pods in streaming (production) are not well. No node takes a pod: ${WHY}`)
    expect(JSON.stringify(blocks)).toContain('"Unschedulable"')
  })

  it('is named by what waits for it, and by what was not ready in time', async () => {
    const made = await it_.plan(scale, { replicas: 4 })
    it_.server.state.held = true
    it_.server.behave.looked = (kind) => {
      if (kind !== 'pods' || it_.server.writes.length === 0) return
      unschedule(it_.pods()[1]!)
      it_.loader().status.observedGeneration = it_.loader().metadata.generation!
    }
    const slow = await openCluster({ readyMinutes: 0.01, server: it_.server.url })
    await expect(slow.run(scale, made).ended).rejects.toThrow(
      new RegExp(`was not ready within 0.01 minutes: .*; no node takes loader-\\S+: ${WHY}`),
    )
    await slow.close()
  })
})

describe('restarts of weeks ago', () => {
  it.each(commands)('do not fail a deployment that is %s', async (_, command, params) => {
    for (const pod of it_.pods()) age(pod)
    const made = await it_.plan(command, params)
    expect(made.warnings.join()).not.toContain('does not come to its end')
    await it_.run(command, made).ended
    expect(await it_.verified(command, made)).toEqual(
      (await it_.verified(command, made)).filter((line) => line[0] === '✓'),
    )
    expect(new Set(await it_.landed(command, made))).toEqual(new Set(['yes']))
  })

  it('do not count, and those since the patch do, of pods that were there and of a sidecar', async () => {
    const [first] = it_.pods()
    age(first!)
    first!.status.initContainerStatuses = [
      { name: 'proxy', ready: true, restartCount: 9, state: { running: {} }, lastState: OLD },
    ]
    const made = await it_.plan(scale, { replicas: 4 })
    it_.server.behave.looked = (kind) => {
      if (kind === 'pods' && it_.server.writes.length > 0) first!.status.initContainerStatuses![0]!.restartCount = 12
    }
    await expect(it_.run(scale, made).ended).rejects.toThrow(
      /container proxy: started again 3 times, last ended with OOMKilled \(137\)/,
    )
  })

  it('do not let a rollout that goes on pass for one that is stuck', async () => {
    const { state } = it_.server
    state.held = true
    state.wish(it_.loader(), (spec) => {
      spec.template = structuredClone(spec.template)
      spec.template.spec.containers[0]!.image = 'loader:2'
    })
    for (const pod of it_.pods()) age(pod)
    it_.loader().status.observedGeneration = it_.loader().metadata.generation!
    it_.loader().status.updatedReplicas = 1
    it_.loader().status.conditions = [{ type: 'Progressing', status: 'True', reason: 'ReplicaSetUpdated' }]
    await expect(it_.plan(rolloutUndo)).rejects.toThrow('A rollout of streaming/loader is going on')
  })

  it('are shown in the table of pods, and are no reason to call a pod ill', async () => {
    for (const pod of it_.pods()) age(pod)
    const { summary, blocks } = await it_.read(pods, { ...LOADER, deployments: 'loader' })
    expect(summary).toBe('0 of 2 pods in streaming (production) are not well. loader: 2 of 2 pods are available.')
    expect(JSON.stringify(blocks)).toContain('OOMKilled (137) at 2026-01-02')
  })
})

describe.each([
  ['Failed', { reason: 'Evicted' }],
  ['Succeeded', {}],
] as const)('a pod that is %s and stays in the list', (phase, more) => {
  it.each(commands)('does not count when the deployment is %s', async (_, command, params) => {
    leave(phase, more)
    const made = await it_.plan(command, params)
    await it_.run(command, made).ended
    expect(new Set(await it_.landed(command, made))).toEqual(new Set(['yes']))
    const verified = await it_.verified(command, made)
    expect(verified.filter((line) => line.startsWith('✗'))).toEqual([])
    if ('replicas' in params && params.replicas === 0) expect(verified[1]).toBe('✓ No pod is left: 0 left')
  })

  it('is told apart from the pods of now, and is not whose log is shown', async () => {
    leave(phase, more)
    const { summary } = await it_.read(pods, { ...LOADER, deployments: 'loader' })
    expect(summary).toMatch(
      /^0 of 2 pods in streaming \(production\) are not well\. 1 more ended for good and was replaced\./,
    )
    it_.server.logs.set('loader', 'alive')
    expect((await it_.read(logTail, LOADER)).summary).not.toContain(phase.toLowerCase())
  })
})

describe('a pod that is ending', () => {
  it('on a node that does not answer does not keep a restart or a scale up from its end', async () => {
    for (const command of [rolloutRestart, scale]) {
      const stuck = leave('Running', { containerStatuses: [] })
      stuck.metadata.deletionTimestamp = '2026-03-14T02:00:00Z'
      stuck.metadata.annotations.stuck = 'yes'
      const made = await it_.plan(command, command === scale ? { replicas: 4 } : { deployments: 'loader' })
      await it_.run(command, made).ended
      expect(await it_.landed(command, made)).toEqual(['yes', 'yes'])
    }
  })

  it('is waited for when the deployment is scaled to 0, and named when it does not end', async () => {
    const made = await it_.plan(scale, { replicas: 0 })
    const stuck = leave('Running', { containerStatuses: [] })
    stuck.metadata.deletionTimestamp = '2026-03-14T02:00:00Z'
    stuck.metadata.annotations.stuck = 'yes'
    stuck.spec.nodeName = 'node-7'
    const slow = await openCluster({ readyMinutes: 0.01, server: it_.server.url })
    await expect(slow.run(scale, made).ended).rejects.toThrow(
      /was not ready within 0\.01 minutes: 0 of 0 pods are available; 1 still ending \(loader-\S+-running on node-7\)/,
    )
    await slow.close()
    expect(await it_.landed(scale, made)).toEqual(['yes', 'no'])
  })
})

it('a failed pod of a job, or of nobody, is one that is not well', async () => {
  const job = leave('Failed', { reason: 'Error' })
  job.metadata.ownerReferences = [{ apiVersion: 'batch/v1', kind: 'Job', name: 'nightly', uid: 'j', controller: true }]
  const { summary } = await it_.read(pods, LOADER)
  expect(summary).toMatch(/^1 of 3 pods in streaming \(production\) are not well\./)
})
