import { commands } from '../../commands/index.ts'
import type { ChangeCommand } from '../../src/domain/command.ts'
import { createWorld, propose, type TestConnection } from '../commands/context.ts'
import { text } from './mutate.ts'
import { type Random, randomOf } from './scheduler.ts'
import { type Asked, startSqlTap, startWebTap } from './taps.ts'
import { Violation } from './violation.ts'

type Params = Readonly<Record<string, unknown>>

/** A line for each command that changes something: its connection's kind, and parameters as they should be. */
export const EXECUTORS: Readonly<Record<string, readonly [kind: string, sample: Params]>> = {
  'postgres.cancel-query': ['postgres', { pid: 7 }],
  'postgres.terminate-sessions': ['postgres', { pids: '7, 8' }],
  'redshift.terminate-sessions': ['redshift', { pids: '7' }],
  'redshift.copy': ['redshift', { load: 'orders', maxErrors: 0 }],
  'redshift.alter-columns': ['redshift', { load: 'orders', add: 'note varchar(10)', widen: 'name varchar(20)' }],
  'redshift.quarantine-rejected': ['redshift', { load: 'orders', query: 7 }],
  'redshift.reboot-cluster': ['redshift', {}],
  'http.request': ['http', { method: 'POST', path: '/jobs/7', body: '{"a":1}', check: '/jobs/7/state' }],
  'http.operate': ['http', { operation: 'retry', args: ['job=7'] }],
  'http.bulk': ['http', { operation: 'retry-all', args: ['job=7'], count: 1 }],
  'alertmanager.silence': ['alertmanager', { labels: ['alertname=Lag'], minutes: 5, reason: 'known' }],
  'pagerduty.acknowledge': ['pagerduty', { incident: 'P123ABC' }],
  'pagerduty.resolve': ['pagerduty', { incident: 'P123ABC' }],
  'airflow.clear-tasks': ['airflow', { dag: 'etl', run: 'r1', tasks: 'load' }],
  'airflow.mark-success': ['airflow', { dag: 'etl', run: 'r1', tasks: 'load' }],
  'airflow.trigger-run': ['airflow', { dag: 'etl', conf: '{"day":1}' }],
  'airflow.pause-dag': ['airflow', { dag: 'etl' }],
  'airflow.resume-dag': ['airflow', { dag: 'etl' }],
  'airflow.set-pool-slots': ['airflow', { pool: 'pool', slots: 3 }],
  'airflow.restore-connection': ['airflow', { id: 'warehouse' }],
  'airflow.recover-many': ['airflow', { dags: 'etl', hours: 3 }],
  's3.quarantine-records': ['s3', { bucket: 'lake', key: 'in/a.json' }],
  's3.delete-prefix': ['s3', { bucket: 'lake', prefix: 'tmp/a/', job: 'j-1/s-1' }],
  's3.repack-archive': ['s3', { bucket: 'lake', key: 'in/a.gz' }],
  'dynamodb.set-capacity': ['dynamodb', { table: 'orders', write: 5 }],
  'rds.start-export': ['rds', { name: 'nightly', source: 'arn:aws:rds:us-east-1:1:snapshot:a' }],
  'rds.cancel-export': ['rds', { name: 'nightly' }],
  'rds.resize-instance': ['rds', { instance: 'db1', class: 'db.r6g.large' }],
  'emr.cancel-steps': ['emr', { cluster: 'j-1', steps: 's-1' }],
  'emr.resize': ['emr', { cluster: 'j-1', group: 'ig-2', instances: 5 }],
  'machines.restart-units': ['machines', { group: 'workers', units: 'app.service' }],
  'machines.pin-packages': ['machines', { group: 'workers', packages: 'curl=1' }],
  'machines.clean-up': ['machines', { group: 'workers', folder: '/var/tmp/app', olderThanHours: 48 }],
  'machines.cycle-instances': ['machines', { group: 'workers', instances: 'i-0a000001' }],
  'machines.resize-group': ['machines', { group: 'workers', wanted: 3 }],
  'kubernetes.scale': ['kubernetes', { namespace: 'shop', deployment: 'web', replicas: 2 }],
  'kubernetes.rollout-restart': ['kubernetes', { namespace: 'shop', deployments: 'web' }],
  'kubernetes.rollout-undo': ['kubernetes', { namespace: 'shop', deployment: 'web', revision: 2 }],
  'script.run': ['script', { script: 'say', args: ['note=hello', 'mode=on'] }],
}

/** Commands that have no line yet, and why. It may only get shorter. */
export const UNCOVERED: Readonly<Record<string, string>> = {
  'kafka.replay': 'as kafka.skip-record',
  'kafka.skip-record': 'a broker speaks in frames of counted strings; topics and groups must be in the settings',
  'cloudformation.roll-back': 'takes a service of the settings and a commit of hexadecimal digits, and nothing else',
}

const BASE = '/base/v7'
const aws = (origin: string) => ({
  region: 'us-east-1',
  endpoint: origin,
  accessKeyIdFrom: 'T',
  secretAccessKeyFrom: 'T',
})

/** The settings of a connection of each kind, as open as they can be. */
function connectionsTo(origin: string, sqlPort: number): Record<string, TestConnection> {
  const sql = { host: '127.0.0.1', port: sqlPort, database: 'd', user: 'u', passwordFrom: 'T', tls: 'off' }
  const any = { type: 'text', pattern: '(?s).*' }
  const of = (kind: string, settings: unknown) => [kind, { kind, settings }] as const
  return Object.fromEntries([
    of('postgres', sql),
    of('redshift', { ...sql, ...aws(origin), cluster: 'wh', reboot: true }),
    of('http', {
      baseUrl: `${origin}${BASE}`,
      allow: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].flatMap((method) =>
        ['/jobs/*', '/jobs/*/state'].map((path) => ({ method, path, query: true })),
      ),
      params: { job: any },
      lists: { jobs: { path: '/jobs/{job}', items: '/items', id: '/id', show: {} } },
      operations: { retry: { method: 'POST', path: '/jobs/{job}/state', body: '{"job":"{job}"}' } },
    }),
    of('alertmanager', { baseUrl: `${origin}${BASE}`, silenceable: ['Lag'] }),
    of('pagerduty', { baseUrl: `${origin}${BASE}`, tokenFrom: 'T', from: 'a@example.com', services: ['P1'] }),
    of('airflow', { baseUrl: `${origin}${BASE}`, api: 2, auth: { kind: 'bearer', tokenFrom: 'T' }, dags: ['*'] }),
    of('s3', { ...aws(origin), forcePathStyle: true, buckets: ['lake'], deletable: [] }),
    of('dynamodb', { ...aws(origin), tables: { orders: { maxRead: 9, maxWrite: 9 } } }),
    of('rds', { ...aws(origin), bucket: 'exports', iamRoleArn: 'arn:aws:iam::1:role/r', kmsKeyId: 'k' }),
    of('emr', { ...aws(origin), clusters: ['parsers'] }),
    of('machines', {
      ...aws(origin),
      autoScalingEndpoint: origin,
      groups: { workers: { tag: { name: 'role', value: 'w' }, autoScalingGroup: 'asg', units: ['app.service'] } },
    }),
    of('kubernetes', {
      server: `${origin}${BASE}`,
      tokenFrom: 'T',
      namespaces: { shop: { deployments: { web: {} } } },
    }),
    of('script', {
      scripts: {
        say: {
          path: '/usr/bin/printf',
          args: ['%s\\n%s', '--{note}', '{mode}'],
          params: { note: any, mode: { type: 'choice', values: ['on', 'off'] } },
        },
      },
    }),
  ])
}

/** A parameter as an alert or a person could fill it. */
function hostile(random: Random, sample: unknown): unknown {
  if (Array.isArray(sample)) {
    const items = Array.from({ length: 1 + random.below(3) }, () => hostile(random, random.pick([...sample, 'x'])))
    return random.chance(0.1) ? hostile(random, 'x') : items
  }
  const odd = [Number.NaN, -1, 0.5, 2 ** 53, '7; select 1', '7 or 1=1', '0x7', '', null, {}, ['x'], true]
  if (random.chance(0.15)) return random.pick(odd)
  if (typeof sample === 'number') return random.pick([sample, sample + 1, ...odd])
  const evil = text(random, 200)
  const [name, value] = String(sample).split('=')
  return random.pick([
    evil,
    `${sample}${evil}`,
    `${evil}${sample}`,
    value === undefined ? evil : `${name}=${evil}`,
    sample,
  ])
}

/** Every segment of a path that one of our systems knows is no value. */
const KNOWN = new Set([
  ...['', 'base', 'v7', 'api', 'v1', 'v2', 'jobs', 'state', 'alerts', 'silences', 'silence', 'incidents', 'dags'],
  ...['dagRuns', 'taskInstances', 'clearTaskInstances', 'tasks', 'pools', 'connections', 'apis', 'apps', 'namespaces'],
  ...['deployments', 'replicasets', 'pods', 'scale', 'config', 'health', 'monitor', 'dagSources', 'patch', 'details'],
])

type Rig = Awaited<ReturnType<typeof openRig>>

async function openRig() {
  let redirect = ''
  const elsewhere = await startWebTap(KNOWN, (response) => response.end('{}'))
  const web = await startWebTap(KNOWN, (response) => {
    response.writeHead(redirect ? 307 : 200, {
      'content-type': 'application/json',
      ...(redirect && { location: redirect }),
    })
    response.end('{}')
  })
  const sql = await startSqlTap()
  const connections = connectionsTo(web.origin, sql.port)

  /** Plans, and runs what could be planned; what the systems were asked meanwhile, and what it said. */
  async function call(
    id: string,
    kind: string,
    params: Params,
    away: boolean,
  ): Promise<{ asked: Asked[]; said: unknown[] }> {
    const command = commands.find((c) => c.id === id) as ChangeCommand
    const world = createWorld({ connections, secrets: { T: 'canary-of-a-token' } })
    for (const tap of [web, sql, elsewhere]) tap.asked.length = 0
    redirect = away ? `${elsewhere.origin}/stolen` : ''
    const said: unknown[] = []
    try {
      const plan = await propose(command, { ...params, connection: kind }, world.read(AbortSignal.timeout(3000)))
      const { ctx, recording } = world.run(plan, { signal: AbortSignal.timeout(3000) })
      await command.run(plan, ctx).finally(() => said.push(...recording.finished.map((f) => f.result)))
    } catch {
      // It may say no, in whatever words: what counts is what was sent.
    } finally {
      await world.close()
    }
    // The name of an object may hold any number of slashes.
    const asked = [...web.asked, ...sql.asked].map((one) =>
      kind === 's3' ? { ...one, shape: one.shape.replace(/(\/\*?)+/g, '/*') } : one,
    )
    return { asked, said }
  }

  return { call, elsewhere, web, stop: () => Promise.all([web.stop(), sql.stop(), elsewhere.stop()]) }
}

/** What is wrong with where a request went: nothing leaves the host or the base path, or climbs out of it. */
function strayed(rig: Rig, kind: string, { host, url }: Asked): string | null {
  if (host === '') return null
  if (host !== new URL(rig.web.origin).host) return `a request to ${host}`
  const [path = ''] = url.split('?')
  const based = ['http', 'alertmanager', 'pagerduty', 'airflow', 'kubernetes'].includes(kind)
  if (based && !path.startsWith(`${BASE}/`)) return `a request outside of the base: ${url}`
  const climbs = path.split('/').some((s) => /^(\.|%2e){1,2}$/i.test(s))
  if (kind === 's3' && !/^\/lake(\/|$)/.test(path)) return `a request outside of the bucket: ${url}`
  return climbs || path.includes('\\') ? `a path that climbs: ${url}` : null
}

/** Parameters of any kind through every command: what a system is asked has the shape that it has for good ones. */
export function createExecutorsPart() {
  let rig: Promise<Rig> | null = null
  const shapes = new Map<string, Set<string>>()

  /** The shapes of what is asked for parameters that mean no harm. */
  async function learn(open: Rig, id: string, kind: string, params: Params): Promise<Set<string>> {
    const known = shapes.get(id) ?? new Set<string>()
    shapes.set(id, known)
    for (const { shape } of (await open.call(id, kind, params, false)).asked) known.add(shape)
    return known
  }

  return {
    async run(seed: number): Promise<void> {
      rig ??= openRig()
      const open = await rig
      const random = randomOf(seed)
      const id = random.pick(Object.keys(EXECUTORS))
      const [kind, sample] = EXECUTORS[id]!
      if (!shapes.has(id)) await learn(open, id, kind, sample)
      const names = Object.keys(sample)
      const evil = Object.fromEntries(
        names.map((name) => [
          name,
          random.chance(0.5) || names.length === 1 ? hostile(random, sample[name]) : sample[name],
        ]),
      )
      const { asked, said } = await open.call(id, kind, evil, random.chance(0.1))
      const what = () => `${id} with ${JSON.stringify(evil)}`
      if (open.elsewhere.asked.length > 0) throw new Violation(`a redirect was followed by ${what()}`)
      for (const one of asked) {
        const fault = strayed(open, kind, one)
        if (fault) throw new Violation(`${fault}, by ${what()}`)
      }
      const isNew = (known: ReadonlySet<string>) => asked.find(({ shape }) => !known.has(shape))
      if (isNew(shapes.get(id)!)) {
        // Good parameters of the same number may ask something else than the sample does.
        const tame = (value: unknown, like: unknown): unknown =>
          Array.isArray(value)
            ? value.map((v) => tame(v, Array.isArray(like) ? like[0] : like))
            : typeof value === 'string'
              ? tamed(like)
              : value
        const good = Object.fromEntries(
          names.map((name) => [name, evil[name] === sample[name] ? sample[name] : tame(evil[name], sample[name])]),
        )
        await learn(open, id, kind, good)
      }
      const strange = isNew(shapes.get(id)!)
      if (strange)
        throw new Violation(`another request than for good parameters: ${strange.shape} (${strange.url}), by ${what()}`)
      if (id === 'script.run') spoken(evil, said)
    },
    async close(): Promise<string> {
      await (await rig)?.stop()
      return `${shapes.size} commands`
    },
  }
}

const tamed = (like: unknown): string => {
  const [name, value] = String(like).split('=')
  return value === undefined ? `${like}zq` : `${name}=zq`
}

/** The program was given exactly the bytes of the parameters, each as one argument. */
function spoken(params: Params, said: readonly unknown[]): void {
  if (said.length === 0) return
  const given = new Map(
    (params.args as readonly unknown[]).map((arg) => String(arg).split(/=(.*)/s) as [string, string]),
  )
  const wanted = `--${given.get('note')}\n${given.get('mode')}`
  const { output } = said[0] as { output: string }
  if (output !== wanted)
    throw new Violation(`the program was given ${JSON.stringify(output)}, not ${JSON.stringify(wanted)}`)
}
