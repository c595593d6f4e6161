import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { events } from '../../../commands/kubernetes/events.ts'
import { logTail } from '../../../commands/kubernetes/log-tail.ts'
import { nodes } from '../../../commands/kubernetes/nodes.ts'
import { pods } from '../../../commands/kubernetes/pods.ts'
import { revisions } from '../../../commands/kubernetes/revisions.ts'
import { rolloutRestart } from '../../../commands/kubernetes/rollout-restart.ts'
import { scale } from '../../../commands/kubernetes/scale.ts'
import { volumes } from '../../../commands/kubernetes/volumes.ts'
import { workloads } from '../../../commands/kubernetes/workloads.ts'
import { startMischief } from '../../harness/mischief.ts'
import { LOADER, type Opened, openCluster } from './opened.ts'

let cluster: Opened
let behind: Opened
let proxy: Awaited<ReturnType<typeof startMischief>>
beforeEach(async () => {
  cluster = await openCluster()
  proxy = await startMischief(cluster.server.url)
  behind = await openCluster({ server: proxy.url })
})
afterEach(async () => {
  await Promise.all([behind.close(), cluster.close()])
  await proxy.close()
})

const RAW =
  /Zod|Cannot read|undefined is not|is not a function|Unexpected token|SyntaxError|invalid_type|\[object|at async/
const LOOKS = [
  ['pods', () => behind.read(pods, { ...LOADER, deployments: 'loader' }).then(({ summary }) => summary)],
  ['all pods', () => behind.read(pods, LOADER).then(({ summary }) => summary)],
  ['events', () => behind.read(events, LOADER).then(({ summary }) => summary)],
  ['revisions', () => behind.read(revisions, LOADER).then(({ summary }) => summary)],
  ['a log', () => behind.read(logTail, LOADER).then(({ summary }) => summary)],
  ['workloads', () => behind.read(workloads, LOADER).then(({ summary }) => summary)],
  ['volumes', () => behind.read(volumes, LOADER).then(({ summary }) => summary)],
  ['nodes', () => behind.read(nodes, LOADER).then(({ summary }) => summary)],
  ['a plan', () => behind.plan(scale, { replicas: 4 }).then(({ summary }) => summary)],
] as const

describe.each(LOOKS)('a look at %s', (_, look) => {
  it.each(['throttled', 'unavailable', 'partial', 'slow', 'extra'] as const)(
    'is what it is also when the cluster is %s',
    async (mischief) => {
      const usual = await look()
      proxy.play(mischief, { on: ({ method }) => method === 'GET' })
      expect(await look()).toBe(usual)
      expect(proxy.done()).toBeGreaterThan(0)
    },
  )

  it.each([0, 1, 2])('gives a sentence where every third value is null (from the %d. on)', async (shift) => {
    proxy.play('nulls', { shift })
    const said = await look().catch((error: Error) => error.message)
    expect(said).not.toMatch(RAW)
  })

  it('takes no state that nobody knows for a good one', async () => {
    proxy.play('unknown')
    const said = await look().catch((error: Error) => error.message)
    expect(said).not.toMatch(RAW)
    if (/ of \d pods in streaming/.test(said))
      expect(said).toContain('2 of 2 pods in streaming (production) are not well.')
  })
})

it('a change goes through a slow cluster', async () => {
  const made = await behind.plan(rolloutRestart, { deployments: 'loader' })
  proxy.play('slow')
  await behind.run(rolloutRestart, made).ended
  expect(await behind.landed(rolloutRestart, made)).toEqual(['yes', 'yes'])
})
