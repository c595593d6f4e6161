import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { createFakeClock } from '../../../src/sandbox/slack/clock.ts'
import { ADA, button, DATA, ONA, refusal, SAM, startSandbox } from './sandbox.ts'

const closers: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})
const start = async (options: Parameters<typeof startSandbox>[0] = {}) => {
  const started = await startSandbox(options)
  closers.push(started.sandbox.close)
  return started
}

/** A bot that answers every request with the next of these statuses and keeps what it got. */
async function startBot(...statuses: number[]) {
  const got: { headers: Record<string, unknown>; body: string }[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    got.push({ headers: request.headers, body })
    response.writeHead(statuses.shift() ?? 200).end()
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  closers.push(() => server.close())
  return { got, requestUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/slack/events` }
}

describe('a fault', () => {
  it('loses the reply and leaves the message posted', async () => {
    const { sandbox, web } = await start()
    sandbox.faults({ loseReplies: 1, methods: ['chat.postMessage'] })
    const metadata = { event_type: 'keyturn', event_payload: { id: 'm1' } }
    await expect(web.chat.postMessage({ channel: DATA, text: 'once', metadata })).rejects.toThrow()
    const plainly = await web.conversations.history({ channel: DATA })
    expect(plainly.messages?.map(({ text, metadata }) => [text, metadata])).toEqual([['once', undefined]])
    const history = await web.conversations.history({ channel: DATA, include_all_metadata: true })
    expect(history.messages?.[0]?.metadata).toEqual(metadata)
    expect(sandbox.state().faults.loseReplies).toBe(0)
    expect((await web.chat.postMessage({ channel: DATA, text: 'twice' })).ok).toBe(true)
  })

  it('answers 500 before the message is posted, or after', async () => {
    const { sandbox, web } = await start({ random: () => 0.4 })
    sandbox.faults({ errorRate: 0.5 })
    await expect(web.chat.postMessage({ channel: DATA, text: 'never' })).rejects.toThrow()
    expect(sandbox.state().messages[DATA]).toEqual([])
    sandbox.faults({ errorRate: 0, errorAfterCommit: 1 })
    await expect(web.chat.postMessage({ channel: DATA, text: 'there' })).rejects.toThrow()
    expect(sandbox.state().messages[DATA]?.map(({ text }) => text)).toEqual(['there'])
  })

  it('limits the rate with the wanted Retry-After, or takes Slack down and back up', async () => {
    const { sandbox, web } = await start()
    sandbox.faults({ rateLimited: 1, retryAfter: 7 })
    await expect(web.users.info({ user: ADA })).rejects.toMatchObject({ retryAfter: 7 })
    sandbox.faults({ outage: true })
    await expect(web.users.info({ user: ADA })).rejects.toThrow()
    sandbox.faults({ outage: '503' })
    await expect(web.users.info({ user: ADA })).rejects.toMatchObject({ statusCode: 503 })
    sandbox.faults({ outage: false })
    expect((await web.users.info({ user: ADA })).ok).toBe(true)
  })
})

it('refuses what the token may not do', async () => {
  const { sandbox, web } = await start({ scopes: ['users:read'] })
  expect((await refusal(web.chat.postMessage({ channel: DATA, text: 'x' }))).error).toBe('missing_scope')
  const call = async (headers: Record<string, string>) =>
    (await (await fetch(`${sandbox.apiUrl}users.info?user=${ADA}`, { headers })).json()) as { error?: string }
  expect(await call({})).toEqual({ ok: false, error: 'not_authed' })
  expect(await call({ authorization: 'Bearer xoxb-other' })).toEqual({ ok: false, error: 'invalid_auth' })
  expect(await call({ authorization: 'Bearer xoxb-sandbox' })).toMatchObject({ ok: true })
})

it('tells guests, outsiders, deactivated people and bots apart as Slack does', async () => {
  const { web } = await start()
  const info = async (user: string) => (await web.users.info({ user })).user
  expect(await info('U0000000GUS')).toMatchObject({ is_restricted: true, deleted: false })
  expect(await info('U0000000OLF')).toMatchObject({ is_stranger: true, team_id: 'T0000OTHER1' })
  expect(await info('U0000000DEE')).toMatchObject({ deleted: true })
  expect(await info('U0000KEYTRN')).toMatchObject({ is_bot: true })
  expect(await info(ADA)).toMatchObject({ is_restricted: false, is_bot: false, profile: { email: 'ada@example.com' } })
  expect((await web.usergroups.users.list({ usergroup: 'S0000DATA' })).users).toEqual([ONA, ADA, SAM])
})

it('says whom a message would ping, from its text, its blocks and nothing that is plain', async () => {
  const { sandbox, web } = await start({ faults: { rateLimit: false } })
  const pings = async (text: string, blocks?: object[]) => {
    const { ts } = await web.chat.postMessage({ channel: DATA, text, blocks: blocks as never })
    const { users, groups, here, channel } = sandbox.state().messages[DATA]!.find((one) => one.ts === ts)!.pings
    return [...users, ...groups, ...(here ? ['here'] : []), ...(channel ? ['channel'] : [])]
  }
  expect(await pings(`<@${ADA}> <!subteam^S0000DATA|@data> <!here> <!channel|channel>`)).toEqual([
    ADA,
    'S0000DATA',
    'here',
    'channel',
  ])
  expect(await pings(`&lt;@${ADA}&gt; @here @channel`)).toEqual([])
  const section = (type: string) => [{ type: 'section', text: { type, text: `<!channel> <@${SAM}>` } }]
  expect(await pings('x', section('mrkdwn'))).toEqual([SAM, 'channel'])
  expect(await pings('x', section('plain_text'))).toEqual([])
  expect(await pings('x', [{ type: 'markdown', text: '<!here>' }])).toEqual(['here'])
  const elements = [
    { type: 'user', user_id: SAM },
    { type: 'broadcast', range: 'here' },
  ]
  const rich = [{ type: 'rich_text', elements: [{ type: 'rich_text_section', elements }] }]
  expect(await pings('x', rich)).toEqual([SAM, 'here'])
})

it('lets nobody press what they could not press in Slack', async () => {
  const { requestUrl } = await startBot()
  const { sandbox, web } = await start({ requestUrl })
  const { ts } = await web.chat.postMessage({ channel: DATA, text: 'x', blocks: button() })
  const where = { channel: DATA, ts: ts! }
  await expect(sandbox.press(ADA, where, 'drop-database')).rejects.toThrow('there is no drop-database to press')
  await expect(sandbox.press(ADA, where, 'approve', { value: 'other' })).rejects.toThrow('there is no approve')
  await expect(sandbox.press('U0000000DEE', where, 'approve')).rejects.toThrow('deactivated')
  await expect(sandbox.press(ADA, { channel: 'C0000PLATON', ts: ts! }, 'approve')).rejects.toThrow('sees no message')
  expect(await sandbox.press(ADA, where, 'approve')).toEqual({ ok: true, status: 200 })
  await web.chat.update({ channel: DATA, ts: ts!, text: 'done', blocks: [] })
  await expect(sandbox.press(ADA, where, 'approve')).rejects.toThrow('nothing to press')
})

it('sends an event again at once, after a minute and after five, and says why', async () => {
  const clock = createFakeClock()
  const { got, requestUrl } = await startBot(500, 503, 500, 200)
  const { sandbox } = await start({ requestUrl, clock })
  const tries = () => sandbox.log.filter(({ kind }) => kind === 'event').length
  sandbox.openHome(ADA)
  await sandbox.waitFor(() => tries() === 1)
  clock.advance(0)
  await sandbox.waitFor(() => tries() === 2)
  clock.advance(59_999)
  expect(got).toHaveLength(2)
  clock.advance(1)
  await sandbox.waitFor(() => tries() === 3)
  clock.advance(300_000)
  await sandbox.waitFor(() => tries() === 4)
  expect(got.map(({ headers }) => [headers['x-slack-retry-num'], headers['x-slack-retry-reason']])).toEqual([
    [undefined, undefined],
    ['1', 'http_error'],
    ['2', 'http_error'],
    ['3', 'http_error'],
  ])
  expect(new Set(got.map(({ body }) => JSON.parse(body).event_id)).size).toBe(1)
})

it('takes five answers at a response_url within thirty minutes', async () => {
  const clock = createFakeClock()
  const { got, requestUrl } = await startBot()
  const { sandbox, web } = await start({ requestUrl, clock })
  const { ts } = await web.chat.postMessage({ channel: DATA, text: 'x', blocks: button() })
  const urlOfPress = async () => {
    await sandbox.press(ADA, { channel: DATA, ts: ts! }, 'approve')
    const payload = new URLSearchParams(got.at(-1)!.body).get('payload')!
    return String(JSON.parse(payload).response_url)
  }
  const answer = async (url: string, body: object) =>
    (await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }))
      .status
  const [first, second] = [await urlOfPress(), await urlOfPress()]
  expect(await answer(first, { text: 'only you see this' })).toBe(200)
  expect(sandbox.state().messages[DATA]?.at(-1)).toMatchObject({ ephemeral_to: ADA })
  expect(await answer(first, { text: 'decided', replace_original: true })).toBe(200)
  expect(sandbox.thread(DATA, ts!)[0]).toMatchObject({ text: 'decided', blocks: undefined })
  for (let i = 0; i < 3; i++) expect(await answer(first, { text: 'again' })).toBe(200)
  expect(await answer(first, { text: 'sixth' })).toBe(404)
  clock.advance(30 * 60_000 + 1)
  expect(await answer(second, { text: 'late' })).toBe(404)
})

it('takes a file in three steps and shares it in the thread', async () => {
  const { sandbox, web } = await start()
  const { ts } = await web.chat.postMessage({ channel: DATA, text: 'root' })
  await web.filesUploadV2({
    channel_id: DATA,
    thread_ts: ts!,
    filename: 'plan.md',
    content: '# all of it',
    title: 'Plan',
  })
  const [, shared] = sandbox.thread(DATA, ts!)
  const [file] = (shared as unknown as { files: { title: string; url_private: string }[] }).files
  expect(file?.title).toBe('Plan')
  const get = (headers: Record<string, string>) => fetch(file!.url_private, { headers })
  expect((await get({})).status).toBe(403)
  expect(await (await get({ authorization: 'Bearer xoxb-sandbox' })).text()).toBe('# all of it')
})

it('answers the page on this machine only', async () => {
  const { sandbox } = await start()
  const say = (headers: Record<string, string>) =>
    fetch(`${sandbox.url}/ui/say`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ as: ADA, channel: DATA, text: 'hi' }),
    })
  expect((await say({ origin: 'https://evil.example' })).status).toBe(403)
  expect(sandbox.state().messages[DATA]).toEqual([])
  expect(await (await say({ origin: sandbox.url })).json()).toMatchObject({ ok: true })
  expect(sandbox.state().messages[DATA]?.[0]).toMatchObject({ user: ADA, text: 'hi' })
})
