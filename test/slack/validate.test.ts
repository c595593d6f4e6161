import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import type { HomeView, KnownBlock, ModalView } from '@slack/types'
import { WebAPIPlatformError, WebClient } from '@slack/web-api'
import { digest } from '../../src/domain/plan.ts'
import { createSandboxSlack } from '../../src/sandbox/slack/server.ts'
import { fitBlocks, fitView } from '../../src/slack/limits.ts'
import { slackLogger } from '../../src/slack/send.ts'
import type { Drawn } from '../../src/slack/show.ts'
import { home } from '../../src/slack/views/home.ts'
import { modals } from '../../src/slack/views/modals.ts'
import { ID, incidentOf, STATES } from './cards.ts'
import { createLines, SECRETS } from './world.ts'

const GOLDEN = join(import.meta.dirname, '../fixtures/cards')

/** Every message of every golden card, as it is sent. */
const messages = readdirSync(GOLDEN).flatMap((file) =>
  (JSON.parse(readFileSync(join(GOLDEN, file), 'utf8')) as Drawn[]).flatMap((drawn): [string, KnownBlock[]][] =>
    drawn.kind === 'message' ? [[`${file} ${drawn.key}`, fitBlocks(drawn.blocks ?? [])]] : [],
  ),
)

const open = incidentOf(...STATES.open!)
const on = { incident: ID, proposal: 'p1', origin: null }
const views: [string, ModalView | HomeView][] = [
  ['loading', modals.loading()],
  ['notice', modals.notice('Guests cannot decide.')],
  ['approve', modals.decide(open, { kind: 'decide', verdict: 'approve', digest: digest('x'), ...on }, true)],
  ['reject', modals.decide(open, { kind: 'decide', verdict: 'reject', digest: digest('x'), ...on }, true)],
  ['settle', modals.settle(open, { kind: 'settle', choice: 'resume', ...on })],
  ['freeze', modals.freeze({ kind: 'freeze', verb: 'freeze' })],
  ['thaw', modals.freeze({ kind: 'freeze', verb: 'thaw' })],
  [
    'home',
    home([open], { by: 'Ona', reason: 'strange writes', since: open.openedAt, until: null }, ['Invite the bot.']),
  ],
  ['a quiet home', home([], null)],
]

/** What `blocks.validate` of a Slack has against each of them: https://docs.slack.dev/reference/methods/blocks.validate */
async function refusals(web: WebClient): Promise<string[]> {
  const found: string[] = []
  const ask = async (name: string, call: () => Promise<unknown>) => {
    try {
      await call()
    } catch (error) {
      if (!(error instanceof WebAPIPlatformError)) throw error
      found.push(`${name}: ${JSON.stringify(error.data)}`)
    }
  }
  for (const [name, blocks] of messages) await ask(name, () => web.blocks.validate({ message: { blocks } }))
  for (const [name, view] of views) await ask(name, () => web.blocks.validate({ view: fitView(view) }))
  return found
}

it('the sandbox takes every golden card and every form, and says what it has against others', async () => {
  const sandbox = await createSandboxSlack(SECRETS)
  const web = new WebClient(SECRETS.botToken, { slackApiUrl: sandbox.apiUrl, logger: slackLogger(createLines().log) })
  try {
    expect(messages.length).toBeGreaterThan(100)
    expect(await refusals(web)).toEqual([])
    const box = { type: 'alert', text: { type: 'plain_text', text: 'x' } } as const
    await expect(web.blocks.validate({ message: { blocks: [box] } })).rejects.toMatchObject({
      data: { error: 'invalid_message', errors: [{ pointer: '/blocks/0/type' }] },
    })
    await expect(web.blocks.validate({ view: { type: 'home', blocks: [box] } })).rejects.toMatchObject({
      data: { error: 'invalid_view' },
    })
  } finally {
    await sandbox.close()
  }
})

const TOKEN = process.env.KEYTURN_TEST_SLACK_BOT_TOKEN
const real = TOKEN ? describe : describe.skip
real('Slack itself (skipped without a bot token in KEYTURN_TEST_SLACK_BOT_TOKEN; it needs no scopes)', () => {
  it('takes every golden card and every form', async () => {
    expect(await refusals(new WebClient(TOKEN, { logger: slackLogger(createLines().log) }))).toEqual([])
  }, 600_000)
})
