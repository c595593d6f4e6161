import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { Clock } from '../domain/ports.ts'

/** One Redis, one that Sentinel watches over, or a Redis Cluster. */
export type Store = Redis | Cluster

/** What all kinds of connection are set to; the replies' shape stays ioredis' own. */
type Options = Omit<RedisOptions, 'replyMapping' | 'retryStrategy' | 'sentinels'>

type Login = Readonly<{ username?: string; password?: string; tls?: boolean }>
type Node = Readonly<{ host: string; port: number }>

/** Where Redis is: one server's URL, the sentinels of a master, or some nodes of a cluster. */
export type Address =
  | Readonly<{ kind: 'one'; url: string }>
  | Readonly<{ kind: 'sentinels'; master: string; nodes: readonly Node[]; sentinelPassword?: string; login: Login }>
  | Readonly<{ kind: 'cluster'; nodes: readonly Node[]; login: Login }>

/** How long a command may take, in milliseconds, before it counts as failed. */
const PATIENCE = 2500

/**
 * A connection on which nothing comes for so long, though something was asked, leads nowhere, in milliseconds: whoever was at its
 * other end is gone without a word. A job is waited for in pieces of 10 s (BullMQ's `maximumBlockTimeout`).
 */
const SILENCE = { hasty: 4 * PATIENCE, patient: 30_000 }

const retry = (times: number) => Math.min(100 * times, 1000)

/**
 * ioredis lets commands wait for ever for a cluster that is not there; here they give up, as they do with one server.
 * What was refused then is not sent when the cluster is back: an approval would come into force out of the blue.
 */
class HastyCluster extends Cluster {
  override sendCommand(...args: Parameters<Cluster['sendCommand']>): ReturnType<Cluster['sendCommand']> {
    if (args[0].isSettled) return args[0].promise
    args[0].setTimeout(PATIENCE)
    return super.sendCommand(...args)
  }
}

/**
 * Errors of a server that is not the primary any more, or not ready: nothing was done, and a new connection may find the one
 * that is. Who waited in a blocking command is UNBLOCKED when its server becomes a replica; a replica of a primary that is gone
 * says MASTERDOWN, one that takes over from another's disk says LOADING; Redis before 7 puts READONLY into the middle when a
 * script meets it. https://redis.io/docs/latest/develop/reference/errors/common/readonly/
 */
const ELSEWHERE = /^(READONLY|MASTERDOWN|LOADING|UNBLOCKED force) ?|-READONLY /

/** The connections of a process to one address. */
const families = new WeakMap<Address, Map<Store, { since: number }>>()
/** A connection that is younger than this has found its server anew, in milliseconds. */
const YOUNG = 1000

/**
 * One connection was told that its server is no primary: so are the others, but one that only subscribes is never told, and
 * would hear nothing for ever.
 */
function reconnectAll(address: Address): void {
  for (const [store, { since }] of families.get(address) ?? [])
    if (store.status === 'ready' && performance.now() - since > YOUNG) store.disconnect(true)
}

function join(address: Address, store: Store): Store {
  const family = families.get(address) ?? new Map<Store, { since: number }>()
  families.set(address, family)
  return store
    .on('connect', () => family.set(store, { since: performance.now() }))
    .on('end', () => void family.delete(store))
    .on('error', (error: Error) => {
      if (error.message.startsWith('Socket timeout')) setImmediate(reconnectAll, address)
    })
}

function open(address: Address, given: Options, hasty: boolean): Store {
  const options: Options = {
    ...given,
    // The command is sent again on the new connection: it was not done.
    reconnectOnError: (error) => {
      if (!ELSEWHERE.test(error.message)) return false
      setImmediate(reconnectAll, address)
      return 2
    },
  }
  if (address.kind === 'one') return join(address, new Redis(address.url, { ...options, retryStrategy: retry }))
  const { tls, ...login } = address.login
  const secure = (plain: Options): Options => (tls ? { ...plain, ...login, tls: {} } : { ...plain, ...login })
  if (address.kind === 'sentinels')
    return join(
      address,
      new Redis({
        // The next connection asks the sentinels anew.
        ...secure(options),
        name: address.master,
        sentinels: address.nodes.map((n) => ({ ...n })),
        sentinelPassword: address.sentinelPassword,
        enableTLSForSentinelMode: tls === true,
        sentinelRetryStrategy: retry,
        retryStrategy: retry,
      }),
    )
  const Class = hasty ? HastyCluster : Cluster
  return new Class(
    address.nodes.map((n) => ({ ...n })),
    // A cluster's nodes say MOVED instead, and which keys are where is asked anew.
    { redisOptions: secure(given), clusterRetryStrategy: retry },
  )
}

/**
 * A connection that gives up after some seconds instead of waiting for ever: what cannot be stored now is answered
 * with an error, and nothing that was not stored is accepted. Commands may be sent twice; every script allows for it.
 */
export function connectRedis(address: Address, onError: (error: Error) => void): Store {
  const store = open(
    address,
    { maxRetriesPerRequest: 1, commandTimeout: PATIENCE, connectTimeout: 2000, socketTimeout: SILENCE.hasty },
    true,
  )
  return store.on('error', onError)
}

/**
 * For BullMQ workers and subscribers, which wait for as long as it takes. Who subscribes does it anew on each `ready`:
 * ioredis would do it by itself, but leaves a refusal unhandled, which ends the process.
 */
export function connectPatient(address: Address, onError: (error: Error) => void): Store {
  const options: Options = {
    maxRetriesPerRequest: null,
    connectTimeout: 2000,
    socketTimeout: SILENCE.patient,
    autoResubscribe: false,
  }
  const store = open(address, options, false)
  return store.on('error', onError)
}

/** The clock of Redis, for a terminal: nobody keeps the clock of a laptop, and a freeze is compared with approvals by time. */
export async function clockOf(store: Store, own: Clock): Promise<Clock> {
  const [seconds, microseconds] = (await store.time()) as [number, number]
  const ahead = own() - (seconds * 1000 + Math.floor(microseconds / 1000))
  return () => own() - ahead
}

/** Why this Redis must not hold the journal: one sentence a fault, with its remedy. Empty when it may. */
export async function durabilityFaults(store: Store): Promise<string[]> {
  if (store instanceof Redis) return [...(await faultsOfOne(store)), ...(await faultsOfNode(store))]
  // Its nodes are known once it has answered.
  await store.ping()
  const found = store.nodes('all').map(async (node) => {
    const { host, port } = node.options
    return (await faultsOfNode(node)).map((fault) => `${host}:${port}: ${fault}`)
  })
  return (await Promise.all(found)).flat().sort()
}

/** What an address that is to be one server must not lead to. */
async function faultsOfOne(redis: Redis): Promise<string[]> {
  const info = `${await redis.info('replication')}\n${await redis.info('cluster')}`
  return [
    ...(/^role:slave/m.test(info)
      ? ['This Redis is a replica, which takes no writes: give the address of the primary (the endpoint for writing).']
      : []),
    ...(/^cluster_enabled:1/m.test(info)
      ? ['This Redis is a node of a cluster: name its nodes under redis.cluster instead of a URL.']
      : []),
  ]
}

async function faultsOfNode(redis: Redis): Promise<string[]> {
  const info = `${await redis.info('persistence')}\n${await redis.info('memory')}`
  const value = (name: string) => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1]
  const faults: string[] = []
  if (value('aof_enabled') !== '1')
    faults.push(
      'Redis keeps no append-only file, so accepted alerts and decisions could be lost: set `appendonly yes`.',
    )
  const policy = value('maxmemory_policy')
  if (policy !== undefined && policy !== 'noeviction')
    faults.push(`Redis may evict the journal (maxmemory-policy ${policy}): set \`maxmemory-policy noeviction\`.`)
  // Managed services refuse CONFIG; what they promise about fsync is then the operator's to know.
  const config = (await redis.config('GET', 'appendfsync').catch(() => null)) as string[] | null
  if (value('aof_enabled') === '1' && config?.[1] && config[1] !== 'always')
    faults.push(`Redis may lose the last second (appendfsync ${config[1]}): set \`appendfsync always\`.`)
  return faults
}
