import { pino } from 'pino'
import type { Batch } from '../../src/domain/alert.ts'
import { SourceSettings } from '../../src/sources/registry.ts'
import { createHttpServer, createSources, type SourcesDeps } from '../../src/sources/server.ts'

export const SECRETS: Record<string, string> = { AM_TOKEN: 's3cret', GENERIC_PASSWORD: 'pass:word' }

/** The moment at which every test's requests arrive. */
export const NOW = new Date('2026-11-21T02:00:00.000Z')

export const SOURCES = {
  am: SourceSettings.parse({ kind: 'alertmanager', auth: { bearerFrom: 'AM_TOKEN' } }),
  ci: SourceSettings.parse({
    kind: 'generic',
    auth: { basic: { user: 'ci', passwordFrom: 'GENERIC_PASSWORD' } },
    status: { pointer: '/state', firing: ['open'], resolved: ['closed'] },
    labels: { alertname: '/title' },
  }),
}

/** What a generator comes to. */
export function outcome<T>(work: Generator<void, T>): T {
  for (;;) {
    const { done, value } = work.next()
    if (done) return value
  }
}

/** A source edge on a free port of loopback. `close` it. */
export async function startEdge(options: Partial<SourcesDeps> & { port?: number } = {}) {
  const stored: { batch: Batch; source: string }[] = []
  const lines: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
  const server = createHttpServer({ log })
  await server.register(
    createSources({
      sources: SOURCES,
      secret: (name) => SECRETS[name] ?? '',
      onAlerts: async (batch, source) => void stored.push({ batch, source }),
      clock: () => NOW,
      log,
      ...options,
    }),
  )
  const url = await server.listen({ host: '127.0.0.1', port: options.port ?? 0 })
  const post = (body: BodyInit | null, headers: Record<string, string> = {}, source = 'am') =>
    fetch(`${url}/webhooks/${source}`, {
      method: 'POST',
      body,
      headers: { authorization: 'Bearer s3cret', 'content-type': 'application/json', ...headers },
      duplex: 'half',
    } as RequestInit)
  return { server, url, stored, lines, post, close: () => server.close() }
}
