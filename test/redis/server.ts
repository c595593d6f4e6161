import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'

/** A real Redis on a socket in a temporary folder, with an append-only file; `stop` removes both. */
export async function startRedis() {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-redis-'))
  const path = join(folder, 'redis.sock')
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', '']
  const server = spawn('redis-server', ['--port', '0', '--unixsocket', path, '--dir', folder, ...durable], {
    stdio: 'ignore',
  })
  const clients: Redis[] = []
  const connect = () => {
    const redis = new Redis({ path, retryStrategy: () => 20, maxRetriesPerRequest: null })
    // Refused until the server has made its socket.
    redis.on('error', () => {})
    clients.push(redis)
    return redis
  }
  await connect().ping()
  return {
    connect,
    async stop() {
      for (const client of clients) client.disconnect()
      const ended = once(server, 'exit')
      server.kill()
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}
