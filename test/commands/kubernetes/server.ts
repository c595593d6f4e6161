import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createState, type DeploymentObject, type Kind } from './state.ts'

export const TOKEN = 'canary-kubernetes-token'
type Json = Record<string, unknown>
type Stored = { metadata: DeploymentObject['metadata'] }

/** Which group and version has which kind. */
const SERVED: Readonly<Record<Kind, string>> = {
  deployments: 'apps/v1',
  replicasets: 'apps/v1',
  statefulsets: 'apps/v1',
  daemonsets: 'apps/v1',
  jobs: 'batch/v1',
  cronjobs: 'batch/v1',
  persistentvolumeclaims: 'v1',
  storageclasses: 'storage.k8s.io/v1',
  nodes: 'v1',
  pods: 'v1',
  events: 'v1',
  horizontalpodautoscalers: 'autoscaling/v2',
  scaledobjects: 'keda.sh/v1alpha1',
  applications: 'argoproj.io/v1alpha1',
  kustomizations: 'kustomize.toolkit.fluxcd.io/v1',
  helmreleases: 'helm.toolkit.fluxcd.io/v2',
}

/** They are of the whole cluster, so that no namespace is in their path. */
const OF_CLUSTER = new Set<Kind>(['nodes', 'storageclasses'])

/** The API's way to say no. */
class Status extends Error {
  readonly code: number
  readonly reason: string
  constructor(code: number, reason: string, message: string) {
    super(message)
    this.code = code
    this.reason = reason
  }
}

/** A server for the paths of Kubernetes' API that commands use, with watch; it refuses what the real one refuses. */
export async function startKubernetes() {
  let state = createState()
  const writes: { path: string; type: string; body: unknown }[] = []
  const logs = new Map<string, string>()
  const watches = new Set<ServerResponse>()
  const behave = {
    /** So many patches are overtaken by a write of the status. */
    stir: 0,
    /** Happens between the look and the patch that follows it. */
    overtake: null as (() => void) | null,
    /** Called when a deployment, or pods, were given to somebody. */
    looked: null as ((kind: string) => void) | null,
    /** The next patch is done, and its answer is lost. */
    lose: false,
    /** Namespaces that the token's role does not reach. */
    forbidden: new Set<string>(['kube-system']),
    readOnly: false,
    noWatch: false,
    /** So many requests end without an answer. */
    deaf: 0,
    /** So many requests are too many; each is told how many seconds to wait. */
    throttle: { left: 0, seconds: 0 },
    /** So many requests meet a server that restarts, behind a proxy that says so in HTML. */
    restarting: 0,
    restartingAt: /./,
    /** Tokens that are good. */
    tokens: new Set([TOKEN]),
    /** The next place in a list that is asked for has been forgotten. */
    expire: false,
    /** Kinds that the token's role does not reach, and groups that the cluster does not have. */
    denied: new Set<string>(),
    missing: new Set<string>(),
  }

  const server = createServer((request, reply) => {
    answer(request, reply).catch((error: unknown) => {
      const { code, reason, message } =
        error instanceof Status ? error : new Status(500, 'InternalError', String(error))
      send(reply, code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, reason, code })
    })
  })
  const send = (reply: ServerResponse, status: number, value: unknown) =>
    reply.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))

  async function answer(request: IncomingMessage, reply: ServerResponse): Promise<unknown> {
    let body = ''
    for await (const chunk of request) body += chunk
    if (behave.deaf > 0) {
      behave.deaf--
      return reply.destroy()
    }
    if (behave.throttle.left > 0) {
      behave.throttle.left--
      reply.setHeader('retry-after', String(behave.throttle.seconds))
      throw new Status(
        429,
        'TooManyRequests',
        'the server has received too many requests and has asked us to try again later',
      )
    }
    if (behave.restarting > 0 && behave.restartingAt.test(request.url ?? '')) {
      behave.restarting--
      return reply.writeHead(503, { 'content-type': 'text/html' }).end('<html><h1>503 Service Unavailable</h1></html>')
    }
    if (![...behave.tokens].some((token) => request.headers.authorization === `Bearer ${token}`))
      throw new Status(401, 'Unauthorized', 'Unauthorized')
    const { pathname, searchParams: query } = new URL(request.url ?? '', 'http://x')
    const found =
      /^\/(?:apis\/([^/]+\/[^/]+)|api\/(v1))(?:\/namespaces\/([^/]+))?\/([a-z]+)(?:\/([^/]+))?(?:\/(scale|log))?$/.exec(
        pathname,
      )
    const [, group, old, namespace = '', plural = '', name, sub] = found ?? []
    const kind = plural as Kind
    if (
      !found ||
      SERVED[kind] !== (group ?? old) ||
      OF_CLUSTER.has(kind) !== (namespace === '') ||
      behave.missing.has(kind)
    )
      throw new Status(404, 'NotFound', 'the server could not find the requested resource')
    const verb = request.method === 'GET' ? (name ? 'get' : query.get('watch') ? 'watch' : 'list') : 'patch'
    if (
      behave.forbidden.has(namespace) ||
      behave.denied.has(kind) ||
      // As rights.yaml grants it: one by its name, and no list of a whole cluster.
      (OF_CLUSTER.has(kind) && verb !== 'get') ||
      (behave.readOnly && verb === 'patch') ||
      (behave.noWatch && verb === 'watch')
    )
      throw new Status(
        403,
        'Forbidden',
        `${kind} is forbidden: User "keyturn" cannot ${verb} resource "${kind}" ${namespace ? `in the namespace "${namespace}"` : 'at the cluster scope'}`,
      )
    const all = state.objects[kind] as Stored[]
    const matches = (object: Stored) =>
      object.metadata.namespace === namespace &&
      (query.get('labelSelector') ?? '')
        .split(',')
        .filter(Boolean)
        .every((part) => object.metadata.labels[part.split('=')[0]!] === part.split('=')[1]) &&
      (query.get('fieldSelector') ?? '')
        .split(',')
        .filter(Boolean)
        .every((part) => part === `metadata.name=${object.metadata.name}`)
    if (verb === 'list') {
      const items = all.filter(matches)
      const place = query.get('continue')
      if (place && behave.expire) {
        behave.expire = false
        throw new Status(
          410,
          'Expired',
          'The provided continue parameter is too old to display a consistent list result.',
        )
      }
      const from = place ? Number(Buffer.from(place, 'base64url').toString().split(':')[1]) : 0
      if (Number.isNaN(from)) throw new Status(400, 'BadRequest', 'continue key is not valid')
      // Without a limit there is no page.
      const limit = Number(query.get('limit') ?? 0) || items.length
      const left = Math.max(0, items.length - from - limit)
      const next = left > 0 ? Buffer.from(`rv:${from + limit}`).toString('base64url') : undefined
      const metadata = {
        resourceVersion: '7',
        ...(next && { continue: next }),
        ...(next && !query.get('labelSelector') && { remainingItemCount: left }),
      }
      send(reply, 200, { kind: 'List', apiVersion: 'v1', metadata, items: items.slice(from, from + limit) })
      return behave.looked?.(kind)
    }
    if (verb === 'watch') return watch(reply, kind, all.filter(matches), matches)
    const object = all.find((one) => one.metadata.namespace === namespace && one.metadata.name === name)
    if (!object) throw new Status(404, 'NotFound', `${kind} "${name}" not found`)
    if (sub === 'log') return sendLog(reply, name!, query)
    if (verb === 'get') {
      send(reply, 200, object)
      return behave.looked?.(kind)
    }
    const type = String(request.headers['content-type'])
    if (kind === 'deployments') return patch(reply, object as DeploymentObject, sub === 'scale', type, body, pathname)
    return patchOther(reply, kind, object, type, body, pathname)
  }

  function watch(reply: ServerResponse, kind: Kind, now: Stored[], matches: (object: Stored) => boolean) {
    reply.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
    const line = (type: string, object: object) =>
      !reply.writableEnded && reply.write(`${JSON.stringify({ type, object })}\n`)
    for (const object of now) line('ADDED', object)
    const listen = (of: Kind, type: string, object: Stored) => of === kind && matches(object) && line(type, object)
    state.changes.on('change', listen)
    watches.add(reply)
    reply.on('close', () => {
      state.changes.off('change', listen)
      watches.delete(reply)
    })
  }

  function sendLog(reply: ServerResponse, pod: string, query: URLSearchParams) {
    const container = query.get('container')
    const found = state.objects.pods.find((one) => one.metadata.name === pod)!
    const status = found.status.containerStatuses.find((one) => one.name === container)
    if (!status) throw new Status(400, 'BadRequest', `container ${container} is not valid for pod ${pod}`)
    const previous = query.get('previous') === 'true'
    if (previous && status.restartCount === 0)
      throw new Status(400, 'BadRequest', `previous terminated container "${container}" in pod "${pod}" not found`)
    const log = logs.get(`${found.metadata.labels.app}${previous ? ' before' : ''}`) ?? ''
    const lines = log.split('\n').slice(-Number(query.get('tailLines') ?? 1e9))
    reply
      .writeHead(200, { 'content-type': 'text/plain' })
      .end(lines.join('\n').slice(0, Number(query.get('limitBytes') ?? 1e9)))
  }

  /** Custom resources know no strategic merge patch. */
  function patchOther(reply: ServerResponse, kind: Kind, object: Stored, type: string, body: string, path: string) {
    if (type !== 'application/merge-patch+json')
      throw new Status(415, 'UnsupportedMediaType', `the body of the request was in an unknown format: ${type}`)
    if (behave.stir > 0) {
      behave.stir--
      state.touch(kind, 'MODIFIED', object)
    }
    const given = JSON.parse(body) as Json
    const after = merge(structuredClone(object) as unknown as Json, given) as unknown as Stored
    if (after.metadata.resourceVersion !== object.metadata.resourceVersion)
      throw new Status(409, 'Conflict', `Operation cannot be fulfilled on ${kind} "${object.metadata.name}"`)
    if (Object.values(after.metadata.annotations ?? {}).some((value) => typeof value !== 'string'))
      throw new Status(422, 'Invalid', 'metadata.annotations: Invalid value: must be a string')
    writes.push({ path, type, body: given })
    Object.assign(object, after)
    state.touch(kind, 'MODIFIED', object)
    void state.settle()
    if (behave.lose) {
      behave.lose = false
      return void reply.destroy()
    }
    send(reply, 200, object)
  }

  function patch(
    reply: ServerResponse,
    deployment: DeploymentObject,
    scale: boolean,
    type: string,
    body: string,
    path: string,
  ): void {
    const { metadata } = deployment
    behave.overtake?.()
    behave.overtake = null
    while (behave.stir > 0) {
      behave.stir--
      state.touch('deployments', 'MODIFIED', deployment)
    }
    const given: unknown = JSON.parse(body)
    const before: Json = structuredClone(deployment) as unknown as Json
    const after =
      type === 'application/json-patch+json'
        ? applyOperations(before, given as { op: string; path: string; value: unknown }[])
        : type === 'application/merge-patch+json'
          ? merge(before, given as Json)
          : null
    if (!after)
      throw new Status(415, 'UnsupportedMediaType', `the body of the request was in an unknown format: ${type}`)
    const next = after as unknown as DeploymentObject
    if (next.metadata.resourceVersion !== metadata.resourceVersion || next.metadata.uid !== metadata.uid)
      throw new Status(
        409,
        'Conflict',
        `Operation cannot be fulfilled on deployments.apps "${metadata.name}": the object has been modified`,
      )
    const invalid = (what: string) =>
      new Status(422, 'Invalid', `Deployment.apps "${metadata.name}" is invalid: ${what}`)
    if (!Number.isInteger(next.spec.replicas) || next.spec.replicas < 0) throw invalid('spec.replicas')
    if (JSON.stringify(next.spec.selector) !== JSON.stringify(deployment.spec.selector))
      throw invalid('spec.selector: field is immutable')
    for (const [key, value] of Object.entries(next.spec.selector.matchLabels))
      if (next.spec.template.metadata.labels[key] !== value)
        throw invalid('spec.template.metadata.labels: `selector` does not match template `labels`')
    writes.push({ path, type, body: given })
    state.wish(
      deployment,
      (spec) => Object.assign(spec, scale ? { replicas: next.spec.replicas } : next.spec),
      'keyturn',
    )
    if (behave.lose) {
      behave.lose = false
      reply.destroy()
      return
    }
    const { generation: _, ...rest } = metadata
    send(
      reply,
      200,
      scale
        ? { kind: 'Scale', apiVersion: 'autoscaling/v1', metadata: rest, spec: { replicas: deployment.spec.replicas } }
        : deployment,
    )
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get state() {
      return state
    },
    writes,
    logs,
    behave,
    watching: () => watches.size,
    /** As a server does when it is restarted: every watch ends. */
    endWatches() {
      for (const reply of watches) reply.end()
    },
    reset() {
      for (const reply of watches) reply.destroy()
      state.held = true
      state = createState()
      writes.length = 0
      Object.assign(behave, {
        stir: 0,
        overtake: null,
        looked: null,
        lose: false,
        readOnly: false,
        noWatch: false,
        deaf: 0,
        throttle: { left: 0, seconds: 0 },
        restarting: 0,
        restartingAt: /./,
        tokens: new Set([TOKEN]),
        expire: false,
        denied: new Set(),
        missing: new Set(),
      })
    },
    async stop() {
      state.held = true
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
export type KubernetesServer = Awaited<ReturnType<typeof startKubernetes>>

/** RFC 7386. */
function merge(target: Json, patch: Json): Json {
  for (const [key, value] of Object.entries(patch))
    if (value === null) delete target[key]
    else if (typeof value === 'object' && !Array.isArray(value))
      target[key] = merge((target[key] ?? {}) as Json, value as Json)
    else target[key] = value
  return target
}

/** The operations of RFC 6902 that are used. */
function applyOperations(target: Json, operations: readonly { op: string; path: string; value: unknown }[]): Json {
  for (const { op, path, value } of operations) {
    const keys = path.split('/').slice(1)
    const last = keys.pop()!
    const at = keys.reduce((node, key) => (node as Json)[key] as Json, target)
    if (op === 'test' && JSON.stringify(at[last]) !== JSON.stringify(value))
      throw new Status(422, 'Invalid', `the server rejected our request due to an error in our request: test ${path}`)
    if (op === 'replace' && !(last in at)) throw new Status(422, 'Invalid', `replace ${path}: no such path`)
    if (op === 'replace') at[last] = value
  }
  return target
}
