import { setTimeout as pause } from 'node:timers/promises'
import {
  ApiException,
  type ConfigurationOptions,
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  Observable,
  type ObservableMiddleware,
  PatchStrategy,
  type RequestContext,
  Watch,
} from '@kubernetes/client-node'
import { z } from 'zod'
import { Refused, Unanswered } from '../../src/domain/command.ts'
import { retryAfterMs } from '../http/patience.ts'
import { shaped } from '../http/shape.ts'
import { Deployment, Event, Hpa, Pod, ReplicaSet, ScaledObject } from './nouns.ts'
import { Claim, CronJob, DaemonSet, Job, Node, StatefulSet, StorageClass } from './resources.ts'
import type { Tokens } from './tokens.ts'

/** A deployment, or another thing, by its place in the cluster. */
export type Place = Readonly<{ namespace: string; name: string }>

/** What a patch carries: JSON of a merge patch, or the operations of a JSON patch. */
export type Patch = Readonly<Record<string, unknown>> | readonly Readonly<Record<string, unknown>>[]

/** All of something that the server lists; `whole` is false when there was more than is read. */
export type Listed<T> = Readonly<{ items: readonly T[]; whole: boolean }>

export const KINDS = {
  deployments: { group: 'apps', version: 'v1', plural: 'deployments' },
  replicaSets: { group: 'apps', version: 'v1', plural: 'replicasets' },
  statefulSets: { group: 'apps', version: 'v1', plural: 'statefulsets' },
  daemonSets: { group: 'apps', version: 'v1', plural: 'daemonsets' },
  jobs: { group: 'batch', version: 'v1', plural: 'jobs' },
  cronJobs: { group: 'batch', version: 'v1', plural: 'cronjobs' },
  hpas: { group: 'autoscaling', version: 'v2', plural: 'horizontalpodautoscalers' },
  scaledObjects: { group: 'keda.sh', version: 'v1alpha1', plural: 'scaledobjects' },
  applications: { group: 'argoproj.io', version: 'v1alpha1', plural: 'applications' },
  kustomizations: { group: 'kustomize.toolkit.fluxcd.io', version: 'v1', plural: 'kustomizations' },
  helmReleases: { group: 'helm.toolkit.fluxcd.io', version: 'v2', plural: 'helmreleases' },
} as const
export type Kind = keyof typeof KINDS

const TIMEOUT_MS = 30_000
const PAGE = 250
/** More than a person could read, and the end of a list that never ends. */
const MOST = 2_000

const TRIES = 5
const FIRST_MS = 200
const MOST_MS = 15_000
/** What passes by itself: https://kubernetes.io/docs/reference/using-api/api-concepts, and a server that restarts or is overloaded. */
const PASSING = new Set([429, 500, 502, 503, 504])

/** The API server's answer to a call that it did not do; `status` is HTTP's. */
export class Answered extends Error {
  override name = 'Answered'
  readonly status: number
  /** Whether it may pass by itself, so that whoever waits goes on waiting. */
  readonly passes: boolean
  constructor(status: number, message: string, cause: unknown, passes = PASSING.has(status)) {
    super(message, { cause })
    this.status = status
    this.passes = passes
  }
}

/** Asking again would lead there again. */
class Elsewhere extends Error {}

/**
 * The library makes a set of connections for each request and leaves it open; here all requests share the first. It also
 * follows redirects, and says nothing of them: here none leads to another host. Each request carries the token of now.
 */
class Shared extends KubeConfig {
  readonly #tokens: Tokens
  #dispatcher: ReturnType<RequestContext['getDispatcher']>
  #home: ReturnType<RequestContext['getDispatcher']>

  constructor(tokens: Tokens) {
    super()
    this.#tokens = tokens
  }

  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    await super.applySecurityAuthentication(context)
    context.setHeaderParam('Authorization', `Bearer ${await this.#tokens.current()}`)
    this.#dispatcher ??= context.getDispatcher()
    const { origin } = new URL(this.getCurrentCluster()?.server ?? '')
    this.#home ??= this.#dispatcher?.compose((send) => (request, handler) => {
      if (String(request.origin) !== origin)
        throw new Elsewhere(`a redirect to ${String(request.origin)}, which was not followed`)
      return send(request, handler)
    })
    if (!this.#home) throw new Error('kubernetes: the client library has no dispatcher, so redirects cannot be stopped')
    context.setDispatcher(this.#home)
  }

  close = async (): Promise<void> => this.#dispatcher?.destroy()
}

const pass = <T>(value: T) => new Observable<T>(Promise.resolve(value))
const before = (change: (request: RequestContext) => void): ObservableMiddleware => ({
  pre(request) {
    change(request)
    return pass(request)
  },
  post: pass,
})

/** Said by the server itself, in its own words and cut to one line. */
function saidBy(error: ApiException<unknown>): string {
  let body = error.body
  if (typeof body === 'string')
    try {
      body = JSON.parse(body)
    } catch {}
  const message = (body as { message?: unknown } | null | undefined)?.message
  const text = typeof message === 'string' ? message : typeof body === 'string' ? body : ''
  return /^\s*</.test(text) ? 'a web page, of a proxy in between' : text.replace(/\s+/g, ' ').slice(0, 300)
}

function deepest(error: unknown): unknown {
  let root = error
  while (root instanceof Error && root.cause) root = root.cause
  return root
}

/** No connection stood when one of these came. */
const NOT_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/** What broke below: a refused connection, a certificate. */
function rootOf(error: unknown): string {
  const root = deepest(error)
  if (root instanceof SyntaxError) return 'it was not JSON; check server'
  return root instanceof Error ? root.message : String(root)
}

const isTimeout = (error: unknown): boolean => error instanceof Error && /Timeout|Abort/.test(error.name)

/** The calls that commands make. A change is sent once. Whoever reads one thing that is not there gets null. */
export function createKubernetes({ server, ca }: { server: string; ca?: string | undefined }, tokens: Tokens) {
  const config = new Shared(tokens)
  config.loadFromClusterAndUser(
    {
      name: 'cluster',
      server,
      // Without it the library refuses plain http, which the settings let be for loopback only.
      skipTLSVerify: server.startsWith('http:'),
      ...(ca && { caData: Buffer.from(ca).toString('base64') }),
    },
    { name: 'keyturn' },
  )
  const core = config.makeApiClient(CoreV1Api)
  const objects = config.makeApiClient(CustomObjectsApi)
  const watcher = new Watch(config)

  const options = (
    signal: AbortSignal,
    ...more: ObservableMiddleware[]
  ): ConfigurationOptions<ObservableMiddleware> => ({
    middleware: [before((r) => r.setSignal(AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]))), ...more],
    middlewareMergeStrategy: 'append',
  })
  const remedy = (status: number) =>
    status === 401 ? `; ${tokens.remedy}` : status === 403 ? '; check the role of this token' : ''
  const answered = (what: string, status: number, words: string, error: unknown, passes?: boolean) =>
    new Answered(
      status,
      `kubernetes: ${what} was answered with ${status}${remedy(status)}${words && `: ${words}`}`,
      error,
      passes,
    )

  /**
   * Sends again what the server certainly has not done: after 429, and after 401 with another token. A look is sent again also
   * after an answer that passes, and after none.
   */
  async function call<T>(what: string, signal: AbortSignal, reads: boolean, work: () => Promise<T>): Promise<T> {
    let renewed = false
    for (let tries = 1; ; tries++) {
      let wait = FIRST_MS * 2 ** (tries - 1)
      try {
        return await work()
      } catch (error) {
        signal.throwIfAborted()
        if (error instanceof Refused) throw error
        if (!(error instanceof ApiException)) {
          if (reads && tries < TRIES && !isTimeout(error) && !(deepest(error) instanceof Elsewhere)) {
            await pause(wait, undefined, { signal })
            continue
          }
          if (!reads && NOT_SENT.has(String((deepest(error) as { code?: unknown } | null)?.code)))
            throw new Refused(`Nothing was sent by ${what}: ${rootOf(error)}.`, { cause: error })
          throw new Unanswered(`kubernetes: ${what} got no complete answer: ${rootOf(error)}`, { cause: error })
        }
        const { code } = error
        const canRenew = code === 401 && tokens.renew()
        if (canRenew && !renewed) {
          renewed = true
          continue
        }
        wait = retryAfterMs({ headers: error.headers ?? {} }) ?? wait
        const again = code === 429 || (reads && PASSING.has(code))
        if (!again || tries === TRIES || wait > MOST_MS)
          throw answered(what, code, saidBy(error), error, canRenew || PASSING.has(code))
        await pause(wait, undefined, { signal })
      }
    }
  }
  async function orNull<T>(found: Promise<T>): Promise<T | null> {
    return found.catch((error: unknown) => {
      if (error instanceof Answered && error.status === 404) return null
      throw error
    })
  }
  /** All pages. The place that a list was read to can have ended: then it is read from its beginning again. */
  async function all<T>(
    what: string,
    signal: AbortSignal,
    item: z.ZodType<T>,
    page: (paging: { limit: number; _continue?: string }) => Promise<unknown>,
  ): Promise<Listed<T>> {
    // The library calls it `_continue` where it knows the type.
    const paging = z.object({ continue: z.string().nullish(), _continue: z.string().nullish() })
    const list = z.object({ metadata: paging.nullish(), items: z.array(item).nullish() })
    let found: T[] = []
    let from: string | undefined
    for (let restarts = 0; ; ) {
      const asked = { limit: PAGE, ...(from && { _continue: from }) }
      try {
        const next = shaped(list, await call(what, signal, true, () => page(asked)), `kubernetes: ${what}`)
        found.push(...(next.items ?? []))
        from = next.metadata?.continue || next.metadata?._continue || undefined
      } catch (error) {
        const isGone = error instanceof Answered && error.status === 410 && from !== undefined
        if (!isGone || ++restarts > 3) throw error
        found = []
        from = undefined
        continue
      }
      if (!from || found.length >= MOST) return { items: found, whole: !from }
    }
  }
  const listOf = <T>(kind: Kind, item: z.ZodType<T>, namespace: string, labelSelector: string, signal: AbortSignal) =>
    all(`GET ${KINDS[kind].plural} of ${namespace}`, signal, item, (page) =>
      objects.listNamespacedCustomObject(
        { ...KINDS[kind], namespace, ...(labelSelector && { labelSelector }), ...page },
        options(signal),
      ),
    )
  async function get<T>(kind: Kind, schema: z.ZodType<T>, place: Place, signal: AbortSignal): Promise<T | null> {
    const what = `GET ${KINDS[kind].plural} ${place.namespace}/${place.name}`
    const found = await orNull(
      call(what, signal, true, () => objects.getNamespacedCustomObject({ ...KINDS[kind], ...place }, options(signal))),
    )
    return found === null ? null : asAsked(what, schema, place.name, found)
  }
  /** The very one that was asked for. */
  function asAsked<T>(what: string, schema: z.ZodType<T>, name: string, found: unknown): T {
    const named = (found as { metadata?: { name?: unknown } } | null)?.metadata?.name
    if (named !== name) throw new Error(`kubernetes: ${what} was answered with another one: ${String(named)}`)
    return shaped(schema, found, `kubernetes: ${what}`)
  }

  return {
    server,
    close: config.close,
    get,

    deployment: (place: Place, signal: AbortSignal): Promise<Deployment | null> =>
      get('deployments', Deployment, place, signal),
    replicaSets: (namespace: string, labelSelector: string, signal: AbortSignal): Promise<Listed<ReplicaSet>> =>
      listOf('replicaSets', ReplicaSet, namespace, labelSelector, signal),
    deployments: (namespace: string, signal: AbortSignal): Promise<Listed<Deployment>> =>
      listOf('deployments', Deployment, namespace, '', signal),
    statefulSets: (namespace: string, signal: AbortSignal): Promise<Listed<StatefulSet>> =>
      listOf('statefulSets', StatefulSet, namespace, '', signal),
    daemonSets: (namespace: string, signal: AbortSignal): Promise<Listed<DaemonSet>> =>
      listOf('daemonSets', DaemonSet, namespace, '', signal),
    jobs: (namespace: string, signal: AbortSignal): Promise<Listed<Job>> => listOf('jobs', Job, namespace, '', signal),
    cronJobs: (namespace: string, signal: AbortSignal): Promise<Listed<CronJob>> =>
      listOf('cronJobs', CronJob, namespace, '', signal),
    claims: (namespace: string, signal: AbortSignal): Promise<Listed<Claim>> =>
      all(`GET persistentvolumeclaims of ${namespace}`, signal, Claim, async (paging) =>
        asSent(await core.listNamespacedPersistentVolumeClaim({ namespace, ...paging }, options(signal))),
      ),
    /** Of the whole cluster, as a node is: the role of one namespace does not reach them. */
    async storageClass(name: string, signal: AbortSignal): Promise<StorageClass | null> {
      const what = `GET storageclasses ${name}`
      const asked = { group: 'storage.k8s.io', version: 'v1', plural: 'storageclasses', name }
      const found = await orNull(call(what, signal, true, () => objects.getClusterCustomObject(asked, options(signal))))
      return found === null ? null : asAsked(what, StorageClass, name, found)
    },
    async node(name: string, signal: AbortSignal): Promise<Node | null> {
      const what = `GET nodes ${name}`
      const found = await orNull(call(what, signal, true, () => core.readNode({ name }, options(signal))))
      return found === null ? null : asAsked(what, Node, name, asSent(found))
    },
    hpas: (namespace: string, signal: AbortSignal): Promise<Listed<Hpa>> => listOf('hpas', Hpa, namespace, '', signal),
    scaledObjects: (namespace: string, signal: AbortSignal): Promise<Listed<ScaledObject>> =>
      listOf('scaledObjects', ScaledObject, namespace, '', signal),
    pods: (namespace: string, labelSelector: string, signal: AbortSignal): Promise<Listed<Pod>> =>
      all(`GET pods of ${namespace}`, signal, Pod, async (paging) =>
        asSent(
          await core.listNamespacedPod(
            { namespace, ...(labelSelector && { labelSelector }), ...paging },
            options(signal),
          ),
        ),
      ),
    async pod({ namespace, name }: Place, signal: AbortSignal): Promise<Pod | null> {
      const what = `GET pod ${namespace}/${name}`
      const found = await orNull(
        call(what, signal, true, () => core.readNamespacedPod({ namespace, name }, options(signal))),
      )
      return found && shaped(Pod, asSent(found), `kubernetes: ${what}`)
    },
    /** What the cluster noted of things in a namespace; it forgets after an hour. */
    events: (namespace: string, signal: AbortSignal): Promise<Listed<Event>> =>
      all(`GET events of ${namespace}`, signal, Event, async (paging) =>
        asSent(await core.listNamespacedEvent({ namespace, ...paging }, options(signal))),
      ),
    /** The last lines of a container's log, or null if it has none. */
    log(
      { namespace, name }: Place,
      wanted: { container: string; previous: boolean; tailLines: number; limitBytes: number },
      signal: AbortSignal,
    ): Promise<string | null> {
      const read = call(`GET log of ${namespace}/${name}`, signal, true, () =>
        core.readNamespacedPodLog({ namespace, name, ...wanted }, options(signal)),
      )
      return read.catch((error: unknown) => {
        // 400: the container waits to start, or has no earlier run. 404: the pod is gone.
        if (error instanceof Answered && (error.status === 400 || error.status === 404)) return null
        throw error
      })
    },

    /** Refused by the server with anything that is no conflict means that nothing was changed. */
    async patch(kind: Kind, { namespace, name }: Place, body: Patch, scale: boolean, signal: AbortSignal) {
      const type = Array.isArray(body) ? PatchStrategy.JsonPatch : PatchStrategy.MergePatch
      const target = { ...KINDS[kind], namespace, name, body, fieldManager: 'keyturn' }
      const set = options(
        signal,
        before((r) => r.setHeaderParam('Content-Type', type)),
      )
      try {
        return await call(`PATCH ${KINDS[kind].plural} ${namespace}/${name}`, signal, false, () =>
          scale
            ? objects.patchNamespacedCustomObjectScale(target, set)
            : objects.patchNamespacedCustomObject(target, set),
        )
      } catch (error) {
        if (error instanceof Answered && error.status !== 409 && error.status < 500)
          throw new Refused(error.message, { cause: error })
        throw error
      }
    },

    /** Calls `ring` at each change below a path, until `signal` aborts or the watch ends. Rejects if it cannot begin. */
    async watch(path: string, query: Record<string, string>, ring: () => void, signal: AbortSignal): Promise<void> {
      const over = Promise.withResolvers<void>()
      over.promise.catch(() => {})
      const done = (error: unknown) => {
        const status = (error as { statusCode?: number } | null)?.statusCode
        const passes =
          status === undefined || status === 410 || PASSING.has(status) || (status === 401 && tokens.renew())
        if (passes) over.resolve()
        else over.reject(answered(`WATCH ${path}`, status, '', error))
      }
      const watching = watcher.watch(path, query, ring, done)
      const stop = () => {
        over.resolve()
        watching.then(
          (controller) => controller.abort(),
          () => {},
        )
      }
      if (signal.aborted) stop()
      signal.addEventListener('abort', stop, { once: true })
      try {
        await watching
        // What changed before the watch began is seen by looking.
        ring()
        await over.promise
      } finally {
        signal.removeEventListener('abort', stop)
      }
    },
  }
}
export type Kubernetes = ReturnType<typeof createKubernetes>

/** The library makes Dates of times; as JSON they are what the server sent. */
const asSent = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
