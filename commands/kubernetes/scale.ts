import { z } from 'zod'
import { defineChange, Refused, type RunContext } from '../../src/domain/command.ts'
import { settled } from '../settle.ts'
import { isThere, type Made, madeOf, patchShown, untilReady } from './change.ts'
import { kubernetes, Name } from './connection.ts'
import {
  type Cluster,
  changeable,
  fingerprintOf,
  living,
  look,
  refuseBeside,
  rolloutOf,
  type Seen,
  targetOf,
  wishOf,
} from './deployment.ts'
import { beforeScale, isScaled, keepersOf, PAUSED_AT, pausedAt } from './keepers.ts'
import { patchScaledObject, type ShownObject, shownObject, stillShown } from './scaled-object.ts'

type Data = Readonly<{
  connection: string
  namespace: string
  name: string
  fingerprint: string
  /** What it has; null where an autoscaler sets it. */
  from: number | null
  to: number
  /** What an autoscaler may set it to afterwards; null where none does. */
  within: readonly [number, number] | null
  /** The ScaledObject of KEDA that is paused at the number, in place of a patch of the deployment. */
  keda: ShownObject | null
}>

/** Sets how many pods a deployment has, within its bounds, and waits until they are there and the others are gone. */
export const scale = defineChange({
  id: 'kubernetes.scale',
  summary: 'Set the number of pods of a deployment, and wait until they are ready or gone',
  effect: 'idempotent',
  risk: 'medium',
  runMinutes: 70,
  params: z.object({
    connection: z.string().describe('Kubernetes connection'),
    namespace: Name.describe('Namespace'),
    deployment: Name.describe('Deployment'),
    replicas: z.coerce.number().int().min(0).describe('Pods that it shall have'),
  }),
  async plan({ connection, namespace, deployment: name, replicas: to }, ctx) {
    const cluster: Cluster = await ctx.connect(kubernetes, connection)
    const place = { namespace, name }
    const where = `${namespace}/${name}`
    const bounds = changeable(cluster, place)
    if (!bounds) throw new Refused(`${where} has no bounds in "${connection}": it is not scaled.`)
    if (to < bounds.min || to > bounds.max)
      throw new Refused(`${where} may have ${bounds.min} to ${bounds.max} pods; ${to} were asked for.`)
    const seen = await look(cluster.client, place, ctx.signal)
    const keepers = await keepersOf(cluster, place, seen.deployment, ctx.signal)
    const isSet = isScaled(keepers)
    const from = isSet ? null : seen.deployment.spec.replicas
    // KEDA that is paused at whatever there is lets the deployment itself be scaled.
    const keda = keepers.keda && pausedAt(keepers.keda) !== 'here' ? shownObject(keepers.keda) : null
    const isHeld = keda === null || keda.paused === String(to)
    if (seen.deployment.spec.replicas === to && isHeld)
      throw new Refused(`${where} has ${to} pods already${keda ? ', and KEDA is paused there' : ''}. Nothing to do.`)
    const stuck = refuseBeside(place, seen, true)
    const kept = beforeScale(keepers, where, to)
    const { hpa } = keepers
    const stays = keda
      ? `KEDA (${keda.name}) stays paused at ${to} until kubernetes.resume-autoscaler hands the deployment back to it.`
      : hpa
        ? null
        : `The new number stays until somebody sets it back to ${from}.`
    const fingerprint = isSet || keda ? fingerprintOf(seen.deployment) : wishOf(seen.deployment)
    return {
      summary: isSet ? `Scale ${where} to ${to} pods` : `Scale ${where} from ${from} to ${to} pods`,
      targets: [
        targetOf(cluster, place, seen, keepers, {
          fingerprint: keda ? `${fingerprint} ${keda.uid} ${keda.paused}` : fingerprint,
          more: {
            Replicas: `${from ?? 'as its autoscaler sets them'} → ${to}`,
            Bounds: `${bounds.min} to ${bounds.max}`,
          },
        }),
      ],
      steps: [
        keda
          ? {
              id: 'scale',
              title: `Pause KEDA at ${to}, which scales to that`,
              detail: `PATCH scaledobjects/${keda.name} metadata.annotations ${PAUSED_AT}=${to}`,
            }
          : { id: 'scale', title: `Scale to ${to}`, detail: `PATCH deployments/${name}/scale spec.replicas=${to}` },
        {
          id: 'wait',
          title: to === 0 ? 'Wait until the last pod is gone' : 'Wait until all pods are ready',
          detail: `at most ${minutesOf(cluster, seen, true)} minutes`,
        },
      ],
      warnings: [...stuck, ...kept, ...(stays ? [stays] : [])],
      data: {
        connection,
        ...place,
        fingerprint,
        from,
        to,
        within:
          hpa && !keda && (to > 0 || hpa.spec.minReplicas === 0)
            ? ([hpa.spec.minReplicas, hpa.spec.maxReplicas] as const)
            : null,
        keda,
      } satisfies Data,
    }
  },
  async run({ data }, ctx: RunContext) {
    const cluster: Cluster = await ctx.connect(kubernetes, data.connection)
    const { client } = cluster
    const seen = await look(client, data, ctx.signal)
    const isShown = (now: Seen['deployment']) =>
      (data.from === null || data.keda ? fingerprintOf(now) : wishOf(now)) === data.fingerprint
    const changed = await ctx.step('scale', async (): Promise<Made> => {
      if (!data.keda)
        return patchShown(
          client,
          data,
          isShown,
          (now) => ({ metadata: { resourceVersion: now.metadata.resourceVersion }, spec: { replicas: data.to } }),
          true,
          ctx.signal,
        )
      const before = await look(client, data, ctx.signal)
      if (!isShown(before.deployment))
        throw new Refused(
          `${data.namespace}/${data.name} was changed by somebody else after this was shown. Ask again.`,
        )
      refuseBeside(data, before, true)
      await patchScaledObject(client, data.namespace, data.keda, { [PAUSED_AT]: String(data.to) }, ctx.signal)
      return madeOf(before)
    })
    await ctx.step('wait', async (): Promise<undefined> => {
      const made = changed ?? madeOf(await look(client, data, ctx.signal))
      const from = data.from ?? seen.deployment.spec.replicas
      const gone = data.to < from || data.to === 0
      const wish = {
        made,
        gone,
        minutes: minutesOf(cluster, seen, gone),
        isDelegated: data.keda !== null,
        ...(data.within === null && { replicas: data.to }),
      }
      await untilReady(cluster, data, wish, ctx, (now, note) =>
        gone
          ? ctx.progress(
              Math.min(from, Math.max(0, from - living(now.pods).length)),
              Math.max(1, from - data.to),
              note ?? 'pods gone',
            )
          : ctx.progress(now.deployment.status.availableReplicas, data.to, note ?? 'pods available'),
      )
    })
    const { replicas } = (await look(client, data, ctx.signal)).deployment.spec
    return `${data.namespace}/${data.name} has ${replicas} pods.`
  },
  async verify({ data }, ctx) {
    const { client } = await ctx.connect(kubernetes, data.connection)
    const [least, most] = data.within ?? [data.to, data.to]
    const gone = data.to === 0
    const isWanted = ({ deployment: { spec } }: Seen) => spec.replicas >= least && spec.replicas <= most
    const is = await settled(
      () => look(client, data, ctx.signal),
      (seen) => isThere(seen, gone) && isWanted(seen),
      ctx.signal,
    )
    const { replicas } = is.deployment.spec
    const by = data.within && replicas !== data.to ? `${replicas}, set by its autoscaler` : String(replicas)
    const checks = [
      { title: `${data.to} pods are asked for`, ok: isWanted(is), detail: by },
      {
        title: gone ? 'No pod is left' : 'All pods are ready',
        ok: isThere(is, gone),
        detail: gone ? `${living(is.pods).length} left` : rolloutOf(is).why,
      },
    ]
    if (!data.keda) return checks
    const held = await stillShown(client, data.namespace, data.keda, ctx.signal)
    return [
      ...checks,
      {
        title: `KEDA is paused at ${data.to}`,
        ok: held?.paused === String(data.to),
        detail: held?.paused ?? 'it is not paused',
      },
    ]
  },
  async probe({ data }, step, ctx) {
    const { client } = await ctx.connect(kubernetes, data.connection)
    const seen = await look(client, data, ctx.signal)
    const { replicas } = seen.deployment.spec
    const gone = data.to === 0
    const detail = `${data.name} wants ${replicas} pods; ${living(seen.pods).length} are there`
    const isWanted = data.within ? replicas >= data.within[0] && replicas <= data.within[1] : replicas === data.to
    // To wait changes nothing: it can be done again.
    if (step === 'wait') return { landed: isThere(seen, gone) && isWanted ? 'yes' : 'no', detail }
    if (data.keda) {
      const now = await stillShown(client, data.namespace, data.keda, ctx.signal)
      const says = `KEDA is ${now?.paused == null ? 'not paused' : `paused at ${now.paused}`}; ${detail}`
      if (now?.paused === String(data.to)) return { landed: 'yes', detail: says }
      return { landed: now && now.paused === data.keda.paused ? 'no' : 'cannot_tell', detail: says }
    }
    if (data.from === null)
      return {
        landed: replicas === data.to ? 'yes' : 'cannot_tell',
        detail: `${detail}; an autoscaler sets the number`,
      }
    if (wishOf(seen.deployment) === data.fingerprint) return { landed: 'no', detail }
    return { landed: replicas === data.to ? 'yes' : 'cannot_tell', detail }
  },
})

/** As long as the settings say; where pods must be gone, at least as long as they may take to end. */
function minutesOf({ settings }: Cluster, { deployment }: Seen, gone: boolean): number {
  const grace = deployment.spec.template.spec.terminationGracePeriodSeconds
  const least = gone && typeof grace === 'number' ? Math.min(60, Math.ceil(grace / 60) + 1) : 0
  return Math.max(settings.readyMinutes, least)
}
