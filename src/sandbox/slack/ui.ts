import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { Faults } from './faults.ts'
import { formatMessage, formatView } from './format.ts'
import type { Choice, PressResult, Where } from './interactions.ts'
import type { Json, State, View } from './state.ts'

/** One button of the demo's panel, and a table of what a target of the demo looks like now. */
export interface PanelState {
  alerts: { id: string; title: string; note?: string; resolve?: string }[]
  faults: { id: string; title: string; note?: string; on?: boolean }[]
  targets: { id: string; title: string; columns: string[]; rows: string[][]; before?: string[][]; note?: string }[]
}
/** What the demo adds to the page: alerts to fire, faults to inject, targets to look at. */
export interface Panel {
  state(): PanelState | Promise<PanelState>
  run(id: string): Promise<{ ok: boolean; message?: string }>
  /** Calls `listener` when the panel changed by itself. */
  subscribe?(listener: () => void): () => void
}

/** The whole sandbox as the page and tests see it. */
export function snapshot(state: State, url: string) {
  const { workspace } = state
  const view = (one: View | undefined) =>
    one ? { ...formatView(one, state), user: one.user, errors: one.errors } : null
  return {
    version: state.version,
    team: { id: workspace.team.id, name: workspace.team.name },
    bot: { id: workspace.bot.id, user_id: workspace.bot.user_id, name: workspace.bot.name },
    users: workspace.users.map(({ id, name, real_name, role }) => ({ id, name, real_name, role })),
    channels: workspace.channels.map(({ id, name }) => ({ id, name })),
    messages: Object.fromEntries(
      [...state.messages].map(([channel, list]) => [
        channel,
        list.map((one) => ({
          ...formatMessage(one, state, url, true),
          user: one.user,
          ts: one.ts,
          text: one.text,
          blocks: one.blocks,
          thread_ts: one.thread_ts,
          edited: one.edited,
          metadata: one.metadata,
          ephemeral_to: one.ephemeral_to,
          pings: one.pings,
        })),
      ]),
    ),
    modals: Object.fromEntries(workspace.users.map(({ id }) => [id, view(state.modals.get(id)?.at(-1))])),
    homes: Object.fromEntries(workspace.users.map(({ id }) => [id, view(state.homes.get(id))])),
    usergroups: workspace.usergroups,
    presses: state.presses.slice(-50),
    faults: state.faults,
  }
}
export type Snapshot = ReturnType<typeof snapshot>

/** What people can do, as the page calls it. */
export interface People {
  press(user: string, where: Where, actionId: string, choice?: Choice): Promise<PressResult>
  submit(user: string, viewId: string, values: Record<string, Record<string, Json>>): Promise<PressResult>
  closeView(user: string, viewId: string): Promise<PressResult>
  say(user: string, channel: string, text: string, thread_ts?: string): string
  openHome(user: string): void
  faults(set: Partial<Faults>): void
}

const As = z.object({ as: z.string() })
const PressBody = As.extend({
  channel: z.string().optional(),
  ts: z.string().optional(),
  view_id: z.string().optional(),
  action_id: z.string(),
}).loose()
const SubmitBody = As.extend({
  view_id: z.string(),
  values: z.record(z.string(), z.record(z.string(), z.record(z.string(), z.unknown()))).default({}),
})
const SayBody = As.extend({
  channel: z.string(),
  text: z.string().min(1).max(40_000),
  thread_ts: z.string().optional(),
})

/** Refuses what does not come from a page on this machine: a rebound DNS name, or a form on another site. */
function fromHere(request: FastifyRequest): boolean {
  const loopback = (host: string) => ['127.0.0.1', 'localhost', '[::1]'].includes(host)
  const { origin, host = '' } = request.headers
  if (!loopback(host.replace(/:\d+$/, ''))) return false
  return origin === undefined || origin === `http://${host}`
}

/** `/ui/*`: what the page reads and does. A refusal is HTTP 200 with `ok: false` and the reason as text. */
export function uiRoutes(app: FastifyInstance, state: State, people: People, url: () => string, panel?: Panel): void {
  const body = (request: FastifyRequest): unknown => {
    const text = Buffer.isBuffer(request.body) ? request.body.toString('utf8') : ''
    return text === '' ? {} : JSON.parse(text)
  }
  const post = <S extends z.ZodType>(
    path: string,
    schema: S,
    run: (input: z.output<S>) => Promise<unknown> | unknown,
  ) =>
    app.post(`/ui/${path}`, async (request, reply) => {
      if (!fromHere(request)) return reply.code(403).send({ ok: false, error: 'only from a page on this machine' })
      try {
        const result = await run(schema.parse(body(request)))
        return typeof result === 'object' && result !== null ? result : { ok: true }
      } catch (cause) {
        return {
          ok: false,
          error: cause instanceof z.ZodError ? z.prettifyError(cause) : String((cause as Error).message),
        }
      }
    })

  app.get('/ui/state', async (request, reply) =>
    fromHere(request) ? snapshot(state, url()) : reply.code(403).send({ ok: false }),
  )

  app.get('/ui/events', (request, reply) => {
    if (!fromHere(request)) return void reply.code(403).send({ ok: false })
    reply.hijack()
    const { raw } = reply
    raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    const tell = () => void raw.write(`event: change\ndata: ${state.version}\n\n`)
    const stops = [state.subscribe(tell), panel?.subscribe?.(tell)]
    request.raw.on('close', () => {
      for (const stop of stops) stop?.()
    })
    tell()
  })

  post('press', PressBody, ({ as, channel, ts, view_id, action_id, ...choice }) =>
    people.press(as, view_id ? { view_id } : { channel: channel ?? '', ts: ts ?? '' }, action_id, choice as Choice),
  )
  post('submit', SubmitBody, ({ as, view_id, values }) => people.submit(as, view_id, values))
  post('close', As.extend({ view_id: z.string() }), ({ as, view_id }) => people.closeView(as, view_id))
  post('say', SayBody, ({ as, channel, text, thread_ts }) => ({
    ok: true,
    ts: people.say(as, channel, text, thread_ts),
  }))
  post('home', As, ({ as }) => people.openHome(as))
  post('faults', Faults.partial().strict(), (set) => people.faults(set))

  app.get('/ui/panel', async (request, reply) => {
    if (!fromHere(request)) return reply.code(403).send({ ok: false })
    return (await panel?.state()) ?? { alerts: [], faults: [], targets: [] }
  })
  app.post<{ Params: { id: string } }>('/ui/panel/:id', async (request, reply) => {
    if (!fromHere(request)) return reply.code(403).send({ ok: false })
    if (!panel) return reply.code(404).send({ ok: false, message: 'this sandbox has no panel' })
    try {
      return await panel.run(request.params.id)
    } catch (cause) {
      return { ok: false, message: (cause as Error).message }
    } finally {
      state.changed()
    }
  })
}
