import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { HttpSettings } from '../../../commands/http/connection.ts'
import { httpGet } from '../../../commands/http/get.ts'
import { httpRequest } from '../../../commands/http/request.ts'
import { type ReadCommand, Refused } from '../../../src/domain/command.ts'
import { createWorld, propose, type World } from '../context.ts'
import { type Service, startService } from './server.ts'

const TOKEN = 'token-6f1c2a'
let service: Service
let world: World
const jobs = new Map<string, string>()
/** Called when the service has a request that it will never answer. */
let onHang = () => {}

const settings = () => ({
  baseUrl: `${service.origin}/api/v1/`,
  tokenFrom: 'SERVICE_TOKEN',
  timeoutMs: 300,
  maxResponseBytes: 256,
  allow: [
    { method: 'POST', path: '/jobs/*/restart' },
    { method: 'POST', path: '/away' },
    { method: 'POST', path: '/hang' },
    { method: 'POST', path: '/broken' },
    { method: 'DELETE', path: '/jobs/*' },
    { method: 'GET', path: '/jobs/*' },
    { method: 'GET', path: '/endless' },
    { method: 'GET', path: '/echo', query: true },
  ],
})

const plan = (params: Record<string, unknown>, requestedAt = new Date(0), in_ = world) =>
  propose(httpRequest, { connection: 'jobs', method: 'POST', ...params }, { ...in_.read(), requestedAt })
const get = (path: string) => {
  const command = httpGet as ReadCommand
  return command.read(command.params.parse({ connection: 'jobs', path }), world.read())
}

beforeAll(async () => {
  service = await startService((seen, _incoming, outgoing) => {
    const [, id, verb] = /^\/api\/v1\/jobs\/([^/]+)(?:\/(\w+))?$/.exec(seen.url) ?? []
    if (seen.headers.authorization !== `Bearer ${TOKEN}`) outgoing.writeHead(401).end('who are you?')
    else if (id && seen.method === 'POST' && verb === 'restart') {
      jobs.set(id, seen.body)
      outgoing.writeHead(202, { 'content-type': 'application/json' }).end('{"restarted": true}')
    } else if (id && seen.method === 'DELETE') outgoing.writeHead(jobs.delete(id) ? 204 : 404).end()
    else if (id && seen.method === 'GET') outgoing.writeHead(jobs.has(id) ? 200 : 404).end(jobs.get(id))
    else if (seen.url === '/api/v1/away') outgoing.writeHead(307, { location: `${service.origin}/elsewhere` }).end()
    else if (seen.url === '/api/v1/endless') {
      const write = () => {
        while (!outgoing.destroyed && outgoing.write('line after line\n'));
        if (!outgoing.destroyed) outgoing.once('drain', write)
      }
      write()
    } else if (seen.url === '/api/v1/hang') onHang()
    else if (seen.url === '/api/v1/broken') outgoing.writeHead(500).end(`no: ${seen.headers.authorization}`)
    else if (seen.url.startsWith('/api/v1/echo')) outgoing.end(`${seen.url} ${seen.headers.authorization}`)
    else outgoing.writeHead(418).end('not below the base')
  })
})
afterAll(() => service.stop())
beforeEach(() => {
  world = createWorld({
    connections: { jobs: { kind: 'http', settings: settings() } },
    secrets: { SERVICE_TOKEN: TOKEN },
  })
})
afterEach(async () => {
  await world.close()
  jobs.clear()
  service.seen.length = 0
})

describe('http.request', () => {
  const restart = { path: '/jobs/7/restart', body: '{"from":"start"}', check: '/jobs/7' }

  it('sends exactly the request that was shown, once, with the token and a key', async () => {
    const made = await plan(restart)
    expect(service.seen.map((s) => s.method)).toEqual(['GET'])
    expect(made.steps[0]?.detail).toContain(`POST ${service.origin}/api/v1/jobs/7/restart`)
    expect(made.steps[0]?.detail).toContain('{"from":"start"}')
    expect(await httpRequest.probe(made, 'send', world.read())).toEqual({
      landed: 'no',
      detail: 'GET /jobs/7 answers 404.',
    })

    const { ctx, recording } = world.run(made)
    expect(await httpRequest.run(made, ctx)).toBe('POST /jobs/7/restart answered 202: {"restarted": true}')
    expect(recording.started).toEqual(['send'])
    const posts = service.seen.filter((s) => s.method === 'POST')
    expect(posts).toHaveLength(1)
    expect(posts[0]).toMatchObject({
      url: '/api/v1/jobs/7/restart',
      body: '{"from":"start"}',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    })
    expect(posts[0]?.headers['idempotency-key']).toMatch(/^[0-9a-f]{32}$/)
    expect(made.steps[0]?.detail).toContain(String(posts[0]?.headers['idempotency-key']))

    expect(await httpRequest.verify(made, world.read())).toEqual([
      { title: 'The change is in place', ok: true, detail: 'GET /jobs/7 answers 200' },
    ])
    expect(await httpRequest.probe(made, 'send', world.read())).toMatchObject({ landed: 'yes' })
    await expect(plan(restart)).rejects.toThrow(
      new Refused('Nothing to do: GET /jobs/7 answers 200, so the change is in place.'),
    )
  })

  it('has the same key each time it is planned for one request of a person, and another key for the next', async () => {
    const key = async (at: number) => ((await plan(restart, new Date(at))).data as { key: string }).key
    expect(await key(1)).toBe(await key(1))
    expect(await key(1)).not.toBe(await key(2))
  })

  it('never holds the token in its plan', async () => {
    expect(JSON.stringify(await plan(restart))).not.toContain(TOKEN)
  })

  it('fails with the answer when the service says no, and hides a token that it echoes', async () => {
    const made = await plan({ path: '/broken' })
    await expect(httpRequest.run(made, world.run(made).ctx)).rejects.toThrow(
      'POST /broken on jobs answered 500: no: Bearer [secret]',
    )
  })

  it('follows no redirect', async () => {
    const made = await plan({ path: '/away' })
    await expect(httpRequest.run(made, world.run(made).ctx)).rejects.toThrow(
      /answered 307, a redirect to .*\/elsewhere, which was not followed/,
    )
    expect(service.seen.map((s) => s.url)).toEqual(['/api/v1/away'])
  })

  it('gives up on a service that does not answer in time', async () => {
    const made = await plan({ path: '/hang' })
    await expect(httpRequest.run(made, world.run(made).ctx)).rejects.toMatchObject({
      message: expect.stringContaining('may have taken effect'),
      cause: expect.objectContaining({ name: 'AbortError' }),
    })
  })

  it('stops waiting when it is cancelled', async () => {
    const patient = createWorld({
      connections: { jobs: { kind: 'http', settings: { ...settings(), timeoutMs: 300_000 } } },
      secrets: { SERVICE_TOKEN: TOKEN },
    })
    const made = await plan({ path: '/hang' }, new Date(0), patient)
    const cancel = new AbortController()
    onHang = () => cancel.abort(new Error('cancelled'))
    await expect(httpRequest.run(made, patient.run(made, { signal: cancel.signal }).ctx)).rejects.toThrow(
      'may have taken effect',
    )
    onHang = () => {}
  })

  it('cannot tell whether a request without a check path landed', async () => {
    const made = await plan({ path: '/broken' })
    expect(made.warnings).toHaveLength(1)
    expect(await httpRequest.probe(made, 'send', world.read())).toMatchObject({ landed: 'cannot_tell' })
    expect(await httpRequest.verify(made, world.read())).toEqual([])
  })

  it('refuses a body that is not what its content type says', async () => {
    await expect(plan({ path: '/broken', body: '{"a":' })).rejects.toThrow(
      new Refused('The body is not JSON, but its content type says so.'),
    )
  })

  it.each([
    '/jobs/../admin',
    '/jobs/./7',
    '/..',
    '/jobs/%2e%2e/restart',
    '/jobs/%2E%2e/restart',
    '/jobs/.%2e/restart',
    '/jobs/%252e%252e/restart',
    '/jobs/7%2frestart/restart',
    '/jobs/7%5crestart/restart',
    '/jobs/..;/restart',
    '/jobs/..%3b/restart',
    '//evil.example/jobs/7/restart',
    '///jobs/7/restart',
    '/jobs//restart',
    '/\\evil.example/restart',
    '\\\\evil.example',
    'http://evil.example/jobs/7/restart',
    '@evil.example/',
    'jobs/7/restart',
    '',
    '/jobs/7/restart#x',
    '/jobs/7 /restart',
    '/jobs/7\r\nX-Evil: 1/restart',
    '/jobs/7\t/restart',
    '/jobs/7%00/restart',
    '/jobs/7%0d%0a/restart',
    '/jobs/%zz/restart',
    '/jobs/７/restart',
    '/jobs/\u202e7/restart',
    '/jobs/"7"/restart',
    '/jobs/<7>/restart',
    '/jobs/7/restart?force=1',
    '/JOBS/7/restart',
    '/jobs/7/restart/',
    '/jobs/a/b/restart',
  ])('refuses the path %j and sends nothing', async (path) => {
    await expect(plan({ path })).rejects.toBeInstanceOf(Refused)
    await expect(plan({ path: '/broken', check: path || '/' })).rejects.toBeInstanceOf(Refused)
    expect(service.seen).toEqual([])
  })

  it('refuses a path that is allowed for another method only', async () => {
    await expect(plan({ path: '/jobs/7' })).rejects.toThrow(new Refused('The connection does not allow POST /jobs/7.'))
    expect((await plan({ path: '/jobs/7', method: 'DELETE' })).summary).toBe('DELETE /jobs/7 on jobs')
  })

  it('refuses a connection of that name but another kind', async () => {
    const other = createWorld({ connections: { jobs: { kind: 'script', settings: {} } } })
    await expect(plan(restart, new Date(0), other)).rejects.toThrow(
      new Refused('There is no http connection named "jobs".'),
    )
  })
})

describe('http.get', () => {
  it('shows status and body', async () => {
    jobs.set('7', 'running')
    expect(await get('/jobs/7')).toEqual({
      summary: 'GET /jobs/7 on jobs answered 200.',
      blocks: [{ type: 'code', text: 'running' }],
    })
  })

  it('shows a 404 as what was found', async () => {
    expect((await get('/jobs/8')).summary).toBe('GET /jobs/8 on jobs answered 404.')
  })

  it('reads no more than the limit of an answer without end, and marks the cut', async () => {
    const [block] = (await get('/endless')).blocks
    const text = block?.type === 'code' ? block.text : ''
    expect(text).toMatch(/^(line after line\n){16}\n… cut at 256 bytes$/)
  })

  it('takes a query only where the connection allows one, and hides the token in the answer', async () => {
    expect((await get('/echo?since=1&x=a%2Fb')).blocks).toEqual([
      { type: 'code', text: '/api/v1/echo?since=1&x=a%2Fb Bearer [secret]' },
    ])
    await expect(get('/jobs/7?x=1')).rejects.toThrow(new Refused('The connection does not allow GET /jobs/7?x=1.'))
  })
})

describe('the settings of an http connection', () => {
  const faults = (change: Record<string, unknown>) => {
    const parsed = HttpSettings.safeParse({
      baseUrl: 'https://jobs.example/api',
      allow: [{ method: 'GET', path: '/x' }],
      ...change,
    })
    return parsed.success ? [] : parsed.error.issues.map((i) => i.path.join('.'))
  }

  it('accept a base over https with a token', () => {
    expect(faults({ tokenFrom: 'T' })).toEqual([])
  })

  it.each([
    [{ baseUrl: 'ftp://jobs.example' }, 'baseUrl'],
    [{ baseUrl: 'https://user:word@jobs.example' }, 'baseUrl'],
    [{ baseUrl: 'https://jobs.example/?a=1' }, 'baseUrl'],
    [{ baseUrl: 'http://jobs.example', tokenFrom: 'T' }, 'tokenFrom'],
    [{ allow: [] }, 'allow'],
    [{ allow: [{ method: 'TRACE', path: '/x' }] }, 'allow.0.method'],
    [{ allow: [{ method: 'GET', path: 'x' }] }, 'allow.0.path'],
  ])('refuse %j', (change, path) => {
    expect(faults(change)).toEqual([path])
  })
})
