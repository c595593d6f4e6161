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
import type { Settings } from './connection.ts'
import { Deployment, Pod, ReplicaSet } from './nouns.ts'

/** A deployment by its place in the cluster. */
export type Place = Readonly<{ namespace: string; name: string }>

/** What a patch carries: JSON of a merge patch, or the operations of a JSON patch. */
export type Patch = Readonly<Record<string, unknown>> | readonly Readonly<Record<string, unknown>>[]

const APPS = { group: 'apps', version: 'v1' } as const
const TIMEOUT_MS = 30_000
const PAGE = 250
/** More pods than a person could read, and the end of a list that never ends. */
const MOST = 2_000

/** The API server's answer to a call that it did not do; `status` is HTTP's. */
export class Answered extends Error {
  override name = 'Answered'
  readonly status: number
  constructor(status: number, message: string, cause: unknown) {
    super(message, { cause })
    this.status = status
  }
}

/**
 * The library makes a set of connections for each request and leaves it open; here all requests share the first. It also
 * follows redirects, and says nothing of them: here none leads to another host.
 */
class Shared extends KubeConfig {
  #dispatcher: ReturnType<RequestContext['getDispatcher']>
  #home: ReturnType<RequestContext['getDispatcher']>

  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    await super.applySecurityAuthentication(context)
    this.#dispatcher ??= context.getDispatcher()
    const { origin } = new URL(this.getCurrentCluster()?.server ?? '')
    this.#home ??= this.#dispatcher?.compose((send) => (request, handler) => {
      if (String(request.origin) !== origin)
        throw new Error(`a redirect to ${String(request.origin)}, which was not followed`)
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
  return (typeof message === 'string' ? message : typeof body === 'string' ? body : '')
    .replace(/\s+/g, ' ')
    .slice(0, 300)
}

/** What broke below: a refused connection, a certificate. */
function rootOf(error: unknown): string {
  let root = error
  while (root instanceof Error && root.cause) root = root.cause
  return root instanceof Error ? root.message : String(root)
}

/** The calls that commands make. A change is sent once. Whoever reads one thing that is not there gets null. */
export function createKubernetes({ server, ca, tokenFrom }: Settings, token: string) {
  const config = new Shared()
  config.loadFromClusterAndUser(
    {
      name: 'cluster',
      server,
      // Without it the library refuses plain http, which the settings let be for loopback only.
      skipTLSVerify: server.startsWith('http:'),
      ...(ca && { caData: Buffer.from(ca).toString('base64') }),
    },
    { name: 'keyturn', token },
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

  async function call<T>(what: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof ApiException))
        throw new Unanswered(`kubernetes: ${what} got no complete answer: ${rootOf(error)}`, { cause: error })
      const { code } = error
      throw new Answered(code, `kubernetes: ${what} was answered with ${code}${remedy(code)}: ${saidBy(error)}`, error)
    }
  }
  const remedy = (status: number) =>
    status === 401 ? `; check the token in ${tokenFrom}` : status === 403 ? '; check the role of this token' : ''
  async function orNull<T>(found: Promise<T>): Promise<T | null> {
    return found.catch((error: unknown) => {
      if (error instanceof Answered && error.status === 404) return null
      throw error
    })
  }
  async function all<T>(
    what: string,
    signal: AbortSignal,
    item: z.ZodType<T>,
    page: (paging: { limit: number; _continue?: string }) => Promise<unknown>,
  ): Promise<T[]> {
    // The library calls it `_continue` where it knows the type.
    const paging = z.object({ continue: z.string().nullish(), _continue: z.string().nullish() })
    const list = z.object({ metadata: paging, items: z.array(item) })
    const found: T[] = []
    let from: string | undefined
    do {
      const next = list.parse(await call(what, signal, () => page({ limit: PAGE, ...(from && { _continue: from }) })))
      found.push(...next.items)
      from = next.metadata.continue || next.metadata._continue || undefined
    } while (from && found.length < MOST)
    return found
  }

  return {
    server,
    close: config.close,

    async deployment({ namespace, name }: Place, signal: AbortSignal): Promise<Deployment | null> {
      const what = `GET deployment ${namespace}/${name}`
      const get = () =>
        objects.getNamespacedCustomObject({ ...APPS, plural: 'deployments', namespace, name }, options(signal))
      const found = await orNull(call(what, signal, get))
      return found && Deployment.parse(found)
    },
    replicaSets: (namespace: string, labelSelector: string, signal: AbortSignal): Promise<ReplicaSet[]> =>
      all(`GET replicasets of ${namespace}`, signal, ReplicaSet, (paging) =>
        objects.listNamespacedCustomObject(
          { ...APPS, plural: 'replicasets', namespace, labelSelector, ...paging },
          options(signal),
        ),
      ),
    pods: (namespace: string, labelSelector: string, signal: AbortSignal): Promise<Pod[]> =>
      all(`GET pods of ${namespace}`, signal, Pod, async (paging) =>
        // The library makes Dates of times; as JSON they are what the server sent.
        JSON.parse(
          JSON.stringify(
            await core.listNamespacedPod(
              { namespace, ...(labelSelector && { labelSelector }), ...paging },
              options(signal),
            ),
          ),
        ),
      ),
    /** The last lines of a container's log, or null if it has none. */
    log(
      { namespace, name }: Place,
      wanted: { container: string; previous: boolean; tailLines: number; limitBytes: number },
      signal: AbortSignal,
    ): Promise<string | null> {
      const read = call(`GET log of ${namespace}/${name}`, signal, () =>
        core.readNamespacedPodLog({ namespace, name, ...wanted }, options(signal)),
      )
      return read.catch((error: unknown) => {
        // 400: the container waits to start, or has no earlier run. 404: the pod is gone.
        if (error instanceof Answered && (error.status === 400 || error.status === 404)) return null
        throw error
      })
    },

    /** Refused by the server with anything that is no conflict means that nothing was changed. */
    async patch({ namespace, name }: Place, body: Patch, scale: boolean, signal: AbortSignal): Promise<unknown> {
      const kind = Array.isArray(body) ? PatchStrategy.JsonPatch : PatchStrategy.MergePatch
      const target = { ...APPS, plural: 'deployments', namespace, name, body, fieldManager: 'keyturn' }
      const set = options(
        signal,
        before((r) => r.setHeaderParam('Content-Type', kind)),
      )
      try {
        return await call(`PATCH deployment ${namespace}/${name}`, signal, () =>
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
        if (status === undefined || status >= 500 || status === 410 || status === 429) over.resolve()
        else
          over.reject(
            new Answered(status, `kubernetes: WATCH ${path} was answered with ${status}${remedy(status)}`, error),
          )
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
