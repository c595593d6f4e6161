import { zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { decodeBatches, encodeBatch } from '../../../commands/kafka/wire/batch.ts'
import {
  array,
  crc32c,
  createCursor,
  int8,
  int16,
  int32,
  int64,
  uint32,
  varbytes,
  varint,
} from '../../../commands/kafka/wire/bytes.ts'
import { createWire, type Wire } from '../../../commands/kafka/wire/client.ts'
import { unlz4 } from '../../../commands/kafka/wire/lz4.ts'
import { partOf } from '../../../commands/kafka/wire/part.ts'
import { type Partitioner, partitionOf } from '../../../commands/kafka/wire/partitioners.ts'
import { unsnappy } from '../../../commands/kafka/wire/snappy.ts'
import { type Cluster, startCluster } from './cluster.ts'
import { kcat } from './kcat.ts'

let cluster: Cluster
let wire: Wire
beforeAll(async () => {
  cluster = await startCluster()
  wire = createWire({ clientId: 'test', brokers: [cluster.broker], connectionTimeout: 5_000, requestTimeout: 30_000 })
})
afterAll(async () => {
  await wire.close()
  await cluster.stop()
})

async function readAll(topic: string, partition: number, count: number) {
  const records = []
  for (let next = 0; records.length < count; ) {
    const [part] = await wire.fetch(topic, new Map([[partition, next]]))
    if (!part || 'error' in part) throw part?.error ?? new Error('no answer')
    records.push(...part.records)
    next = part.next
  }
  return records
}

describe('records that librdkafka has compressed', () => {
  const words = ['alpha', 'beta', 'gamma', 'delta']
  const short = ['{"id":1}']
  const alike = Array.from({ length: 3_000 }, (_, id) =>
    JSON.stringify({ id, word: words[id % 4], text: 'x'.repeat(id % 97) }),
  )
  const unlike = Array.from({ length: 300 }, (_, id) =>
    JSON.stringify({ id, text: Buffer.from(`${id * 7919}`.repeat(40)).toString('base64') }),
  )
  const large = [JSON.stringify({ text: 'abcdefgh'.repeat(60_000) })]
  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'])('are read as they were written: %s', async (codec) => {
    for (const [name, lines] of Object.entries({ short, alike, unlike, large })) {
      const topic = `${codec}-${name}`
      await kcat(cluster.broker, topic, `${lines.join('\n')}\n`, [
        '-p',
        '2',
        '-z',
        codec,
        '-X',
        'linger.ms=50',
        '-X',
        'message.max.bytes=2000000',
      ])
      expect((await readAll(topic, 2, lines.length)).map((record) => record.value!.toString())).toEqual(lines)
    }
  })
})

describe('other frames of a codec', () => {
  const text = Buffer.from('{"id":1,"text":"aaaaaaaaaaaaaaaa"}')
  const raw = Buffer.concat([varintOf(text.length), Buffer.from([(text.length - 1) << 2]), text])
  function varintOf(value: number) {
    return Buffer.from([value])
  }
  it('snappy in blocks, as Java producers write it', () => {
    const head = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
    const block = Buffer.concat([int32(raw.length), raw])
    expect(unsnappy(Buffer.concat([head, block, block]), 1_000).toString()).toBe(`${text}${text}`)
    expect(() => unsnappy(Buffer.concat([head, block.subarray(0, -1)]), 1_000)).toThrow('ends within a block')
    expect(() => unsnappy(Buffer.concat([head, block, block]), 50)).toThrow('more than')
  })
  it('LZ4 of blocks that hang together, are stored as they are, and carry checksums', () => {
    // "abcd", then a copy of four bytes from four before, which lie in the block before; then what is not compressed.
    const first = Buffer.from([0x40, ...Buffer.from('abcd')])
    const second = Buffer.from([0x00, 4, 0, 0x10, ...Buffer.from('!')])
    const size = (n: number, stored = false) => {
      const b = Buffer.alloc(4)
      b.writeUInt32LE(stored ? n + 0x80000000 : n)
      return b
    }
    const sum = Buffer.alloc(4)
    const frame = Buffer.concat([
      ...[Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x54, 0x40, 0x00])],
      ...[size(first.length), first, sum, size(second.length), second, sum, size(3, true), Buffer.from('xyz'), sum],
      ...[size(0), sum],
    ])
    expect(unlz4(frame, 100).toString()).toBe('abcdabcd!xyz')
    expect(() => unlz4(frame.subarray(0, 12), 100)).toThrow('LZ4')
    expect(() => unlz4(Buffer.from('plainly not'), 100)).toThrow('not an LZ4 frame')
  })
})

/** A batch of which each field can be told. */
function batchOf(options: {
  first?: number
  flags?: number
  producer?: number
  keys?: (Buffer | null)[]
  last?: number
  body?: (records: Buffer) => Buffer
}) {
  const { first = 0, flags = 0, producer = -1, keys = [null], last = keys.length - 1, body = (b) => b } = options
  const records = keys.map((key, i) => {
    const one = Buffer.concat([
      int8(0),
      varint(0),
      varint(i),
      varbytes(key),
      varbytes(Buffer.from(`v${first + i}`)),
      varint(0),
    ])
    return Buffer.concat([varint(one.length), one])
  })
  const rest = Buffer.concat([
    ...[int16(flags), int32(last), int64(5), int64(9), int64(producer), int16(0), int32(0), int32(keys.length)],
    body(Buffer.concat(records)),
  ])
  const batch = Buffer.concat([int32(0), int8(2), uint32(crc32c(rest)), rest])
  return Buffer.concat([int64(first), int32(batch.length), batch])
}
const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const marker = (first: number, producer: number, type: number) =>
  batchOf({ first, producer, flags: TRANSACTIONAL | CONTROL, keys: [Buffer.from([0, 0, 0, type])] })

describe('a batch of records', () => {
  it('carries its checksum, and is not taken for good without it', () => {
    const batch = batchOf({})
    batch[batch.length - 2]! ^= 1
    expect(() => decodeBatches(batch)).toThrow('the batch at offset 0 does not have its own checksum')
  })

  it('is left out when it was cut, and what stands before it is kept', () => {
    const two = Buffer.concat([batchOf({}), batchOf({ first: 1 })])
    expect(decodeBatches(two.subarray(0, -3)).map((batch) => batch.first)).toEqual([0])
    expect(decodeBatches(two.subarray(0, 5))).toEqual([])
  })

  it('that cannot be read does not hide those before it', () => {
    const broken = batchOf({ first: 2 })
    broken[broken.length - 2]! ^= 1
    const batches = decodeBatches(Buffer.concat([batchOf({}), batchOf({ first: 1 }), broken, batchOf({ first: 3 })]))
    expect(batches.map((batch) => batch.first)).toEqual([0, 1])
  })

  it('of zstd, and one that is compressed in a way that nobody knows', () => {
    const zstd = batchOf({ flags: 4, keys: [null, null], body: (records) => zstdCompressSync(records) })
    expect(decodeBatches(zstd)[0]!.records.map((r) => r.value!.toString())).toEqual(['v0', 'v1'])
    expect(() => decodeBatches(batchOf({ flags: 5 }))).toThrow('compressed in way 5, which is not known')
    expect(() => decodeBatches(batchOf({ flags: 2, body: () => Buffer.from([9]) }))).toThrow('does not decompress')
  })

  it('has the time of the broker where the topic says so', () => {
    expect(decodeBatches(batchOf({ flags: 8 }))[0]!.records[0]!.timestamp).toBe(9n)
    expect(decodeBatches(batchOf({}))[0]!.records[0]!.timestamp).toBe(5n)
  })

  it('of before Kafka 0.11 is named as that', () => {
    const old = batchOf({})
    old.writeInt8(1, 16)
    expect(() => decodeBatches(old)).toThrow('of the format before Kafka 0.11, which is not read')
  })

  it('keeps headers without a value, their order, and names that repeat', () => {
    const headers = [
      ['twice', Buffer.from('a')],
      ['nothing', null],
      ['twice', Buffer.from('b')],
      ['empty', Buffer.alloc(0)],
    ] as const
    const batch = encodeBatch([{ key: null, value: null, headers, timestamp: 7n }], 1n)
    const [record] = decodeBatches(batch)[0]!.records
    expect(record).toEqual({ offset: 0, timestamp: 7n, key: null, value: null, headers })
  })

  it('of an aborted transaction is told from the others, and offsets without a record are passed over', () => {
    const fetched = {
      partition: 0,
      aborted: [{ producer: 7n, first: 1 }],
      batches: decodeBatches(
        Buffer.concat([
          batchOf({ first: 0 }),
          batchOf({ first: 1, producer: 7, flags: TRANSACTIONAL }),
          batchOf({ first: 2, producer: 8, flags: TRANSACTIONAL }),
          marker(3, 7, 0),
          marker(4, 8, 1),
          batchOf({ first: 5, producer: 7, flags: TRANSACTIONAL }),
          // What was compacted away behind the first record of its batch.
          batchOf({ first: 6, last: 3 }),
        ]),
      ),
    }
    const { records, next } = partOf(fetched, 0)
    expect(records.map((record) => [record.offset, record.aborted])).toEqual([
      [0, false],
      [1, true],
      [2, false],
      [5, false],
      [6, false],
    ])
    expect(next).toBe(10)
    expect(partOf(fetched, 6).records.map((record) => record.offset)).toEqual([6])
  })
})

describe('the partition of a key', () => {
  it.each<[Partitioner, string[]]>([
    ['murmur2', ['-X', 'topic.partitioner=murmur2_random']],
    ['consistent_random', []],
    ['fnv1a', ['-X', 'topic.partitioner=fnv1a_random']],
  ])('is the one that librdkafka chooses: %s', async (partitioner, options) => {
    const keys = ['a', 'bb', 'ccc', 'dddd', 'order-17', 'ä', '0', 'key with spaces', 'x'.repeat(99), '12345678']
    const topic = `keys-${partitioner}`
    await kcat(cluster.broker, topic, `${keys.map((key) => `${key}|{}`).join('\n')}\n`, ['-K', '|', ...options])
    const found = new Map((await cluster.records(topic)).map((record) => [record.key, record.partition]))
    expect(found.size).toBe(keys.length)
    for (const key of keys) expect([key, partitionOf(partitioner, Buffer.from(key), 4)]).toEqual([key, found.get(key)])
  })

  it('is any for a record without one', () => {
    expect(partitionOf('murmur2', null, 4)).toBeNull()
    expect(partitionOf('consistent_random', Buffer.alloc(0), 4)).toBeNull()
  })
})

it('an answer that ends too early, or says a length that cannot be, is no answer', () => {
  expect(() => createCursor(Buffer.from([0, 0])).int32()).toThrow('4 bytes wanted at 0 of 2')
  expect(() => createCursor(array([]).fill(0x7f)).array(() => 0)).toThrow('an array of')
  expect(() => createCursor(int64(2n ** 60n)).offset()).toThrow('too large to be exact')
})
