import { z } from 'zod'
import { type ChangeCommand, defineChange, Refused } from '../../src/domain/command.ts'
import { settled } from '../settle.ts'
import { isThere, madeOf, patchShown, untilReady } from './change.ts'
import type { Place } from './client.ts'
import { kubernetes, Name } from './connection.ts'
import {
  type Cluster,
  changeable,
  fingerprintOf,
  look,
  refuseBeside,
  rolloutOf,
  type Seen,
  targetOf,
} from './deployment.ts'
import { type Keepers, keepersOf } from './keepers.ts'
import { RESTARTED } from './nouns.ts'
import { Deployments } from './pods.ts'

type Held = Readonly<{ name: string; fingerprint: string }>
type Data = Readonly<{ connection: string; namespace: string; at: string; deployments: readonly Held[] }>

/** Replaces all pods of deployments, one deployment after the other, each ready before the next begins. */
export const rolloutRestart: ChangeCommand = defineChange({
  id: 'kubernetes.rollout-restart',
  summary: 'Replace the pods of deployments one deployment after the other, and wait until they are ready',
  effect: 'idempotent',
  risk: 'medium',
  // Five deployments, each as long as the settings may say.
  runMinutes: 310,
  params: z.object({
    connection: z.string().describe('Kubernetes connection'),
    namespace: Name.describe('Namespace'),
    deployments: Deployments.refine((names) => names.length > 0, 'name at least one').describe(
      'Deployments in their order, separated by commas',
    ),
  }),
  async plan({ connection, namespace, deployments }, ctx) {
    const cluster: Cluster = await ctx.connect(kubernetes, connection)
    const places = deployments.map((name) => ({ namespace, name }))
    for (const place of places) changeable(cluster, place)
    const all: (Place & { seen: Seen; keepers: Keepers })[] = []
    for (const place of places) {
      const seen = await look(cluster.client, place, ctx.signal)
      all.push({ ...place, seen, keepers: await keepersOf(cluster, place, seen.deployment, ctx.signal) })
    }
    const warnings = all.flatMap(({ seen, keepers: _, ...place }) => {
      if (seen.deployment.spec.replicas === 0)
        throw new Refused(`${namespace}/${place.name} has 0 pods: there is nothing to restart. Scale it up instead.`)
      return refuseBeside(place, seen, false)
    })
    const at = ctx.requestedAt.toISOString()
    const minutes = cluster.settings.readyMinutes
    return {
      summary: `Restart ${deployments.join(', then ')} in ${namespace}`,
      targets: all.map(({ seen, keepers, ...place }) =>
        targetOf(cluster, place, seen, keepers, { fingerprint: fingerprintOf(seen.deployment) }),
      ),
      steps: deployments.flatMap((name) => [
        {
          id: `restart ${name}`,
          title: `Restart ${name}`,
          detail: `PATCH deployments/${name} spec.template.metadata.annotations ${RESTARTED}=${at}`,
        },
        { id: `wait ${name}`, title: `Wait until ${name} is ready`, detail: `at most ${minutes} minutes` },
      ]),
      warnings,
      data: {
        connection,
        namespace,
        at,
        deployments: all.map(({ name, seen }) => ({ name, fingerprint: fingerprintOf(seen.deployment) })),
      } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const cluster: Cluster = await ctx.connect(kubernetes, data.connection)
    const { client } = cluster
    for (const { name, fingerprint } of data.deployments) {
      const place = { namespace: data.namespace, name }
      const changed = await ctx.step(`restart ${name}`, () =>
        patchShown(
          client,
          place,
          (now) => fingerprintOf(now) === fingerprint,
          (now) => ({
            metadata: { resourceVersion: now.metadata.resourceVersion },
            spec: { template: { metadata: { annotations: { [RESTARTED]: data.at } } } },
          }),
          false,
          ctx.signal,
        ),
      )
      await ctx.step(`wait ${name}`, async (): Promise<undefined> => {
        const made = changed ?? madeOf(await look(client, place, ctx.signal))
        await untilReady(
          cluster,
          place,
          { made, minutes: cluster.settings.readyMinutes },
          ctx,
          ({ deployment: { status, spec } }, note) =>
            ctx.progress(
              Math.min(status.updatedReplicas, status.availableReplicas),
              spec.replicas,
              note ?? `pods of ${name} replaced and available`,
            ),
        )
      })
    }
    return `Restarted ${data.deployments.map(({ name }) => name).join(', then ')} in ${data.namespace}: all pods are ready.`
  },
  async verify({ data }, ctx) {
    const { client } = await ctx.connect(kubernetes, data.connection)
    const checks = []
    for (const { name } of data.deployments) {
      const seen = await settled(
        () => look(client, { namespace: data.namespace, name }, ctx.signal),
        (is) => stampOf(is) === data.at && isThere(is),
        ctx.signal,
      )
      const ok = stampOf(seen) === data.at && isThere(seen)
      checks.push({ title: `${name} runs with new pods`, ok, detail: rolloutOf(seen).why })
    }
    return checks
  },
  async probe({ data }, step, ctx) {
    const { client } = await ctx.connect(kubernetes, data.connection)
    const [verb, name = ''] = step.split(' ')
    const held = data.deployments.find((one) => one.name === name)
    const seen = await look(client, { namespace: data.namespace, name }, ctx.signal)
    const stamp = stampOf(seen)
    const detail = `${name} was last restarted ${stamp ?? 'never'}; ${rolloutOf(seen).why}`
    // To wait changes nothing: it can be done again.
    if (verb === 'wait') return { landed: stamp === data.at && isThere(seen) ? 'yes' : 'no', detail }
    if (stamp === data.at) return { landed: 'yes', detail }
    return { landed: fingerprintOf(seen.deployment) === held?.fingerprint ? 'no' : 'cannot_tell', detail }
  },
})

const stampOf = ({ deployment }: Seen): string | undefined =>
  deployment.spec.template.metadata?.annotations?.[RESTARTED]
