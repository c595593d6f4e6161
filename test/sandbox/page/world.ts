import type { Block, KnownBlock } from '@slack/types'
import fastify from 'fastify'
import type { Page } from 'playwright-core'
import { page } from '../../../src/sandbox/page/plugin.ts'
import type { SandboxOptions } from '../../../src/sandbox/slack/server.ts'
import { DATA, startSandbox } from '../slack/sandbox.ts'

/** An interaction as the bot receives it. */
export interface Payload {
  type: string
  trigger_id: string
  user: { id: string }
  actions?: { action_id: string; block_id: string; value?: string; selected_option?: { value: string } }[]
  view?: { id: string; state: { values: Record<string, Record<string, Record<string, unknown>>> } }
  container?: { message_ts?: string }
}

/** The sandbox with its page, and a bot that keeps what it is sent and answers with what `answer` returns. */
export async function startWorld(options: Partial<SandboxOptions> = {}) {
  const received: Payload[] = []
  const bot = fastify({ forceCloseConnections: true })
  const world = { status: 200, answer: (_: Payload): unknown => '' }
  bot.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_, body, done) => {
    done(null, JSON.parse(new URLSearchParams(String(body)).get('payload') ?? '{}'))
  })
  bot.post<{ Body: Payload }>('/', async (request, reply) => {
    received.push(request.body)
    return reply.code(world.status).send(world.answer(request.body) ?? '')
  })
  const requestUrl = `${await bot.listen({ port: 0, host: '127.0.0.1' })}/`
  const { sandbox, web } = await startSandbox({ requestUrl, page, faults: { rateLimit: false }, ...options })
  return Object.assign(world, {
    sandbox,
    web,
    received,
    /** Posts a message of the bot to the data channel and returns its ts. */
    async post(text: string, blocks?: (KnownBlock | Block)[], thread_ts?: string): Promise<string> {
      const sent = await web.chat.postMessage({ channel: DATA, text, blocks, thread_ts })
      return sent.ts ?? ''
    },
    async close() {
      await sandbox.close()
      await bot.close()
    },
  })
}
export type World = Awaited<ReturnType<typeof startWorld>>

/** Opens the page as a person; every error of the page's own script is kept in `errors`. */
export async function open(browserPage: Page, world: World, query: Record<string, string> = {}): Promise<string[]> {
  const errors: string[] = []
  browserPage.on('pageerror', (error) => errors.push(String(error)))
  await browserPage.goto(`${world.sandbox.url}/?${new URLSearchParams({ channel: DATA, ...query })}`)
  return errors
}
