import { Redis, type RedisOptions } from 'ioredis'

/**
 * A connection that gives up after some seconds instead of waiting for ever: what cannot be stored now is answered
 * with an error, and nothing that was not stored is accepted. Commands may be sent twice; every script allows for it.
 */
export function connectRedis(url: string, onError: (error: Error) => void, options: RedisOptions = {}): Redis {
  const redis = new Redis(url, {
    maxRetriesPerRequest: 1,
    commandTimeout: 2500,
    connectTimeout: 2000,
    retryStrategy: (times) => Math.min(100 * times, 1000),
    ...options,
  })
  redis.on('error', onError)
  return redis
}

/** For BullMQ workers and subscribers, which wait for as long as it takes. */
export const connectPatient = (url: string, onError: (error: Error) => void): Redis =>
  connectRedis(url, onError, { maxRetriesPerRequest: null, commandTimeout: undefined })

/** Why this Redis must not hold the journal: one sentence a fault, with its remedy. Empty when it may. */
export async function durabilityFaults(redis: Redis): Promise<string[]> {
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
