import { z } from 'zod'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { settled } from '../settle.ts'
import { kubernetes, Name } from './connection.ts'
import { type Cluster, changeable, fingerprintOf, look, targetOf } from './deployment.ts'
import { keepersOf, PAUSED, PAUSED_AT } from './keepers.ts'
import { patchScaledObject, type ShownObject, shownObject, stillShown } from './scaled-object.ts'

type Data = Readonly<{ connection: string; namespace: string; name: string; keda: ShownObject }>

/** Takes the pause of KEDA away, so that it sets the number of pods again. */
export const resumeAutoscaler = defineChange({
  id: 'kubernetes.resume-autoscaler',
  summary: 'Let KEDA set the number of pods of a deployment again',
  effect: 'idempotent',
  risk: 'medium',
  params: z.object({
    connection: z.string().describe('Kubernetes connection'),
    namespace: Name.describe('Namespace'),
    deployment: Name.describe('Deployment'),
  }),
  async plan({ connection, namespace, deployment: name }, ctx) {
    const cluster: Cluster = await ctx.connect(kubernetes, connection)
    const place = { namespace, name }
    if (!changeable(cluster, place))
      throw new Refused(`${namespace}/${name} has no bounds in "${connection}": it is not scaled.`)
    const seen = await look(cluster.client, place, ctx.signal)
    const keepers = await keepersOf(cluster, place, seen.deployment, ctx.signal)
    if (!keepers.keda)
      throw new Refused(
        `No ScaledObject of KEDA is for ${namespace}/${name}. Nothing to do.${keepers.untold.map((one) => ` ${one}`).join('')}`,
      )
    const keda = shownObject(keepers.keda)
    if (keda.paused === null) throw new Refused(`KEDA (${keda.name}) is not paused. Nothing to do.`)
    const { minReplicaCount: min, maxReplicaCount: max } = keepers.keda.spec
    return {
      summary: `Let KEDA scale ${namespace}/${name} again`,
      targets: [
        targetOf(cluster, place, seen, keepers, {
          fingerprint: `${fingerprintOf(seen.deployment)} ${keda.uid} ${keda.paused}`,
        }),
      ],
      steps: [
        {
          id: 'resume',
          title: 'Take the pause away',
          detail: `PATCH scaledobjects/${keda.name} metadata.annotations without ${PAUSED_AT} and ${PAUSED}`,
        },
      ],
      warnings: [`KEDA decides from then on: ${min} to ${max} pods, at once if work waits.`],
      data: { connection, ...place, keda } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const { client } = await ctx.connect(kubernetes, data.connection)
    await ctx.step('resume', async (): Promise<undefined> => {
      await patchScaledObject(client, data.namespace, data.keda, { [PAUSED_AT]: null, [PAUSED]: null }, ctx.signal)
    })
    return `KEDA (${data.keda.name}) scales ${data.namespace}/${data.name} again.`
  },
  async verify({ data }, ctx) {
    const { client } = await ctx.connect(kubernetes, data.connection)
    const now = await settled(
      () => stillShown(client, data.namespace, data.keda, ctx.signal),
      (is) => is?.paused === null,
      ctx.signal,
    )
    return [
      {
        title: 'KEDA is not paused',
        ok: now?.paused === null,
        detail: now ? (now.paused === null ? '' : `paused at ${now.paused}`) : 'its ScaledObject is gone',
      },
    ]
  },
  async probe({ data }, _step, ctx) {
    const { client } = await ctx.connect(kubernetes, data.connection)
    const now = await stillShown(client, data.namespace, data.keda, ctx.signal)
    if (!now) return { landed: 'cannot_tell', detail: `The ScaledObject ${data.keda.name} is gone, or is another one.` }
    if (now.paused === null) return { landed: 'yes', detail: 'KEDA is not paused.' }
    return {
      landed: now.paused === data.keda.paused ? 'no' : 'cannot_tell',
      detail: `KEDA is paused at ${now.paused}.`,
    }
  },
})
