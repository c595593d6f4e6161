import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { createKubernetes } from '../../../commands/kubernetes/client.ts'
import { kubernetes } from '../../../commands/kubernetes/connection.ts'
import { eksToken } from '../../../commands/kubernetes/eks.ts'
import { events } from '../../../commands/kubernetes/events.ts'
import { pods } from '../../../commands/kubernetes/pods.ts'
import { revisions } from '../../../commands/kubernetes/revisions.ts'
import { rolloutRestart } from '../../../commands/kubernetes/rollout-restart.ts'
import { scale } from '../../../commands/kubernetes/scale.ts'
import { fileToken, fixedToken } from '../../../commands/kubernetes/tokens.ts'
import { Refused } from '../../../src/domain/command.ts'
import { startService } from '../http/server.ts'
import { LOADER, type Opened, openCluster } from './opened.ts'

let it_: Opened
beforeEach(async () => {
  it_ = await openCluster()
})
afterEach(() => it_.close())
const show = (params = {}) => it_.read(pods, { ...LOADER, ...params })

describe('a look at a cluster', () => {
  it.each([
    ['has too much to do', () => Object.assign(it_.server.behave.throttle, { left: 2, seconds: 0 })],
    ['restarts behind a proxy', () => Object.assign(it_.server.behave, { restarting: 3 })],
    ['drops the connection', () => Object.assign(it_.server.behave, { deaf: 2 })],
  ])('outlives one that %s', async (_, mishap) => {
    mishap()
    expect((await show({ deployments: 'loader' })).summary).toContain('0 of 2 pods')
  })

  it('says so in a sentence when it stays so, and no web page', async () => {
    it_.server.behave.restarting = 99
    const said = await show().catch((error: Error) => error.message)
    expect(said).toBe('kubernetes: GET pods of streaming was answered with 503: a web page, of a proxy in between')
    it_.server.behave.restarting = 0
    Object.assign(it_.server.behave.throttle, { left: 1, seconds: 600 })
    await expect(show()).rejects.toThrow('was answered with 429: the server has received too many requests')
  })

  it('reads a list from its beginning when the place in it is forgotten, and never counts twice', async () => {
    await it_.server.state.deploy('streaming', 'many', 'many:1', 300)
    it_.server.behave.expire = true
    expect((await show()).summary).toBe('0 of 302 pods in streaming (production) are not well.')
  })

  it('does not take a list that is longer than is read for the whole', async () => {
    const [one] = it_.pods()
    const { objects } = it_.server.state
    for (let i = 0; i < 2_100; i++)
      objects.pods.push({ ...one!, metadata: { ...one!.metadata, name: `p${i}`, uid: `p${i}` } })
    expect((await show()).summary).toContain('There are more pods than are read.')
    await expect(it_.plan(scale, { replicas: 4 })).rejects.toThrow('has more pods or revisions than are read')
  })

  it('takes null for what is not there, and says what is missing where it needs it', async () => {
    const [one] = it_.pods()
    Object.assign(one!.status, { containerStatuses: null, reason: null })
    Object.assign(it_.loader(), { status: null })
    expect((await show({ deployments: 'loader' })).summary).toContain('1 of 2 pods')
    Object.assign(it_.loader().spec, { template: null })
    await expect(show({ deployments: 'loader' })).rejects.toThrow(/"spec.template" is missing or of another form/)
  })
})

describe('a change', () => {
  it('is sent again after a 429, which says that it was not done, and its wait outlives a server that restarts', async () => {
    const made = await it_.plan(scale, { replicas: 4 })
    const { behave } = it_.server
    let looks = 0
    behave.looked = (kind) => {
      if (kind !== 'pods') return
      looks += 1
      if (looks === 1) Object.assign(behave.throttle, { left: 1, seconds: 0 })
      // Of the first look of the wait, all tries and one more.
      if (looks === 3) Object.assign(behave, { restarting: 6, restartingAt: /deployments\/loader$/ })
    }
    const { ended, recording } = it_.run(scale, made)
    await ended
    expect(it_.server.writes).toHaveLength(1)
    expect(recording.progress.map((one) => one.note)).toContain('the cluster does not answer now; waiting goes on')
  })

  it('was not sent when nothing listens', async () => {
    const left = await startService(() => {})
    await left.stop()
    const gone = createKubernetes({ server: left.origin }, fixedToken('t', 'T'))
    const place = { namespace: 'streaming', name: 'loader' }
    const sent = gone.patch('deployments', place, {}, true, new AbortController().signal)
    await expect(sent).rejects.toThrow(/^Nothing was sent by PATCH deployments streaming\/loader: /)
    await expect(sent).rejects.toBeInstanceOf(Refused)
    await gone.close()
  })
})

describe('a token that is written anew', () => {
  it('is read again when the old one is not taken any more, in a look, in a change and in its wait', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'keyturn-token-'))
    const path = join(folder, 'token')
    await writeFile(path, 'first\n')
    const other = await openCluster({ server: it_.server.url, tokenFrom: undefined, tokenFile: path })
    const { tokens } = it_.server.behave
    const rotate = async (next: string) => {
      await writeFile(path, `${next}\n`)
      tokens.clear()
      tokens.add(next)
    }
    tokens.add('first')
    expect((await other.read(pods, LOADER)).summary).toContain('0 of 2 pods')
    await rotate('second')
    const made = await other.plan(rolloutRestart, { deployments: 'loader' })
    await rotate('third')
    let looks = 0
    it_.server.behave.looked = (kind) => {
      if (kind === 'pods' && ++looks === 2) void rotate('fourth')
    }
    await other.run(rolloutRestart, made).ended
    tokens.clear()
    const said = await other.read(pods, LOADER).catch((error: Error) => error.message)
    expect(said).toContain(`401; check the token in the file ${path}`)
    expect(said).not.toContain('fourth')
    await other.close()
    await rm(folder, { recursive: true })
  })

  it('is kept for a minute, and a file that is not there is a sentence', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'keyturn-token-'))
    const path = join(folder, 'token')
    let now = 0
    const tokens = fileToken(path, () => now)
    await expect(tokens.current()).rejects.toThrow(`There is no token of Kubernetes in ${path} on the worker.`)
    await writeFile(path, 'a')
    expect(await tokens.current()).toBe('a')
    await writeFile(path, 'b')
    now = 59_000
    expect(await tokens.current()).toBe('a')
    now = 61_000
    expect(await tokens.current()).toBe('b')
    await rm(folder, { recursive: true })
  })

  it('is for EKS the signed URL of an STS GetCallerIdentity that names the cluster', async () => {
    const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'canary-secret-key', sessionToken: 'session' }
    const token = await eksToken(
      { cluster: 'prod', region: 'eu-west-1' },
      credentials,
      new Date('2026-03-14T02:00:00Z'),
    )
    expect(token).toMatch(/^k8s-aws-v1\.[\w-]+$/)
    const url = new URL(Buffer.from(token.slice('k8s-aws-v1.'.length), 'base64url').toString())
    expect(url.origin + url.pathname).toBe('https://sts.eu-west-1.amazonaws.com/')
    expect(Object.fromEntries(url.searchParams)).toEqual({
      Action: 'GetCallerIdentity',
      Version: '2011-06-15',
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Credential': 'AKIDEXAMPLE/20260314/eu-west-1/sts/aws4_request',
      'X-Amz-Date': '20260314T020000Z',
      'X-Amz-Expires': '60',
      'X-Amz-Security-Token': 'session',
      'X-Amz-Signature': expect.stringMatching(/^[0-9a-f]{64}$/),
      'X-Amz-SignedHeaders': 'host;x-k8s-aws-id',
    })
    expect(token).not.toContain('canary')
  })

  it('comes from one place only', () => {
    const parsed = (more: object) => kubernetes.settings.safeParse({ namespaces: {}, ...more })
    const server = 'https://k8s.example.com'
    expect(parsed({ inCluster: true }).data).toMatchObject({
      server: 'https://kubernetes.default.svc',
      tokenFile: '/var/run/secrets/kubernetes.io/serviceaccount/token',
      caFile: '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt',
    })
    expect(parsed({ server, eks: { cluster: 'prod', region: 'eu-west-1' } }).success).toBe(true)
    expect(parsed({ server, gke: true }).success).toBe(true)
    expect(parsed({ server }).error?.issues[0]?.message).toContain('there is none')
    expect(parsed({ server, tokenFrom: 'T', gke: true }).error?.issues[0]?.message).toContain('tokenFrom and gke')
    expect(parsed({ tokenFrom: 'T' }).error?.issues[0]?.message).toBe('name the API server')
  })
})

describe('what a person looks at', () => {
  const event = (kind: string, name: string, more: object) =>
    it_.server.state.add('events', 'streaming', `${name}.${Math.random()}`, {
      type: 'Warning',
      involvedObject: { kind, name },
      ...more,
    })

  it('is what the cluster noted of a deployment, warnings first, also of pods that are gone', async () => {
    const set = it_.server.state.objects.replicasets[0]!.metadata.name
    event('Pod', `${set}-gone1`, {
      reason: 'BackOff',
      message: 'Back-off restarting failed container',
      count: 12,
      lastTimestamp: '2026-03-14T02:01:00Z',
    })
    event('Pod', it_.pods()[0]!.metadata.name, {
      reason: 'Unhealthy',
      message: 'Liveness probe failed: HTTP 500',
      series: { count: 3, lastObservedTime: '2026-03-14T02:03:00.000000Z' },
      count: null,
      lastTimestamp: null,
    })
    event('Deployment', 'loader', {
      type: 'Normal',
      reason: 'ScalingReplicaSet',
      message: 'Scaled up',
      eventTime: '2026-03-14T02:05:00Z',
    })
    event('Pod', 'other-1', { reason: 'FailedScheduling', message: 'no nodes' })
    const { summary, blocks } = await it_.read(events, LOADER)
    expect(summary).toBe('2 warnings among 3 events of streaming/loader.')
    expect(blocks[0]).toMatchObject({
      rows: [
        [
          expect.stringMatching(/^2026-03-14T02:03/),
          '3',
          '⚠ Unhealthy',
          expect.stringMatching(/^Pod loader-/),
          'Liveness probe failed: HTTP 500',
        ],
        [
          expect.stringMatching(/^2026-03-14T02:01/),
          '12',
          '⚠ BackOff',
          `Pod ${set}-gone1`,
          'Back-off restarting failed container',
        ],
        [expect.stringMatching(/^2026-03-14T02:05/), '1', 'ScalingReplicaSet', 'Deployment loader', 'Scaled up'],
      ],
    })
    expect((await it_.read(events, { ...LOADER, deployment: '' })).summary).toBe(
      '3 warnings among 4 events of streaming.',
    )
    await expect(it_.read(events, { ...LOADER, namespace: 'payments' })).rejects.toThrow('does not list the namespace')
  })

  it('is which revisions there are, and what each changed by name alone', async () => {
    it_.server.state.wish(it_.loader(), (spec) => {
      spec.template = structuredClone(spec.template)
      Object.assign(spec.template.spec.containers[0]!, {
        image: 'loader:2',
        env: [{ name: 'PASSWORD', value: 'canary' }],
      })
    })
    await it_.server.state.quiet()
    const { summary, blocks } = await it_.read(revisions, LOADER)
    expect(summary).toMatch(
      /^streaming\/loader is at revision 2, whose pods were first made at 2026-\S+; 2 are kept\. It was last written by kubectl-edit at /,
    )
    expect(blocks[0]).toMatchObject({
      rows: [
        ['2 (now)', expect.any(String), 'loader:2', 'spec.containers.0.env.0, spec.containers.0.image', ''],
        ['1', expect.any(String), 'loader:1', '', ''],
      ],
    })
    expect(JSON.stringify(blocks)).not.toContain('canary')
  })

  it.each([
    [
      { waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "x:9"' } },
      {},
      'ImagePullBackOff: the image or its tag is not there, or the pull secret is wrong (Back-off pulling image "x:9").',
    ],
    [
      { waiting: { reason: 'CreateContainerConfigError', message: 'secret "db" not found' } },
      {},
      'a ConfigMap, a Secret or a key of one is missing (secret "db" not found).',
    ],
    [
      { waiting: { reason: 'CrashLoopBackOff' } },
      { terminated: { reason: 'OOMKilled', exitCode: 137 } },
      'OOMKilled: it took more memory than its limit.',
    ],
    [
      { waiting: { reason: 'CrashLoopBackOff' } },
      { terminated: { reason: 'Error', exitCode: 137 } },
      'exit code 137: killed from outside, by a probe that failed',
    ],
    [
      { waiting: { reason: 'SomethingNew' } },
      { terminated: { reason: 'Error', exitCode: 127 } },
      'exit code 127: its command is not in the image.',
    ],
  ])('is what %j and %j stand for', async (state, lastState, says) => {
    Object.assign(it_.pods()[0]!.status.containerStatuses[0]!, { ready: false, state, lastState })
    const { summary, blocks } = await show({ deployments: 'loader' })
    expect(summary).toContain(says)
    expect(JSON.stringify(blocks)).toContain((state as { waiting: { reason: string } }).waiting.reason)
  })
})
