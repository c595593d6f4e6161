import { setTimeout as pause } from 'node:timers/promises'
import { Refused, type RunContext, Unanswered } from '../../src/domain/command.ts'
import { digest } from '../../src/domain/plan.ts'
import { Answered, type Kubernetes, type Patch, type Place } from './client.ts'
import {
  broken,
  type Cluster,
  living,
  look,
  type Restarts,
  refuseBeside,
  restartedSince,
  restartsIn,
  rolloutOf,
  type Seen,
  selectorOf,
  staying,
  writerOf,
} from './deployment.ts'
import type { Deployment } from './nouns.ts'

/** Conflicts with the cluster's own writes of the status; each time the deployment is looked at again. */
const TRIES = 10
/** A pod that was started again so often does not come up. */
const CRASHES = 3
const REOPEN_MS = 1_000

/** What a patch has made, and how things stood before it: JSON, so that it is the result of a step. */
export type Made = Readonly<{ generation: number; template: string; restarts: Restarts }>

const templateOf = ({ spec }: Deployment): string => digest(spec.template)

/** The same for a deployment as it stands, where what its patch gave was lost. */
export const madeOf = ({ deployment, pods }: Seen): Made => ({
  generation: deployment.metadata.generation,
  template: templateOf(deployment),
  restarts: restartsIn(pods),
})

const by = (deployment: Deployment) => {
  const writer = writerOf(deployment)
  return writer ? ` (${writer})` : ''
}

/**
 * Patches a deployment on condition that it is the one that was shown, as `is` tells: no other wish, and no rollout going on. The
 * patch carries the version it was made for, so that whoever is faster wins.
 */
export async function patchShown(
  client: Kubernetes,
  place: Place,
  is: (deployment: Deployment) => boolean,
  patch: (now: Deployment) => Patch,
  scale: boolean,
  signal: AbortSignal,
): Promise<Made> {
  const where = `${place.namespace}/${place.name}`
  for (let left = TRIES; left > 0; left--) {
    const seen = await look(client, place, signal)
    if (!is(seen.deployment))
      throw new Refused(
        `${where} was changed by somebody else${by(seen.deployment)} after this was shown. Nothing was changed; ask again.`,
      )
    refuseBeside(place, seen, scale)
    try {
      const answer = await client.patch('deployments', place, patch(seen.deployment), scale, signal)
      const template = (answer as { spec?: { template?: unknown } } | null)?.spec?.template
      return {
        // The scale that a patch of it gives back has no generation.
        generation: seen.deployment.metadata.generation + 1,
        template: template === undefined ? templateOf(seen.deployment) : digest(template),
        restarts: restartsIn(seen.pods),
      }
    } catch (error) {
      if (error instanceof Answered && error.status === 409) continue
      throw error
    }
  }
  throw new Refused(`${where} changed again and again while it was to be patched. Nothing was changed; ask again.`)
}

/**
 * Whether all that was asked for is there: ready, and none of it is on its way out. With `gone` those that are ending count as
 * there, since they still work; pods that have ended never do.
 */
export const isThere = ({ deployment, sets, pods }: Seen, gone = false): boolean =>
  rolloutOf({ deployment, sets, pods }).state === 'ready' &&
  (gone ? living(pods) : staying(pods)).length === deployment.spec.replicas

/** What a wait is for. */
export type Wish = Readonly<{
  made: Made
  /** The number of pods, where that was asked for. */
  replicas?: number
  /** Whether those that are ending must be gone. */
  gone?: boolean
  /** Whether somebody else is to bring the number about. */
  isDelegated?: boolean
  minutes: number
}>

/**
 * Waits, by watching, until the deployment has what was asked for and its pods have stayed up for a while. Refuses when its new
 * pods do not start, when somebody changes it meanwhile, when it takes too long, and when it is stopped: to wait changes nothing,
 * so that however it ends nothing is in question. `told` hears of each look, and of a cluster that does not answer.
 */
export async function untilReady(
  { client, settings }: Cluster,
  place: Place,
  { made, replicas, gone = false, isDelegated = false, minutes }: Wish,
  ctx: Pick<RunContext, 'signal'>,
  told: (seen: Seen, note?: string) => void,
): Promise<void> {
  const where = `${place.namespace}/${place.name}`
  const late = new Error(`${where} was not ready within ${minutes} minutes`)
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(late), minutes * 60_000)
  const signal = AbortSignal.any([ctx.signal, over.signal])
  let last = ''
  let latest: Seen | null = null
  let { generation } = made
  const done = (seen: Seen) =>
    isThere(seen, gone) && (replicas === undefined || seen.deployment.spec.replicas === replicas)
  const seenNow = async (): Promise<Seen> => {
    for (;;) {
      try {
        return checked(await look(client, place, signal))
      } catch (error) {
        const passing = error instanceof Unanswered || (error instanceof Answered && error.passes)
        if (!passing) throw error
        last = `the cluster does not answer: ${error.message}`
        if (latest) told(latest, 'the cluster does not answer now; waiting goes on')
        await pause(REOPEN_MS, undefined, { signal })
      }
    }
  }
  const checked = (seen: Seen): Seen => {
    const { metadata, spec, status } = seen.deployment
    if (metadata.generation > generation) {
      // Another number of pods alone is an autoscaler's work, or does no harm to what was asked for.
      if (templateOf(seen.deployment) !== made.template)
        throw new Error(`${where} was changed by somebody else${by(seen.deployment)} meanwhile`)
      if (replicas !== undefined && spec.replicas !== replicas && !isDelegated)
        throw new Error(`${where} was scaled to ${spec.replicas} by somebody else${by(seen.deployment)} meanwhile`)
      generation = metadata.generation
    }
    const ending = living(seen.pods).length - staying(seen.pods).length
    last =
      replicas !== undefined && spec.replicas !== replicas
        ? `it still wants ${spec.replicas} pods: its autoscaler has not taken ${replicas} over`
        : `${rolloutOf(seen).why}${gone && ending > 0 ? `; ${ending} still ending (${endingOf(seen)})` : ''}`
    const fault = status.observedGeneration >= generation ? broken(seen, made.restarts, CRASHES) : null
    if (fault) throw new Error(`${where} does not come up. ${fault}`)
    latest = seen
    told(seen)
    return seen
  }
  const bell = createBell()
  let watches: Promise<unknown> = Promise.resolve()
  try {
    const first = await seenNow()
    watches = watchBoth(client, place, selectorOf(first.deployment), bell.ring, signal).catch(bell.fail)
    for (;;) {
      const seen = await seenNow()
      if (!done(seen)) {
        await bell.next(signal)
        continue
      }
      await pause(settings.steadySeconds * 1000, undefined, { signal })
      const again = await seenNow()
      if (done(again) && !restartedSince(restartsIn(seen.pods), again.pods)) return
    }
  } catch (error) {
    const why = ctx.signal.aborted ? ctx.signal.reason : over.signal.aborted ? `${late.message}: ${last}` : error
    throw new Refused(why instanceof Error ? why.message : String(why), { cause: error })
  } finally {
    clearTimeout(timer)
    over.abort()
    await watches
  }
}

const endingOf = ({ pods }: Seen): string =>
  living(pods)
    .filter((pod) => pod.metadata.deletionTimestamp)
    .slice(0, 3)
    .map(({ metadata, spec }) => `${metadata.name}${spec.nodeName ? ` on ${spec.nodeName}` : ''}`)
    .join(', ')

/** Rings at each change of the deployment and of its pods, until `signal` aborts; a watch that ends is opened again. */
async function watchBoth(
  client: Kubernetes,
  { namespace, name }: Place,
  labelSelector: string,
  ring: () => void,
  signal: AbortSignal,
): Promise<void> {
  const keep = async (path: string, query: Record<string, string>) => {
    while (!signal.aborted) {
      await client.watch(path, query, ring, signal)
      await pause(REOPEN_MS, undefined, { signal }).catch(() => {})
    }
  }
  await Promise.all([
    keep(`/apis/apps/v1/namespaces/${namespace}/deployments`, { fieldSelector: `metadata.name=${name}` }),
    keep(`/api/v1/namespaces/${namespace}/pods`, { labelSelector }),
  ])
}

/** Remembers one ring until somebody waits for it, and a failure for good. */
function createBell() {
  let rung = Promise.withResolvers<void>()
  let failure: unknown = null
  return {
    ring: () => rung.resolve(),
    fail(error: unknown) {
      failure = error
      rung.resolve()
    },
    async next(signal: AbortSignal): Promise<void> {
      const wake = () => rung.resolve()
      signal.addEventListener('abort', wake, { once: true })
      if (!signal.aborted) await rung.promise
      signal.removeEventListener('abort', wake)
      signal.throwIfAborted()
      if (failure) throw failure
      rung = Promise.withResolvers<void>()
    },
  }
}
