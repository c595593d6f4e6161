import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, connect as dial, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis, type RedisOptions } from 'ioredis'

const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', '']

/** A real Redis on a socket in a temporary folder, with an append-only file; `stop` removes both. */
export async function startRedis(settings: readonly string[] = DURABLE) {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-redis-'))
  const path = join(folder, 'redis.sock')
  const start = () =>
    spawn('redis-server', ['--port', '0', '--unixsocket', path, '--dir', folder, ...settings], { stdio: 'ignore' })
  let server: ChildProcess = start()
  const clients: Redis[] = []
  const ways: (() => void)[] = []
  const connect = (to = path, options: RedisOptions = {}) => {
    const redis = new Redis({
      path: to,
      retryStrategy: () => 20,
      maxRetriesPerRequest: null,
      autoResubscribe: false,
      ...options,
    })
    // Refused until the server has made its socket.
    redis.on('error', () => {})
    clients.push(redis)
    return redis
  }
  const end = async (signal: NodeJS.Signals) => {
    if (server.exitCode !== null || server.signalCode !== null) return
    const ended = once(server, 'exit')
    server.kill(signal)
    await ended
  }
  await connect().ping()
  return {
    /** Its socket, for other processes. */
    path,
    connect: () => connect(),
    /** As a power cut would; what was not on disk is lost. */
    kill: () => end('SIGKILL'),
    restart() {
      server = start()
    },
    /** A way to the server that takes commands there and can lose the replies; `losing` counts those that are to be lost. */
    async lossy() {
      const state = { losing: 0, connect: () => connect(proxyPath) }
      const proxyPath = join(folder, 'proxy.sock')
      const open = new Set<Socket>()
      const proxy = createServer((near: Socket) => {
        const far = dial(path)
        for (const socket of [near, far]) open.add(socket)
        near.on('error', () => far.destroy()).on('close', () => far.destroy())
        far.on('error', () => near.destroy()).on('close', () => near.destroy())
        near.pipe(far)
        far.on('data', (reply) => {
          if (state.losing > 0) {
            state.losing--
            near.destroy()
          } else near.write(reply)
        })
      }).listen(proxyPath)
      await once(proxy, 'listening')
      const close = () => {
        proxy.close()
        for (const socket of open) socket.destroy()
      }
      ways.push(close)
      return state
    },
    async stop() {
      for (const client of clients) client.disconnect()
      for (const close of ways) close()
      await end('SIGTERM')
      await rm(folder, { recursive: true, force: true })
    },
  }
}
