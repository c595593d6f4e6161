import { setTimeout as pause } from 'node:timers/promises'
import { Refused, type RunContext, Unanswered } from '../../src/domain/command.ts'
import { Answered, type Kubernetes, type Patch, type Place } from './client.ts'
import {
  broken,
  type Cluster,
  fingerprintOf,
  look,
  refuseBeside,
  restartsOf,
  rolloutOf,
  type Seen,
  selectorOf,
} from './deployment.ts'
import type { Deployment } from './nouns.ts'

/** Conflicts with the cluster's own writes of the status; each time the deployment is looked at again. */
const TRIES = 10
/** A pod that was started again so often does not come up. */
const CRASHES = 3
const REOPEN_MS = 1_000

/**
 * Patches a deployment on condition that it is the one that was shown: no other wish, and no rollout going on. The patch
 * carries the version it was made for, so that whoever is faster wins. Gives the generation that the change made.
 */
export async function patchShown(
  client: Kubernetes,
  place: Place,
  fingerprint: string,
  patch: (now: Deployment) => Patch,
  scale: boolean,
  signal: AbortSignal,
): Promise<{ generation: number }> {
  const where = `${place.namespace}/${place.name}`
  for (let left = TRIES; left > 0; left--) {
    const seen = await look(client, place, signal)
    const now = fingerprintOf(seen.deployment)
    if (now !== fingerprint)
      throw new Refused(`${where} was changed by somebody else: it is ${now}; approved was ${fingerprint}.`)
    refuseBeside(place, seen, scale)
    try {
      await client.patch(place, patch(seen.deployment), scale, signal)
    } catch (error) {
      if (error instanceof Answered && error.status === 409) continue
      throw error
    }
    // The scale that a patch of it gives back has no generation.
    return { generation: seen.deployment.metadata.generation + 1 }
  }
  throw new Refused(`${where} changed again and again while it was to be patched. Nothing was changed; ask again.`)
}

/** Whether all that was asked for is there: ready, and none that should be gone is left. */
export const isThere = (seen: Seen): boolean =>
  rolloutOf(seen).state === 'ready' && seen.pods.length === seen.deployment.spec.replicas

/**
 * Waits, by watching, until the deployment has what `generation` asked for and its pods have stayed up for a while.
 * Refuses when its new pods do not start, when somebody changes it meanwhile, when it takes too long, and when it is
 * stopped: to wait changes nothing, so that however it ends nothing is in question.
 */
export async function untilReady(
  { client, settings }: Cluster,
  place: Place,
  generation: number,
  ctx: Pick<RunContext, 'signal'>,
  told: (seen: Seen) => void,
): Promise<void> {
  const where = `${place.namespace}/${place.name}`
  const late = new Error(`${where} was not ready within ${settings.readyMinutes} minutes`)
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(late), settings.readyMinutes * 60_000)
  const signal = AbortSignal.any([ctx.signal, over.signal])
  let last = ''
  const seenNow = async (): Promise<Seen> => {
    const seen = await look(client, place, signal).catch(async (error: unknown) => {
      const passing = error instanceof Unanswered || (error instanceof Answered && error.status >= 500)
      if (!passing) throw error
      await pause(REOPEN_MS, undefined, { signal })
      return null
    })
    if (!seen) return seenNow()
    const { generation: now } = seen.deployment.metadata
    if (now > generation) throw new Error(`${where} was changed by somebody else meanwhile; it is at generation ${now}`)
    last = rolloutOf(seen).why
    const fault = seen.deployment.status.observedGeneration >= generation ? broken(seen, CRASHES) : null
    if (fault) throw new Error(`${where} does not come up. ${fault}`)
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
      if (!isThere(seen)) {
        await bell.next(signal)
        continue
      }
      await pause(settings.steadySeconds * 1000, undefined, { signal })
      const again = await seenNow()
      if (isThere(again) && restartsOf(again.pods) === restartsOf(seen.pods)) return
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
