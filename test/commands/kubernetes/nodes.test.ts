import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { nodes } from '../../../commands/kubernetes/nodes.ts'
import { LOADER, type Opened, openCluster } from './opened.ts'

let it_: Opened
beforeEach(async () => {
  it_ = await openCluster()
})
afterEach(() => it_.close())

const READY = { type: 'Ready', status: 'True', reason: 'KubeletReady' }
const node = (name: string, { spec = {}, conditions = [READY] as object[], version = 'v1.34.1', more = {} } = {}) =>
  it_.server.state.add('nodes', '', name, { spec, status: { conditions, nodeInfo: { kubeletVersion: version } } }, more)
const place = (...names: string[]) => {
  for (const [i, name] of names.entries()) it_.pods()[i]!.spec.nodeName = name
}
const look = async () => {
  const { summary, blocks } = await it_.read(nodes, LOADER)
  return { summary, rows: blocks.flatMap((block) => (block.type === 'table' ? block.rows : [])) }
}

it('shows the nodes of the namespace’s pods, and no others', async () => {
  node('a', { spec: { taints: [{ key: 'team', value: 'data', effect: 'NoSchedule' }] } })
  node('b')
  node('other', { conditions: [{ type: 'Ready', status: 'False' }] })
  place('a', 'b')
  expect(await look()).toEqual({
    summary: '0 of 2 nodes in use by streaming (production) are not well.',
    rows: [
      ['a', '1, 0 not well', 'yes', 'team=data:NoSchedule', 'v1.34.1', 'ready'],
      ['b', '1, 0 not well', 'yes', '', 'v1.34.1', 'ready'],
    ],
  })
})

describe('a node', () => {
  const with_ = (type: string, status: string, more = {}) => ({ conditions: [READY, { type, status, ...more }] })
  it.each([
    [
      { conditions: [{ type: 'Ready', status: 'False', reason: 'KubeletNotReady', message: 'cni' }] },
      '⚠ not ready (KubeletNotReady: cni)',
    ],
    [
      {
        conditions: ['MemoryPressure', 'DiskPressure', 'Ready'].map((type) => ({
          type,
          status: 'Unknown',
          reason: 'NodeStatusUnknown',
        })),
      },
      '⚠ does not answer (NodeStatusUnknown)',
    ],
    [
      with_('DiskPressure', 'True', { reason: 'KubeletHasDiskPressure' }),
      '⚠ short of disk: pods are evicted (KubeletHasDiskPressure)',
    ],
    [with_('MemoryPressure', 'Unknown'), '? MemoryPressure is unknown'],
    [with_('KernelDeadlock', 'True', { reason: 'DockerHung' }), '⚠ KernelDeadlock (DockerHung)'],
    [with_('KernelDeadlock', 'False'), 'ready'],
    [with_('StorageReady', 'False'), '⚠ not StorageReady'],
    [with_('StorageReady', 'True'), 'ready'],
    [with_('Blessed', 'False'), '? unknown condition: Blessed is False'],
    [{ conditions: [] }, '? whether it is ready is not told'],
    [{ conditions: [{ type: 'Ready', status: 'SOMETHING' }] }, '? Ready is unknown: SOMETHING'],
    [{ spec: { unschedulable: true } }, 'cordoned: it takes no new pods'],
    [{ more: { deletionTimestamp: '2026-03-14T01:00:00Z' } }, 'is being deleted'],
  ])('with %j', async (made, says) => {
    node('a', made)
    place('a', 'a')
    expect((await look()).rows[0]?.at(-1)).toBe(says)
  })

  it('that is gone while pods are still held to be on it is wrong', async () => {
    place('lost', 'lost')
    expect((await look()).summary).toBe(
      '1 of 1 nodes in use by streaming (production) are not well. lost: is gone, and pods are still held to be on it.',
    )
  })
})

it('says how many pods are there also where nodes may not be looked at', async () => {
  node('a')
  node('b')
  place('a', 'b')
  it_.server.behave.denied.add('nodes')
  expect(await look()).toEqual({
    summary:
      '2 nodes cannot be told: the cluster answered 403, so the token has no right to look. 2 of 2 nodes in use by streaming (production) cannot be told.',
    rows: [
      ['a', '1, 0 not well', 'unknown', '', 'unknown', '? cannot be told'],
      ['b', '1, 0 not well', 'unknown', '', 'unknown', '? cannot be told'],
    ],
  })
})

it('tells pods without a node, and kubelets of different versions', async () => {
  node('a', { version: 'v1.33.0' })
  place('a')
  expect((await look()).summary).toMatch(/ 1 pods have no node yet\.$/)
  node('b')
  place('a', 'b')
  expect((await look()).summary).toMatch(/ Their kubelets are of different versions: v1\.33\.0, v1\.34\.1\.$/)
})

it('asks for no more than 60 nodes, those of broken pods first, and says so', async () => {
  for (let i = 0; i < 70; i++) {
    node(`n${i}`)
    const pod = structuredClone(it_.pods()[0]!)
    Object.assign(pod.metadata, { name: `pod-${i}`, uid: `pod-${i}`, labels: {} })
    pod.spec.nodeName = `n${i}`
    if (i === 69) pod.status.containerStatuses[0]!.ready = false
    it_.server.state.objects.pods.push(pod)
  }
  const { summary, rows } = await look()
  expect(summary).toMatch(/^10 more nodes with pods of it were not looked at\. 0 of 60/)
  expect(rows.map(([name]) => name)).toContain('n69')
})

it('says where no pod has a node', async () => {
  expect((await look()).summary).toBe('There is no node in use by streaming (production). 2 pods have no node yet.')
})
