import { readFile } from 'node:fs/promises'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { renderApp } from './layout.ts'
import { lookOf, type Panel, type UiState } from './model.ts'

const ASSETS = {
  'style.css': 'text/css',
  'blocks.css': 'text/css',
  'client.js': 'text/javascript',
  'fields.js': 'text/javascript',
  'morph.js': 'text/javascript',
} as const

/** Only this origin; inline style attributes stay allowed, because the block library sets widths and margins by them. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "style-src-attr 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

const EMPTY_PANEL: Panel = { alerts: [], faults: [], targets: [] }

/**
 * The sandbox's web page: `/` (the page), `/view` (its body again, for a look given by the query string), `/assets/*`,
 * and Slack's permalinks. It reads the workspace as a browser would, by `GET /ui/state` and `GET /ui/panel` of the
 * server it is registered on.
 */
export const page: FastifyPluginAsync = async (app) => {
  app.addHook('onSend', async (_request, reply) => {
    reply.headers({
      'content-security-policy': POLICY,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    })
  })

  async function read<T>(path: string, request: FastifyRequest): Promise<T | null> {
    const answer = await app.inject({
      method: 'GET',
      url: path,
      headers: { host: request.headers.host ?? 'localhost' },
    })
    return answer.statusCode === 200 ? (answer.json() as T) : null
  }

  async function render(request: FastifyRequest, reply: FastifyReply): Promise<string | null> {
    const state = await read<UiState>('/ui/state', request)
    if (!state) {
      reply.code(503).type('text/plain').send('The sandbox does not answer GET /ui/state. Restart it.')
      return null
    }
    const panel = (await read<Panel>('/ui/panel', request)) ?? EMPTY_PANEL
    return renderApp(state, panel, lookOf(request.query as Record<string, unknown>, state), new Date())
  }

  app.get('/', async (request, reply) => {
    const body = await render(request, reply)
    return body === null ? reply : reply.type('text/html').send(documentOf(body))
  })

  app.get('/view', async (request, reply) => {
    const body = await render(request, reply)
    return body === null ? reply : reply.type('text/html').send(body)
  })

  app.get<{ Params: { name: string } }>('/assets/:name', async (request, reply) => {
    const { name } = request.params
    if (!Object.hasOwn(ASSETS, name)) return reply.code(404).type('text/plain').send('No such asset.')
    const text = await readFile(new URL(`./assets/${name}`, import.meta.url), 'utf8')
    return reply.type(ASSETS[name as keyof typeof ASSETS]).send(text)
  })

  app.get<{ Params: { channel: string; ts: string }; Querystring: { thread_ts?: string } }>(
    '/archives/:channel/:ts',
    async (request, reply) => {
      const ts = request.query.thread_ts ?? request.params.ts.replace(/^p(\d+)(\d{6})$/, '$1.$2')
      return reply.redirect(`/?${new URLSearchParams({ channel: request.params.channel, thread: ts })}`)
    },
  )
}

function documentOf(body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Keyturn sandbox</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/style.css">
<link rel="stylesheet" href="/assets/blocks.css">
<script type="module" src="/assets/client.js"></script>
</head>
<body>${body}<div id="toasts" role="status" aria-live="polite"></div></body>
</html>
`
}
