import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { workloads } from '../../../commands/kubernetes/workloads.ts'
import { LOADER, type Opened, openCluster } from './opened.ts'

let it_: Opened
beforeEach(async () => {
  it_ = await openCluster()
})
afterEach(() => it_.close())

const add = (...[kind, name, spec, status, more = {}]: [string, string, object, object, object?]) =>
  it_.server.state.add(kind as 'jobs', 'streaming', name, { spec, status }, { generation: 1, ...more })
const look = async () => {
  const { summary, blocks } = await it_.read(workloads, LOADER)
  const rows = blocks.flatMap((block) => (block.type === 'table' ? block.rows : []))
  return {
    summary,
    rows,
    of: (name: string) =>
      rows
        .find(([what]) => what?.endsWith(` ${name}`))
        ?.slice(1)
        .join(' | '),
  }
}
const stateful = (name: string, spec: object, status: object) =>
  add(
    'statefulsets',
    name,
    { replicas: 3, updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } }, ...spec },
    {
      ...{ observedGeneration: 1, replicas: 3, readyReplicas: 3, currentRevision: 'a', updateRevision: 'a' },
      ...{ updatedReplicas: 3, ...status },
    },
  )
const daemon = (name: string, spec: object, status: object) =>
  add(
    'daemonsets',
    name,
    { updateStrategy: { type: 'RollingUpdate' }, ...spec },
    {
      ...{ observedGeneration: 1, desiredNumberScheduled: 4, currentNumberScheduled: 4, numberReady: 4 },
      ...{ numberAvailable: 4, updatedNumberScheduled: 4, numberMisscheduled: 0, ...status },
    },
  )
const owner = { apiVersion: 'batch/v1', kind: 'CronJob', name: 'nightly', uid: 'nightly', controller: true }
const job = (name: string, status: object, more: object = {}, spec: object = {}) =>
  add('jobs', name, { completions: 1, backoffLimit: 6, ...spec }, status, more)
const ended = (type: string, reason?: string, more: object = {}) => ({
  conditions: [{ type, status: 'True', reason, lastTransitionTime: '2026-03-14T01:00:00Z', ...more }],
})

it('says of a namespace whose workloads are all ready how many there are', async () => {
  stateful('queue', {}, {})
  daemon('agent', {}, {})
  expect(await look()).toMatchObject({
    summary: '0 of 3 workloads in streaming (production) are not well.',
    rows: [
      ['Deployment loader', '2/2', '2 of 2 pods are available'],
      ['StatefulSet queue', '3/3', '3 of 3 pods are ready'],
      ['DaemonSet agent', '4/4', 'available on 4 of 4 nodes'],
    ],
  })
})

it('shows what is wrong first, and names it', async () => {
  job('load', { failed: 7, ...ended('Failed', 'BackoffLimitExceeded', { message: 'Job has reached the limit' }) })
  stateful('queue', {}, { readyReplicas: 1 })
  const { summary, rows } = await look()
  expect(summary).toBe(
    '2 of 3 workloads in streaming (production) are not well. StatefulSet queue: 1 of 3 pods are ready. Job load: failed at 2026-03-14T01:00:00Z (BackoffLimitExceeded: its pods failed more often than it may try again).',
  )
  expect(rows.map(([what]) => what)).toEqual(['StatefulSet queue', 'Job load', 'Deployment loader'])
})

describe('a Deployment', () => {
  it('whose rollout is stuck, or that is paused or scaled to 0, is not taken for a ready one', async () => {
    const { status } = it_.loader()
    status.conditions = [
      { type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable' },
      { type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' },
    ]
    status.updatedReplicas = 1
    expect((await look()).of('loader')).toBe(
      '2/2 | ⚠ stuck: 1 of 2 pods are of the new revision; its rollout is stuck (ProgressDeadlineExceeded)',
    )
    Object.assign(status, {
      updatedReplicas: 2,
      conditions: [{ type: 'Progressing', status: 'Unknown', reason: 'DeploymentPaused' }],
    })
    it_.loader().spec.paused = true
    expect((await look()).of('loader')).toBe('2/2 | paused: nothing is rolled out')
    Object.assign(status, { replicas: 0, updatedReplicas: 0, availableReplicas: 0, conditions: [] })
    Object.assign(it_.loader().spec, { replicas: 0, paused: false })
    expect(await look()).toMatchObject({ summary: expect.stringContaining('1 on the way or held back') })
  })

  it('has conditions that nobody knows, or whose status is unknown: that is said, and is no all-clear', async () => {
    it_.loader().status.conditions = [
      { type: 'Available', status: 'Unknown', reason: 'Lost' },
      { type: 'Blessed', status: 'True', reason: 'New' },
    ]
    expect(await look()).toMatchObject({
      summary:
        '1 of 1 workloads in streaming (production) cannot be told. Deployment loader: Available is unknown (Lost); unknown condition: Blessed is True (New).',
    })
  })
})

describe('a StatefulSet', () => {
  it.each([
    [
      'waits',
      {},
      { readyReplicas: 2, updatedReplicas: 1, updateRevision: 'b' },
      '⚠ 2 of 3 pods are ready; its rollout waits for them, and 2 are of the old revision',
    ],
    ['goes on', {}, { updatedReplicas: 1, updateRevision: 'b' }, 'its rollout goes on: 2 pods are of the old revision'],
    [
      'is held by a partition',
      { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } },
      { updatedReplicas: 1, updateRevision: 'b' },
      'partition 2 keeps the pods below number 2 at the old revision',
    ],
    [
      'waits for a deletion',
      { updateStrategy: { type: 'OnDelete' } },
      { updatedReplicas: 0, updateRevision: 'b' },
      '3 pods keep the old revision until somebody deletes them (OnDelete)',
    ],
    [
      'was done by deletions',
      { updateStrategy: { type: 'OnDelete' } },
      { updatedReplicas: 3, updateRevision: 'b' },
      '3 of 3 pods are ready',
    ],
    [
      'is by a strategy that nobody knows',
      { updateStrategy: { type: 'Sideways' } },
      {},
      '? unknown update strategy: Sideways',
    ],
    ['was not seen', {}, { observedGeneration: 0 }, 'the cluster has not seen the last change'],
    ['is beside a scaling', {}, { replicas: 5 }, '2 pods more than wanted are ending'],
  ])('tells a rollout that %s', async (_, spec, status, says) => {
    stateful('queue', spec, status)
    expect((await look()).of('queue')?.split(' | ')[1]).toBe(says)
  })
})

describe('a DaemonSet', () => {
  it.each([
    [{}, { numberAvailable: 3 }, '⚠ its pod is available on 3 of 4 nodes'],
    [{}, { updatedNumberScheduled: 1 }, 'its rollout has reached 1 of 4 nodes'],
    [
      { updateStrategy: { type: 'OnDelete' } },
      { updatedNumberScheduled: 1 },
      '3 pods keep the old revision until somebody deletes them (OnDelete)',
    ],
    [{}, { numberMisscheduled: 1 }, 'runs on 1 nodes that do not want it'],
    [{}, { desiredNumberScheduled: 0, updatedNumberScheduled: 0, numberAvailable: 0 }, 'no node wants it'],
    [{}, { desiredNumberScheduled: null }, '? how many nodes want it is unknown'],
  ])('with %j and %j', async (spec, status, says) => {
    daemon('agent', spec, status)
    expect((await look()).of('agent')?.split(' | ')[1]).toBe(says)
  })
})

describe('a Job', () => {
  it.each([
    [
      ended('Failed', 'DeadlineExceeded'),
      {},
      '⚠ failed at 2026-03-14T01:00:00Z (DeadlineExceeded: it took longer than its activeDeadlineSeconds)',
    ],
    [
      ended('Failed', 'Sunspots', { message: 'too\nmany' }),
      {},
      '⚠ failed at 2026-03-14T01:00:00Z (Sunspots, an unknown reason: too many)',
    ],
    [
      ended('FailureTarget', 'PodFailurePolicy'),
      {},
      '⚠ is failing at 2026-03-14T01:00:00Z (PodFailurePolicy: a pod ended in a way that its podFailurePolicy takes for final)',
    ],
    [
      { ...ended('Complete'), completionTime: '2026-03-14T01:00:00Z', failed: 2 },
      {},
      'done at 2026-03-14T01:00:00Z, 2 of its pods failed',
    ],
    [ended('Suspended'), { suspend: true }, 'suspended: it makes no pods'],
    [
      { active: 1, ready: 0, failed: 2, startTime: '2026-03-14T01:00:00Z' },
      {},
      'none of its 1 pods is ready, since 2026-03-14T01:00:00Z, 2 of its pods failed so far, and it gives up after 7',
    ],
    [{ active: 1, ready: 1, startTime: '2026-03-14T01:00:00Z' }, {}, 'runs, since 2026-03-14T01:00:00Z'],
    [{ startTime: '2026-03-14T01:00:00Z' }, {}, '? has no pod, and its end is not told'],
    [null, {}, 'has not begun'],
    [ended('Complete', undefined, { status: 'Maybe' }), {}, '? Complete is unknown: Maybe; has not begun'],
  ])('with %j and %j', async (status, spec, says) => {
    job('load', status as object, {}, spec)
    expect((await look()).of('load')?.split(' | ')[1]).toBe(says)
  })

  it('that failed before a later run of the same CronJob succeeded is old news', async () => {
    job('nightly-1', ended('Failed', 'BackoffLimitExceeded'), {
      ownerReferences: [owner],
      creationTimestamp: '2026-03-13T01:00:00Z',
    })
    job('nightly-2', ended('Complete'), { ownerReferences: [owner], creationTimestamp: '2026-03-14T01:00:00Z' })
    job('other', ended('Failed', 'BackoffLimitExceeded'), { creationTimestamp: '2026-03-13T01:00:00Z' })
    const { summary, of } = await look()
    expect(of('nightly-1')).toContain('; a later run succeeded')
    expect(summary).toContain('1 of 4 workloads in streaming (production) are not well. Job other: failed')
  })
})

describe('a CronJob', () => {
  const LAST = '2026-03-14T01:00:00Z'
  const cron = (spec: object, status: object) =>
    add('cronjobs', 'nightly', { schedule: '0 1 * * *', timeZone: 'Etc/UTC', ...spec }, status, { uid: 'nightly' })
  const owned = { ownerReferences: [owner] }

  it.each([
    [
      { suspend: true },
      { lastScheduleTime: LAST, lastSuccessfulTime: '2026-03-14T01:05:00Z' },
      `suspended: it begins nothing, last scheduled at ${LAST}`,
    ],
    [{ suspend: true }, {}, 'suspended: it begins nothing, last scheduled never'],
    [{}, {}, 'never scheduled yet'],
    [{}, { lastScheduleTime: LAST, active: [{ name: 'nightly-1' }] }, `1 of its runs go on, since ${LAST}`],
    [
      {},
      { lastScheduleTime: LAST, lastSuccessfulTime: '2026-03-14T01:05:00Z' },
      `last succeeded at 2026-03-14T01:05:00Z, scheduled at ${LAST}`,
    ],
    [
      {},
      { lastScheduleTime: LAST, lastSuccessfulTime: '2026-03-13T01:05:00Z' },
      `? no success is known of since its schedule at ${LAST}`,
    ],
  ])('with %j and %j', async (spec, status, says) => {
    cron(spec, status)
    expect((await look()).of('nightly')).toBe(`0 1 * * * Etc/UTC | ${says}`)
  })

  it('whose last run failed names the Job', async () => {
    cron({}, { lastScheduleTime: LAST, lastSuccessfulTime: '2026-03-13T01:05:00Z' })
    job('nightly-1', ended('Complete'), { ...owned, creationTimestamp: '2026-03-13T01:00:00Z' })
    job('nightly-2', ended('Failed', 'BackoffLimitExceeded'), { ...owned, creationTimestamp: LAST })
    expect((await look()).of('nightly')).toContain('its last run failed: Job nightly-2')
  })
})

describe('a look at a namespace', () => {
  it('shows a kind that may not be looked at beside the others, and first', async () => {
    it_.server.behave.denied.add('cronjobs')
    expect(await look()).toMatchObject({
      summary:
        'CronJobs cannot be told: the cluster answered 403, so the token has no right to look. 0 of 1 workloads in streaming (production) are not well.',
      rows: [['Deployment loader', '2/2', '2 of 2 pods are available']],
    })
  })

  it('fails where nothing at all may be looked at', async () => {
    for (const kind of ['deployments', 'statefulsets', 'daemonsets', 'jobs', 'cronjobs'])
      it_.server.behave.denied.add(kind)
    await expect(look()).rejects.toThrow('was answered with 403; check the role of this token')
  })

  it('says that a namespace without workloads has none, and refuses one that is not listed', async () => {
    it_.server.state.objects.deployments.length = 0
    expect(await look()).toMatchObject({ summary: 'Nothing in streaming (production) makes pods.', rows: [] })
    await expect(it_.read(workloads, { ...LOADER, namespace: 'payments' })).rejects.toThrow(
      'does not list the namespace',
    )
  })

  it('reads a long list to its end, and says when it was longer than is read', async () => {
    for (let i = 0; i < 300; i++) job(`load-${i}`, ended('Complete'))
    job('last', ended('Failed', 'BackoffLimitExceeded'))
    const { summary, rows } = await look()
    expect(summary).toMatch(/^1 of 302 workloads/)
    expect(rows[0]?.[0]).toBe('Job last')
    for (let i = 0; i < 2000; i++) job(`more-${i}`, ended('Complete'))
    expect((await look()).summary).toMatch(/^There are more Jobs than are read\. 1 of 2001/)
  })
})
