import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { bulk } from '../../../commands/http/bulk.ts'
import { HttpSettings } from '../../../commands/http/connection.ts'
import { httpGet } from '../../../commands/http/get.ts'
import { graphql } from '../../../commands/http/graphql.ts'
import { httpList } from '../../../commands/http/list.ts'
import { operate } from '../../../commands/http/operate.ts'
import { retryAfterMs } from '../../../commands/http/patience.ts'
import { httpRequest } from '../../../commands/http/request.ts'
import { type ReadCommand, Refused, Unanswered } from '../../../src/domain/command.ts'
import { createWorld, propose, type World } from '../context.ts'
import { GOOD, KEY } from '../network/certificates.ts'
import { type Service, startService } from './server.ts'

type Reply = { status?: number; headers?: Record<string, string>; body?: string | Buffer } | 'break'
let service: Service
let world: World
/** Answers by method and path, one after the other; the last one stays. */
const replies = new Map<string, Reply[]>()
const JSON_TYPE = { 'content-type': 'application/json' }

beforeAll(async () => {
  service = await startService((seen, incoming, outgoing) => {
    const all = replies.get(`${seen.method} ${seen.url}`) ?? [{ status: 404, body: '{}' }]
    const reply = all.length > 1 ? all.shift()! : all[0]!
    if (reply === 'break') return void incoming.socket.destroy()
    outgoing.writeHead(reply.status ?? 200, { ...JSON_TYPE, ...reply.headers }).end(reply.body)
  })
})
afterAll(() => service.stop())
const settings = (more = {}) => ({
  baseUrl: service.origin,
  maxResponseBytes: 4096,
  allow: ['GET', 'POST'].map((method) => ({ method, path: '/any' })),
  graphql: { path: '/graphql' },
  lists: { things: { noun: 'thing', path: '/things', items: '/things', id: '/id', ...more } },
  operations: {
    end: {
      summary: 'End',
      list: 'things',
      send: { method: 'POST', path: '/things/{id}/end' },
      item: { path: '/things/{id}', at: '/state', changed: ['ended'], open: ['going'] },
      stopAbove: 0.5,
    },
  },
})
const worldOf = (more = {}, secrets = {}) =>
  createWorld({ connections: { service: { kind: 'http', settings: { ...settings(), ...more } } }, secrets })
beforeEach(() => {
  world = worldOf()
})
afterEach(async () => {
  await world.close()
  replies.clear()
  service.seen.length = 0
})

const read = (command: unknown, params: object, in_ = world) => {
  const { params: schema, read: work } = command as ReadCommand
  return work(schema.parse({ connection: 'service', ...params }), in_.read())
}
const list = (in_ = world) => read(httpList, { list: 'things' }, in_)
const plan = (how = operate, more = {}, in_ = world) =>
  propose(how, { connection: 'service', operation: 'end', ...more }, in_.read())
const says = (path: string, ...all: Reply[]) => replies.set(path, all)
const things = (...ids: unknown[]) => ({ body: JSON.stringify({ things: ids.map((id) => ({ id })) }) })
const posts = () => service.seen.filter((seen) => seen.method === 'POST').map((seen) => seen.url)
const GATEWAY = { status: 503, headers: { 'content-type': 'text/html' }, body: '<html><title>503 busy</title></html>' }

describe('a look', () => {
  it.each([
    ['too many requests', { status: 429, headers: { 'retry-after': '0' } }],
    ['a gateway without its service', GATEWAY],
    ['a connection that breaks', 'break' as const],
  ])('outlives %s', async (_, mishap) => {
    says('GET /things', mishap, mishap, things('a'))
    expect((await list()).summary).toBe('1 in things.')
    says('POST /graphql', mishap, { body: '{"data":{"a":1}}' })
    expect((await read(graphql, { query: '{ a }' })).summary).toBe('The query was answered.')
    says('GET /any', mishap, { body: 'up' })
    expect((await read(httpGet, { path: '/any' })).summary).toBe('GET /any on service answered 200.')
  })

  it('says how long the service wants to be left alone where that is too long to wait', async () => {
    says('GET /things', { status: 429, headers: { 'retry-after': '3600' }, body: '{"error":"slow down"}' })
    await expect(list()).rejects.toThrow(
      'GET /things on service answered 429, and asks to wait 3600 s: {"error":"slow down"}',
    )
    expect(service.seen).toHaveLength(1)
  })

  it('reads how long that is from seconds and from a date', () => {
    const now = Date.parse('2026-11-28T12:00:00Z')
    const of = (text: string) => retryAfterMs({ headers: { 'retry-after': text } }, now)
    expect(['120', 'Sat, 28 Nov 2026 12:01:30 GMT', 'Sat, 28 Nov 2026 11:00:00 GMT', 'soon', ''].map(of)).toEqual([
      120_000,
      90_000,
      0,
      null,
      null,
    ])
  })

  it.each<[string, Reply, RegExp]>([
    [
      'a login page with status 200',
      { headers: { 'content-type': 'text/html' }, body: '<!DOCTYPE html><title>Sign in</title><form>' },
      /answered a web page “Sign in” and not JSON: a login page or a proxy stands in between/,
    ],
    ['nothing', { body: '' }, /answered 200 and nothing else; JSON was expected\./],
    ['no content', { status: 204 }, /holds no list at "\/things"; check items of the list/],
    ['a page about an error', { ...GATEWAY, status: 500 }, /answered 500: a web page “503 busy”/],
    [
      'a redirect',
      { status: 302, headers: { location: '/login' } },
      /answered 302, a redirect to \/login, which was not/,
    ],
    ['text', { headers: { 'content-type': 'text/plain' }, body: 'ok then' }, /something that is not JSON: ok then/],
    ['more than is read', { body: `["${'x'.repeat(5000)}"]` }, /more than can be read; raise maxResponseBytes/],
    ['half of it', { headers: { 'content-length': '100' }, body: '{"things":[' }, /got no complete answer/],
    ['something packed that is broken', { headers: { 'content-encoding': 'gzip' }, body: 'x' }, /no complete answer/],
  ])('says in a sentence that it got %s', async (_, reply, sentence) => {
    says('GET /things', reply)
    const error = await list().catch((one: Error) => one)
    expect((error as Error).message).toMatch(sentence)
    expect((error as Error).message).not.toMatch(/Unexpected|SyntaxError|Zod|undefined|<title>/)
  })

  it('takes JSON with a mark of the byte order, packed without being asked for, and texts of other charsets', async () => {
    says('GET /things', { body: `\uFEFF${things('a').body}` })
    expect((await list()).summary).toBe('1 in things.')
    says('GET /things', { headers: { 'content-encoding': 'gzip' }, body: gzipSync(things('a', 'b').body) })
    expect((await list()).summary).toBe('2 in things.')
    const latin = { 'content-type': 'text/plain; charset=iso-8859-1' }
    says('GET /any', { headers: latin, body: Buffer.from([0x64, 0xe9, 0x6a, 0xe0]) })
    expect((await read(httpGet, { path: '/any' })).blocks).toEqual([{ type: 'code', text: 'déjà' }])
  })
})

describe('a list that was cut', () => {
  const cut = [
    ['says a greater total beside it', { things: [{ id: 1 }], total: 3 }, {}, 'it says 3 at "/total", and lists 1'],
    ['says a greater total in its paging', { things: [], paging: { total_count: '7' } }, {}, 'it says 7 at'],
    ['has more', { things: [{ id: 1 }], has_more: true }, {}, 'it says so at "/has_more"'],
    ['names a next page', { things: [{ id: 1 }], nextPageToken: 'abc' }, {}, 'names a next page at "/nextPageToken"'],
    ['names one in its Link header', { things: [{ id: 1 }] }, { link: '</things?page=2>; rel="next"' }, 'Link header'],
  ] as const
  it.each(cut)('is not taken for the whole when it %s', async (_, body, headers, why) => {
    says('GET /things', { body: JSON.stringify(body), headers })
    expect((await list()).summary).toMatch(/^More than \d in things \(/)
    expect((await list()).summary).toContain(why)
    await expect(plan()).rejects.toThrow(Refused)
    await expect(plan()).rejects.toThrow(why)
  })

  it('ends where its total says, and is not whole when pages hold fewer than that', async () => {
    const paged = worldOf(settings({ next: { at: '/next', query: 'c' }, total: '/of' }))
    says('GET /things', { body: '{"things":[{"id":1}],"next":"p2","of":3}' })
    says('GET /things?c=p2', { body: '{"things":[{"id":2}],"next":null,"of":3}' })
    expect((await list(paged)).summary).toBe('More than 2 in things (it says 3 at "/of", and lists 2).')
    await expect(plan(operate, {}, paged)).rejects.toThrow(/things can't be read whole/)
    says('GET /things?c=p2', { body: '{"things":[{"id":2},{"id":3}],"of":3}' })
    expect((await list(paged)).summary).toBe('3 in things.')
    await paged.close()
  })

  it.each([
    [
      'has no cursor, and says that there is more',
      { things: [{ id: 2 }], next: null, has_more: true },
      {},
      'it says so at',
    ],
    [
      'has no cursor, and a Link header',
      { things: [{ id: 2 }] },
      { link: '</things?c=p3>; rel="next"' },
      'Link header',
    ],
  ])('is not taken for the whole where its last page %s', async (_, body, headers, why) => {
    const paged = worldOf(settings({ next: { at: '/next', query: 'c' } }))
    says('GET /things', { body: '{"things":[{"id":1}],"next":"p2"}' })
    says('GET /things?c=p2', { body: JSON.stringify(body), headers })
    expect((await list(paged)).summary).toContain(why)
    await paged.close()
  })

  it.each([
    [
      'says a greater total in a header',
      { things: [{ id: 1 }] },
      { 'x-total-count': '7' },
      'it says 7 in its X-Total-Count header',
    ],
    [
      'is answered with a part of its range',
      { things: [{ id: 1 }] },
      { 'content-range': 'things 0-0/7' },
      'it says 7 in its Content-Range header',
    ],
    [
      'says how many pages there are',
      { things: [{ id: 1 }], page: 1, total_pages: 3 },
      {},
      'it says 3 at "/total_pages"',
    ],
    [
      'says a total with a relation',
      { things: [{ id: 1 }], total: { value: 7, relation: 'eq' } },
      {},
      'it says 7 at "/total/value"',
    ],
    [
      'names a next page in single quotes',
      { things: [{ id: 1 }] },
      { link: "</things?page=2>; rel='next'" },
      'Link header',
    ],
    ['says that it is not the last page', { things: [{ id: 1 }], last: false }, {}, 'it says so at "/last"'],
  ])('is not taken for the whole where it %s', async (_, body, headers, why) => {
    says('GET /things', { body: JSON.stringify(body), headers: headers as Record<string, string> })
    expect((await list()).summary).toContain(why)
  })

  it('is refused when its cursor comes again, and follows one that is long', async () => {
    const paged = worldOf(settings({ next: { at: '/next', query: 'c' } }))
    const long = 'a'.repeat(900)
    says('GET /things', { body: JSON.stringify({ things: [{ id: 1 }], next: long }) })
    says(`GET /things?c=${long}`, { body: JSON.stringify({ things: [{ id: 2 }], next: long }) })
    await expect(list(paged)).rejects.toThrow(/gives the same page again and again, so it can't be read whole/)
    says(`GET /things?c=${long}`, things(2))
    expect((await list(paged)).summary).toBe('2 in things.')
    await paged.close()
  })

  it('is heeded as little as the settings say', async () => {
    const calm = worldOf(settings({ total: false }))
    says('GET /things', { body: '{"things":[{"id":1}],"total":99}' })
    expect((await list(calm)).summary).toBe('1 in things.')
    await calm.close()
  })
})

describe('a change', () => {
  it('is sent again when the service says that it has too much to do, by all lanes after as long as it asks for', async () => {
    says('GET /things', things('a', 'b'))
    for (const id of ['a', 'b']) says(`GET /things/${id}`, { body: '{"state":"ended"}' })
    says('POST /things/a/end', { status: 429, headers: { 'retry-after': '0' } }, { status: 202 })
    says('POST /things/b/end', { status: 204 })
    const all = await plan(bulk, { count: 2 })
    const { ctx, recording } = world.run(all)
    expect(await bulk.run(all, ctx)).toBe('End: 2 of 2 done')
    expect(posts().sort()).toEqual(['/things/a/end', '/things/a/end', '/things/b/end'])
    expect(recording.progress.map((one) => one.note)).toContain(
      'the service has too much to do; it is left alone for 0 s',
    )
    says('POST /things/a/end', { status: 429, headers: { 'retry-after': '0' } }, { status: 202 })
    const few = await plan()
    await operate.run(few, world.run(few).ctx)
    expect(posts()).toHaveLength(6)
  })

  it('that is told to wait for an hour has not been done', async () => {
    says('GET /things', things('a'))
    says('POST /things/a/end', { status: 429, headers: { 'retry-after': '3600' } })
    const made = await plan()
    await expect(operate.run(made, world.run(made).ctx)).rejects.toThrow('answered 429, and asks to wait 3600 s')
    expect(posts()).toHaveLength(1)
  })

  it.each([502, 504])('may have landed behind a gateway that answers %d, and is not sent again', async (status) => {
    says('GET /things', things('a'))
    says('GET /things/a', { body: '{"state":"going"}' })
    says('POST /things/a/end', { ...GATEWAY, status })
    const made = await plan()
    const broken = await operate.run(made, world.run(made).ctx).catch((error: unknown) => error)
    expect(broken).toBeInstanceOf(Unanswered)
    const all = await plan(bulk, { count: 1 })
    await expect(bulk.run(all, world.run(all).ctx)).rejects.toBeInstanceOf(Unanswered)
    says('POST /any', { ...GATEWAY, status })
    const one = await propose(httpRequest, { connection: 'service', method: 'POST', path: '/any' }, world.read())
    await expect(httpRequest.run(one, world.run(one).ctx)).rejects.toBeInstanceOf(Unanswered)
    expect(posts()).toHaveLength(3)
  })

  it('is not in question when nothing listens: nothing was sent', async () => {
    const gone = await startService(() => {})
    await gone.stop()
    const away = worldOf({ baseUrl: gone.origin })
    const made = await propose(httpRequest, { connection: 'service', method: 'POST', path: '/any' }, away.read())
    const broken = await httpRequest.run(made, away.run(made).ctx).catch((error: unknown) => error)
    expect(broken).toBeInstanceOf(Refused)
    expect(String(broken)).toContain('Nothing was sent by POST')
    expect(String(broken)).toContain('nothing listens at its address (ECONNREFUSED)')
    await away.close()
  })

  it('is not told of by an answer about another thing', async () => {
    says('GET /things', things('a'))
    says('GET /things/a', { body: '{"id":"b","state":"ended"}' })
    const made = await plan()
    expect(await operate.probe(made, 'change a', world.read())).toMatchObject({ landed: 'cannot_tell' })
    expect(await operate.verify(made, world.read())).toMatchObject([{ ok: false }])
  })

  it('warns when its check can tell nothing', async () => {
    says('GET /any', { status: 401 })
    const params = { connection: 'service', method: 'POST', path: '/any', check: '/any' }
    expect((await propose(httpRequest, params, world.read())).warnings).toEqual([
      'GET /any answers 401 now, so that it cannot tell whether this is in place.',
    ])
  })
})

describe('a connection', () => {
  it('trusts the authority that it names, and says whom to name where it does not', async () => {
    const secure = createServer({ key: KEY, cert: GOOD }, (_, reply) => reply.end('up')).listen(0, '127.0.0.1')
    await new Promise((up) => secure.once('listening', up))
    const baseUrl = `https://localhost:${(secure.address() as AddressInfo).port}`
    const [trusting, wary] = [worldOf({ baseUrl, ca: GOOD }), worldOf({ baseUrl })]
    expect((await read(httpGet, { path: '/any' }, trusting)).blocks).toEqual([{ type: 'code', text: 'up' }])
    await expect(read(httpGet, { path: '/any' }, wary)).rejects.toThrow(
      /nobody known signed its certificate .*name who did as ca/,
    )
    await Promise.all([trusting.close(), wary.close()])
    secure.closeAllConnections()
    await new Promise((closed) => secure.close(closed))
  })

  it('sends a user and a password, and hides both as they are sent', async () => {
    const auth = { kind: 'basic', user: 'keyturn', passwordFrom: 'P' }
    const basic = worldOf({ auth }, { P: 'canary-password' })
    const sent = `Basic ${Buffer.from('keyturn:canary-password').toString('base64')}`
    says('GET /any', { body: `${sent} canary-password` })
    expect((await read(httpGet, { path: '/any' }, basic)).blocks).toEqual([
      { type: 'code', text: 'Basic [secret] [secret]' },
    ])
    expect(service.seen[0]?.headers.authorization).toBe(sent)
    await basic.close()
    const faults = (more: object) => HttpSettings.safeParse({ ...settings(), ...more }).success
    expect(faults({ auth })).toBe(true)
    expect(faults({ auth, tokenFrom: 'T' })).toBe(false)
    expect(faults({ auth, baseUrl: 'http://metadata.example' })).toBe(false)
  })
})
