import type { FastifyPluginAsync } from 'fastify'

/** `GET /healthz`: the process answers. `GET /readyz`: 200 if every part is ready, else 503; names the parts. */
export function createHealth(parts: Readonly<Record<string, () => Promise<boolean>>>): FastifyPluginAsync {
  return async (server) => {
    server.get('/healthz', async () => ({ status: 'ok' }))
    server.get('/readyz', async (_, reply) => {
      const asked = Object.entries(parts).map(async ([name, isReady]) => [name, await isReady().catch(() => false)])
      const ready: Record<string, boolean> = Object.fromEntries(await Promise.all(asked))
      return reply.code(Object.values(ready).every(Boolean) ? 200 : 503).send(ready)
    })
  }
}
