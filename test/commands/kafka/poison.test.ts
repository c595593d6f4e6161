import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { findBadRecord } from '../../../commands/kafka/find-bad-record.ts'
import { lag } from '../../../commands/kafka/lag.ts'
import { skipRecord } from '../../../commands/kafka/skip-record.ts'
import type { ChangeCommand, ReadCommand } from '../../../src/domain/command.ts'
import { Refused } from '../../../src/domain/command.ts'
import { createWorld, propose, type World } from '../context.ts'
import { type Cluster, consume, startCluster } from './cluster.ts'

const skip = skipRecord as ChangeCommand
let cluster: Cluster
let world: World
let topic: string
let group: string
/** Prepared at once, since each group takes seconds to form; a test that changes something takes one of its own. */
let ready: { topic: string; group: string }[] = []
const fresh = () => {
  ;({ topic, group } = ready.pop()!)
}

const read = async (command: unknown, params: Record<string, unknown> = {}) => {
  const { params: schema, read } = command as ReadCommand
  return read(schema.parse({ connection: 'events', topic, group, ...params }), world.read())
}
const plan = (params: Record<string, unknown> = {}) =>
  propose(skip, { connection: 'events', topic, group, partition: 1, ...params }, world.read())

async function prepare(n: number) {
  const made = { topic: `orders-${n}`, group: `loader-${n}` }
  const trace = { trace: ['t1', 't2'], by: 'web' }
  const messages = [
    { partition: 0, key: 'z', value: '{"id":0}' },
    { partition: 1, key: 'a', value: '{"id":1}' },
    { partition: 1, key: 'b', value: '{"id":2,"name":', timestamp: '1700000000123', headers: trace },
    { partition: 1, key: 'c', value: '{"id":3}' },
    { partition: 2, key: 'd', value: '' },
  ]
  await cluster.producer.send({ topic: made.topic, messages })
  await cluster.admin.fetchTopicMetadata({ topics: [`${made.topic}-dead`] })
  await cluster.stand(made.group, made.topic, { 0: 1, 1: 1 })
  return made
}

beforeAll(async () => {
  cluster = await startCluster()
  ready = await Promise.all([1, 2, 3, 4, 5, 6].map(prepare))
  fresh()
})
afterAll(() => cluster.stop())
beforeEach(() => {
  const topics = { [topic]: { groups: [group, 'idle'], deadLetter: `${topic}-dead` }, bare: { groups: [group] } }
  for (const { topic: name, group: of } of ready)
    Object.assign(topics, { [name]: { groups: [of], deadLetter: `${name}-dead` } })
  const settings = { brokers: [cluster.broker], topics, idleSeconds: 5 }
  world = createWorld({ connections: { events: { kind: 'kafka', settings } } })
})
afterEach(() => world.close())

describe('kafka.lag', () => {
  it('shows where the group stands in each partition and what waits for it', async () => {
    const { summary, blocks } = await read(lag)
    expect(summary).toContain(`3 records of ${topic} wait for ${group}, in 2 of 4 partitions.`)
    expect(blocks[0]).toMatchObject({
      rows: [
        ['0', '1', '0', '1', '0'],
        ['1', '1', '0', '3', '2'],
        ['2', 'none', '0', '1', '1'],
        ['3', 'none', '0', '0', '0'],
      ],
    })
  })

  it('refuses a topic that the connection does not list', async () => {
    await expect(read(lag, { topic: 'secrets' })).rejects.toThrow(
      new Refused(
        `The connection "events" does not list the topic "secrets". It lists: bare, orders-1, orders-2, orders-3, orders-4, orders-5, orders-6.`,
      ),
    )
  })
})

describe('kafka.find-bad-record', () => {
  it('finds the first record that is not JSON in each partition, with key, size and a preview', async () => {
    const { summary, blocks } = await read(findBadRecord)
    expect(summary).toBe(
      `2 of 4 partitions of ${topic} hold a bad record for ${group}; the first is partition 1, offset 1.`,
    )
    expect(blocks[0]).toMatchObject({
      rows: [
        ['1', '1', 'b', '15 bytes', '2023-11-14T22:13:20.123Z', 'Unexpected end of JSON input'],
        ['2', '0', 'd', '0 bytes', expect.any(String), 'Unexpected end of JSON input'],
      ],
    })
    expect(blocks[1]).toEqual({ type: 'code', text: '1/1: {"id":2,"name":' })
  })
})

describe('kafka.skip-record', () => {
  it('copies the record with key, headers and timestamp, and moves this partition to the one after it', async () => {
    fresh()
    const made = await plan()
    expect(made.targets.map((t) => t.name)).toEqual([`${group} in ${topic}/1`, `${topic}/1/1`])
    expect(made.targets[1]!.details).toMatchObject({ Key: 'b', Fault: 'Unexpected end of JSON input' })
    const before = await cluster.committed(group, topic)
    const said = await skip.run(made, world.run(made).ctx)
    expect(said).toBe(`${group} goes on at ${topic}/1/2; the record is in ${topic}-dead.`)
    expect(before).toEqual([1, 1, -1, -1])
    expect(await cluster.committed(group, topic)).toEqual([1, 2, -1, -1])
    const [copy, ...more] = await cluster.records(`${topic}-dead`)
    expect(more).toEqual([])
    expect(copy).toMatchObject({ key: 'b', payload: '{"id":2,"name":', ts: 1700000000123 })
    expect(copy!.headers!.slice(0, 6)).toEqual(['trace', 't1', 'trace', 't2', 'by', 'web'])
    expect((await skip.verify(made, world.read())).map((c) => c.ok)).toEqual([true, true])
  })

  it('refuses while the group has a consumer, and neither copies nor moves', async () => {
    fresh()
    const made = await plan()
    const running = await consume(cluster, group, topic)
    await expect(skip.run(made, world.run(made).ctx)).rejects.toThrow(/The group "loader-\d" has consumers/)
    await running.stop()
    expect(await cluster.committed(group, topic)).toEqual([1, 1, -1, -1])
    expect(await cluster.records(`${topic}-dead`)).toEqual([])
  })

  it('refuses to pass valid records that nobody allowed', async () => {
    fresh()
    await cluster.stand(group, topic, { 1: 0 })
    await expect(plan()).rejects.toThrow(/The group stands at 0, the bad record at 1/)
    const made = await plan({ records: 2 })
    expect(made.warnings).toContain('1 valid records are passed as well; all are copied.')
    expect(made.targets).toHaveLength(3)
  })

  it('refuses when the group has moved since the plan, and copies nothing', async () => {
    fresh()
    const made = await plan()
    await cluster.stand(group, topic, { 1: 3 })
    await expect(skip.run(made, world.run(made).ctx)).rejects.toThrow(/stands at 3 in .*\/1 now, not at 1/)
    expect(await cluster.records(`${topic}-dead`)).toEqual([])
  })

  it.each([
    ['a group that is not listed', { group: 'other' }, /does not let "other" be moved/],
    ['a topic without a dead-letter topic', { topic: 'bare' }, /bare has no dead-letter topic/],
    ['a partition without a bad record', { partition: 0 }, /No bad record was found/],
    ['a partition where nothing is committed', { partition: 2 }, /has committed nothing/],
    ['a partition that is not there', { partition: 9 }, /has no partition 9/],
  ])('refuses %s', async (_, params, message) => {
    await expect(plan(params)).rejects.toThrow(message)
    await expect(plan(params)).rejects.toBeInstanceOf(Refused)
  })

  it('tells after a crash which step has landed', async () => {
    fresh()
    const made = await plan()
    const landed = async () => [
      (await skip.probe(made, 'copy', world.read())).landed,
      (await skip.probe(made, 'move', world.read())).landed,
    ]
    expect(await landed()).toEqual(['no', 'no'])
    const { ctx } = world.run(made)
    const stop = {
      ...ctx,
      progress: () => {
        throw new Error('the worker died')
      },
    }
    await expect(skip.run(made, stop)).rejects.toThrow('the worker died')
    expect(await landed()).toEqual(['yes', 'no'])
    await skip.run(made, world.run(made, { done: { copy: 1 } }).ctx)
    expect(await landed()).toEqual(['yes', 'yes'])
    expect(await cluster.records(`${topic}-dead`)).toHaveLength(1)
  })
})
