import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { bulk } from '../../../commands/http/bulk.ts'
import { httpGet } from '../../../commands/http/get.ts'
import { graphql } from '../../../commands/http/graphql.ts'
import { httpList } from '../../../commands/http/list.ts'
import { operate } from '../../../commands/http/operate.ts'
import { type ReadCommand, Refused } from '../../../src/domain/command.ts'
import { createWorld, propose, type World } from '../context.ts'
import { type Service, startService } from './server.ts'

const [ID, NEAR] = ['1524831183200260097', '1524831183200260000']
let service: Service
let world: World
/** Answers as text, by path. Whatever else is asked for is not there. */
const says = new Map<string, string>()

const list = (id: string, more = {}) => ({ noun: 'dataset', path: '/datasets', items: '/datasets', id, ...more })
const retract = {
  summary: 'Retract',
  list: 'datasets',
  send: { method: 'POST', path: '/datasets/{id}/retract', body: { text: 'of {id}', number: '{id:number}' } },
}

beforeAll(async () => {
  service = await startService((seen, _incoming, outgoing) => {
    const text = seen.method === 'POST' && seen.url !== '/graphql' ? '{}' : says.get(seen.url)
    outgoing.writeHead(text === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(text)
  })
})
afterAll(() => service.stop())
beforeEach(() => {
  const settings = {
    baseUrl: service.origin,
    allow: [{ method: 'GET', path: '/datasets' }],
    graphql: { path: '/graphql' },
    lists: {
      datasets: list('/id', { show: { size: '/size' }, next: { at: '/next', query: 'cursor' } }),
      distinct: list('/id', { distinct: '/of' }),
      running: list('/id'),
    },
    operations: {
      retract,
      guarded: { ...retract, only: [{ list: 'running', param: 'ids', says: 'Others run' }] },
      looked: { ...retract, item: { path: '/datasets/{id}', at: '/version', changed: [ID], open: ['1'] } },
    },
    params: { ids: { type: 'text', pattern: '[0-9, ]+' } },
  }
  world = createWorld({ connections: { metadata: { kind: 'http', settings } } })
})
afterEach(async () => {
  await world.close()
  says.clear()
  service.seen.length = 0
})

const read = (command: unknown, params: object) => {
  const { params: schema, read: work } = command as ReadCommand
  return work(schema.parse({ connection: 'metadata', ...params }), world.read())
}
const plan = (operation: string, args: string[] = [], command = operate, more = {}) =>
  propose(command, { connection: 'metadata', operation, args, ...more }, world.read())
const sent = () => service.seen.filter((seen) => seen.method === 'POST')

describe('numbers above 2^53', () => {
  it.each([
    ['http.operate', operate, {}],
    ['http.bulk', bulk, { count: 1 }],
  ])(
    'keep their digits from the list through the plan of %s into path and body of what is sent',
    async (_, how, more) => {
      says.set('/datasets', `{"datasets":[{"id":${ID},"name":"orders"}]}`)
      const made = await plan('retract', [], how, more)
      expect(made.targets[0]).toMatchObject({ id: `http:metadata/dataset/${ID}`, name: `dataset ${ID}` })
      expect(JSON.stringify(made)).not.toContain(NEAR)
      await how.run(made, world.run(made).ctx)
      expect(sent()).toMatchObject([{ url: `/datasets/${ID}/retract`, body: `{"text":"of ${ID}","number":${ID}}` }])
    },
  )

  it('are shown as they stand, and two that are one double are two', async () => {
    says.set('/datasets', `{"datasets":[{"id":${ID},"size":${ID},"of":${ID}},{"id":"a","size":1.50,"of":${NEAR}}]}`)
    const { blocks } = await read(httpList, { list: 'datasets' })
    expect(blocks[0]).toMatchObject({
      rows: [
        [ID, ID],
        ['a', '1.50'],
      ],
    })
    expect((await read(httpList, { list: 'distinct' })).summary).toBe('2 in distinct.')
    expect((await read(httpGet, { path: '/datasets' })).blocks).toEqual([{ type: 'code', text: says.get('/datasets') }])
  })

  it('are compared digit by digit in guards and in what an item says', async () => {
    says.set('/datasets', `{"datasets":[{"id":${ID}}]}`)
    await expect(plan('guarded', [`ids=${NEAR}`])).rejects.toThrow(`Others run (running: ${ID})`)
    says.set(`/datasets/${ID}`, `{"version":${NEAR}}`)
    const made = await plan('looked')
    expect(await operate.probe(made, `change ${ID}`, world.read())).toMatchObject({ landed: 'cannot_tell' })
    says.set(`/datasets/${ID}`, `{"version":${ID}}`)
    expect(await operate.probe(made, `change ${ID}`, world.read())).toMatchObject({ landed: 'yes' })
  })

  it('are cursors too', async () => {
    says.set('/datasets', `{"datasets":[{"id":1}],"next":${ID}}`)
    says.set(`/datasets?cursor=${ID}`, '{"datasets":[{"id":2}]}')
    expect((await read(httpList, { list: 'datasets' })).summary).toBe('2 in datasets.')
  })

  it('keep their digits in answers of GraphQL and in its variables', async () => {
    says.set('/graphql', `{"data":{"id":${ID},"big":1e400}}`)
    const { blocks } = await read(graphql, {
      query: 'query($id: Int, $of: Float) { id }',
      variables: ['id=7', 'of=123456789012345.123456789'],
    })
    expect(blocks[0]).toMatchObject({ text: expect.stringContaining(`"id": ${ID}`) })
    expect(sent()[0]?.body).toContain('"of":123456789012345.123456789')
    await expect(read(graphql, { query: 'query($id: Int) { id }', variables: ['id=4294967296'] })).rejects.toThrow(
      'The variable id is no Int',
    )
  })

  it.each(['1e3', '1.0', '1.5248311832002601e18', '7.5', 'true', 'null', '{}', '""', '"a\\ufffdb"'])(
    'an id %s cannot be told exactly: it is listed, and nothing is sent to it',
    async (id) => {
      says.set('/datasets', `{"datasets":[{"id":${id},"size":1e3},{"id":"b"}]}`)
      const { summary, blocks } = await read(httpList, { list: 'datasets' })
      expect(summary).toBe('2 in datasets.')
      expect(blocks[0]).toMatchObject({
        rows: [
          [expect.any(String), '1e3'],
          ['b', ''],
        ],
      })
      const refusal = expect(plan('retract')).rejects
      await refusal.toBeInstanceOf(Refused)
      await refusal.toThrow(/an id that cannot be told exactly/)
      expect(sent()).toEqual([])
    },
  )
})
