import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { pino } from 'pino'
import { createHttpServer } from '../../src/sources/server.ts'
import { SECRETS, startEdge } from './edge.ts'

type Edge = Awaited<ReturnType<typeof startEdge>>
const opened: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close()
})
async function edge(options: Parameters<typeof startEdge>[0] = {}): Promise<Edge> {
  const one = await startEdge(options)
  opened.push(one)
  return one
}

const alert = { status: 'firing', labels: { alertname: 'DiskFull' }, startsAt: '2026-11-20T23:03:28.675Z' }
const body = (alerts: unknown[] = [alert]) => JSON.stringify({ version: '4', alerts })
const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

describe('the webhook edge', () => {
  it('answers 200 with the number of alerts only after they are stored', async () => {
    const gate = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    const { post } = await edge({
      onAlerts: () => {
        arrived.resolve()
        return gate.promise
      },
    })
    let answered = false
    const answer = post(body([alert, alert])).then((r) => {
      answered = true
      return r
    })
    await arrived.promise
    await new Promise(setImmediate)
    expect(answered).toBe(false)
    gate.resolve()
    const reply = await answer
    expect(reply.status).toBe(200)
    expect(await reply.json()).toEqual({ stored: 2 })
  })

  it('answers 503 with Retry-After when the alerts cannot be stored, and does not say why', async () => {
    const { post, lines } = await edge({
      onAlerts: async () => {
        throw new Error('redis://:hunter2@127.0.0.1 is gone')
      },
    })
    const reply = await post(body())
    expect(reply.status).toBe(503)
    expect(reply.headers.get('retry-after')).toBe('5')
    expect(await reply.json()).toEqual({
      error: 'not_stored',
      detail: 'the alerts could not be stored now; send them again',
    })
    expect(lines.join('')).toContain('is gone')
  })

  it('answers 503 even if the store fails with an error that calls itself a 4xx', async () => {
    const { post } = await edge({
      onAlerts: async () => {
        throw Object.assign(new Error('too many'), { statusCode: 429 })
      },
    })
    expect((await post(body())).status).toBe(503)
  })

  it('answers 503 when the store does not answer in time, and works again afterwards', async () => {
    const gate = Promise.withResolvers<void>()
    const { post } = await edge({ answerWithin: 50, onAlerts: () => gate.promise })
    const reply = await post(body())
    expect(reply.status).toBe(503)
    expect(reply.headers.get('retry-after')).toBe('5')
    gate.resolve()
    expect((await post(body())).status).toBe(200)
  })

  it('answers 503, not 429, above the number of requests in flight, and takes requests again when one ends', async () => {
    const gate = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    const { post } = await edge({
      maxInFlight: 1,
      onAlerts: () => {
        arrived.resolve()
        return gate.promise
      },
    })
    const first = post(body())
    await arrived.promise
    const second = await post(body())
    expect(second.status).toBe(503)
    expect(second.headers.get('retry-after')).toBe('1')
    expect(await second.json()).toMatchObject({ error: 'overloaded' })
    gate.resolve()
    expect((await first).status).toBe(200)
    expect((await post(body())).status).toBe(200)
  })

  it('still counts a request whose sender hung up while its alerts are being stored', async () => {
    const gate = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    const { post, url, server } = await edge({
      maxInFlight: 1,
      onAlerts: () => {
        arrived.resolve()
        return gate.promise
      },
    })
    const hungUp = Promise.withResolvers<void>()
    server.server.once('connection', (socket) => socket.once('close', () => hungUp.resolve()))
    const sender = httpRequest(`${url}/webhooks/am`, { method: 'POST', headers: { authorization: 'Bearer s3cret' } })
    sender.on('error', () => undefined)
    sender.end(body())
    await arrived.promise
    sender.destroy()
    await hungUp.promise
    expect(await (await post(body())).json()).toMatchObject({ error: 'overloaded' })
    gate.resolve()
    await new Promise(setImmediate)
    expect((await post(body())).status).toBe(200)
  })

  it.each([body([]), '{"alerts":null}'])('stores nothing for a batch without alerts, and says so', async (text) => {
    const { post, stored } = await edge()
    expect(await (await post(text)).json()).toEqual({ stored: 0 })
    expect(stored).toEqual([])
  })

  it('passes on that a group is over, also when no alert of it is named', async () => {
    const { post, stored } = await edge()
    const reply = await post('{"status":"resolved","groupKey":"{}:{}","alerts":null,"truncatedAlerts":3}')
    expect(await reply.json()).toEqual({ stored: 0 })
    expect(stored).toMatchObject([{ batch: { alerts: [], group: { key: '{}:{}', over: true }, truncated: 3 } }])
  })

  it.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    'answers %s with 405 and changes nothing',
    async (method) => {
      const { url, stored } = await edge()
      const reply = await fetch(`${url}/webhooks/am`, { method, headers: { authorization: 'Bearer s3cret' } })
      expect(reply.status).toBe(405)
      expect(reply.headers.get('allow')).toBe('POST')
      expect(stored).toEqual([])
    },
  )
})

describe('who may send', () => {
  it.each([
    ['a bearer token', 'am', 'Bearer s3cret', 200],
    ['a bearer token with the scheme in small letters', 'am', 'bearer s3cret', 200],
    ['a wrong token', 'am', 'Bearer s3cres', 401],
    ['a token that only begins right', 'am', 'Bearer s3cret2', 401],
    ['the token twice', 'am', 'Bearer s3cret s3cret', 401],
    ['an empty token', 'am', 'Bearer ', 401],
    ['no scheme', 'am', 's3cret', 401],
    ['the token as basic', 'am', `Basic ${Buffer.from('s3cret').toString('base64')}`, 401],
    ['nothing', 'am', '', 401],
    ['user and password', 'ci', basic('ci', 'pass:word'), 200],
    ['a wrong user', 'ci', basic('cd', 'pass:word'), 401],
    ['a wrong password', 'ci', basic('ci', 'pass'), 401],
    ['an empty password', 'ci', basic('ci', ''), 401],
    ['user and password as a bearer', 'ci', 'Bearer ci:pass:word', 401],
    ['the secret of another source', 'ci', 'Bearer s3cret', 401],
    ['a good token for a source that is not there', 'nobody', 'Bearer s3cret', 404],
    ['nothing for a source that is not there', 'nobody', '', 404],
    ['a source named like an inherited property', 'constructor', 'Bearer s3cret', 404],
  ])('%s to %s is answered as it should be', async (_title, source, authorization, status) => {
    const { post, stored } = await edge()
    const json = source === 'ci' ? '{"state":"open","title":"Build broken"}' : body()
    const reply = await post(json, { authorization }, source)
    expect(reply.status).toBe(status)
    expect(stored).toHaveLength(status === 200 ? 1 : 0)
    if (status === 401)
      expect(reply.headers.get('www-authenticate')).toBe(`${source === 'ci' ? 'Basic' : 'Bearer'} realm="keyturn"`)
  })

  it('refuses to start with an empty secret', async () => {
    await expect(startEdge({ secret: () => '' })).rejects.toThrow('AM_TOKEN is empty')
  })

  it('refuses a stranger before reading the body', async () => {
    const { url } = await edge()
    const sent = httpRequest(`${url}/webhooks/am`, { method: 'POST', headers: { 'content-length': '1000000' } })
    const status = new Promise((resolve, reject) => {
      sent.on('response', (r) => resolve(r.resume().statusCode))
      sent.on('error', reject)
    })
    sent.flushHeaders()
    expect(await status).toBe(401)
    sent.destroy()
  })

  it('never logs a secret, whatever is sent', async () => {
    const { post, lines, server, url } = await edge({
      onAlerts: async () => {
        throw new Error('no')
      },
    })
    await post(body())
    await post('{', {})
    await post(body(), { authorization: 'Bearer wrong-but-close-s3cret' })
    await post('{}', { authorization: basic('ci', SECRETS.GENERIC_PASSWORD!) }, 'ci')
    await fetch(`${url}/nowhere?token=s3cret`, { headers: { authorization: 'Bearer s3cret' } })
    server.log.info(
      { req: { method: 'GET', url: '/a?token=s3cret' }, headers: { authorization: 'Bearer s3cret' } },
      'x',
    )
    server.log.info({ request: { headers: { authorization: 'Bearer s3cret', cookie: 's3cret' } } }, 'x')
    expect(lines.length).toBeGreaterThan(4)
    expect(lines.join('')).not.toMatch(/s3cret|pass:word|Y2k6/)
  })
})

describe('what is never accepted', () => {
  const deep = (n: number) => `${'['.repeat(n)}${']'.repeat(n)}`
  const alerts = (n: number) => body(Array.from({ length: n }, () => alert))
  it.each([
    ['nothing', '', 400, 'the body is empty, a JSON document is expected'],
    ['blanks', ' \n', 400, 'the body is empty, a JSON document is expected'],
    ['half a document', '{"alerts":[', 400, 'the body is not JSON'],
    ['not JSON, without quoting it', '{"alerts": 1 s3cret', 400, 'the body is not JSON (at position 13)'],
    ['a nest of 33 levels', deep(33), 400, 'the body is nested deeper than 32 levels'],
    ['a nest of 500,000 levels', '['.repeat(500_000), 400, 'the body is nested deeper than 32 levels'],
    ['an array', '[]', 400, 'body: an object is expected, there is an array'],
    ['null', 'null', 400, 'body: an object is expected, there is null'],
    ['a number of many digits', '90071992547409931', 400, 'body: an object is expected, there is a number'],
    ['no alerts', '{}', 400, 'alerts: an array is expected, there is nothing'],
    ['2,001 alerts', alerts(2001), 400, 'alerts: 2001 alerts in one request, at most 2000 are read'],
    ['an alert that is text', body(['x']), 400, 'alerts[0]: an object is expected, there is a text'],
    [
      'an unknown status',
      body([{ ...alert, status: 'ok' }]),
      400,
      'alerts[0].status: "firing" or "resolved" is expected, there is "ok"',
    ],
    [
      'labels that are a list',
      body([{ ...alert, labels: [] }]),
      400,
      'alerts[0].labels: an object is expected, there is an array',
    ],
    [
      'nothing that tells an alert from another',
      body([{ status: 'firing' }, 7]),
      400,
      'none of 2 alerts can be read; the first: alerts[0].labels: there are none, and no fingerprint',
    ],
    ['over 1 MiB', `{"alerts":[],"x":"${'x'.repeat(1_048_576)}"}`, 413, 'the body is over 1 MiB'],
  ])('%s gets a 4xx with the reason', async (_title, text, status, detail) => {
    const { post, stored } = await edge()
    const reply = await post(text)
    const answer = (await reply.json()) as { error: string; detail: string }
    expect(answer.detail).toContain(detail)
    expect(reply.status).toBe(status)
    expect(answer.error).toMatch(/^[a-z_]+$/)
    expect(stored).toEqual([])
  })

  it('is told beside what is stored, and costs none of the others', async () => {
    const { post, stored, lines } = await edge()
    const reply = await post(body([{ ...alert, status: 'muted' }, alert, 'x']))
    expect(reply.status).toBe(200)
    const left_out = [
      'alerts[0].status: "firing" or "resolved" is expected, there is "muted"',
      'alerts[2]: an object is expected, there is a text',
    ]
    expect(await reply.json()).toEqual({ stored: 1, left_out })
    expect(stored[0]!.batch).toMatchObject({ unread: left_out })
    expect(lines.join('')).toContain('alerts[2]: an object is expected')
  })

  it('counts the bytes of a body that does not announce its length', async () => {
    const { post } = await edge()
    const chunk = new TextEncoder().encode(' '.repeat(300_000))
    let left = 5
    const stream = new ReadableStream({
      pull: (c) => (left-- > 0 ? c.enqueue(chunk) : c.close()),
    })
    const outcome = await post(stream).then(
      (r) => r.status,
      (error: Error) => error.message,
    )
    // The edge answers and closes while the sender still sends; some senders see only the close.
    expect([413, 'fetch failed']).toContain(outcome)
  })

  it.each([
    ['application/json', 200],
    ['application/json; charset=utf-8', 200],
    ['application/vnd.alerts+json', 200],
    ['text/plain;charset=UTF-8', 200],
    ['application/x-www-form-urlencoded', 200],
    ['multipart/form-data; boundary=x', 415],
    ['text/html', 415],
    ['application/x-protobuf', 415],
    ['nonsense', 415],
  ])('a JSON body sent as %s gets %i', async (type, status) => {
    const { post } = await edge()
    expect((await post(body(), { 'content-type': type })).status).toBe(status)
  })

  it.each(['identity', 'Identity', ''])('a body that is said to be %p is not compressed', async (coding) => {
    const { post } = await edge()
    expect((await post(body(), { 'content-encoding': coding })).status).toBe(200)
  })

  it('a compressed body gets 415', async () => {
    const { post } = await edge()
    expect((await post(body(), { 'content-encoding': 'gzip' })).status).toBe(415)
  })
})

describe('hostile bodies', () => {
  it('any JSON value gets 200 or 400', async () => {
    const { post } = await edge()
    const hostile = fc.oneof(
      fc.jsonValue(),
      fc.record({ alerts: fc.array(fc.jsonValue(), { maxLength: 4 }) }),
      fc.record({
        alerts: fc.array(
          fc.record({
            status: fc.constantFrom('firing', 'resolved'),
            labels: fc.dictionary(fc.oneof(fc.string({ unit: 'binary' }), fc.constant('__proto__')), fc.string()),
            startsAt: fc.oneof(
              fc.date({ noInvalidDate: true }).map((d) => d.toISOString()),
              fc.string(),
            ),
          }),
          { maxLength: 4 },
        ),
      }),
    )
    await fc.assert(
      fc.asyncProperty(hostile, async (value) => {
        expect([200, 400]).toContain((await post(JSON.stringify(value))).status)
      }),
      { numRuns: 300 },
    )
  })

  it('any bytes get 200 or 400', async () => {
    const { post } = await edge()
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        expect([200, 400]).toContain((await post(bytes.slice())).status)
      }),
      { numRuns: 300 },
    )
  })

  it('any JSON value sent to a mapped source gets 200 or 400', async () => {
    const { post } = await edge()
    const hostile = fc.oneof(
      fc.jsonValue(),
      fc.record({ state: fc.constantFrom('open', 'closed'), title: fc.jsonValue() }),
    )
    await fc.assert(
      fc.asyncProperty(hostile, async (value) => {
        const reply = await post(JSON.stringify(value), { authorization: basic('ci', 'pass:word') }, 'ci')
        expect([200, 400]).toContain(reply.status)
      }),
      { numRuns: 200 },
    )
  })

  it('__proto__ in a body changes no other object', async () => {
    const { post, stored } = await edge()
    const text = `{"__proto__":{"bad":1},"alerts":[{"__proto__":{"bad":1},"status":"firing",
      "labels":{"__proto__":"bad","constructor":"bad","prototype":"bad","a":"1"},
      "annotations":{"__proto__":"bad","runbook_url":"http://127.0.0.1/r"}}]}`
    expect((await post(text)).status).toBe(200)
    expect(({} as Record<string, unknown>).bad).toBeUndefined()
    expect(Object.keys(stored[0]!.batch.alerts[0]!.labels)).toEqual(['a'])
  })

  it('bytes that are not UTF-8 are replaced, and NUL is removed', async () => {
    const { post, stored } = await edge()
    const text = body([{ ...alert, labels: { a: 'caf\u00e9\u0000!' } }])
    const bytes = Buffer.from(text, 'latin1')
    expect((await post(bytes)).status).toBe(200)
    expect(stored[0]!.batch.alerts[0]!.labels).toEqual({ a: 'caf\ufffd!' })
  })
})

describe('half-open connections', () => {
  it('that hold all places give way to a request that comes now', async () => {
    const { url, post, server } = await edge({ maxInFlight: 2 })
    const begin = async () => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1')
      const ended = once(socket, 'close')
      socket.on('error', () => {})
      await once(socket, 'connect')
      const arrived = once(server.server, 'request')
      socket.write(
        'POST /webhooks/am HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\nContent-Length: 99\r\n\r\n{',
      )
      await arrived
      return { socket, ended }
    }
    const first = await begin()
    const second = await begin()
    // Nobody has been slow yet: who comes now is asked to come again, and a moment later is taken.
    const answers: number[] = []
    while (!answers.includes(200)) answers.push((await post(body())).status)
    expect(new Set(answers)).toEqual(new Set([503, 200]))
    await first.ended
    expect(second.socket.destroyed).toBe(false)
    second.socket.destroy()
  })

  it.each([
    ['headers', 'POST /webhooks/am HTTP/1.1\r\nHost: x\r\n'],
    ['a body', 'POST /webhooks/am HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\nContent-Length: 99\r\n\r\n{'],
  ])('a sender that never ends %s is cut off', async (_what, start) => {
    const server = createHttpServer({
      log: pino({ level: 'silent' }),
      timeouts: { headers: 100, request: 200, idle: 10_000 },
    })
    opened.push(server)
    server.post('/webhooks/am', async () => 'read')
    await server.listen({ host: '127.0.0.1', port: 0 })
    const address = server.server.address() as { port: number }
    const socket = connect(address.port, '127.0.0.1')
    let answer = ''
    socket.on('data', (data) => (answer += data))
    socket.write(start)
    await new Promise((resolve) => socket.on('close', resolve))
    expect(answer).toMatch(/^HTTP\/1.1 (408|4\d\d)/)
  })
})
