import { startService } from './server.ts'

export const TOKEN = 'token-6f1c2a'
type Dataset = {
  id: string
  name: string
  transaction: string
  state: 'committed' | 'failed' | 'retracted'
  rows: number
  schema: string[]
  users: string[]
  /** What makes it: `dataset` or `model`, and the job. */
  kind: string
  job: string
}
type Job = { id: string; dag: string; state: 'running' | 'killed' }

/** Settings of the connection, as keyturn.yaml would have them. */
export const metadataSettings = (baseUrl: string) => ({
  baseUrl,
  tokenFrom: 'METADATA_TOKEN',
  maxResponseBytes: 262_144,
  params: {
    transaction: { type: 'text', pattern: 't-[0-9]+' },
    dataset: { type: 'text', pattern: '[a-z_]+' },
    dag: { type: 'text', pattern: '[a-z_]+' },
    deployed: { type: 'text', pattern: '[0-9a-f]{40}' },
    fix: { type: 'text', pattern: '[0-9a-f]{40}' },
    files: { type: 'text', pattern: '[a-z0-9_./, ]+' },
  },
  lists: {
    committed: {
      noun: 'dataset',
      path: '/transactions/{transaction}/datasets?state=committed',
      items: '/datasets',
      id: '/id',
      show: { name: '/name', rows: '/rows' },
      next: { at: '/next', query: 'cursor' },
    },
    'committed-one': {
      noun: 'dataset',
      path: '/transactions/{transaction}/datasets?state=committed&name={dataset}',
      items: '/datasets',
      id: '/id',
      show: { name: '/name', rows: '/rows' },
    },
    uncommitted: {
      noun: 'dataset',
      path: '/transactions/{transaction}/datasets?state=failed',
      items: '/datasets',
      id: '/id',
      show: { name: '/name', kind: '/kind', job: '/job' },
    },
    failed: {
      noun: 'dataset',
      path: '/transactions/{transaction}/datasets?state=failed&name={dataset}',
      items: '/datasets',
      id: '/id',
      show: { name: '/name' },
    },
    schema: {
      noun: 'attribute',
      path: '/transactions/{transaction}/schemas/{dataset}',
      items: '/attributes',
      id: '/name',
      distinct: '/name',
      show: { type: '/type' },
    },
    users: {
      noun: 'dataset',
      path: '/transactions/{transaction}/users-of/{dataset}',
      items: '/users',
      id: '',
    },
    jobs: { noun: 'job', path: '/jobs?dag={dag}&state=running', items: '/jobs', id: '/id', show: { dag: '/dag' } },
  },
  operations: {
    'kill-jobs': {
      summary: 'Kill the running jobs of a DAG',
      list: 'jobs',
      send: { method: 'POST', path: '/jobs/{id}/kill' },
      only: [
        {
          list: 'changed-files',
          connection: 'code',
          param: 'files',
          says: 'The new version changes more than the fix',
        },
      ],
      item: { path: '/jobs/{id}', at: '/state', changed: ['killed'], open: ['running'] },
    },
    'retract-for-fix': {
      summary: 'Retract what a transaction has committed so far',
      list: 'committed',
      send: { method: 'POST', path: '/datasets/{id}/retract' },
      none: [{ list: 'jobs', says: 'Jobs of the DAG still run and would commit again' }],
    },
    'commit-empty': {
      summary: 'Commit an empty dataset',
      list: 'failed',
      send: { method: 'POST', path: '/datasets/{id}/commit', body: { rows: 0, of: '{dataset}' } },
      none: [{ list: 'users', says: 'Other datasets are made from it' }],
      item: { path: '/datasets/{id}', at: '/state', changed: ['committed'], open: ['failed'] },
    },
    'retract-one': {
      summary: 'Retract what was committed of a dataset',
      list: 'committed-one',
      send: { method: 'POST', path: '/datasets/{id}/retract' },
      after: ['schema'],
    },
    'retract-all': {
      summary: 'Retract everything that a transaction has committed',
      list: 'committed',
      send: { method: 'POST', path: '/datasets/{id}/retract' },
      keyHeader: 'Idempotency-Key',
      item: { path: '/datasets/{id}', at: '/state', changed: ['retracted'], open: ['committed'] },
      stopAbove: 0.05,
    },
  },
})

/** Settings of the connection to where the code is kept. */
export const codeSettings = (baseUrl: string) => ({
  baseUrl,
  maxResponseBytes: 262_144,
  params: {
    deployed: { type: 'text', pattern: '[0-9a-f]{40}' },
    fix: { type: 'text', pattern: '[0-9a-f]{40}' },
  },
  lists: {
    'changed-files': {
      noun: 'file',
      path: '/repos/acme/dags/compare/{deployed}...{fix}',
      items: '/files',
      id: '/filename',
      show: { status: '/status', changes: '/changes' },
      expect: { '/status': ['ahead'] },
      // GitHub lists no more than 300 files of a comparison.
      most: 299,
    },
  },
})

/**
 * A metadata service: transactions, their datasets, and the jobs that make them, pages of 100; with the comparison of two
 * commits beside it. It says no to what cannot be, and takes a request with a key that it knows for done.
 */
export async function startMetadata() {
  const datasets = new Map<string, Dataset>()
  const jobs = new Map<string, Job>()
  const compared = { status: 'ahead', files: [] as { filename: string; status: string; changes: number }[] }
  /** Ids whose change answers 503. */
  const failing = new Set<string>()
  /** Ids whose change lands, and whose answer is lost. */
  const silent = new Set<string>()
  /** Ids whose change never lands nor is answered. */
  const lost = new Set<string>()
  const keys = new Map<string, string[]>()
  const load = { now: 0, most: 0 }
  /** Holds every change back until it is resolved. */
  const gate = { open: Promise.resolve(), arrived: (_id: string) => {} }

  const service = await startService(async (seen, incoming, outgoing) => {
    const url = new URL(seen.url, 'http://service')
    const parts = url.pathname.split('/').slice(1).map(decodeURIComponent)
    const say = (status: number, value: unknown) => {
      if (!outgoing.destroyed)
        outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    }
    const no = (why: string) => say(409, { error: why })
    const page = (all: unknown[], name: string) => {
      const from = Number(url.searchParams.get('cursor') ?? 0)
      const next = from + 100 < all.length ? String(from + 100) : null
      say(200, { [name]: all.slice(from, from + 100), next })
    }
    const change = async (id: string, work: () => void) => {
      const key = seen.headers['idempotency-key']
      if (key) keys.set(id, [...(keys.get(id) ?? []), String(key)])
      load.most = Math.max(load.most, ++load.now)
      gate.arrived(id)
      await gate.open
      load.now--
      if (failing.has(id)) return say(503, { error: `${id} is busy` })
      if (lost.has(id)) return void incoming.socket.destroy()
      work()
      if (silent.has(id)) incoming.socket.destroy()
      else say(200, { ok: true })
    }
    if (parts[0] === 'repos' && parts[3] === 'compare') return say(200, compared)
    if (seen.headers.authorization !== `Bearer ${TOKEN}`) return say(401, { error: 'who are you?' })
    if (parts[0] === 'transactions' && seen.method === 'GET') {
      const [, transaction, what, name] = parts
      const mine = [...datasets.values()].filter((d) => d.transaction === transaction)
      if (mine.length === 0) return say(404, { error: `no transaction ${transaction}` })
      const [state, wanted] = [url.searchParams.get('state'), url.searchParams.get('name')]
      if (what === 'datasets')
        return page(
          mine.filter((d) => d.state === state && (!wanted || d.name === wanted)),
          'datasets',
        )
      const one = mine.find((d) => d.name === name)
      if (!one) return say(404, { error: `no dataset ${name}` })
      if (what === 'schemas')
        return say(200, {
          attributes: one.state === 'committed' ? one.schema.map((a) => ({ name: a, type: 'text' })) : [],
        })
      if (what === 'users-of') return say(200, { users: one.users })
    }
    const [kind, id = '', verb] = parts
    const dataset = datasets.get(id)
    const job = jobs.get(id)
    if (kind === 'jobs' && !id)
      return page(
        [...jobs.values()].filter(
          (j) => j.dag === url.searchParams.get('dag') && j.state === url.searchParams.get('state'),
        ),
        'jobs',
      )
    if (kind === 'datasets' && dataset && seen.method === 'GET') return say(200, dataset)
    if (kind === 'jobs' && job && seen.method === 'GET') return say(200, job)
    if (seen.method !== 'POST') return say(404, { error: 'not found' })
    if (kind === 'jobs' && job && verb === 'kill')
      return job.state === 'running'
        ? change(id, () => void Object.assign(job, { state: 'killed' }))
        : no('it does not run')
    if (kind === 'datasets' && dataset && verb === 'retract')
      return dataset.state === 'committed'
        ? change(id, () => void Object.assign(dataset, { state: 'retracted' }))
        : no('not committed')
    if (kind === 'datasets' && dataset && verb === 'commit') {
      const body = JSON.parse(seen.body) as { rows?: number; of?: string }
      if (body.rows !== 0 || body.of !== dataset.name) return say(400, { error: 'rows and of are needed' })
      return dataset.state === 'failed'
        ? change(id, () => void Object.assign(dataset, { state: 'committed', rows: 0, schema: [] }))
        : no('not failed')
    }
    say(404, { error: 'not found' })
  })

  return {
    ...service,
    datasets,
    jobs,
    compared,
    failing,
    silent,
    lost,
    keys,
    load,
    gate,
    addDataset(id: string, more: Partial<Dataset> = {}) {
      datasets.set(id, {
        id,
        name: id.replace(/\W/g, '_'),
        transaction: 't-77',
        state: 'committed',
        rows: 10,
        schema: ['id'],
        users: [],
        kind: 'dataset',
        job: 'extract',
        ...more,
      })
    },
    /** Forgets everything. */
    reset() {
      for (const all of [datasets, jobs, failing, silent, lost, keys]) all.clear()
      Object.assign(load, { now: 0, most: 0 })
      Object.assign(compared, { status: 'ahead', files: [] })
      Object.assign(gate, { open: Promise.resolve(), arrived: () => {} })
      service.seen.length = 0
    },
  }
}
export type Metadata = Awaited<ReturnType<typeof startMetadata>>
