import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { findBadRecord } from '../../../commands/kafka/find-bad-record.ts'
import { lag } from '../../../commands/kafka/lag.ts'
import { skipRecord } from '../../../commands/kafka/skip-record.ts'
import type { ChangeCommand, ReadCommand } from '../../../src/domain/command.ts'
import { Refused } from '../../../src/domain/command.ts'
import { createWorld, propose, type World } from '../context.ts'
import { type Cluster, startCluster } from './cluster.ts'
import { kcat } from './kcat.ts'

const skip = skipRecord as ChangeCommand
let group = 'loader'
let cluster: Cluster
let world: World
let count = 0

beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(() => cluster.stop())
afterEach(() => world.close())

type Value = Buffer | string | null
/** A topic with these values in partition 0, a group that stands at `at`, and what the connection says of it. */
async function given(values: readonly Value[], at: number, of: Record<string, unknown> = {}) {
  const topic = `topic-${++count}`
  group = `loader-${count}`
  const messages = values.map((value, i) => ({ partition: 0, key: `k${i}`, value }))
  if (messages.length > 0) await cluster.producer.send({ topic, messages })
  await cluster.admin.fetchTopicMetadata({ topics: [topic, `${topic}-dead`] })
  await cluster.stand(group, topic, { 0: at })
  const topics = { [topic]: { groups: [group], deadLetter: `${topic}-dead`, ...of } }
  const settings = { brokers: [cluster.broker], topics, idleSeconds: 1 }
  world = createWorld({ connections: { events: { kind: 'kafka', settings } } })
  const read = (command: unknown, params: Record<string, unknown> = {}) => {
    const { params: schema, read } = command as ReadCommand
    return read(schema.parse({ connection: 'events', topic, group, ...params }), world.read())
  }
  const plan = (params: Record<string, unknown> = {}) =>
    propose(skip, { connection: 'events', topic, group, partition: 0, ...params }, world.read())
  return { topic, find: (params = {}) => read(findBadRecord, params), lag: () => read(lag), plan }
}
const json = (n: number) => Array.from({ length: n }, (_, id) => `{"id":${id}}`)
const avro = (id: number) => Buffer.from([0, 0, 0, 0, 42, 2, 12, ...Buffer.from('orders'), id])
const refused = async (plan: Promise<unknown>, why: RegExp) => {
  await expect(plan).rejects.toThrow(why)
  await expect(plan).rejects.toBeInstanceOf(Refused)
}

describe('a record that its consumer cannot read', () => {
  it.each<[string, Buffer, string]>([
    ['a byte order mark in front', Buffer.from('\ufeff{"id":1}'), 'begins with a byte order mark (U+FEFF)'],
    ['two values', Buffer.from('{"id":1}{"id":2}'), 'Unexpected non-whitespace character after JSON at position 8'],
    ['NaN', Buffer.from('{"id":NaN}'), "Unexpected token 'N'"],
    ['nothing in it', Buffer.alloc(0), 'Unexpected end of JSON input'],
    ['UTF-16', Buffer.from('{"id":1}', 'utf16le'), 'UTF-16, not UTF-8'],
    ['another format', avro(1), "it is Confluent's wire format (schema id 42): Avro or Protobuf"],
    ['gzip', Buffer.from([0x1f, 0x8b, 8, 0]), 'it is gzip'],
  ])('is bad: %s', async (_, value, fault) => {
    const { topic, find, plan } = await given([...json(3), value, '{"id":4}'], 3)
    const { summary, blocks } = await find()
    expect(summary).toBe(
      `1 of 4 partitions of ${topic} hold a bad record for ${group}; the first is partition 0, offset 3.`,
    )
    expect(blocks[0]).toMatchObject({
      rows: [['0', '3', 'k3', `${value.length} bytes`, expect.any(String), expect.stringContaining(fault)]],
    })
    expect((await plan()).summary).toBe(`Move ${group} in ${topic}/0 from offset 3 to 4, past one record`)
  })

  it('is bad where it stands alone, if it was meant to be JSON', async () => {
    const { find, plan } = await given(['\ufeff{"id":1}'], 0)
    expect((await find()).summary).toMatch(/the first is partition 0, offset 0\.$/)
    expect((await plan()).targets).toHaveLength(2)
  })

  it.each<[string, Value]>([
    ['a tombstone', null],
    ['repeated names', '{"a":1,"a":2}'],
    ['numbers above 2^53', '{"id":9007199254740993}'],
    ['lone surrogates', '"\\ud800"'],
    ['spaces around it', ' \r\n{"id":1}\t'],
  ])('is none of %s', async (_, value) => {
    const { topic, find, plan } = await given([...json(2), value], 2)
    expect((await find()).summary).toBe(`No record that waits for ${group} in ${topic} is bad.`)
    await refused(plan(), /No bad record was found/)
  })

  it('is none whose string holds other bytes than UTF-8, which is said', async () => {
    const value = Buffer.from([0x22, 0xff, 0x22])
    const { topic, find } = await given([...json(2), value], 2)
    const { summary, blocks } = await find()
    expect(summary).toBe(`No record that waits for ${group} in ${topic} is bad.`)
    expect(blocks).toEqual([
      { type: 'text', text: `${topic}/0/2 is valid, with bytes in a string that are not UTF-8.` },
    ])
  })
})

describe('a topic that is not of JSON', () => {
  const csv = Array.from({ length: 20 }, (_, id) => `${id},ok,2026-03-14`)
  const log = Array.from({ length: 20 }, (_, id) => `[2026-03-14 02:0${id % 10}] INFO done`)
  it.each<[string, Value[], number]>([
    ['Avro of which the group stands in the middle', Array.from({ length: 20 }, (_, id) => avro(id)), 5],
    ['Avro of which the group stands at the beginning', Array.from({ length: 5 }, (_, id) => avro(id)), 0],
    ['lines of CSV', csv, 10],
    ['lines of a log', log, 10],
    ['one record of Avro', [avro(1)], 0],
    ['one line of a log', ['INFO done'], 0],
  ])('is told as that, and no record of it is offered: %s', async (_, values, at) => {
    const { topic, find, plan } = await given(values, at)
    const { summary, blocks } = await find()
    expect(summary).toMatch(/(does not look like a topic of JSON|is not JSON).* No record of it is called bad\.$/)
    expect(summary).toContain(topic)
    expect(blocks.at(-1)).toMatchObject({ text: expect.stringContaining('format: json') })
    await refused(plan(), /(does not look like a topic of JSON|no other record to tell).* Nothing is passed\. /)
  })

  it('names the schema that the records name', async () => {
    const { find } = await given(
      Array.from({ length: 20 }, (_, id) => avro(id)),
      5,
    )
    const { summary, blocks } = await find()
    expect(summary).toMatch(
      /of 19 records around .*\/0\/5, 19 are not JSON either\. This one is Confluent's wire format \(schema id 42\): Avro or Protobuf\./,
    )
    expect(blocks[0]).toMatchObject({ columns: ['Partition', 'Offset', 'Is'] })
  })

  it('is told also where the connection says JSON by mistake', async () => {
    const { find, plan } = await given(
      Array.from({ length: 20 }, (_, id) => avro(id)),
      5,
      { format: 'json' },
    )
    expect((await find()).summary).toContain('does not look like a topic of JSON')
    await refused(plan(), /Nothing is passed/)
  })

  it.each(['avro', 'protobuf', 'bytes'])('is not judged where the connection says %s', async (format) => {
    const { find, plan } = await given(['{"id":', '{"id":'], 0, { format })
    expect((await find()).summary).toMatch(/by the connection's settings: its records are not judged here/)
    await refused(plan(), /are not judged here/)
  })

  it('is one of JSON where many records in a row are cut, or where the connection says so', async () => {
    const cut = await given(
      Array.from({ length: 30 }, () => '{"id":'),
      0,
    )
    expect((await cut.find()).summary).toMatch(/the first is partition 0, offset 0/)
    const odd = await given(csv, 3, { format: 'json' })
    expect((await odd.find()).summary).toMatch(/the first is partition 0, offset 3/)
  })

  it("is judged behind Confluent's five bytes where the connection says json-schema", async () => {
    const framed = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, 0, 7]), Buffer.from(text)])
    const good = await given([framed('{"id":1}'), framed('{"id":2}')], 0, { format: 'json-schema' })
    expect((await good.find()).summary).toMatch(/^No record that waits/)
    const bad = await given([framed('{"id":1}'), framed('{"id":'), '{"id":3}'], 1, { format: 'json-schema' })
    expect((await bad.find()).blocks[0]).toMatchObject({
      rows: [['0', '1', 'k1', '11 bytes', expect.any(String), 'Unexpected end of JSON input']],
    })
    const plain = await given([framed('{"id":1}'), '{"id":3}'], 1, { format: 'json-schema' })
    expect((await plain.find()).blocks[0]).toMatchObject({
      rows: [[...['0', '1', 'k1', '8 bytes'], expect.any(String), "does not begin as Confluent's wire format does"]],
    })
  })
})

describe("the offset of the consumer's own log", () => {
  it('is what is shown and passed, whatever the format, with a warning', async () => {
    const { topic, find, plan } = await given(
      Array.from({ length: 5 }, (_, id) => avro(id)),
      2,
      { format: 'avro' },
    )
    expect((await find({ partition: 0, offset: 2 })).summary).toBe(
      `${topic}/0/2, which the consumer's log names, is not judged here (avro; it says of itself: Confluent's wire format (schema id 42): Avro or Protobuf). The group stands at it.`,
    )
    const made = await plan({ offset: 2 })
    expect(made.targets[1]).toMatchObject({
      name: `${topic}/0/2`,
      details: { Fault: "not judged: avro; the consumer's log names it" },
    })
    expect(made.warnings[0]).toBe(
      "The record is passed on the word of the consumer's log: here it is not judged (avro). Look at that line: partition 0, offset 2.",
    )
  })

  it('may name a record that is valid here, which is said', async () => {
    const { find, plan } = await given(json(4), 2)
    expect((await find({ partition: 0, offset: 3 })).summary).toMatch(/is valid JSON\. The group stands at 2\.$/)
    expect((await plan({ offset: 2 })).warnings[0]).toContain('here it is valid')
    await refused(plan({ offset: 3 }), /The group stands at 2, the bad record at 3: 1 records between them/)
  })

  it.each([
    ['one that the group is past', 1, /The group is past offset 1 of .*: it stands at 2/],
    ['one behind the end', 9, /has no offset 9 yet: it ends at 4/],
  ])('is refused for %s', async (_, offset, why) => {
    const { plan } = await given(json(4), 2)
    await refused(plan({ offset }), why)
  })

  it('counts in one partition, which is asked for', async () => {
    const { find } = await given(json(4), 2)
    await refused(find({ offset: 2 }), /give the partition of the log line as well/)
  })
})

describe('a group that stands where nothing is', () => {
  it('behind the end: said by what looks, and refused by what moves', async () => {
    const { topic, find, lag, plan } = await given(['{"id":1}'], 500)
    const said = `the group stands behind the end of ${topic}/0 (500 > 1): the topic was made anew, or its log was cut.`
    expect((await find()).summary).toContain(`Beware: ${said}`)
    const { summary, blocks } = await lag()
    expect(summary).toContain(said)
    expect(blocks[1]).toMatchObject({
      text: expect.stringMatching(/^The group stands behind the end .* until its offset is reset\.$/),
    })
    await refused(plan(), /^Nothing is passed: the group stands behind the end of .* \(500 > 1\)/)
    await refused(plan({ offset: 0 }), /behind the end/)
  })
})

it('copies records of every codec byte for byte', async () => {
  const { topic, plan } = await given([], 0)
  const codecs = ['gzip', 'snappy', 'lz4', 'zstd']
  const values = codecs.map((codec) => `{"id":9007199254740993,"codec":"${codec}","text":"${'ab'.repeat(500)}"`)
  for (const [i, codec] of codecs.entries())
    await kcat(cluster.broker, topic, values[i]!, ['-p', '0', '-k', `k${i}`, '-z', codec])
  const made = await plan({ offset: 3, records: 4 })
  await skip.run(made, world.run(made).ctx)
  const copies = (await cluster.records(`${topic}-dead`)).sort((a, b) => (a.key! < b.key! ? -1 : 1))
  expect(copies.map((copy) => copy.payload)).toEqual(values)
  expect((await cluster.committed(group, topic))[0]).toBe(4)
})

it('copies a record with its headers as they were, those without a value too', async () => {
  const { topic, plan } = await given(json(1), 1)
  const headers = ['-H', 'twice=a', '-H', 'nothing', '-H', 'twice=b', '-H', 'empty=']
  await kcat(cluster.broker, topic, '{"bad', ['-p', '0', '-k', 'key', '-z', 'zstd', ...headers])
  const made = await plan()
  await skip.run(made, world.run(made).ctx)
  const [copy] = await cluster.records(`${topic}-dead`)
  expect(copy).toMatchObject({ key: 'key', payload: '{"bad' })
  expect(copy!.headers!.slice(0, 8)).toEqual(['twice', 'a', 'nothing', null, 'twice', 'b', 'empty', ''])
  expect((await skip.verify(made, world.read())).map((check) => check.ok)).toEqual([true, true])
})
