import type { Check, Command, Evidence } from '../../src/domain/command.ts'
import { createWorld, propose } from '../commands/context.ts'
import { airflow } from './peers/airflow.ts'
import { cloudformation, dynamodb, emr, machines, rds, replyOfAws } from './peers/aws.ts'
import { startKafkaTap } from './peers/kafka.ts'
import type { Call, Fields, Peer, Question, Reply } from './peers/peer.ts'
import { replyOfS3, s3 } from './peers/s3.ts'
import { postgres, type Row, redshift, rowsOf } from './peers/sql.ts'
import { alertmanager, github, http, kubernetes, pagerduty, script } from './peers/web.ts'
import { startSqlTap } from './sql-tap.ts'
import { type Asked, startWebTap, watchConnects } from './taps.ts'

/** By command: its connection's kind, parameters as they should be, and the shape of the request that changes something. */
export type Lines = Readonly<Record<string, readonly [kind: string, sample: Fields, change: RegExp]>>

/** What of a request may be anything: its query and all of its body (''), or what stands under a name in its JSON. */
const FREE: Readonly<Record<string, string>> = { 'http.request': '', 'airflow.trigger-run': 'conf' }

const PEERS: Readonly<Record<string, Peer>> = {
  ...{ postgres, redshift, http, alertmanager, pagerduty, airflow, s3, dynamodb, rds, emr, machines, kubernetes },
  ...{ cloudformation, github, script },
}

const BASE = '/base/v7'

/** No call takes so long, unless a peer does not say what the command waits for. */
const LIMIT_MS = 15_000

/** Every segment of a path that one of our systems knows is no value. */
const KNOWN = new Set([
  ...['', 'base', 'v7', 'api', 'v1', 'v2', 'jobs', 'state', 'alerts', 'silences', 'silence', 'incidents', 'dags'],
  ...['dagRuns', 'taskInstances', 'clearTaskInstances', 'tasks', 'pools', 'connections', 'apis', 'apps', 'namespaces'],
  ...['repos', 'commits', 'check-runs', 'status', 'version', 'assets'],
  ...['deployments', 'replicasets', 'pods', 'scale', 'config', 'health', 'monitor', 'dagSources', 'patch', 'details'],
])

export type Away = 'nothing' | 'everything' | 'the change'
export type Rig = Awaited<ReturnType<typeof openRig>>

/** What stands between the commands and the web's peers: its address and port. */
type Between = Readonly<{ url: string; port: number }>

/** The peers, and a way to call a command on them. */
export async function openRig(
  lines: Lines,
  commands: readonly Command[],
  more: Readonly<{
    between?: (origin: string) => Promise<Between>
    /** What the web's peers and the databases give where they have something of their own to say. */
    reply?: (question: Question, call: Call) => Reply | null
    rows?: (statement: string, call: Call) => readonly Row[] | null
  }> = {},
) {
  let call: Call = { id: '', params: {}, before: [] }
  let away: Away = 'nothing'
  const elsewhere = await startWebTap(KNOWN, () => ({ json: {} }))
  const web = await startWebTap(KNOWN, (question, { shape, url }, { headers }) => {
    const [kind, , change] = lines[call.id]!
    const before = call
    call = { ...call, before: [...call.before, question] }
    if (away === 'everything' || (away === 'the change' && change.test(namelessOf(kind, shape))))
      return { status: 307, headers: { location: `${elsewhere.origin}/stolen` }, json: {} }
    const own = more.reply?.(question, before)
    if (own) return own
    if (headers.authorization?.includes('/s3/aws4_request')) return replyOfS3(question, 'x-amz-copy-source' in headers)
    if (question.action) return replyOfAws(question, before, String(headers['content-type']).includes('json'))
    const peer = kind === 'cloudformation' && url.startsWith(BASE) ? github : PEERS[kind]
    return peer?.reply?.(question, before) ?? { json: {} }
  })
  const sql = await startSqlTap((statement, values) => more.rows?.(statement, call) ?? rowsOf(statement, values, call))
  // The only one that takes its time to start.
  const kafka = Object.values(lines).some(([kind]) => kind === 'kafka') ? await startKafkaTap() : null
  const near = (await more.between?.(web.origin)) ?? { url: web.origin, port: web.port }
  const at = { origin: near.url, base: `${near.url}${BASE}`, sqlPort: sql.port }
  const connections = {
    ...Object.fromEntries(Object.entries(PEERS).map(([kind, peer]) => [kind, { kind, settings: peer.settings(at) }])),
    kafka: { kind: 'kafka', settings: kafka?.settings },
  }
  const connects = watchConnects()
  const open = new Set(
    [web.port, near.port, sql.port, elsewhere.port, ...(kafka?.ports ?? [])].map((port) => `127.0.0.1:${port}`),
  )

  return {
    elsewhere,
    host: new URL(near.url).host,
    /** The databases, to play what they do besides. */
    sql,
    /** Whether the call under way has sent what changes something. */
    hasChanged: () =>
      [...web.asked, ...sql.asked].some(({ shape }) => lines[call.id]![2].test(namelessOf(lines[call.id]![0], shape))),
    /** Looks; or plans, and runs (and verifies) what could be planned. What the systems were asked meanwhile, and what it said. */
    async call(id: string, params: Fields, redirected: Away = 'nothing', verified = false) {
      const [kind, , change] = lines[id]!
      const command = commands.find((c) => c.id === id)!
      const now = () => new Date('2026-03-14T02:08:00.000Z')
      const world = createWorld({ connections, secrets: { T: 'canary-of-a-token' }, now })
      if (id === 'kafka.replay') await kafka?.renew()
      for (const tap of [web, sql, elsewhere, kafka]) tap?.asked.splice(0)
      connects.seen.length = 0
      call = { id, params, before: [] }
      away = redirected
      web.free = FREE[id] ?? null
      const said: unknown[] = []
      let [evidence, message, checks]: [Evidence | null, string | null, Check[] | null] = [null, null, null]
      let planned = false
      let fault: unknown
      try {
        const limit = AbortSignal.timeout(LIMIT_MS)
        if (command.effect === 'read') {
          evidence = await command.read(command.params.parse({ ...params, connection: kind }), world.read(limit))
        } else {
          const plan = await propose(command, { ...params, connection: kind }, world.read(limit))
          planned = true
          const { ctx, recording } = world.run(plan, { signal: limit })
          message = await command.run(plan, ctx).finally(() => said.push(...recording.finished.map((f) => f.result)))
          if (verified) checks = await command.verify(plan, world.read(limit))
        }
      } catch (error) {
        // It may say no, in whatever words: what counts is what was sent.
        fault = error
      } finally {
        await world.close()
      }
      const asked: Asked[] = [
        ...web.asked.map((one) => ({ ...one, shape: namelessOf(kind, one.shape) })),
        ...sql.asked,
        ...(kafka?.asked ?? []),
        ...(kind === 'script' && said.length > 0 ? [{ shape: 'runs', host: '', url: '' }] : []),
      ]
      const strange = connects.seen.find((address) => !open.has(address))
      return {
        asked,
        said,
        planned,
        fault,
        strange,
        evidence,
        message,
        checks,
        reached: asked.some(({ shape }) => change.test(shape)),
      }
    },
    async stop(): Promise<void> {
      connects.stop()
      await Promise.all([web.stop(), sql.stop(), elsewhere.stop(), kafka?.stop()])
    },
  }
}

/** The name of an object may hold any number of slashes, and any word. */
const namelessOf = (kind: string, shape: string): string =>
  kind === 's3' || kind === 'redshift' ? shape.replace(/^(\w+) [^?]*/, '$1 /*') : shape

const climbs = (path: string): boolean =>
  path.includes('\\') || path.split('/').some((segment) => /^(\.|%2e){1,2}$/i.test(segment))

/** What is wrong with where a request went: nothing leaves the host or the base path, or climbs out of it. */
export function strayed(rig: Pick<Rig, 'host'>, kind: string, { host, url, source }: Asked): string | null {
  if (host === '') return null
  if (host !== rig.host) return `a request to ${host}`
  const [path = ''] = url.split('?')
  const based = ['http', 'alertmanager', 'pagerduty', 'airflow', 'kubernetes'].includes(kind)
  if (based && !path.startsWith(`${BASE}/`)) return `a request outside of the base: ${url}`
  if (kind === 's3' && !/^\/lake(\/|$)/.test(path)) return `a request outside of the bucket: ${url}`
  if (kind === 'redshift' && !/^\/(lake(\/|$)|$)/.test(path)) return `a request outside of the bucket: ${url}`
  if (source && (!source.startsWith('lake/') || climbs(source))) return `a copy from outside of the bucket: ${source}`
  return climbs(path) ? `a path that climbs: ${url}` : null
}
