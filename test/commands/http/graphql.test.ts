import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { HttpSettings } from '../../../commands/http/connection.ts'
import { readDocument } from '../../../commands/http/document.ts'
import { graphql } from '../../../commands/http/graphql.ts'
import { type ReadCommand, Refused } from '../../../src/domain/command.ts'
import { createWorld, type World } from '../context.ts'
import { type Service, startService } from './server.ts'

const NAMED = 'query dataset($id: ID!, $first: Int = 10, $tags: [String!]) { dataset(id: $id) { path } }'
let service: Service
let world: World
let answer: [number, unknown]

beforeAll(async () => {
  service = await startService((_seen, _incoming, outgoing) => {
    outgoing.writeHead(answer[0], { location: '/elsewhere' }).end(JSON.stringify(answer[1]))
  })
})
afterAll(() => service.stop())
beforeEach(() => {
  answer = [200, { data: { dataset: { path: 's3://lake/users' } } }]
  const settings = { baseUrl: `${service.origin}/api`, graphql: { path: '/graphql', queries: { dataset: NAMED } } }
  world = createWorld({
    connections: {
      metadata: { kind: 'http', settings },
      plain: { kind: 'http', settings: { baseUrl: service.origin, allow: [{ method: 'GET', path: '/x' }] } },
    },
  })
})
afterEach(async () => {
  await world.close()
  service.seen.length = 0
})

const ask = (query: string, variables: string[] = [], connection = 'metadata') => {
  const command = graphql as ReadCommand
  return command.read(command.params.parse({ connection, query, variables }), world.read())
}

describe('http.graphql', () => {
  it('asks a query of the settings, its variables typed as the query says', async () => {
    expect(await ask('dataset', ['id=7', 'first=3', 'tags=a, b'])).toEqual({
      summary: 'The query dataset was answered.',
      blocks: [{ type: 'code', text: JSON.stringify({ dataset: { path: 's3://lake/users' } }, null, 2) }],
    })
    expect(service.seen.map((s) => [s.method, s.url, JSON.parse(s.body)])).toEqual([
      ['POST', '/api/graphql', { query: NAMED, variables: { id: '7', first: 3, tags: ['a', 'b'] } }],
    ])
  })

  it('asks a query of the playbook', async () => {
    await ask('{ datasets { id } }')
    expect(JSON.parse(service.seen[0]!.body)).toEqual({ query: '{ datasets { id } }', variables: {} })
  })

  it('shows what the service says is wrong with it', async () => {
    answer = [400, { errors: [{ message: 'no field "pth"' }] }]
    expect(await ask('{ pth }')).toEqual({ summary: 'The query had errors: no field "pth"', blocks: [] })
  })

  it('follows no redirect, and takes no answer that was cut or is not JSON for one', async () => {
    answer = [307, {}]
    await expect(ask('dataset', ['id=7'])).rejects.toThrow('POST /graphql on metadata answered 307')
    answer = [200, { data: 'x'.repeat(20_000) }]
    await expect(ask('dataset', ['id=7'])).rejects.toThrow(/more than can be read/)
  })

  it.each([
    'mutation { drop }',
    'mutation($id: ID!) { drop(id: $id) }',
    'subscription { changes }',
    '# a query\nmutation { drop }',
    '"""a query""" mutation { drop }',
    '{ a } mutation { drop }',
    'query a { a } mutation b { drop }',
    'query a { a(x: "}") } mutation b { drop }',
    'query a { a(x: """ } """) } mutation b { drop }',
    'query a($v: In = { x: 1 }) { a } mutation { drop }',
    'fragment f on T { a } mutation { ...f }',
    '\uFEFF,, mutation { drop }',
    '{ a } { b }',
    'query a { a } query b { b }',
    'fragment f on T { a }',
    '{ a',
    '{ a }}',
    '',
    'unknown',
    'type Query { a: Int }',
    'extend type Query { a: Int }',
    '{ a(x: "unclosed) }',
  ])('refuses %j and sends nothing', async (query) => {
    await expect(ask(query)).rejects.toBeInstanceOf(Refused)
    expect(service.seen).toEqual([])
  })

  it.each([
    '{ mutation }',
    'query mutation { a }',
    'query { a(x: "mutation { drop }") }',
    'query q @live { a } fragment mutation on T { b }',
    'query ($v: In = { mutation: { x: [1, 2] } }) { a(v: $v) { ...f } } fragment f on T { b }',
  ])('asks %j, which only looks like one that changes something', async (query) => {
    await ask(query)
    expect(service.seen).toHaveLength(1)
  })

  it.each([
    [['id=7', 'first=3; DROP'], /first is no Int/],
    [['other=7'], /takes no variable "other"/],
    [['__proto__=7'], /takes no variable "__proto__"/],
  ])('refuses the variables %j', async (variables, says) => {
    await expect(ask('dataset', variables)).rejects.toThrow(says)
    expect(service.seen).toEqual([])
  })

  it('refuses a connection that names no place for it', async () => {
    await expect(ask('{ a }', [], 'plain')).rejects.toThrow(/has no graphql in its settings/)
  })

  it('takes its query from the settings or the playbook, never from an alert', () => {
    expect(graphql.params.shape.query?.meta()).toMatchObject({ from: 'playbook' })
  })
})

it('settings refuse a mutation among the queries', () => {
  const settings = (query: string) => ({
    baseUrl: 'https://metadata.example',
    graphql: { path: '/graphql', queries: { a: query } },
  })
  expect(HttpSettings.safeParse(settings('{ a }')).success).toBe(true)
  expect(HttpSettings.safeParse(settings('mutation { a }')).error?.issues[0]?.message).toBe(
    'It holds a mutation; only a query can be asked here.',
  )
})

it('a document of ten thousand marks is read before the test times out', () => {
  for (const mark of ['"', '"""', '{', '(', '#', '$a:', '[', '\\"', '.'])
    expect(() => readDocument(mark.repeat(10_000))).not.toThrow(RangeError)
})
