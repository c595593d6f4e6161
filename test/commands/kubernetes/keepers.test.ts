import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { resumeAutoscaler } from '../../../commands/kubernetes/resume-autoscaler.ts'
import { rolloutRestart } from '../../../commands/kubernetes/rollout-restart.ts'
import { rolloutUndo } from '../../../commands/kubernetes/rollout-undo.ts'
import { scale } from '../../../commands/kubernetes/scale.ts'
import { Refused } from '../../../src/domain/command.ts'
import { type Opened, openCluster } from './opened.ts'

let it_: Opened
beforeEach(async () => {
  it_ = await openCluster()
})
afterEach(() => it_.close())

const PAUSED_AT = 'autoscaling.keda.sh/paused-replicas'
const ref = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'loader' }
const hpa = (minReplicas = 2, maxReplicas = 10, more = {}) =>
  it_.server.state.add(
    'horizontalpodautoscalers',
    'streaming',
    'loader-hpa',
    { spec: { minReplicas, maxReplicas, scaleTargetRef: ref } },
    more,
  )
const keda = (annotations: Record<string, string> = {}) => {
  const made = it_.server.state.add(
    'scaledobjects',
    'streaming',
    'loader-so',
    { spec: { scaleTargetRef: { name: 'loader' }, maxReplicaCount: 20 } },
    { annotations },
  )
  // KEDA's own HPA is of the ScaledObject, and no second autoscaler.
  const owner = {
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'ScaledObject',
    name: 'loader-so',
    uid: made.metadata.uid,
    controller: true,
  }
  hpa(1, 20, { name: 'keda-hpa-loader-so', ownerReferences: [owner] })
  return made
}
const broken = async () => {
  it_.server.state.wish(it_.loader(), (spec) => {
    spec.template = structuredClone(spec.template)
    spec.template.spec.containers[0]!.image = 'loader:bad'
  })
  await it_.server.state.quiet()
}

describe('a deployment that an HPA scales', () => {
  it('is not scaled beyond what that keeps it between', async () => {
    hpa(2, 6)
    for (const replicas of [1, 7])
      await expect(it_.plan(scale, { replicas })).rejects.toThrow(
        `The autoscaler loader-hpa keeps streaming/loader between 2 and 6 pods, so ${replicas} would be undone within a minute. Change its minReplicas or maxReplicas, or scale to 0, which lets it rest.`,
      )
  })

  it('is scaled between them with a warning, and it helped also when the autoscaler sets another number', async () => {
    hpa(2, 6)
    it_.server.state.demand.set('loader-hpa', 3)
    const made = await it_.plan(scale, { replicas: 4 })
    expect(made.warnings).toEqual([
      'The autoscaler loader-hpa goes on: it sets another number between 2 and 6 when its metric says so.',
    ])
    expect(made.targets[0]!.details).toMatchObject({ Autoscaler: 'HPA loader-hpa, 2 to 6 pods' })
    expect(await it_.run(scale, made).ended).toBe('streaming/loader has 3 pods.')
    expect(await it_.verified(scale, made)).toEqual([
      '✓ 4 pods are asked for: 3, set by its autoscaler',
      '✓ All pods are ready: 3 of 3 pods are available',
    ])
  })

  it('is scaled to 0, where its autoscaler rests', async () => {
    hpa(2, 6)
    const made = await it_.plan(scale, { replicas: 0 })
    expect(made.warnings).toEqual([
      'The autoscaler loader-hpa rests while there are 0 pods, and goes on at the next number above.',
    ])
    await it_.run(scale, made).ended
    expect(it_.pods()).toEqual([])
  })

  it('keeps its approval, and its run, when the autoscaler sets another number before and during a restart', async () => {
    hpa(2, 6)
    const made = await it_.plan(rolloutRestart, { deployments: 'loader' })
    const { state } = it_.server
    const set = (replicas: number) =>
      state.wish(it_.loader(), (spec) => Object.assign(spec, { replicas }), 'kube-controller-manager')
    state.demand.set('loader-hpa', 4)
    set(4)
    await state.quiet()
    expect(await it_.plan(rolloutRestart, { deployments: 'loader' })).toEqual(made)
    let stirred = false
    it_.server.behave.looked = (kind) => {
      if (kind !== 'deployments' || it_.server.writes.length === 0 || stirred) return
      stirred = true
      state.demand.set('loader-hpa', 5)
      set(5)
    }
    await it_.run(rolloutRestart, made).ended
    expect(stirred).toBe(true)
    expect(it_.pods()).toHaveLength(5)
    expect(await it_.landed(rolloutRestart, made)).toEqual(['yes', 'yes'])
  })

  it('is changed by somebody else when its template is, and says who that was', async () => {
    hpa(2, 6)
    const made = await it_.plan(rolloutRestart, { deployments: 'loader' })
    it_.server.state.wish(
      it_.loader(),
      (spec) => {
        spec.template = structuredClone(spec.template)
        spec.template.spec.containers[0]!.image = 'loader:2'
      },
      'argocd-controller',
    )
    await expect(it_.run(rolloutRestart, made).ended).rejects.toThrow(
      'streaming/loader was changed by somebody else (argocd-controller at 2026-03-14T02:05:00Z) after this was shown.',
    )
  })

  it('is not taken for ready at a number that somebody else has set', async () => {
    const made = await it_.plan(scale, { replicas: 4 })
    const { state } = it_.server
    it_.server.behave.looked = (kind) => {
      if (kind === 'pods' && it_.server.writes.length > 0)
        state.wish(it_.loader(), (spec) => Object.assign(spec, { replicas: 3 }), 'kubectl-scale')
    }
    await expect(it_.run(scale, made).ended).rejects.toThrow(
      'streaming/loader was scaled to 3 by somebody else (kubectl-scale at 2026-03-14T02:05:00Z) meanwhile',
    )
  })
})

describe('a deployment that KEDA scales', () => {
  it('is scaled to 0 by pausing KEDA there, so that no message brings it back, and handed back afterwards', async () => {
    const object = keda()
    it_.server.state.demand.set('loader-so', 2)
    const made = await it_.plan(scale, { replicas: 0 })
    expect(made.steps[0]).toEqual({
      id: 'scale',
      title: 'Pause KEDA at 0, which scales to that',
      detail: `PATCH scaledobjects/loader-so metadata.annotations ${PAUSED_AT}=0`,
    })
    expect(made.warnings).toEqual([
      'KEDA (loader-so) stays paused at 0 until kubernetes.resume-autoscaler hands the deployment back to it.',
    ])
    expect(made.targets[0]!.details.Autoscaler).toBe('KEDA loader-so, 0 to 20 pods')
    expect(await it_.landed(scale, made)).toEqual(['no', 'no'])
    it_.server.behave.stir = 2
    expect(await it_.run(scale, made).ended).toBe('streaming/loader has 0 pods.')
    expect(it_.server.writes.map(({ path }) => path)).toEqual([
      '/apis/keda.sh/v1alpha1/namespaces/streaming/scaledobjects/loader-so',
    ])
    it_.server.state.demand.set('loader-so', 7)
    await it_.server.state.settle()
    expect(it_.pods()).toEqual([])
    expect(await it_.verified(scale, made)).toEqual([
      '✓ 0 pods are asked for: 0',
      '✓ No pod is left: 0 left',
      '✓ KEDA is paused at 0: 0',
    ])
    expect(await it_.landed(scale, made)).toEqual(['yes', 'yes'])
    await expect(it_.plan(scale, { replicas: 0 })).rejects.toThrow('has 0 pods already, and KEDA is paused there')

    const back = await it_.plan(resumeAutoscaler)
    expect(back.warnings).toEqual(['KEDA decides from then on: 0 to 20 pods, at once if work waits.'])
    expect(await it_.landed(resumeAutoscaler, back)).toEqual(['no'])
    await it_.run(resumeAutoscaler, back).ended
    await it_.server.state.quiet()
    expect(object.metadata.annotations).toEqual({})
    expect(it_.pods()).toHaveLength(7)
    expect(await it_.verified(resumeAutoscaler, back)).toEqual(['✓ KEDA is not paused: '])
    expect(await it_.landed(resumeAutoscaler, back)).toEqual(['yes'])
    await expect(it_.plan(resumeAutoscaler)).rejects.toThrow('KEDA (loader-so) is not paused. Nothing to do.')
  })

  it('is paused also where it has the number by chance, and is not where somebody has paused it elsewhere meanwhile', async () => {
    const object = keda()
    const made = await it_.plan(scale, { replicas: 2 })
    object.metadata.annotations = { [PAUSED_AT]: '5' }
    await expect(it_.run(scale, made).ended).rejects.toThrow('The ScaledObject loader-so was changed by somebody else')
    expect(it_.server.writes).toEqual([])
    expect(await it_.landed(scale, made)).toEqual(['cannot_tell', 'yes'])
  })

  it('knows after a lost answer that it has paused it', async () => {
    keda()
    const made = await it_.plan(scale, { replicas: 0 })
    it_.server.behave.lose = true
    await expect(it_.run(scale, made).ended).rejects.toThrow('got no complete answer')
    expect((await it_.landed(scale, made))[0]).toBe('yes')
    expect(it_.server.writes).toHaveLength(1)
  })

  it('is scaled itself where KEDA is paused at whatever there is', async () => {
    keda({ 'autoscaling.keda.sh/paused': 'true' })
    const made = await it_.plan(scale, { replicas: 4 })
    expect(made.steps[0]!.detail).toBe('PATCH deployments/loader/scale spec.replicas=4')
    await it_.run(scale, made).ended
    expect(it_.pods()).toHaveLength(4)
  })

  it('does not come to an end while KEDA is not there to act, and says so', async () => {
    keda()
    const slow = await openCluster({ readyMinutes: 0.01, server: it_.server.url })
    const made = await slow.plan(scale, { replicas: 4 })
    it_.server.state.held = true
    await expect(slow.run(scale, made).ended).rejects.toThrow(
      'it still wants 2 pods: its autoscaler has not taken 4 over',
    )
    await slow.close()
  })
})

describe('a deployment that Argo CD, Flux or Helm has made', () => {
  const argo = (
    syncPolicy: unknown,
    tracking: Record<string, string> = { 'argocd.argoproj.io/tracking-id': 'shop:apps/Deployment:streaming/loader' },
  ) => {
    it_.server.state.add('applications', 'argocd', 'shop', { spec: { syncPolicy } })
    Object.assign(it_.loader().metadata.annotations, tracking)
  }
  const sets = (manager: string, spec: object) =>
    Object.assign(it_.loader().metadata, {
      managedFields: [{ manager, operation: 'Update', time: '2026-03-01T00:00:00Z', fieldsV1: { 'f:spec': spec } }],
    })

  it('is not taken back beside self-heal, which would put the newer version back', async () => {
    argo({ automated: { selfHeal: true } })
    await broken()
    await expect(it_.plan(rolloutUndo)).rejects.toThrow(
      new Refused(
        'Argo CD (application shop) puts the newer version of streaming/loader back within minutes, as git has it. Revert the commit there, or turn its auto-sync off first: argocd app set shop --sync-policy none.',
      ),
    )
  })

  it.each([
    [
      'manual sync',
      null,
      'Argo CD (application shop) puts the newer version back at its next sync: revert the commit in git before.',
    ],
    [
      'auto-sync without self-heal',
      { automated: {} },
      'Argo CD (application shop) puts the newer version back at its next sync',
    ],
    ['auto-sync switched off', { automated: { selfHeal: true, enabled: false } }, 'at its next sync'],
  ])('is taken back with a warning beside %s', async (_, policy, says) => {
    argo(policy)
    await broken()
    const made = await it_.plan(rolloutUndo)
    expect(made.warnings.join('\n')).toContain(says)
    expect(made.warnings.join('\n')).not.toContain('The next deploy')
  })

  it('is taken back with a warning where it cannot be told, and a restart needs none', async () => {
    argo({ automated: { selfHeal: true } })
    await broken()
    it_.server.behave.denied.add('applications')
    const { warnings } = await it_.plan(rolloutUndo)
    expect(warnings).toContain(
      'Whether Argo CD (application shop) puts changes back cannot be told: the cluster answered 403, so the token has no right to look.',
    )
    expect(warnings.join('\n')).toContain('may put the newer version back within minutes')
  })

  it('is scaled unless git names the number and self-heal is on', async () => {
    argo({ automated: { selfHeal: true } }, {})
    Object.assign(it_.loader().metadata.labels, { 'app.kubernetes.io/instance': 'shop' })
    sets('argocd-controller', { 'f:replicas': {}, 'f:template': {} })
    await expect(it_.plan(scale, { replicas: 4 })).rejects.toThrow(
      'Argo CD (application shop) puts the number of streaming/loader back within minutes, as git has it. Change it there, or turn its auto-sync off first',
    )
    sets('argocd-controller', { 'f:template': {} })
    expect((await it_.plan(scale, { replicas: 4 })).warnings).toEqual([
      'The new number stays until somebody sets it back to 2.',
    ])
  })

  it('is left to Flux unless that is suspended', async () => {
    const flux = it_.server.state.add('kustomizations', 'flux-system', 'apps', { spec: { suspend: false } })
    Object.assign(it_.loader().metadata.labels, {
      'kustomize.toolkit.fluxcd.io/name': 'apps',
      'kustomize.toolkit.fluxcd.io/namespace': 'flux-system',
    })
    await broken()
    await expect(it_.plan(rolloutUndo)).rejects.toThrow(
      'Flux (Kustomization flux-system/apps) puts the newer version of streaming/loader back within minutes, as git has it. Revert the commit there, or suspend it first: flux suspend kustomization apps -n flux-system.',
    )
    Object.assign(flux, { spec: { suspend: true } })
    expect((await it_.plan(rolloutUndo)).warnings.join()).toContain('at its next sync')
  })

  it('is changed with a warning where Helm has made it', async () => {
    Object.assign(it_.loader().metadata.annotations, { 'meta.helm.sh/release-name': 'loader-release' })
    expect((await it_.plan(scale, { replicas: 4 })).warnings[0]).toBe(
      'Helm (release loader-release) does not know of this: its next upgrade sets it back.',
    )
  })
})

describe('what may not be looked at', () => {
  it('is said, and stops nothing', async () => {
    for (const kind of ['horizontalpodautoscalers', 'scaledobjects']) it_.server.behave.denied.add(kind)
    const made = await it_.plan(scale, { replicas: 4 })
    expect(made.warnings).toEqual([
      'Whether a HorizontalPodAutoscaler sets its number cannot be told: the cluster answered 403, so the token has no right to look.',
      'Whether KEDA sets its number cannot be told: the cluster answered 403, so the token has no right to look.',
      'The new number stays until somebody sets it back to 2.',
    ])
    await it_.run(scale, made).ended
    expect(it_.pods()).toHaveLength(4)
  })

  it('is not there: a cluster without KEDA has no ScaledObjects', async () => {
    it_.server.behave.missing.add('scaledobjects')
    expect((await it_.plan(scale, { replicas: 4 })).warnings).toEqual([
      'The new number stays until somebody sets it back to 2.',
    ])
    await expect(it_.plan(resumeAutoscaler)).rejects.toThrow('No ScaledObject of KEDA is for streaming/loader')
  })
})
