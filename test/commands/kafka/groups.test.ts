import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { findBadRecord } from '../../../commands/kafka/find-bad-record.ts'
import { lag } from '../../../commands/kafka/lag.ts'
import { skipRecord } from '../../../commands/kafka/skip-record.ts'
import { array, int16, int32, int64, string } from '../../../commands/kafka/wire/bytes.ts'
import type { ChangeCommand, ReadCommand } from '../../../src/domain/command.ts'
import { Refused } from '../../../src/domain/command.ts'
import { createWorld, propose, type World } from '../context.ts'
import { API, type Asked, type Broker, classicGroup, consumerGroup, type Offers, startBroker } from './broker.ts'
import { type Cluster, startCluster } from './cluster.ts'

const skip = skipRecord as ChangeCommand
const OFFERS: Offers = { [API.describeGroups]: [0, 2], [API.consumerGroupDescribe]: [0, 1] }
const GROUP_ID_NOT_FOUND = 69
let cluster: Cluster
let broker: Broker
let world: World
let topic: string
let group: string
let count = 0

beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(() => cluster.stop())
afterEach(async () => {
  await world.close()
  await broker.stop()
})

async function begin(answer: (asked: Asked) => Buffer | 'drop' | null, offers: Offers = OFFERS, more = {}) {
  topic = `orders-${++count}`
  group = `loader-${count}`
  const values = ['{"id":1}', '{"id":', '{"id":3}']
  await cluster.producer.send({ topic, messages: values.map((value) => ({ partition: 0, value })) })
  await cluster.admin.fetchTopicMetadata({ topics: [`${topic}-dead`] })
  await cluster.stand(group, topic, { 0: 1 })
  broker = await startBroker(cluster.broker, { offers, answer })
  const topics = { [topic]: { groups: [group], deadLetter: `${topic}-dead` } }
  const settings = { brokers: [broker.broker], topics, idleSeconds: 1, ...more }
  world = createWorld({ connections: { events: { kind: 'kafka', settings } } })
}
const plan = () => propose(skip, { connection: 'events', topic, group, partition: 0 }, world.read())
const look = (command: unknown) => {
  const { params, read } = command as ReadCommand
  return read(params.parse({ connection: 'events', topic, group }), world.read())
}
const changes = () =>
  broker.asked.filter(({ api }) => api === API.produce || api === API.offsetCommit || api === API.joinGroup)

describe('a group of KIP-848, which brokers call dead when asked for one of before', () => {
  const dead = (found: Parameters<typeof consumerGroup>[1]) => (asked: Asked) =>
    asked.api === API.describeGroups
      ? classicGroup(group, 'Dead')
      : asked.api === API.consumerGroupDescribe
        ? consumerGroup(group, found)
        : null

  it.each(['Stable', 'Reconciling', 'Assigning', ''])('is not moved while it has members: %s', async (state) => {
    await begin(dead({ state, members: 1 }))
    await expect(plan()).rejects.toThrow(
      `The group "${group}" is ${state || 'unknown'}: it has consumers. Scale them to 0 first, then ask again.`,
    )
    await expect(plan()).rejects.toBeInstanceOf(Refused)
    expect((await look(lag)).summary).toContain(`The group is ${state || 'unknown'}.`)
  })

  it('may be moved when it is empty, but not when a member came after the plan', async () => {
    await begin(dead({ state: 'Empty' }))
    const made = await plan()
    expect(made.targets[0]!.details.State).toBe('Empty')
    broker.play(dead({ state: 'Stable', members: 2 }))
    await expect(skip.run(made, world.run(made).ctx)).rejects.toThrow(/is Stable: it has consumers/)
    expect(changes()).toEqual([])
  })

  it.each([
    ['which these brokers do not know either', { code: GROUP_ID_NOT_FOUND }],
    ['of which they may not speak', { code: 35 }],
  ])('is not moved %s, since it has committed offsets', async (_, found) => {
    await begin(dead(found))
    await expect(plan()).rejects.toThrow(/Kafka calls the group "loader-\d+" dead although it has committed offsets/)
    expect((await look(lag)).summary).toContain('Kafka calls the group dead although it has committed offsets')
  })

  it('is not moved where brokers do not speak of such groups', async () => {
    await begin(dead({}), { [API.describeGroups]: [0, 2] })
    await expect(plan()).rejects.toThrow(/may have consumers\. Nothing is moved/)
  })

  it('is asked for once more while its coordinator loads', async () => {
    let times = 0
    await begin((asked) =>
      asked.api === API.consumerGroupDescribe && ++times < 3
        ? consumerGroup(group, { code: 14 })
        : dead({ state: 'Empty' })(asked),
    )
    expect((await plan()).targets[0]!.details.State).toBe('Empty')
    expect(times).toBe(3)
  })
})

describe('a group of before', () => {
  it.each(['Stable', 'PreparingRebalance', 'CompletingRebalance'])('is not moved while it is %s', async (state) => {
    await begin(({ api }) => (api === API.describeGroups ? classicGroup(group, state) : null))
    await expect(plan()).rejects.toThrow(`The group "${group}" is ${state}: it has consumers.`)
  })
})

/** Answers one request with a broker's word so often; `at` is where its code stands behind what comes before. */
const failing = (api: number, times: number, answer: (asked: Asked) => Buffer) => {
  let left = times
  return (asked: Asked) => (asked.api === api && left-- > 0 ? answer(asked) : null)
}
const listed = (code: number) => () =>
  Buffer.concat([
    int32(0),
    array([
      Buffer.concat([
        string(topic),
        array([0, 1, 2, 3].map((p) => Buffer.concat([int32(p), int16(code), int64(-1), int64(-1)]))),
      ]),
    ]),
  ])
const fetched = (code: number) => () =>
  Buffer.concat([
    ...[int32(0), int16(0), int32(0)],
    array([
      Buffer.concat([
        string(topic),
        array([
          Buffer.concat([
            int32(0),
            int16(code),
            int64(-1),
            int64(-1),
            int64(-1),
            array([]),
            string(null),
            int32(-1),
            int32(0),
          ]),
        ]),
      ]),
    ]),
  ])
const committed = (code: number) => () => Buffer.concat([int32(0), array([]), int16(code)])
const produced = (code: number) => () =>
  Buffer.concat([
    array([
      Buffer.concat([
        string(`${topic}-dead`),
        array([Buffer.concat([int32(0), int16(code), int64(-1), int64(-1), int64(-1)])]),
      ]),
    ]),
    int32(0),
  ])
const [NOT_LEADER, LOADING, MOVED, FORBIDDEN, NO_TOPIC, OUT_OF_RANGE, TIMED_OUT] = [6, 14, 16, 29, 3, 1, 7]

describe('a broker that moves, loads or restarts', () => {
  it.each<[string, () => (asked: Asked) => Buffer | null]>([
    ['a partition that has moved, while its records are read', () => failing(API.fetch, 2, fetched(NOT_LEADER))],
    ['a group that is loaded', () => failing(API.offsetFetch, 2, committed(LOADING))],
    ['a group that has moved', () => failing(API.offsetFetch, 1, committed(MOVED))],
  ])('is waited for: %s', async (_, fail) => {
    await begin(fail())
    expect((await look(findBadRecord)).summary).toMatch(/the first is partition 0, offset 1\.$/)
  })

  it('is waited for when it hangs up', async () => {
    let left = 2
    await begin(({ api }) => (api === API.fetch && left-- > 0 ? 'drop' : null))
    expect((await look(findBadRecord)).summary).toMatch(/the first is partition 0, offset 1\.$/)
  })

  it('is waited for no longer than the connection says, and then told of without a word of a library', async () => {
    await begin(failing(API.offsetFetch, 100, committed(LOADING)), {}, { patienceSeconds: 0.3 })
    await expect(look(lag)).rejects.toThrow(/^Kafka answers group load in progress\.$/)
  })

  it('shows the partitions that answer beside those that do not', async () => {
    await begin(failing(API.listOffsets, 100, listed(NOT_LEADER)), {}, { patienceSeconds: 0.3 })
    const { summary, blocks } = await look(lag)
    expect(summary).toContain('4 more could not be asked.')
    expect(blocks[1]).toMatchObject({
      text: expect.stringContaining('Partition 0 could not be asked: Kafka answers not leader for partition.'),
    })
    broker.play(failing(API.listOffsets, 1, listed(NOT_LEADER)))
    expect((await look(lag)).summary).toMatch(/^2 records of .* in 1 of 4 partitions\. This/)
  })

  it('reads the partitions that answer beside one that does not', async () => {
    await begin(() => null)
    await cluster.producer.send({ topic, messages: [{ partition: 2, value: '{"id":' }] })
    // Partition 0 may not be read, partition 2 is answered with nothing: its record stands behind the next look.
    let asked = 0
    const part = (p: number, code: number) =>
      Buffer.concat([int32(p), int16(code), int64(-1), int64(-1), int64(-1), array([]), int32(-1), int32(0)])
    broker.play(({ api }) =>
      api === API.fetch && asked++ === 0
        ? Buffer.concat([
            int32(0),
            int16(0),
            int32(0),
            array([Buffer.concat([string(topic), array([part(0, FORBIDDEN), part(2, 0)])])]),
          ])
        : null,
    )
    const { summary, blocks } = await look(findBadRecord)
    expect(summary).toMatch(/the first is partition 2, offset 0\.$/)
    expect(blocks.at(-1)).toMatchObject({
      text: expect.stringContaining('Partition 0 was read up to offset 1 of 3 only: Kafka does not let this user read'),
    })
  })

  it.each<[string, number, () => Buffer, RegExp]>([
    [
      'a right that is missing',
      API.fetch,
      () => fetched(FORBIDDEN)(),
      /^Kafka does not let this user read or write the topic\. See the rights/,
    ],
    ['a topic that is gone', API.fetch, () => fetched(NO_TOPIC)(), /^Kafka has no topic of that name/],
    ['an offset that is gone', API.fetch, () => fetched(OUT_OF_RANGE)(), /^The offset is no longer in the topic/],
    ['an answer that ends too early', API.fetch, () => int32(0), /^What the broker sent cannot be read: /],
    [
      'one of metadata that ends too early',
      API.metadata,
      () => Buffer.concat([array([]), int32(-1)]),
      /^What the broker sent cannot be read: it is not/,
    ],
    ['a code that nobody knows', API.fetch, () => fetched(9_999)(), /^Kafka answers /],
  ])('is told in a sentence: %s', async (_, api, answer, sentence) => {
    await begin(failing(api, 100, answer))
    await expect(look(findBadRecord)).rejects.toThrow(sentence)
  })

  it('gets a copy once more when it certainly did not take it, and the run says what it waits for', async () => {
    await begin(failing(API.produce, 2, produced(NOT_LEADER)), {})
    const made = await plan()
    const { ctx, recording } = world.run(made)
    await skip.run(made, ctx)
    expect(recording.progress.map((p) => p.note)).toContain('waits: a partition has moved to another broker')
    expect(await cluster.records(`${topic}-dead`)).toHaveLength(1)
    expect((await cluster.committed(group, topic))[0]).toBe(2)
  })

  it('is waited for before a group is joined, and when it has to take the commit', async () => {
    const joined = (code: number) =>
      Buffer.concat([int32(0), int16(code), int32(-1), string(''), string(''), string(''), array([])])
    const refusals = [
      failing(API.joinGroup, 1, () => joined(LOADING)),
      failing(API.joinGroup, 1, () => joined(MOVED)),
      failing(API.offsetCommit, 1, () =>
        Buffer.concat([
          int32(0),
          array([Buffer.concat([string(topic), array([Buffer.concat([int32(0), int16(MOVED)])])])]),
        ]),
      ),
    ]
    await begin((asked) => refusals.reduce<Buffer | null>((found, one) => found ?? one(asked), null), {})
    const made = await plan()
    const { ctx, recording } = world.run(made)
    await skip.run(made, ctx)
    expect((await cluster.committed(group, topic))[0]).toBe(2)
    expect(await cluster.records(`${topic}-dead`)).toHaveLength(1)
    expect(recording.progress.map((p) => p.note)).toContain('waits: the coordinator loads the group')
  })

  it('does not get a copy twice when it may have taken it', async () => {
    await begin(failing(API.produce, 1, produced(TIMED_OUT)), {})
    const made = await plan()
    await expect(skip.run(made, world.run(made).ctx)).rejects.toMatchObject({ name: 'Unanswered' })
    expect(changes().filter(({ api }) => api === API.produce)).toHaveLength(1)
    expect((await cluster.committed(group, topic))[0]).toBe(1)
  })
})

it('refuses to pass a record where the dead-letter topic is not', async () => {
  await begin(
    ({ api, body }) =>
      api === API.metadata && body.includes(`${topic}-dead`)
        ? Buffer.concat([
            array([]),
            string(null),
            int32(-1),
            array([Buffer.concat([int16(NO_TOPIC), string(`${topic}-dead`), Buffer.from([0]), array([])])]),
          ])
        : null,
    {},
  )
  await expect(plan()).rejects.toThrow(/The dead-letter topic .*-dead does not exist, or this user may not see it/)
})

describe('a log that was cut, or a topic that was made anew', () => {
  const epochEnd = (end: number) =>
    Buffer.concat([
      int32(0),
      array([Buffer.concat([string(topic), array([Buffer.concat([int16(0), int32(0), int32(4), int64(end)])])])]),
    ])
  // The mock does not keep the epoch of a commit: it is told here.
  const offsets = () =>
    Buffer.concat([
      int32(0),
      array([
        Buffer.concat([string(topic), array([Buffer.concat([int32(0), int64(2), int32(4), string(''), int16(0)])])]),
      ]),
      int16(0),
    ])
  const answer = (end: number) => (asked: Asked) =>
    asked.api === API.offsetFetch ? offsets() : asked.api === API.offsetForLeaderEpoch ? epochEnd(end) : null

  it('is told by the end of the epoch that the group committed in, and nothing is passed', async () => {
    await begin(answer(1), { [API.offsetForLeaderEpoch]: [0, 3] })
    expect((await look(lag)).summary).toContain(
      `the group stands at 2 in ${topic}/0, but what it had read ends at 1: the log was cut`,
    )
    await expect(plan()).rejects.toThrow(/^Nothing is passed: the group stands at 2/)
  })

  it('is not told where the epoch ends behind it, or is not known', async () => {
    await begin(answer(3), { [API.offsetForLeaderEpoch]: [0, 3] })
    expect((await look(lag)).summary).not.toContain('Beware')
    broker.play(answer(-1))
    expect((await look(lag)).summary).not.toContain('Beware')
  })
})

it('says that retention has passed a group, and passes nothing', async () => {
  const beginnings = (low: number) => (asked: Asked) => {
    // A request for the beginning asks for the time -2.
    if (asked.api !== API.listOffsets || !asked.body.includes(int64(-2))) return null
    const of = (p: number) => Buffer.concat([int32(p), int16(0), int64(-1), int64(p === 0 ? low : 0)])
    return Buffer.concat([int32(0), array([Buffer.concat([string(topic), array([0, 1, 2, 3].map(of))])])])
  }
  await begin(beginnings(2), {})
  expect((await look(lag)).summary).toContain(
    `the group stands before the beginning of ${topic}/0 (1 < 2): the offset between them is deleted`,
  )
  await expect(plan()).rejects.toThrow(/^Nothing is passed: the group stands before the beginning/)
})
