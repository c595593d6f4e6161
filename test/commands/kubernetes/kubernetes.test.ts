import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { kubernetes } from '../../../commands/kubernetes/connection.ts'
import { logTail } from '../../../commands/kubernetes/log-tail.ts'
import { pods } from '../../../commands/kubernetes/pods.ts'
import { rolloutRestart } from '../../../commands/kubernetes/rollout-restart.ts'
import { rolloutUndo } from '../../../commands/kubernetes/rollout-undo.ts'
import { scale } from '../../../commands/kubernetes/scale.ts'
import type { ChangeCommand, ReadCommand } from '../../../src/domain/command.ts'
import type { Plan } from '../../../src/domain/plan.ts'
import { createWorld, propose, type World } from '../context.ts'
import { type KubernetesServer, startKubernetes, TOKEN } from './server.ts'

let server: KubernetesServer
let world: World
const at = { connection: 'cluster', namespace: 'streaming', deployment: 'loader' }
const both = { connection: 'cluster', namespace: 'streaming', deployments: 'scheduler, workers' }

beforeEach(async () => {
  server = await startKubernetes()
  await server.state.deploy('streaming', 'loader', 'loader:1', 2, [
    { name: 'DB_PASSWORD', value: 'canary-db-password' },
    { name: 'LEVEL', value: 'informational' },
  ])
  world = createWorld({
    secrets: { KUBE_TOKEN: TOKEN },
    connections: {
      cluster: {
        kind: 'kubernetes',
        environment: 'production',
        settings: {
          server: server.url,
          tokenFrom: 'KUBE_TOKEN',
          namespaces: {
            streaming: {
              deployments: {
                loader: { replicas: { min: 0, max: 4 } },
                scheduler: {},
                workers: {},
                idle: {},
                ghost: {},
              },
            },
            'kube-system': { deployments: { dns: {} } },
          },
          steadySeconds: 0.02,
          readyMinutes: 0.1,
        },
      },
    },
  })
})
afterEach(async () => {
  await world.close()
  await server.stop()
})

const read = (command: unknown, params: Record<string, unknown>) => {
  const { params: schema, read: work } = command as ReadCommand
  return work(schema.parse(params), world.read())
}
const plan = (command: ChangeCommand, params: Record<string, unknown>) => propose(command, params, world.read())
const run = (command: ChangeCommand, made: Plan) => command.run(made, world.run(made).ctx)
const landed = async (command: ChangeCommand, made: Plan) => {
  const found = []
  for (const { id } of made.steps) found.push((await command.probe(made, id, world.read())).landed)
  return found
}
const settled = async (command: ChangeCommand, made: Plan) =>
  (await command.verify(made, world.read())).map((check) => check.ok)
const loader = () => server.state.find('streaming', 'loader')
const deploy = async (image: string) => {
  server.state.wish(loader(), (spec) => {
    spec.template = structuredClone(spec.template)
    spec.template.spec.containers[0]!.image = image
  })
  await server.state.quiet()
}

describe('kubernetes.pods', () => {
  it('shows the worst pod first, with why its container ended, how often, and when', async () => {
    await deploy('loader:bad')
    const { summary, blocks } = await read(pods, { ...at, deployments: 'loader' })
    expect(summary).toBe(
      '1 of 3 pods in streaming (production) are not well. loader: stuck, 1 of 2 pods are of the new revision.',
    )
    expect(blocks[0]).toMatchObject({
      rows: [
        [
          expect.stringMatching(/^loader-/),
          '0/1',
          'CrashLoopBackOff',
          '5',
          'app: Error (1) at 2026-03-14T02:00:00.000Z',
          expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        ],
        [expect.any(String), '1/1', 'Running', '0', '', expect.any(String)],
        [expect.any(String), '1/1', 'Running', '0', '', expect.any(String)],
      ],
      omitted: 0,
    })
  })

  it('reads a namespace page by page and shows no more than a person reads', async () => {
    await server.state.deploy('streaming', 'many', 'many:1', 300)
    const { summary, blocks } = await read(pods, at)
    expect(summary).toBe('0 of 302 pods in streaming (production) are not well.')
    expect(blocks[0]).toMatchObject({ omitted: 262 })
  })

  it.each([
    ['a namespace that is not listed', { namespace: 'payments' }, /does not list the namespace "payments"/],
    ['a deployment that is not there', { deployments: 'ghost' }, /no deployment "ghost"/],
    [
      'what the role of the token does not reach',
      { namespace: 'kube-system' },
      /403; check the role of this token: pods is forbidden/,
    ],
    ['a name that would lead elsewhere', { namespace: '../../nodes' }, /small letters/],
  ])('does not read %s', async (_, more, why) => {
    await expect(async () => read(pods, { ...at, ...more })).rejects.toThrow(why)
  })
})

describe('kubernetes.log-tail', () => {
  it('shows the run before the crash of the worst pod, without the secrets of its environment', async () => {
    await deploy('loader:bad')
    server.logs.set(
      'loader before',
      [
        'far above',
        'connect postgres://app:hunter2222@db/x as canary-db-password',
        'Authorization: Bearer abcdefghijklmnop level informational',
        'DB_PASSWORD=hunter3333 and ghp_abcdefghijklmnopqrstuvwxyz012345',
        'api_key = "k-123456" SyntaxError: Unexpected end of JSON input',
      ].join('\n'),
    )
    const { summary, blocks } = await read(logTail, { ...at, lines: 4 })
    expect(summary).toMatch(
      /^The end of the log of streaming\/loader-\S+, container app, the run before its last start\.$/,
    )
    expect(blocks).toEqual([
      {
        type: 'code',
        text: [
          'connect postgres://app:[secret]@db/x as [secret]',
          'Authorization: [secret] [secret] level informational',
          'DB_PASSWORD=[secret] and [secret]',
          'api_key = "[secret]" SyntaxError: Unexpected end of JSON input',
        ].join('\n'),
      },
    ])
  })

  it('shows the run of now when the container never crashed, and nothing of what is no log', async () => {
    server.logs.set('loader', 'all is well\n')
    expect((await read(logTail, at)).blocks).toEqual([{ type: 'code', text: 'all is well' }])
    expect((await read(logTail, { ...at, previous: 'yes' })).summary).toMatch(/^There is no log of/)
    await expect(read(logTail, { ...at, container: 'sidecar' })).rejects.toThrow(
      'has no container "sidecar". It has: app.',
    )
    await expect(read(logTail, { ...at, pod: 'loader-x' })).rejects.toThrow('There is no pod "loader-x"')
    await expect(read(logTail, { ...at, deployment: '' })).rejects.toThrow('Name a pod or a deployment.')
  })
})

describe('kubernetes.scale', () => {
  it('scales to 0 and waits until the last pod is gone, then up and waits until all are ready', async () => {
    const down = await plan(scale, { ...at, replicas: 0 })
    expect(down.targets).toMatchObject([
      {
        id: 'kubernetes:cluster/streaming/deployment/loader',
        name: 'streaming/loader',
        details: { Environment: 'production', Image: 'loader:1', Replicas: '2 → 0', Bounds: '0 to 4', Revision: '1' },
      },
    ])
    expect(await landed(scale, down)).toEqual(['no', 'no'])
    expect(await run(scale, down)).toBe('streaming/loader has 0 pods.')
    expect(server.state.podsOf('loader')).toEqual([])
    expect(await settled(scale, down)).toEqual([true, true])
    expect(await landed(scale, down)).toEqual(['yes', 'yes'])
    expect(server.writes).toEqual([
      {
        path: '/apis/apps/v1/namespaces/streaming/deployments/loader/scale',
        type: 'application/merge-patch+json',
        body: { metadata: { resourceVersion: expect.any(String) }, spec: { replicas: 0 } },
      },
    ])
    await run(scale, await plan(scale, { ...at, replicas: 4 }))
    expect(loader().status.availableReplicas).toBe(4)
  })

  it('does not take a pod that is still ending for gone', async () => {
    const down = await plan(scale, { ...at, replicas: 0 })
    const { state } = server
    const holding = (_: string, type: string) => {
      if (type === 'MODIFIED' && state.podsOf('loader').every((pod) => pod.metadata.deletionTimestamp))
        state.held = true
    }
    state.changes.on('change', holding)
    const running = run(scale, down)
    while (!state.held) await pause(5)
    expect(loader().status.replicas).toBeUndefined()
    expect(await landed(scale, down)).toEqual(['yes', 'no'])
    state.changes.off('change', holding)
    state.held = false
    void state.settle()
    await running
    expect(state.podsOf('loader')).toEqual([])
  })

  it('gets past writes of the status, and gives up what was changed by somebody else', async () => {
    const made = await plan(scale, { ...at, replicas: 3 })
    server.behave.stir = 1
    await run(scale, made)
    expect(server.writes).toHaveLength(1)
    const again = await plan(scale, { ...at, replicas: 0 })
    server.state.wish(loader(), (spec) => {
      spec.replicas = 4
    })
    await expect(run(scale, again)).rejects.toThrow(/streaming\/loader was changed by somebody else/)
    expect(loader().spec.replicas).toBe(4)
    expect(await landed(scale, again)).toEqual(['cannot_tell', 'no'])
  })

  it.each([
    ['scale', scale, { replicas: 0 }],
    ['restart', rolloutRestart, { deployments: 'loader' }],
    ['undo', rolloutUndo, {}],
  ])('whoever is faster by a moment wins over a %s', async (_, command, more) => {
    if (command === rolloutUndo) await deploy('loader:2')
    const made = await plan(command, { ...at, ...more })
    server.behave.overtake = () =>
      server.state.wish(loader(), (spec) => {
        spec.template = structuredClone(spec.template)
        spec.template.spec.containers[0]!.image = 'loader:9'
        spec.replicas = 4
      })
    await expect(run(command, made)).rejects.toThrow('streaming/loader was changed by somebody else')
    expect(server.writes).toEqual([])
    expect([loader().spec.replicas, loader().spec.template.spec.containers[0]!.image]).toEqual([4, 'loader:9'])
  })

  it('knows after a lost answer that it has scaled', async () => {
    const made = await plan(scale, { ...at, replicas: 3 })
    server.behave.lose = true
    await expect(run(scale, made)).rejects.toThrow('got no complete answer: other side closed')
    expect((await landed(scale, made))[0]).toBe('yes')
    expect(server.writes).toHaveLength(1)
  })

  it('ends at once when it is cancelled while it waits, and leaves no watch behind', async () => {
    const made = await plan(scale, { ...at, replicas: 3 })
    server.state.held = true
    const stop = new AbortController()
    const running = scale.run(made, world.run(made, { signal: stop.signal }).ctx)
    // To wait changes nothing: no end of it leaves anything in question.
    const ended = expect(running).rejects.toMatchObject({ name: 'Refused', message: 'cancelled by ada' })
    while (server.watching() < 2) await pause(5)
    stop.abort(new Error('cancelled by ada'))
    await ended
    while (server.watching() > 0) await pause(5)
  })

  it('says so when the role of the token does not let it watch', async () => {
    const made = await plan(scale, { ...at, replicas: 3 })
    server.state.held = true
    server.behave.noWatch = true
    await expect(run(scale, made)).rejects.toThrow(/WATCH \S+ was answered with 403; check the role of this token/)
    expect(await landed(scale, made)).toEqual(['yes', 'no'])
  })

  it('goes on waiting when the watch ends', async () => {
    const made = await plan(scale, { ...at, replicas: 3 })
    server.state.held = true
    const running = run(scale, made)
    while (server.watching() < 2) await pause(5)
    server.endWatches()
    server.behave.deaf = 2
    server.state.held = false
    void server.state.settle()
    await running
    expect(loader().status.availableReplicas).toBe(3)
  })

  it.each([
    ['above the bound', { replicas: 5 }, 'may have 0 to 4 pods; 5 were asked for'],
    ['to the number that it has', { replicas: 2 }, 'has 2 pods already'],
    ['a deployment without bounds', { deployment: 'scheduler', replicas: 1 }, 'has no bounds'],
    [
      'a deployment that is not listed',
      { deployment: 'billing', replicas: 1 },
      'does not let the deployment "billing"',
    ],
    ['in a namespace that is not listed', { namespace: 'payments', replicas: 1 }, 'does not list the namespace'],
    ['by a name from elsewhere', { deployment: '../x', replicas: 1 }, 'small letters'],
  ])('refuses to scale %s', async (_, more, why) => {
    await expect(async () => plan(scale, { ...at, ...more })).rejects.toThrow(why)
  })
})

describe('kubernetes.rollout-restart', () => {
  beforeEach(async () => {
    await server.state.deploy('streaming', 'scheduler', 'dask:1', 1)
    await server.state.deploy('streaming', 'workers', 'dask:1', 3)
  })

  it('replaces the pods of the first deployment before it begins with the second', async () => {
    const old = ['scheduler', 'workers'].flatMap((name) => server.state.podsOf(name).map((pod) => pod.metadata.uid))
    const made = await plan(rolloutRestart, both)
    expect(made.steps.map((step) => step.id)).toEqual([
      'restart scheduler',
      'wait scheduler',
      'restart workers',
      'wait workers',
    ])
    const seen: string[] = []
    server.state.changes.on('change', (kind, type, object) => {
      if (kind === 'pods' && type === 'DELETED') seen.push(object.metadata.labels.app)
    })
    expect(await run(rolloutRestart, made)).toBe('Restarted scheduler, then workers in streaming: all pods are ready.')
    expect(seen).toEqual(['scheduler', 'workers', 'workers', 'workers'])
    const fresh = ['scheduler', 'workers'].flatMap((name) => server.state.podsOf(name).map((pod) => pod.metadata.uid))
    expect(fresh).toHaveLength(4)
    expect(fresh.filter((uid) => old.includes(uid))).toEqual([])
    expect(await settled(rolloutRestart, made)).toEqual([true, true])
    expect(await landed(rolloutRestart, made)).toEqual(['yes', 'yes', 'yes', 'yes'])
  })

  it('stops after the first deployment when that one does not come up', async () => {
    const made = await plan(rolloutRestart, both)
    server.state.fate = (template) => (template.metadata.annotations ? 'crashes' : 'runs')
    await expect(run(rolloutRestart, made)).rejects.toThrow(
      /streaming\/scheduler does not come up\. scheduler-\S+, container app: started again [3-5] times, last ended with Error \(1\)/,
    )
    expect(await landed(rolloutRestart, made)).toEqual(['yes', 'no', 'no', 'no'])
    expect(server.writes).toHaveLength(1)
  })

  it('does not take a pod for ready that crashes just after', async () => {
    const made = await plan(rolloutRestart, { ...both, deployments: 'scheduler' })
    let crash = false
    let whole = false
    server.state.fate = (template) => (crash && template.metadata.annotations ? 'crashes' : 'runs')
    // They crash when the run has seen all of them ready for the first time.
    server.behave.looked = (kind) => {
      const { metadata, status } = server.state.find('streaming', 'scheduler')
      const done = metadata.generation === 2 && status.observedGeneration === 2
      if (kind === 'deployments') whole = done && status.conditions[0]?.reason === 'NewReplicaSetAvailable'
      if (kind !== 'pods' || !whole) return
      crash = true
      void server.state.settle()
    }
    await expect(run(rolloutRestart, made)).rejects.toThrow('streaming/scheduler does not come up')
    expect(crash).toBe(true)
  })

  it('says how far it came when it takes too long', async () => {
    const made = await plan(rolloutRestart, { ...both, deployments: 'workers' })
    await world.close()
    const hurried = createWorld({
      secrets: { KUBE_TOKEN: TOKEN },
      connections: {
        cluster: {
          kind: 'kubernetes',
          settings: {
            server: server.url,
            tokenFrom: 'KUBE_TOKEN',
            namespaces: { streaming: { deployments: { workers: {} } } },
            readyMinutes: 0.002,
          },
        },
      },
    })
    server.state.held = true
    await expect(rolloutRestart.run(made, hurried.run(made).ctx)).rejects.toThrow(
      'streaming/workers was not ready within 0.002 minutes: the cluster has not seen the last change',
    )
    await hurried.close()
  })

  it('goes on after a crash where it stood', async () => {
    const made = await plan(rolloutRestart, both)
    await run(rolloutRestart, made)
    const { ctx, recording } = world.run(made, {
      done: { 'restart scheduler': { generation: 2 }, 'wait scheduler': null, 'restart workers': { generation: 2 } },
    })
    await rolloutRestart.run(made, ctx)
    expect(recording.started).toEqual(['wait workers'])
    expect(server.writes).toHaveLength(2)
  })

  it('refuses beside a rollout of one of them, also when it begins after the plan', async () => {
    const made = await plan(rolloutRestart, both)
    server.state.held = true
    server.state.wish(server.state.find('streaming', 'scheduler'), (spec) => {
      spec.template.spec.containers[0]!.image = 'dask:2'
    })
    await expect(plan(rolloutRestart, both)).rejects.toThrow(
      'A rollout of streaming/scheduler is going on: the cluster has not seen the last change. Wait until it has ended.',
    )
    await expect(run(rolloutRestart, made)).rejects.toThrow('was changed by somebody else')
    expect(server.writes).toEqual([])
  })

  it.each([
    ['a deployment without pods', { deployments: 'idle' }, 'has 0 pods: there is nothing to restart'],
    ['a deployment that is not there', { deployments: 'ghost' }, 'There is no deployment "ghost"'],
    [
      'one that is not listed among others',
      { deployments: 'workers,billing' },
      'does not let the deployment "billing"',
    ],
    ['more than five', { deployments: 'a,b,c,d,e,f' }, 'Too big'],
    ['nothing', { deployments: ' ' }, 'name at least one'],
  ])('refuses %s', async (_, more, why) => {
    await server.state.deploy('streaming', 'idle', 'idle:1', 0)
    await expect(async () => plan(rolloutRestart, { ...both, ...more })).rejects.toThrow(why)
  })

  it('refuses a paused deployment, and one that the token may only read', async () => {
    const made = await plan(rolloutRestart, both)
    server.behave.readOnly = true
    await expect(run(rolloutRestart, made)).rejects.toThrow(/403; check the role of this token/)
    server.state.find('streaming', 'scheduler').spec.paused = true
    await expect(plan(rolloutRestart, both)).rejects.toThrow('is paused: nothing is rolled out')
  })
})

describe('kubernetes.rollout-undo', () => {
  it('puts the template of the revision before back, whole, and waits until it is ready', async () => {
    const before = structuredClone(loader().spec.template)
    await deploy('loader:bad')
    const made = await plan(rolloutUndo, at)
    expect(made.targets[0]!.details).toMatchObject({
      Image: 'loader:bad → loader:1',
      Revision: expect.stringMatching(/^2 → 1, made 2026-/),
      Changes: 'spec.containers.0.image',
    })
    expect(made.warnings[0]).toBe('The last rollout of loader does not come to its end: its pods do not start.')
    expect(JSON.stringify(made)).not.toContain('canary-db-password')
    expect(await landed(rolloutUndo, made)).toEqual(['no', 'no'])
    await run(rolloutUndo, made)
    expect(loader().spec.template).toEqual(before)
    expect(server.state.podsOf('loader').map((pod) => pod.spec.containers[0]!.image)).toEqual(['loader:1', 'loader:1'])
    expect(await settled(rolloutUndo, made)).toEqual([true, true])
    expect(await landed(rolloutUndo, made)).toEqual(['yes', 'yes'])
  })

  it('goes back past a restart, which makes a revision of its own and mends nothing', async () => {
    await deploy('loader:bad')
    server.state.wish(loader(), ({ template }) => {
      template.metadata.annotations = { 'kubectl.kubernetes.io/restartedAt': '2026-03-14T02:00:00Z' }
    })
    await server.state.quiet()
    const { details } = (await plan(rolloutUndo, at)).targets[0]!
    expect(details.Revision).toMatch(/^3 → 1, made /)
  })

  it('lets the writes of the status by, and does not overwrite a newer deploy', async () => {
    await deploy('loader:gone')
    const made = await plan(rolloutUndo, at)
    server.behave.stir = 1
    await run(rolloutUndo, made)
    expect(server.writes).toHaveLength(1)
    const again = await plan(rolloutUndo, { ...at, revision: 2 })
    server.state.wish(loader(), (spec) => {
      spec.template.spec.containers[0]!.image = 'loader:3'
    })
    await expect(run(rolloutUndo, again)).rejects.toThrow('was changed by somebody else')
    expect(loader().spec.template.spec.containers[0]!.image).toBe('loader:3')
  })

  it.each([
    ['when there is no revision before', {}, 'is at revision 1, and the cluster keeps none before it. It keeps: none.'],
    ['for a revision that is not kept', { revision: 7 }, 'keeps no other of number 7'],
    ['for a deployment that is not listed', { deployment: 'billing' }, 'does not let the deployment "billing"'],
  ])('refuses %s', async (_, more, why) => {
    await expect(plan(rolloutUndo, { ...at, ...more })).rejects.toThrow(why)
  })
})

describe('the connection', () => {
  const good = { server: 'https://k8s.example.com:6443/', tokenFrom: 'T', namespaces: {} }
  it.each([
    ['a token over plain http', { server: 'http://k8s.example.com' }],
    ['credentials in the address', { server: 'https://a:b@k8s.example.com' }],
    ['a CA that is no certificate', { ca: 'hello' }],
    ['bounds the wrong way round', { namespaces: { a: { deployments: { b: { replicas: { min: 3, max: 2 } } } } } }],
    ['a namespace that is no name', { namespaces: { '../x': {} } }],
  ])('refuses %s', (_, more) => {
    expect(kubernetes.settings.safeParse(good).success).toBe(true)
    expect(kubernetes.settings.safeParse({ ...good, ...more }).success).toBe(false)
  })

  it('says which variable holds a token that the cluster does not take, and not the token', async () => {
    const wrong = createWorld({
      secrets: { T: 'canary-wrong-token' },
      connections: {
        cluster: {
          kind: 'kubernetes',
          settings: { server: server.url, tokenFrom: 'T', namespaces: { streaming: {} } },
        },
      },
    })
    const { read: work, params } = pods as ReadCommand
    const said = await work(params.parse(at), wrong.read()).catch((error: Error) => error.message)
    expect(said).toContain('401; check the token in T')
    expect(said).not.toContain('canary')
    await wrong.close()
  })
})
