import { namesIn, type Peer } from './peer.ts'

const ANY = { type: 'text', pattern: '(?s).*' }
const RETRY = {
  summary: 'Retry',
  list: 'jobs',
  send: { method: 'POST', path: '/jobs/{job}/state', body: { job: '{job}', id: '{id}' } },
}

/** A service of jobs. Nothing that a check asks for is there yet. */
export const http: Peer = {
  settings: ({ base }) => ({
    baseUrl: base,
    allow: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].flatMap((method) =>
      ['/jobs/*', '/jobs/*/state'].map((path) => ({ method, path, query: true })),
    ),
    params: { job: ANY },
    lists: { jobs: { path: '/jobs/{job}', items: '/items', id: '/id' } },
    operations: { retry: RETRY, 'retry-all': RETRY },
    graphql: { path: '/jobs/graphql', queries: { job: 'query($id: ID!) { job(id: $id) { id state } }' } },
  }),
  reply: ({ method }, { id }) =>
    method === 'GET' && id === 'http.request' ? { status: 404, json: {} } : { json: { items: [{ id: '7' }] } },
}

/** An Alertmanager where the alert that is to be silenced fires. */
export const alertmanager: Peer = {
  settings: ({ base }) => ({ baseUrl: base, silenceable: ['Lag'] }),
  reply({ method, path }, { params }) {
    const lines = Array.isArray(params.labels) ? params.labels.map(String) : []
    const labels = Object.fromEntries(lines.map((line) => line.trim().split(/=(.*)/s).slice(0, 2)))
    if (method === 'POST') return { json: { silenceID: 's1' } }
    return { json: path.endsWith('/alerts') ? [{ fingerprint: 'f1', labels }] : [] }
  },
}

/** A PagerDuty with every incident, triggered. */
export const pagerduty: Peer = {
  settings: ({ base }) => ({ baseUrl: base, tokenFrom: 'T', from: 'a@example.com', services: ['P1'] }),
  reply: ({ segments, input }) => ({
    json: {
      incident: {
        id: segments.at(-1),
        incident_number: 1,
        status: (input.incident as { status?: string } | undefined)?.status ?? 'triggered',
        service: { id: 'P1' },
        created_at: '2026-03-14T01:00:00Z',
      },
    },
  }),
}

/** A GitHub where every commit is green. */
export const github: Peer = {
  settings: ({ base }) => ({ baseUrl: base, repositories: { 'shop/checkout': { required: ['tests'] } } }),
  reply: ({ path }) => ({
    json: path.endsWith('/status')
      ? { total_count: 0, statuses: [] }
      : {
          total_count: 1,
          check_runs: [{ name: 'tests', status: 'completed', conclusion: 'success', completed_at: null }],
        },
  }),
}

/** Programs of this machine: one that says what it was given. */
export const script: Peer = {
  settings: () => ({
    scripts: {
      say: {
        path: '/usr/bin/printf',
        args: ['%s\\n%s', '--{note}', '{mode}'],
        params: { note: ANY, mode: { type: 'choice', values: ['on', 'off'] } },
      },
    },
  }),
}

/** A cluster with one deployment at its third revision; after a change it is ready once somebody watches. */
export const kubernetes: Peer = {
  settings: ({ base }) => ({
    server: base,
    tokenFrom: 'T',
    namespaces: { shop: { deployments: { web: { replicas: { max: 9 } } } } },
    steadySeconds: 0,
  }),
  reply({ method, path, query }, { before, params, id }) {
    const patch = before.findLast((question) => question.method === 'PATCH')
    // KEDA is there for the one command that is about it.
    const paused = patch ? {} : { 'autoscaling.keda.sh/paused-replicas': '0' }
    const scaledObject = {
      metadata: { name: 'web-so', uid: 'web-so', resourceVersion: patch ? '2' : '1', annotations: paused },
      spec: { scaleTargetRef: { name: namesIn(params.deployment)[0] ?? 'web' } },
    }
    if (path.endsWith('/horizontalpodautoscalers')) return { json: { metadata: {}, items: [] } }
    if (path.endsWith('/scaledobjects'))
      return { json: { metadata: {}, items: id === 'kubernetes.resume-autoscaler' ? [scaledObject] : [] } }
    if (path.includes('/scaledobjects/')) return { json: scaledObject }
    const watched = before.filter((question) => question.query.has('watch')).length > 1
    const wanted = (patch?.input.spec as { replicas?: number } | undefined)?.replicas ?? 1
    const meta = (name: string, revision = 3, more = {}) => ({
      name,
      uid: name,
      creationTimestamp: '2026-01-01T00:00:00Z',
      annotations: { 'deployment.kubernetes.io/revision': String(revision) },
      ...more,
    })
    const template = (revision: number) => ({
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'app', image: `web:${revision}` }] },
    })
    const owned = (uid: string) => ({ ownerReferences: [{ uid, controller: true }] })
    const list = (items: readonly unknown[]) => ({ json: { metadata: {}, items } })
    if (query.has('watch')) return { hold: true }
    if (path.endsWith('/replicasets'))
      return list([3, 2].map((n) => ({ metadata: meta(`set-${n}`, n, owned('web')), spec: { template: template(n) } })))
    if (path.endsWith('/pods'))
      return list(
        Array.from({ length: wanted }, (_, n) => ({
          metadata: meta(`pod-${n}`, 3, owned('set-3')),
          spec: template(3).spec,
        })),
      )
    const generation = { generation: patch ? 2 : 1, resourceVersion: patch ? '2' : '1' }
    const there = patch && !watched ? 0 : wanted
    const json = {
      metadata: meta(namesIn(params.deployments ?? params.deployment)[0] ?? 'web', 3, { ...generation, uid: 'web' }),
      spec: { replicas: wanted, selector: { matchLabels: { app: 'web' } }, template: template(3) },
      status: {
        observedGeneration: generation.generation,
        replicas: wanted,
        updatedReplicas: wanted,
        availableReplicas: there,
      },
    }
    return { json: method === 'PATCH' && path.endsWith('/scale') ? { spec: { replicas: wanted } } : json }
  },
}
