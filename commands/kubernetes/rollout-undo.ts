import { z } from 'zod'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { digest } from '../../src/domain/plan.ts'
import { settled } from '../settle.ts'
import { isThere, madeOf, patchShown, untilReady } from './change.ts'
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
import { beforeUndo, keepersOf } from './keepers.ts'
import { RESTARTED, type ReplicaSet, revisionOf, type Template } from './nouns.ts'
import { differences, plain } from './template.ts'

type Data = Readonly<{
  connection: string
  namespace: string
  name: string
  fingerprint: string
  /** Of the replica set to go back to, and the digest of its pod template. */
  uid: string
  template: string
}>

const SHOWN = 12

/** Puts the pod template of an earlier revision back, and waits until its pods are ready. */
export const rolloutUndo = defineChange({
  id: 'kubernetes.rollout-undo',
  summary: 'Go back to the pod template of an earlier revision of a deployment, and wait until it is ready',
  effect: 'idempotent',
  risk: 'high',
  runMinutes: 70,
  params: z.object({
    connection: z.string().describe('Kubernetes connection'),
    namespace: Name.describe('Namespace'),
    deployment: Name.describe('Deployment'),
    revision: z.coerce.number().int().min(0).default(0).describe('Revision to go back to; 0 for the one before'),
  }),
  async plan({ connection, namespace, deployment: name, revision }, ctx) {
    const cluster: Cluster = await ctx.connect(kubernetes, connection)
    const place = { namespace, name }
    changeable(cluster, place)
    const seen = await look(cluster.client, place, ctx.signal)
    const keepers = await keepersOf(cluster, place, seen.deployment, ctx.signal)
    const warnings = [...refuseBeside(place, seen, false), ...beforeUndo(keepers, `${namespace}/${name}`)]
    const now = revisionOf(seen.deployment)
    const earlier = seen.sets
      .filter((set) => revisionOf(set) !== now && revisionOf(set) > 0)
      .sort((a, b) => revisionOf(b) - revisionOf(a))
    const current = seen.deployment.spec.template
    const isOther = (set: ReplicaSet) => differences(sameStart(current), sameStart(set.spec.template)).length > 0
    const to =
      revision === 0
        ? earlier.find((set) => revisionOf(set) < now && isOther(set))
        : earlier.find((set) => revisionOf(set) === revision)
    if (!to)
      throw new Refused(
        `${namespace}/${name} is at revision ${now}, and the cluster keeps ${revision === 0 ? 'none before it' : `no other of number ${revision}`}. It keeps: ${earlier.map(revisionOf).join(', ') || 'none'}.`,
      )
    const template = plain(to.spec.template)
    const paths = differences(plain(current), template)
    if (paths.length === 0) throw new Refused(`Revision ${revisionOf(to)} of ${name} is what runs now. Nothing to do.`)
    const images = (of: Template) => of.spec.containers.map((container) => container.image).join(', ')
    const listed = `${paths.slice(0, SHOWN).join(', ')}${paths.length > SHOWN ? ` and ${paths.length - SHOWN} more` : ''}`
    return {
      summary: `Take ${namespace}/${name} from revision ${now} back to revision ${revisionOf(to)}`,
      targets: [
        targetOf(cluster, place, seen, keepers, {
          fingerprint: fingerprintOf(seen.deployment),
          more: {
            Image: `${images(current)} → ${images(to.spec.template)}`,
            Revision: `${now} → ${revisionOf(to)}, made ${to.metadata.creationTimestamp}`,
            Changes: listed,
          },
        }),
      ],
      steps: [
        {
          id: 'undo',
          title: `Put the pod template of revision ${revisionOf(to)} back`,
          detail: `PATCH deployments/${name} spec.template = that of replica set ${to.metadata.name}`,
        },
        {
          id: 'wait',
          title: 'Wait until all pods are ready',
          detail: `at most ${cluster.settings.readyMinutes} minutes`,
        },
      ],
      warnings: [...warnings, ...(keepers.owner ? [] : ['The next deploy puts the newer template in place again.'])],
      data: {
        connection,
        ...place,
        fingerprint: fingerprintOf(seen.deployment),
        uid: to.metadata.uid,
        template: digest(template),
      } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const cluster: Cluster = await ctx.connect(kubernetes, data.connection)
    const { client } = cluster
    const changed = await ctx.step('undo', async () => {
      const set = (await look(client, data, ctx.signal)).sets.find((one) => one.metadata.uid === data.uid)
      const template = set && plain(set.spec.template)
      if (!template || digest(template) !== data.template)
        throw new Refused(`The revision to go back to is ${set ? 'another one' : 'gone'} now. Nothing was changed.`)
      return patchShown(
        client,
        data,
        (now) => fingerprintOf(now) === data.fingerprint,
        (now) => [
          { op: 'test', path: '/metadata/uid', value: now.metadata.uid },
          { op: 'replace', path: '/metadata/resourceVersion', value: now.metadata.resourceVersion },
          { op: 'replace', path: '/spec/template', value: template },
        ],
        false,
        ctx.signal,
      )
    })
    await ctx.step('wait', async (): Promise<undefined> => {
      const made = changed ?? madeOf(await look(client, data, ctx.signal))
      const wish = { made, minutes: cluster.settings.readyMinutes }
      await untilReady(cluster, data, wish, ctx, ({ deployment: { status, spec } }, note) =>
        ctx.progress(
          Math.min(status.updatedReplicas, status.availableReplicas),
          spec.replicas,
          note ?? 'pods replaced',
        ),
      )
    })
    return `${data.namespace}/${data.name} is back at the earlier revision: all pods are ready.`
  },
  async verify({ data }, ctx) {
    const { client } = await ctx.connect(kubernetes, data.connection)
    const seen = await settled(
      () => look(client, data, ctx.signal),
      (is) => isBack(is, data) && isThere(is),
      ctx.signal,
    )
    return [
      { title: 'The earlier template is in place', ok: isBack(seen, data) },
      { title: 'All pods are ready', ok: isThere(seen), detail: rolloutOf(seen).why },
    ].map((check) => ({ detail: '', ...check }))
  },
  async probe({ data }, step, ctx) {
    const { client } = await ctx.connect(kubernetes, data.connection)
    const seen = await look(client, data, ctx.signal)
    const back = isBack(seen, data)
    const detail = `${data.name} ${back ? 'has' : 'does not have'} the earlier template; ${rolloutOf(seen).why}`
    // To wait changes nothing: it can be done again.
    if (step === 'wait') return { landed: back && isThere(seen) ? 'yes' : 'no', detail }
    if (back) return { landed: 'yes', detail }
    return { landed: fingerprintOf(seen.deployment) === data.fingerprint ? 'no' : 'cannot_tell', detail }
  },
})

/** The template as it was before anybody restarted it: a restart is a revision too, and no other state to go back to. */
function sameStart(template: Template): Template {
  const bare = plain(template)
  const { [RESTARTED]: _, ...annotations } = bare.metadata?.annotations ?? {}
  return { ...bare, metadata: { ...bare.metadata, annotations } }
}

const isBack = ({ deployment }: Seen, data: Data) => digest(plain(deployment.spec.template)) === data.template
