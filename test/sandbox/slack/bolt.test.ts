import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { App } from '@slack/bolt'
import type { ModalView } from '@slack/types'
import { slackLogger } from '../../../src/slack/send.ts'
import { createLines } from '../../slack/world.ts'
import { ADA, button, DATA, ONA, refusal, SECRETS, startSandbox } from './sandbox.ts'

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const modal: ModalView = {
  type: 'modal',
  callback_id: 'reason',
  title: { type: 'plain_text', text: 'Why?' },
  submit: { type: 'plain_text', text: 'Send' },
  notify_on_close: true,
  blocks: [
    {
      type: 'input',
      block_id: 'why',
      label: { type: 'plain_text', text: 'Reason' },
      element: { type: 'plain_text_input', action_id: 'text' },
    },
  ],
}

/** A free port, given back before it is used. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function start(mode: 'http' | 'socket') {
  const { sandbox, web } = await startSandbox({ events: ['app_home_opened', 'app_mention', 'message'] })
  closers.push(sandbox.close)
  const clientOptions = { slackApiUrl: sandbox.apiUrl, retryConfig: { retries: 0 } }
  // Bolt complains where a press is left without an answer on purpose.
  const common = { token: SECRETS.botToken, clientOptions, logger: slackLogger(createLines().log) }
  const app =
    mode === 'http'
      ? new App({ ...common, signingSecret: SECRETS.signingSecret })
      : new App({ ...common, socketMode: true, appToken: SECRETS.appToken })
  if (mode === 'http') {
    const port = await freePort()
    await app.start({ port, host: '127.0.0.1' })
    sandbox.setRequestUrl(`http://127.0.0.1:${port}/slack/events`)
  } else await app.start()
  closers.push(() => app.stop())
  return { sandbox, web, app }
}

describe.each(['http', 'socket'] as const)('a real Bolt app over %s', (mode) => {
  it('gets a press, opens a modal, refuses and then accepts its submission', async () => {
    const { sandbox, web, app } = await start(mode)
    app.action('approve', async ({ ack, body, client }) => {
      await ack()
      await client.views.open({ trigger_id: (body as { trigger_id: string }).trigger_id, view: modal })
    })
    app.view('reason', async ({ ack, view, body, client }) => {
      const reason = view.state.values.why?.text?.value
      if (reason === 'no') return ack({ response_action: 'errors', errors: { why: 'Say more.' } })
      await ack()
      await client.chat.postMessage({ channel: DATA, text: `${body.user.id} says ${reason}` })
    })
    const { ts } = await web.chat.postMessage({ channel: DATA, text: 'Restart it?', blocks: button() })

    expect(await sandbox.press(ADA, { channel: DATA, ts: ts! }, 'approve')).toEqual({ ok: true, status: 200 })
    const open = await sandbox.waitFor((now) => now.modals[ADA] !== null)
    const view = open.modals[ADA] as unknown as { id: string }
    expect(open.modals[ONA]).toBeNull()
    const form = (value: string) => ({ why: { text: { type: 'plain_text_input', value } } })

    expect((await sandbox.submit(ADA, view.id, {})).errors).toEqual({ why: 'Please complete this required field.' })
    expect((await sandbox.submit(ADA, view.id, form('no'))).errors).toEqual({ why: 'Say more.' })
    expect(await sandbox.submit(ADA, view.id, form('disk full'))).toEqual({ ok: true, status: 200 })
    const end = await sandbox.waitFor((now) => now.messages[DATA]?.length === 2)
    expect(end.modals[ADA]).toBeNull()
    expect(end.messages[DATA]?.at(-1)?.text).toBe(`${ADA} says disk full`)
  })

  it('gets a mention, a home tab visit and the closing of a modal', async () => {
    const { sandbox, app } = await start(mode)
    app.event('app_mention', async ({ event, say }) => void (await say({ text: 'Here.', thread_ts: event.ts })))
    app.event('app_home_opened', async ({ event, client }) => {
      await client.views.publish({ user_id: event.user, view: { type: 'home', blocks: [{ type: 'divider' }] } })
    })
    const ts = sandbox.say(ONA, DATA, '<@U0000KEYTRN> are you there?')
    await sandbox.waitFor((now) => now.messages[DATA]?.at(-1)?.text === 'Here.')
    expect(sandbox.thread('#data-oncall', ts).map((message) => message.text)).toHaveLength(2)
    sandbox.openHome(ADA)
    const now = await sandbox.waitFor((state) => state.homes[ADA] !== null)
    expect(now.homes[ADA]).toMatchObject({ type: 'home', user: ADA })
  })

  it('shows the person an error when the bot does not acknowledge', async () => {
    const { sandbox, web } = await start(mode)
    const { ts } = await web.chat.postMessage({ channel: DATA, text: 'x', blocks: button('nobody-listens') })
    const pressed = await sandbox.press(ADA, { channel: DATA, ts: ts! }, 'nobody-listens')
    expect(pressed.ok).toBe(false)
    expect(sandbox.state().presses.at(-1)).toMatchObject({
      user: ADA,
      action_id: 'nobody-listens',
      error: pressed.error,
    })
  })
})

it('reconnects a Socket Mode client that Slack asks to refresh', async () => {
  const { sandbox, web, app } = await start('socket')
  let pressed = 0
  app.action('approve', async ({ ack }) => {
    pressed += 1
    await ack()
  })
  sandbox.refreshSockets()
  await sandbox.waitFor(
    () => sandbox.log.filter(({ kind, name }) => kind === 'socket' && name === 'connected').length > 1,
    20_000,
  )
  const { ts } = await web.chat.postMessage({ channel: DATA, text: 'x', blocks: button() })
  expect((await sandbox.press(ADA, { channel: DATA, ts: ts! }, 'approve')).ok).toBe(true)
  expect(pressed).toBe(1)
})

it('lets a forged signature fail at a real Bolt receiver, and a replay pass, as Bolt does', async () => {
  const { sandbox, web, app } = await start('http')
  let pressed = 0
  app.action('approve', async ({ ack }) => {
    pressed += 1
    await ack()
  })
  const { ts } = await web.chat.postMessage({ channel: DATA, text: 'x', blocks: button() })
  await sandbox.press(ADA, { channel: DATA, ts: ts! }, 'approve')
  const payload = JSON.parse(decodeURIComponent(sandbox.sent.at(-1)!.body.replace('payload=', '')))
  expect((await sandbox.forge(payload, { secret: 'guessed' })).status).toBe(401)
  expect((await sandbox.forge(payload, { signature: null })).status).toBe(401)
  expect((await sandbox.forge(payload, { timestamp: Math.floor(Date.now() / 1000) - 600 })).status).toBe(401)
  expect(pressed).toBe(1)
  expect((await sandbox.replay(-1)).status).toBe(200)
  expect(pressed).toBe(2)
})

it('takes no app token for the bot and no bot token for a socket', async () => {
  const { sandbox, web } = await startSandbox({ botToken: 'xoxb-one' })
  closers.push(sandbox.close)
  expect((await refusal(web.apps.connections.open())).error).toBe('not_allowed_token_type')
})
