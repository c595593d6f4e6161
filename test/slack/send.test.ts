import { describe, expect, it } from '@jest/globals'
import { createSend, createWeb, type Sleep } from '../../src/slack/send.ts'
import { createLines } from './world.ts'

/** A send whose calls are answered by `answer(method)`: a JSON body, a status and a JSON body, or an error to throw. */
function sender(answer: (method: string) => object | Error, clock = () => 0, sleep: Sleep = async () => {}) {
  const { log, lines } = createLines()
  const asked: string[] = []
  const fetch: typeof globalThis.fetch = async (url, init) => {
    const method = String(url).split('/').at(-1)!
    asked.push(`${method} ${init?.body}`)
    const given = answer(method)
    if (given instanceof Error) throw given
    const { status = 200, retryAfter, ...body } = given as { status?: number; retryAfter?: number }
    const headers: Record<string, string> = retryAfter ? { 'retry-after': String(retryAfter) } : {}
    return new Response(JSON.stringify(body), { status, headers })
  }
  const web = createWeb({ token: 'xoxb-secret', apiUrl: 'http://127.0.0.1:9/api/', log, fetch: fetch as never })
  return { send: createSend({ web, clock, log, sleep }), asked, lines }
}
const at = { channel: 'C1', thread: null }
const mark = { incident: 'i1', key: 'root', hash: 'h' }
const auth = { ok: true, team_id: 'T1', user_id: 'UBOT', bot_id: 'B1' }

it('does not take over a message of somebody else that carries our mark', async () => {
  const metadata = { event_type: 'keyturn_message', event_payload: mark }
  const foreign = { user: 'UEVIL', ts: '2.0', metadata }
  const pages = [
    { ok: true, messages: [foreign], response_metadata: { next_cursor: 'n' } },
    { ok: true, messages: [{ ...foreign, user: 'UBOT', ts: '1.0' }] },
  ]
  const { send } = sender((method) => (method === 'auth.test' ? auth : pages.shift()!))
  expect(await send.find(at, 0, { incident: 'i1', key: 'root' })).toEqual({ ok: true, value: '1.0' })
  const alone = sender((method) => (method === 'auth.test' ? auth : { ok: true, messages: [foreign] }))
  expect(await alone.send.find(at, 0, { incident: 'i1', key: 'root' })).toEqual({ ok: true, value: null })
})

it('asks Slack not to guess names, channels and links in a text, nor to fetch previews', async () => {
  const { send, asked } = sender(() => ({ ok: true, ts: '1.0' }))
  await send.post(at, { text: '@channel https://example.com' }, mark)
  await send.edit('C1', '1.0', { text: '@channel' }, mark)
  for (const sent of asked) expect(sent).toMatch(/link_names=false.*parse=none|parse=none.*link_names=false/)
  expect(asked[0]).toMatch(/unfurl_links=false&unfurl_media=false/)
})

describe('tells apart', () => {
  const cause = (code: string) => Object.assign(new Error(code), { code })
  it.each([
    ['a refusal', { ok: false, error: 'not_in_channel' }, { kind: 'refused', error: 'not_in_channel' }],
    ['a limit', { ok: false, status: 429, retryAfter: 7 }, { kind: 'limited', wait: 7000 }],
    ['a request that never left', new Error('fetch failed', { cause: cause('ECONNREFUSED') }), { kind: 'unsent' }],
    ['a lost reply', new Error('fetch failed', { cause: cause('ECONNRESET') }), { kind: 'lost' }],
    ['a broken server', { ok: false, status: 503 }, { kind: 'failed' }],
    ['an answer that says nothing', { ok: false, error: 'internal_error' }, { kind: 'failed' }],
    ['a page of a proxy', { ok: false, error: '<html>Bad gateway</html>' }, { kind: 'failed' }],
  ])('%s', async (_, answer, fault) => {
    const { send } = sender(() => answer)
    expect(await send.post(at, { text: 'x' }, mark)).toMatchObject({ ok: false, fault })
  })
})

it('makes no call while Slack has asked to wait, and one after it', async () => {
  let now = 0
  let limited = true
  const { send, asked } = sender(
    () => (limited ? { ok: false, status: 429, retryAfter: 7 } : { ok: true, ts: '1.0' }),
    () => now,
  )
  await send.post(at, { text: 'x' }, mark)
  limited = false
  now = 6999
  expect(await send.post(at, { text: 'x' }, mark)).toEqual({ ok: false, fault: { kind: 'limited', wait: 1 } })
  now = 7000
  expect(await send.post(at, { text: 'x' }, mark)).toEqual({ ok: true, value: '1.0' })
  expect(asked).toHaveLength(2)
})

describe('when Slack limits a call that somebody waits for', () => {
  const view = { type: 'modal' as const, title: { type: 'plain_text' as const, text: 'x' }, blocks: [] }
  /** A Slack that limits the first calls, each for so many seconds, and a clock that waiting moves. */
  function limiting(...seconds: number[]) {
    let now = 0
    const answer = () => {
      const retryAfter = seconds.shift()
      return retryAfter ? { ok: false, status: 429, retryAfter } : { ok: true, view: { id: 'V1' } }
    }
    return sender(
      answer,
      () => now,
      async (ms) => {
        now += ms
      },
    )
  }

  it('opens the form all the same, while the trigger lives', async () => {
    const { send, asked } = limiting(1, 1)
    expect(await send.open('t', view)).toEqual({ ok: true, value: 'V1' })
    expect(asked).toHaveLength(3)
  })

  it('gives up at once when the trigger will be dead by then', async () => {
    const { send, asked } = limiting(3)
    expect(await send.open('t', view)).toMatchObject({ ok: false, fault: { kind: 'limited', wait: 3000 } })
    expect(asked).toHaveLength(1)
  })

  it('fills the open form later', async () => {
    const { send, asked } = limiting(4, 5)
    expect(await send.replace('V1', view)).toEqual({ ok: true, value: undefined })
    expect(asked).toHaveLength(3)
  })

  it('tells the person later', async () => {
    const { send, asked, lines } = limiting(30, 25)
    await send.tell(at, 'U1', 'Press again.')
    expect(asked).toHaveLength(3)
    expect(lines).toEqual([])
  })
})

describe('takes an answer that says too little for none:', () => {
  it.each([
    ['a post without its ts', { ok: true, channel: 'C1' }, 'lost'],
    ['a post whose ts is null', { ok: true, ts: null }, 'lost'],
  ])('%s', async (_, answer, kind) => {
    const { send } = sender(() => answer)
    expect(await send.post(at, { text: 'x' }, mark)).toMatchObject({ ok: false, fault: { kind } })
  })

  it('a history that has more and does not say how to read it', async () => {
    const { send } = sender((method) => (method === 'auth.test' ? auth : { ok: true, messages: [], has_more: true }))
    expect(await send.find(at, 0, { incident: 'i1', key: 'root' })).toMatchObject({
      ok: false,
      fault: { kind: 'lost' },
    })
  })
})

it('writes neither token nor text of a message to the log', async () => {
  const { send, lines } = sender(() => new Error('fetch failed'))
  await send.post(at, { text: 'customer 4711' }, mark)
  await send.tell(at, 'U1', 'customer 4711')
  expect(lines.length).toBeGreaterThan(0)
  expect(JSON.stringify(lines)).not.toMatch(/xoxb-secret|4711/)
})
