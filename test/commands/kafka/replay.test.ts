import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { judge } from '../../../commands/kafka/dump-line.ts'
import { replay } from '../../../commands/kafka/replay.ts'
import { validateDump } from '../../../commands/kafka/validate-dump.ts'
import type { ReadCommand } from '../../../src/domain/command.ts'
import type { Plan } from '../../../src/domain/plan.ts'
import { createWorld, propose, type World } from '../context.ts'
import { type Cluster, HUMAN, startCluster } from './cluster.ts'
import { kcat } from './kcat.ts'

let cluster: Cluster
let folder: string
let world: World
let topic: string
let count = 0

beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(() => cluster.stop())
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-dumps-'))
  topic = `orders-${++count}`
  await cluster.admin.fetchTopicMetadata({ topics: [topic] })
  const settings = {
    brokers: [cluster.broker],
    topics: { [topic]: { maxPerSecond: 50_000 }, slow: {} },
    idleSeconds: 5,
  }
  world = createWorld({
    connections: {
      events: { kind: 'kafka', environment: 'production', settings: { ...settings, dumps: folder } },
      bare: { kind: 'kafka', settings },
    },
  })
})
afterEach(async () => {
  await world.close()
  await rm(folder, { recursive: true })
})

const put = (name: string, text: string | Buffer) => writeFile(join(folder, name), text)
const lines = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `${JSON.stringify({ id: `o${from + i}`, n: from + i })}\n`).join('')
const validate = (params: Record<string, unknown>) => {
  const { params: schema, read } = validateDump as ReadCommand
  return read(schema.parse({ connection: 'events', ...params }), world.read())
}
const plan = (params: Record<string, unknown>) =>
  propose(replay, { connection: 'events', topic, dump: 'month.jsonl', perSecond: 50_000, ...params }, world.read())
const run = (made: Plan, done = {}) => replay.run(made, world.run(made, { done }).ctx)
const landed = async (made: Plan) => [
  (await replay.probe(made, 'clean', world.read())).landed,
  (await replay.probe(made, 'produce', world.read())).landed,
]
/** The ids in the topic, in their order by number; one that is there twice stands there twice. */
const ids = async () =>
  (await cluster.records(topic))
    .map((record) => JSON.parse(record.payload ?? 'null').id as string)
    .sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)))
const expected = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `o${from + i}`)
const progressFile = () => join(folder, 'month.jsonl.progress')

const DIRTY = [
  '{"id":"o1","n":1}',
  '{"id":"o2","n":',
  '{"id":"o1","n":1}',
  '["o3"]',
  '{"n":4}',
  '% Reached end of topic orders [0] at offset 5',
  '',
  '{"id":5}',
].join('\n')

describe('kafka.validate-dump', () => {
  it('counts valid, invalid and repeated lines, and shows the first faults', async () => {
    await put('month.jsonl', Buffer.concat([Buffer.from(`${DIRTY}\n`), Buffer.from([0xff, 0x0a])]))
    const { summary, blocks } = await validate({ dump: 'month.jsonl' })
    expect(summary).toBe('month.jsonl: 7 lines, 3 valid, 4 invalid; 1 of the valid ones repeat an "id".')
    expect(blocks[1]).toMatchObject({
      rows: [
        ['2', 'Unexpected end of JSON input', '{"id":"o2","n":'],
        ['4', 'not a JSON object', '["o3"]'],
        ['5', 'no "id" in it', '{"n":4}'],
        ['9', 'not valid UTF-8', expect.any(String)],
      ],
      omitted: 0,
    })
  })

  it.each([
    ['jsonl', []],
    ['kcat', HUMAN],
    ['kcat-json', ['-J']],
  ])('reads what kcat itself has written as %s', async (format, options) => {
    const messages = [
      { key: 'a: {b', value: '{"id":"o1","text":": {"}', headers: { by: 'web' }, timestamp: '1700000000123' },
      { key: 'c', value: '{"id":"o2"' },
      { value: '{"id":"o3"}' },
    ]
    await cluster.producer.send({ topic, messages })
    await put('month.jsonl', await cluster.dump(topic, options))
    expect((await validate({ dump: 'month.jsonl', format })).summary).toBe(
      'month.jsonl: 3 lines, 2 valid, 1 invalid; 0 of the valid ones repeat an "id".',
    )
    const before = (await cluster.records(topic)).length
    await run(await plan({ format, timestamps: 'keep', invalidPercent: 50 }))
    const again = (await cluster.records(topic)).filter((record) => JSON.stringify(record.headers)?.includes('keyturn'))
    expect(before + again.length).toBe(5)
    const first = again.find((record) => record.payload === '{"id":"o1","text":": {"}')!
    const third = again.find((record) => record.payload === '{"id":"o3"}')!
    expect([first.key, third.key]).toEqual(format === 'jsonl' ? ['o1', 'o3'] : ['a: {b', null])
    if (format === 'kcat-json') expect([first.ts, first.headers?.slice(0, 2)]).toEqual([1700000000123, ['by', 'web']])
  })

  it.each([
    ['a path out of the folder', { dump: '../secrets' }, /a file name of letters/],
    ['an absolute path', { dump: '/etc/passwd' }, /a file name of letters/],
    ['a link', { dump: 'link' }, /"link" is a link; a dump is a plain file/],
    ['a folder', { dump: 'inner' }, /"inner" is no plain file/],
    ['what is not there', { dump: 'none.jsonl' }, /There is no dump "none.jsonl"/],
    ['its own side file', { dump: 'x.jsonl.invalid' }, /a file that a replay made/],
    ['any dump where no folder is named', { connection: 'bare', dump: 'x' }, /names no folder for dumps/],
  ])('refuses %s', async (_, params, why) => {
    await symlink('/etc/passwd', join(folder, 'link'))
    await mkdir(join(folder, 'inner'))
    await expect(async () => validate(params)).rejects.toThrow(why)
  })
})

describe('a line of a dump', () => {
  const line = (format: 'jsonl' | 'kcat-json', text: string | Buffer, number = 2) =>
    judge(format, Buffer.from(text as string), 'id', number)

  it('keeps ids above 2^53 apart', async () => {
    expect(line('jsonl', '{"id":9007199254740993}')).toMatchObject({
      record: { id: '9007199254740993', key: '9007199254740993' },
    })
    await put('month.jsonl', '{"id":9007199254740993}\n{"id":9007199254740992}\n{"id":9007199254740993}\n')
    expect((await validate({ dump: 'month.jsonl' })).summary).toBe(
      'month.jsonl: 3 lines, 3 valid, 0 invalid; 1 of the valid ones repeat an "id".',
    )
    const inside = '{"payload":{"id":1,"n":12345678901234567890},"key":9007199254740993}'
    expect(line('kcat-json', inside)).toMatchObject({
      record: { key: '9007199254740993', value: '{"id":1,"n":12345678901234567890}' },
    })
  })

  it('has a byte order mark of the file in the first line, and one of the record in any other', () => {
    expect(line('jsonl', '\ufeff{"id":1}', 1)).toMatchObject({ record: { value: '{"id":1}' } })
    expect(line('jsonl', '\ufeff{"id":1}')).toEqual({ fault: 'begins with a byte order mark (U+FEFF)' })
  })

  it('keeps headers without a value, and tombstones, each one', () => {
    const headers = '"headers":["twice","a","nothing",null,"twice","b"]'
    expect(line('kcat-json', `{"payload":"{\\"id\\":1}",${headers}}`)).toMatchObject({
      record: {
        headers: [
          ['twice', 'a'],
          ['nothing', null],
          ['twice', 'b'],
        ],
      },
    })
    const tombstone = (offset: number) =>
      line('kcat-json', `{"topic":"t","partition":0,"offset":${offset},"key":"k","payload":null}`)
    expect(tombstone(1)).toMatchObject({ record: { key: 'k', value: null } })
    expect(tombstone(1)).not.toEqual(tombstone(2))
    expect(line('kcat-json', '{"key":null,"payload":null}')).toEqual({ fault: 'neither key nor payload in it' })
  })
})

describe('kafka.replay', () => {
  it('produces what kcat has dumped of a compressed topic as it was: keys, headers, tombstones', async () => {
    await kcat(cluster.broker, 'old', 'k1|{"id":12345678901234567890}\n', [
      '-K',
      '|',
      '-p',
      '1',
      '-z',
      'lz4',
      '-H',
      'nothing',
      '-H',
      'by=web',
    ])
    await kcat(cluster.broker, 'old', 'k1|', ['-K', '|', '-p', '1', '-Z', '-z', 'snappy'])
    await put('month.jsonl', await cluster.dump('old', ['-J', '-q']))
    await run(await plan({ format: 'kcat-json', timestamps: 'keep' }))
    const found = await cluster.records(topic)
    expect(found.map((record) => [record.key, record.payload])).toEqual([
      ['k1', '{"id":12345678901234567890}'],
      ['k1', null],
    ])
    expect(found[0]!.headers!.slice(0, 4)).toEqual(['nothing', null, 'by', 'web'])
    expect((await cluster.records('old')).map((record) => record.ts)).toEqual(found.map((record) => record.ts))
  })

  it.each([
    ['murmur2', ['-X', 'topic.partitioner=murmur2_random']],
    ['consistent_random', []],
  ])('puts each key where its producers with %s do', async (partitioner, options) => {
    const keys = Array.from({ length: 40 }, (_, n) => `key-${n}`)
    const from = `made-by-${partitioner}`
    await kcat(cluster.broker, from, `${keys.map((key) => `${key}|{"id":"${key}"}`).join('\n')}\n`, [
      '-K',
      '|',
      ...options,
    ])
    await put('month.jsonl', await cluster.dump(from, ['-J', '-q']))
    await world.close()
    const topics = { [topic]: { maxPerSecond: 50_000, partitioner } }
    const settings = { brokers: [cluster.broker], topics, dumps: folder, idleSeconds: 5 }
    world = createWorld({ connections: { events: { kind: 'kafka', settings } } })
    await run(await plan({ format: 'kcat-json' }))
    const places = async (name: string) =>
      (await cluster.records(name)).map(({ key, partition }) => `${key} ${partition}`).sort()
    expect(await places(topic)).toEqual(await places(from))
  })

  it('produces each valid record once, and keeps the invalid lines aside', async () => {
    await put('month.jsonl', `${lines(1, 60)}oops\n${lines(30, 40)}`)
    const made = await plan({})
    expect(made.targets.map((t) => [t.id, t.details.Records ?? t.details.Rate])).toEqual([
      [`kafka:events/${topic}/replay`, '50000 of at most 50000 a second: about 1 minutes'],
      ['kafka:events/dump/month.jsonl', 'about 71'],
    ])
    expect(await landed(made)).toEqual(['no', 'cannot_tell'])
    expect(await run(made)).toBe(
      `60 records of month.jsonl are in ${topic}; 1 invalid lines are in month.jsonl.invalid.`,
    )
    expect(await ids()).toEqual(expected(1, 60))
    expect(await readFile(join(folder, 'month.jsonl.invalid'), 'utf8')).toBe('oops\n')
    expect((await replay.verify(made, world.read())).map((check) => check.ok)).toEqual([true, true])
    expect(await landed(made)).toEqual(['yes', 'yes'])
    await expect(plan({})).rejects.toThrow(/All 60 records of month\.jsonl were produced, the last at .*begin anew/)
    expect((await readdir(folder)).filter((name) => name.endsWith('.part'))).toEqual([])
  })

  it('keeps lines that repeat an id when asked', async () => {
    await put('month.jsonl', lines(1, 3) + lines(2, 2))
    await run(await plan({ duplicates: 'keep' }))
    expect(await ids()).toEqual(['o1', 'o2', 'o2', 'o3'])
  })

  it('goes on at the byte where a crash left it, and produces nothing twice', async () => {
    await put('month.jsonl', lines(1, 1700))
    const made = await plan({})
    const { ctx } = world.run(made)
    let batches = 0
    const dying = {
      ...ctx,
      progress: (_done: number, total: number) => {
        if (total === 1700 && ++batches === 2) throw new Error('the worker died')
      },
    }
    await expect(replay.run(made, dying)).rejects.toThrow('the worker died')
    expect(await landed(made)).toEqual(['yes', 'cannot_tell'])
    expect((await replay.probe(made, 'produce', world.read())).detail).toContain('1000 of 1700 records are in')
    const again = await plan({})
    expect(again.summary).toMatch(/from byte \d{5} of its cleaned copy on$/)
    await run(again, { clean: {} })
    expect(await ids()).toEqual(expected(1, 1700))
  })

  it('looks up what was produced when the crash came before it could be noted', async () => {
    await put('month.jsonl', lines(1, 900))
    const made = await plan({})
    const { ctx } = world.run(made)
    let noted = ''
    const dying = {
      ...ctx,
      progress: (_done: number, total: number) => {
        if (total === 900) throw new Error('the worker died')
      },
    }
    // As it stood when the first batch was under way: nothing produced yet, and where to look from.
    await expect(replay.run(made, dying)).rejects.toThrow('the worker died')
    noted = await readFile(progressFile(), 'utf8')
    const ends = { 0: 0, 1: 0, 2: 0, 3: 0 }
    await writeFile(progressFile(), JSON.stringify({ ...JSON.parse(noted), byte: 0, produced: 0, line: 0, ends }))
    expect((await replay.probe(made, 'produce', world.read())).detail).toContain('500 of 900 records are in')
    await run(await plan({}), { clean: {} })
    expect(await ids()).toEqual(expected(1, 900))
  })

  it('keeps to the rate, and stops within a batch when it is cancelled', async () => {
    await put('month.jsonl', lines(1, 400))
    const made = await plan({ perSecond: 200 })
    const stop = new AbortController()
    const { ctx, recording } = world.run(made, { signal: stop.signal })
    const began = performance.now()
    const watched: typeof ctx = {
      ...ctx,
      progress(done, total, note) {
        ctx.progress(done, total, note)
        if (total === 400 && done === 160) stop.abort(new Error('cancelled by ada'))
      },
    }
    await expect(replay.run(made, watched)).rejects.toThrow('cancelled by ada')
    // 160 records at 200 a second; the last batch of them did not wait.
    expect(performance.now() - began).toBeGreaterThan(580)
    expect(recording.progress.filter((p) => p.total === 400).map((p) => p.done)).toEqual([40, 80, 120, 160])
    expect(await ids()).toEqual(expected(1, 160))
  })

  it('produces nothing when too many lines are invalid', async () => {
    await put('month.jsonl', `${lines(1, 10)}a\nb\n`)
    const made = await plan({ invalidPercent: 10 })
    await expect(run(made)).rejects.toThrow(
      '2 of 12 lines of month.jsonl are invalid, more than 10 %. They are in month.jsonl.invalid; nothing was produced.',
    )
    expect(await ids()).toEqual([])
  })

  it('refuses a dump that was written to since the plan', async () => {
    await put('month.jsonl', lines(1, 10))
    const made = await plan({})
    await put('month.jsonl', lines(1, 11))
    await expect(run(made)).rejects.toThrow('month.jsonl is no longer the file that was shown')
    expect(await ids()).toEqual([])
  })

  it('refuses to mix a replay that has begun with another one', async () => {
    await put('month.jsonl', lines(1, 10))
    await run(await plan({}))
    await expect(plan({ duplicates: 'keep' })).rejects.toThrow(/with other choices .* has produced 10 of 10 records/)
    await put('month.jsonl', lines(1, 20))
    await expect(plan({})).rejects.toThrow(/A replay of month\.jsonl as it was before has produced 10 of 10/)
  })

  it.each([
    ['a rate above the bound', { perSecond: 50_001 }, 'takes at most 50000 records a second; 50001 were asked for'],
    ['a topic without a bound', { topic: 'slow' }, 'sets no maxPerSecond for slow: nothing is replayed to it'],
    ['a topic that is not listed', { topic: 'secrets' }, 'does not list the topic "secrets"'],
    ['the wrong format', { format: 'kcat' }, 'None of the first 10 lines of month.jsonl is valid as kcat'],
    ['a path out of the folder', { dump: '../x' }, 'a file name of letters'],
    ['an empty dump', { dump: 'empty' }, 'empty is empty. Nothing to do.'],
  ])('refuses %s', async (_, params, why) => {
    await put('month.jsonl', lines(1, 10))
    await put('empty', '')
    await expect(async () => plan(params)).rejects.toThrow(why)
  })
})
