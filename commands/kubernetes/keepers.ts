import { Refused } from '../../src/domain/command.ts'
import { Answered, type Kubernetes, type Place } from './client.ts'
import type { Settings } from './connection.ts'
import { Application, type Deployment, type Hpa, Reconciled, type ScaledObject } from './nouns.ts'
import { whyOf } from './stands.ts'

/** https://keda.sh/docs/2.16/concepts/scaling-deployments/#pausing-autoscaling: the first also says at which number. */
export const PAUSED_AT = 'autoscaling.keda.sh/paused-replicas'
export const PAUSED = 'autoscaling.keda.sh/paused'

/** Who else writes a deployment's wish, so that a change of it does not stay. */
export type Keepers = Readonly<{
  hpa: Hpa | null
  keda: ScaledObject | null
  /** `heals`: it puts back by itself what differs from git; null where that is not told. `setsReplicas` likewise. */
  owner: Readonly<{
    tool: string
    what: string
    heals: boolean | null
    setsReplicas: boolean | null
    off: string
  }> | null
  /** The release of Helm. */
  helm: string | null
  /** What could not be looked at, as warnings. */
  untold: readonly string[]
}>

type Looker = Readonly<{ client: Kubernetes; settings: Pick<Settings, 'argocd'> }>

/** Looks for autoscalers of a deployment, and for what keeps it as git or Helm has it. What may not be looked at is said. */
export async function keepersOf(
  { client, settings }: Looker,
  place: Place,
  deployment: Deployment,
  signal: AbortSignal,
): Promise<Keepers> {
  const untold: string[] = []
  const { namespace, name } = place
  /** `absent`: a 404 says that the cluster has no such kind, so that there is none. */
  async function seen<T>(what: string, look: () => Promise<T>, absent: T | null): Promise<T | null> {
    try {
      return await look()
    } catch (error) {
      if (signal.aborted || error instanceof Refused) throw error
      const status = error instanceof Answered ? error.status : null
      if (status === 404 && absent !== null) return absent
      untold.push(`${what} cannot be told: ${whyOf(error)}.`)
      return null
    }
  }
  const none = { items: [], whole: true }
  const hpas = await seen(
    'Whether a HorizontalPodAutoscaler sets its number',
    () => client.hpas(namespace, signal),
    null,
  )
  const objects = await seen('Whether KEDA sets its number', () => client.scaledObjects(namespace, signal), none)
  if ((hpas && !hpas.whole) || (objects && !objects.whole))
    untold.push('Whether an autoscaler sets its number cannot be told: there are more of them than are read.')
  const isMine = (ref: { kind?: string | null | undefined; name: string }) =>
    (ref.kind ?? 'Deployment') === 'Deployment' && ref.name === name
  const keda = objects?.items.find(({ spec }) => isMine(spec.scaleTargetRef)) ?? null
  const ofKeda = (hpa: Hpa) => (hpa.metadata.ownerReferences ?? []).some((owner) => owner.kind === 'ScaledObject')
  const hpa = hpas?.items.find((one) => isMine(one.spec.scaleTargetRef) && !ofKeda(one)) ?? null
  if (!keda && hpas?.items.some((one) => isMine(one.spec.scaleTargetRef) && ofKeda(one)) && objects)
    untold.push('An autoscaler of KEDA sets its number, but its ScaledObject was not found.')

  const { labels, annotations } = deployment.metadata
  const managers = (deployment.metadata.managedFields ?? []).filter((field) => !field.subresource)
  const setsReplicas = (who: RegExp): boolean | null => {
    const fields = managers.filter((field) => who.test(field.manager))
    if (fields.length === 0) return null
    return fields.some((field) => Object.hasOwn((field.fieldsV1?.['f:spec'] ?? {}) as object, 'f:replicas'))
  }
  const ofFlux = async (kind: 'kustomizations' | 'helmReleases', called: string, of: string) => {
    const at = { name: labels?.[`${of}/name`] ?? '', namespace: labels?.[`${of}/namespace`] ?? '' }
    const what = `${called} ${at.namespace}/${at.name}`
    const found = await seen(
      `Whether Flux (${what}) puts changes back`,
      () => client.get(kind, Reconciled, at, signal),
      null,
    )
    const isExempt = annotations?.['kustomize.toolkit.fluxcd.io/reconcile'] === 'disabled'
    const drifts = kind === 'helmReleases' && found !== null && found.spec.driftDetection?.mode !== 'enabled'
    const heals = isExempt || drifts ? false : found === null ? null : !found.spec.suspend
    const off = `suspend it first: flux suspend ${kind === 'kustomizations' ? 'kustomization' : 'helmrelease'} ${at.name} -n ${at.namespace}`
    return { tool: 'Flux', what, heals, setsReplicas: setsReplicas(/^(kustomize|helm)-controller/), off }
  }
  const tracked = annotations?.['argocd.argoproj.io/tracking-id']?.split(':', 1)[0]
  const isArgos = managers.some((field) => field.manager.startsWith('argocd'))
  const app =
    tracked ||
    labels?.['argocd.argoproj.io/instance'] ||
    annotations?.['argocd.argoproj.io/instance'] ||
    (isArgos ? (labels?.['app.kubernetes.io/instance'] ?? 'of unknown name') : '')
  let owner: Keepers['owner'] = null
  if (app) {
    // Applications of any namespace are tracked as `namespace_name`.
    const [inNamespace, own] = app.includes('_') ? app.split(/_(.*)/s) : [settings.argocd.namespace, app]
    const at = { namespace: inNamespace!, name: own! }
    const look = () => client.get('applications', Application, at, signal)
    const found = await seen(`Whether Argo CD (application ${own}) puts changes back`, look, null)
    const automated = found?.spec.syncPolicy?.automated
    owner = {
      tool: 'Argo CD',
      what: `application ${own}`,
      heals: found === null ? null : Boolean(automated?.selfHeal && automated.enabled !== false),
      setsReplicas: setsReplicas(/^argocd/),
      off: `turn its auto-sync off first: argocd app set ${own} --sync-policy none`,
    }
  } else if (labels?.['kustomize.toolkit.fluxcd.io/name'])
    owner = await ofFlux('kustomizations', 'Kustomization', 'kustomize.toolkit.fluxcd.io')
  else if (labels?.['helm.toolkit.fluxcd.io/name'])
    owner = await ofFlux('helmReleases', 'HelmRelease', 'helm.toolkit.fluxcd.io')
  const isHelms = labels?.['app.kubernetes.io/managed-by'] === 'Helm'
  const release =
    annotations?.['meta.helm.sh/release-name'] ?? (isHelms ? (labels?.['app.kubernetes.io/instance'] ?? name) : null)
  return { hpa, keda, owner, helm: owner ? null : release, untold }
}

/** At which number KEDA is paused; `here` where it is paused at whatever there is; null where it is not. */
export function pausedAt({ metadata: { annotations } }: ScaledObject): string | null {
  if (annotations?.[PAUSED_AT] !== undefined) return annotations[PAUSED_AT]
  const paused = annotations?.[PAUSED]
  return paused !== undefined && paused !== 'false' ? 'here' : null
}

/** What a plan shows of the autoscaler; empty if there is none. */
export function autoscalerOf({ hpa, keda }: Keepers): string {
  if (keda) {
    const at = pausedAt(keda)
    const { minReplicaCount: min, maxReplicaCount: max } = keda.spec
    return `KEDA ${keda.metadata.name}, ${min} to ${max} pods${at === null ? '' : `, paused${at === 'here' ? '' : ` at ${at}`}`}`
  }
  return hpa ? `HPA ${hpa.metadata.name}, ${hpa.spec.minReplicas} to ${hpa.spec.maxReplicas} pods` : ''
}

/** Whether something sets the number of its pods now. */
export const isScaled = ({ hpa, keda }: Keepers): boolean => (keda ? pausedAt(keda) === null : hpa !== null)

const ofHelm = (helm: string | null) =>
  helm === null ? [] : [`Helm (release ${helm}) does not know of this: its next upgrade sets it back.`]

/** What is to be said before its number is set to `to`. Refuses a number that would be put back at once. */
export function beforeScale(keepers: Keepers, where: string, to: number): string[] {
  const { hpa, keda, owner, helm, untold } = keepers
  const said = [...untold]
  // At 0 it rests, unless it may go down to 0 itself.
  const rests = hpa !== null && to === 0 && hpa.spec.minReplicas > 0
  if (!keda && hpa && !rests) {
    const { minReplicas: min, maxReplicas: max } = hpa.spec
    if (to < min || to > max)
      throw new Refused(
        `The autoscaler ${hpa.metadata.name} keeps ${where} between ${min} and ${max} pods, so ${to} would be undone within a minute. Change its minReplicas or maxReplicas, or scale to 0, which lets it rest.`,
      )
    said.push(
      `The autoscaler ${hpa.metadata.name} goes on: it sets another number between ${min} and ${max} when its metric says so.`,
    )
  }
  if (!keda && hpa && rests)
    said.push(`The autoscaler ${hpa.metadata.name} rests while there are 0 pods, and goes on at the next number above.`)
  if (!keda && owner && owner.setsReplicas !== false) {
    const who = `${owner.tool} (${owner.what})`
    if (owner.heals && owner.setsReplicas)
      throw new Refused(
        `${who} puts the number of ${where} back within minutes, as git has it. Change it there, or ${owner.off}.`,
      )
    said.push(
      owner.heals === false
        ? `${who} sets the number back at its next sync, if git names one.`
        : `${who} may put the number back within minutes, if git names one. If so, ${owner.off}.`,
    )
  }
  return [...said, ...(keda ? [] : ofHelm(helm))]
}

/** What is to be said before an earlier template is put back. Refuses where the newer one would be back at once. */
export function beforeUndo({ owner, helm, untold }: Keepers, where: string): string[] {
  const said = [...untold, ...ofHelm(helm)]
  if (!owner) return said
  const who = `${owner.tool} (${owner.what})`
  if (owner.heals)
    throw new Refused(
      `${who} puts the newer version of ${where} back within minutes, as git has it. Revert the commit there, or ${owner.off}.`,
    )
  return [
    ...said,
    owner.heals === false
      ? `${who} puts the newer version back at its next sync: revert the commit in git before.`
      : `${who} may put the newer version back within minutes: revert the commit in git, or ${owner.off}.`,
  ]
}
