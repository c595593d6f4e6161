import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { bytesOf } from '../../../commands/kubernetes/claim-stand.ts'
import { volumes } from '../../../commands/kubernetes/volumes.ts'
import { LOADER, type Opened, openCluster } from './opened.ts'

let it_: Opened
beforeEach(async () => {
  it_ = await openCluster()
  storage('fast', { allowVolumeExpansion: true, volumeBindingMode: 'WaitForFirstConsumer' })
  storage('fixed', { volumeBindingMode: 'Immediate' })
})
afterEach(() => it_.close())

const storage = (name: string, rest: object) =>
  it_.server.state.add('storageclasses', '', name, { provisioner: 'ebs.csi.aws.com', ...rest })
const claim = (name: string, spec: object = {}, status: object = {}, more: object = {}) =>
  it_.server.state.add(
    'persistentvolumeclaims',
    'streaming',
    name,
    {
      spec: { storageClassName: 'fast', resources: { requests: { storage: '20Gi' } }, ...spec },
      status: { phase: 'Bound', capacity: { storage: '20Gi' }, ...status },
    },
    more,
  )
const mount = (name: string) => {
  Object.assign(it_.pods()[0]!.spec, { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: name } }] })
}
const look = async () => {
  const { summary, blocks } = await it_.read(volumes, LOADER)
  return { summary, rows: blocks.flatMap((block) => (block.type === 'table' ? block.rows : [])) }
}
const stateOf = async () => (await look()).rows[0]?.at(-1)

it('shows sizes, whether a claim may grow, and which pods use it', async () => {
  claim('data')
  claim('old', { storageClassName: 'fixed' })
  claim('static', { storageClassName: '' })
  mount('data')
  expect(await look()).toEqual({
    summary:
      '0 of 3 volume claims in streaming (production) are not well. How full they are the cluster does not tell.',
    rows: [
      ['data', '20Gi / 20Gi', 'fast', 'yes', it_.pods()[0]!.metadata.name, 'bound'],
      ['old', '20Gi / 20Gi', 'fixed', 'no', 'no pod', 'bound'],
      ['static', '20Gi / 20Gi', 'none', 'cannot be told', 'no pod', 'bound'],
    ],
  })
})

it('knows a volume that is made for one pod alone, and no pod that has ended', async () => {
  const [one, two] = it_.pods()
  claim(`${one!.metadata.name}-scratch`)
  Object.assign(one!.spec, { volumes: [{ name: 'scratch', ephemeral: { volumeClaimTemplate: {} } }] })
  claim('data')
  Object.assign(two!.spec, { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] })
  two!.status.phase = 'Failed'
  expect((await look()).rows.map((row) => row[4])).toEqual([one!.metadata.name, 'no pod'])
})

describe('a claim', () => {
  const on = (type: string, more = {}) => ({ conditions: [{ type, status: 'True', ...more }] })
  it.each([
    [{}, { phase: 'Lost' }, '⚠ lost: the volume that it was bound to is gone'],
    [{}, { phase: 'Pending', capacity: null }, 'gets its volume when the first pod uses it'],
    [{ storageClassName: 'fixed' }, { phase: 'Pending' }, '⚠ has no volume'],
    [{ storageClassName: 'lost' }, { phase: 'Pending' }, '⚠ has no volume: there is no StorageClass lost'],
    [{}, { phase: 'Floating' }, '? unknown phase: Floating'],
    [{}, { phase: null }, '? unknown phase: none is told'],
    [{}, { capacity: { storage: '10Gi' } }, 'smaller than asked for'],
    [
      { storageClassName: 'fixed' },
      { capacity: { storage: '10Gi' } },
      '⚠ smaller than asked for, and its StorageClass lets it not grow',
    ],
    [{}, { capacity: { storage: '21474836480' } }, 'bound'],
    [{}, { capacity: null }, '? its size is unknown'],
    [{}, on('ControllerResizeError', { message: 'quota' }), '⚠ its volume could not be enlarged (quota)'],
    [{}, on('Resizing'), 'its volume is being enlarged'],
    [{}, on('FileSystemResizePending'), expect.stringContaining('its file system not yet')],
    [{}, on('Unused', { reason: 'NoPodsUsingPVC' }), 'bound'],
    [{}, on('Blessed'), '? unknown condition: Blessed is True'],
    [
      {},
      { allocatedResourceStatuses: { storage: 'NodeResizeInfeasible' } },
      '⚠ its file system cannot be enlarged to that size',
    ],
    [{}, { allocatedResourceStatuses: { storage: 'Paused' } }, '? unknown step of a resize: Paused'],
  ])('with %j and %j', async (spec, status, says) => {
    claim('data', spec, status)
    expect(await stateOf()).toEqual(says)
  })

  it('that waits although a pod uses it is wrong', async () => {
    claim('data', {}, { phase: 'Pending' })
    mount('data')
    expect(await stateOf()).toBe('⚠ has no volume: it waits until a pod that uses it has a node')
  })

  it('that is being deleted is said to be', async () => {
    claim('data', {}, {}, { deletionTimestamp: '2026-03-14T01:00:00Z' })
    expect(await stateOf()).toBe('⚠ is being deleted, as soon as no pod uses it')
  })
})

describe('what may not be looked at', () => {
  it('is said of storage classes, which no role of a namespace reaches', async () => {
    claim('data')
    it_.server.behave.denied.add('storageclasses')
    const { summary, rows } = await look()
    expect(summary).toMatch(
      /^Whether claims of StorageClass fast may grow cannot be told: the cluster answered 403, so the token has no right to look\. 0 of 1/,
    )
    expect(rows[0]?.slice(2, 4)).toEqual(['fast', 'cannot be told'])
  })

  it('is said of pods: no claim is then said to be unused', async () => {
    claim('data', {}, { phase: 'Pending' })
    it_.server.behave.denied.add('pods')
    const { summary, rows } = await look()
    expect(summary).toMatch(/^Which pods use them cannot be told: the cluster answered 403/)
    expect(rows[0]?.slice(4)).toEqual([
      'cannot be told',
      '⚠ has no volume: it waits until a pod that uses it has a node',
    ])
  })

  it('fails where claims themselves may not be', async () => {
    it_.server.behave.denied.add('persistentvolumeclaims')
    await expect(look()).rejects.toThrow('GET persistentvolumeclaims of streaming was answered with 403')
  })
})

it('says that a namespace has no claims', async () => {
  expect(await look()).toEqual({ summary: 'There are no volume claims in streaming (production).', rows: [] })
})

it.each([
  ['1Gi', 1_073_741_824],
  ['1.5Gi', 1_610_612_736],
  ['10G', 10_000_000_000],
  ['1e3', 1000],
  ['7', 7],
  ['5k', 5000],
  ['100m', null],
  ['many', null],
])('reads the quantity %s', (quantity, bytes) => {
  expect(bytesOf(quantity)).toBe(bytes)
})
