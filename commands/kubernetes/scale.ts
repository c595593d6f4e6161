import { z } from 'zod'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { settled } from '../settle.ts'
import { isThere, patchShown, untilReady } from './change.ts'
import { kubernetes, Name } from './connection.ts'
import { type Cluster, changeable, fingerprintOf, look, refuseBeside, rolloutOf, targetOf } from './deployment.ts'

type Data = Readonly<{
  connection: string
  namespace: string
  name: string
  fingerprint: string
  from: number
  to: number
}>

/** Sets how many pods a deployment has, within its bounds, and waits until they are there and the others are gone. */
export const scale = defineChange({
  id: 'kubernetes.scale',
  summary: 'Set the number of pods of a deployment, and wait until they are ready or gone',
  effect: 'idempotent',
  risk: 'medium',
  params: z.object({
    connection: z.string().describe('Kubernetes connection'),
    namespace: Name.describe('Namespace'),
    deployment: Name.describe('Deployment'),
    replicas: z.coerce.number().int().min(0).describe('Pods that it shall have'),
  }),
  async plan({ connection, namespace, deployment: name, replicas: to }, ctx) {
    const cluster: Cluster = await ctx.connect(kubernetes, connection)
    const place = { namespace, name }
    const bounds = changeable(cluster, place)
    if (!bounds) throw new Refused(`${namespace}/${name} has no bounds in "${connection}": it is not scaled.`)
    if (to < bounds.min || to > bounds.max)
      throw new Refused(`${namespace}/${name} may have ${bounds.min} to ${bounds.max} pods; ${to} were asked for.`)
    const seen = await look(cluster.client, place, ctx.signal)
    const from = seen.deployment.spec.replicas
    if (from === to) throw new Refused(`${namespace}/${name} has ${to} pods already. Nothing to do.`)
    const stuck = refuseBeside(place, seen, true)
    return {
      summary: `Scale ${namespace}/${name} from ${from} to ${to} pods`,
      targets: [
        targetOf(cluster, place, seen, { Replicas: `${from} → ${to}`, Bounds: `${bounds.min} to ${bounds.max}` }),
      ],
      steps: [
        { id: 'scale', title: `Scale to ${to}`, detail: `PATCH deployments/${name}/scale spec.replicas=${to}` },
        {
          id: 'wait',
          title: to === 0 ? 'Wait until the last pod is gone' : 'Wait until all pods are ready',
          detail: `at most ${cluster.settings.readyMinutes} minutes`,
        },
      ],
      warnings: [...stuck, `The new number stays until somebody sets it back to ${from}.`],
      data: {
        connection,
        ...place,
        fingerprint: fingerprintOf(seen.deployment),
        from,
        to,
      } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const cluster: Cluster = await ctx.connect(kubernetes, data.connection)
    const changed = await ctx.step('scale', () =>
      patchShown(
        cluster.client,
        data,
        data.fingerprint,
        (now) => ({ metadata: { resourceVersion: now.metadata.resourceVersion }, spec: { replicas: data.to } }),
        true,
        ctx.signal,
      ),
    )
    await ctx.step('wait', async (): Promise<undefined> => {
      const generation =
        changed?.generation ?? (await look(cluster.client, data, ctx.signal)).deployment.metadata.generation
      await untilReady(cluster, data, generation, ctx, (seen) =>
        data.to >= data.from
          ? ctx.progress(seen.deployment.status.availableReplicas, data.to, 'pods available')
          : ctx.progress(Math.max(0, data.from - seen.pods.length), data.from - data.to, 'pods gone'),
      )
    })
    return `${data.namespace}/${data.name} has ${data.to} pods.`
  },
  async verify({ data }, ctx) {
    const { client } = await ctx.connect(kubernetes, data.connection)
    const is = await settled(() => look(client, data, ctx.signal), isThere, ctx.signal)
    const { replicas } = is.deployment.spec
    return [
      { title: `${data.to} pods are asked for`, ok: replicas === data.to, detail: String(replicas) },
      {
        title: data.to === 0 ? 'No pod is left' : 'All pods are ready',
        ok: isThere(is),
        detail: data.to === 0 ? `${is.pods.length} left` : rolloutOf(is).why,
      },
    ]
  },
  async probe({ data }, step, ctx) {
    const { client } = await ctx.connect(kubernetes, data.connection)
    const seen = await look(client, data, ctx.signal)
    const { replicas } = seen.deployment.spec
    const detail = `${data.name} wants ${replicas} pods; ${seen.pods.length} are there`
    // To wait changes nothing: it can be done again.
    if (step === 'wait') return { landed: isThere(seen) && replicas === data.to ? 'yes' : 'no', detail }
    if (fingerprintOf(seen.deployment) === data.fingerprint) return { landed: 'no', detail }
    return { landed: replicas === data.to ? 'yes' : 'cannot_tell', detail }
  },
})
