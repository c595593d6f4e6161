import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { copySource } from '../../../commands/s3/objects.ts'
import { quarantineRecords } from '../../../commands/s3/quarantine-records.ts'
import type { RunContext } from '../../../src/domain/command.ts'
import { digest } from '../../../src/domain/plan.ts'
import { startS3 } from '../../../src/sandbox/targets/s3.ts'
import type { World } from '../context.ts'
import { createWorld, propose } from '../context.ts'
import { breakingWire } from '../wire.ts'

const good = (n: number) => Array.from({ length: n }, (_, i) => JSON.stringify({ id: i, note: 'ok' }))

/** The same context; `after` is told of every request whose reply came, before the command sees the reply. */
function watching(
  ctx: RunContext,
  after: (command: string, input: Record<string, unknown>) => Promise<void> | void,
): RunContext {
  const connect: RunContext['connect'] = async (kind, name) => {
    const connected = await ctx.connect(kind, name)
    const client = connected.client as {
      send(command: { input: Record<string, unknown> }, ...rest: unknown[]): Promise<unknown>
    }
    const send: typeof client.send = async (command, ...rest) => {
      const reply = await client.send(command, ...rest)
      await after(command.constructor.name, command.input)
      return reply
    }
    return { ...connected, client: Object.assign(Object.create(client), { send }) }
  }
  return { ...ctx, connect }
}

describe('s3.quarantine-records', () => {
  let s3: Awaited<ReturnType<typeof startS3>>
  let world: World

  const worldAt = (endpoint: string) => {
    const settings = {
      region: 'us-east-1',
      endpoint,
      forcePathStyle: true,
      accessKeyIdFrom: 'K',
      secretAccessKeyFrom: 'K',
    }
    return createWorld({
      secrets: { K: 'S3RVER' },
      connections: { lake: { kind: 's3', settings: { ...settings, buckets: ['lake/events', 'lake/quarantine'] } } },
    })
  }

  beforeAll(async () => {
    s3 = await startS3('lake')
    world = worldAt(s3.endpoint)
  })
  afterAll(async () => {
    await world.close()
    await s3.close()
  })

  const plan = (key: string, more: Record<string, unknown> = {}) =>
    propose(quarantineRecords, { connection: 'lake', bucket: 'lake', key, ...more }, world.read())
  const broken = async (key: string) => {
    const lines = good(99)
    lines.splice(40, 0, '{"id": 40, "note": "br')
    await s3.putLines(key, lines, { ContentType: 'application/json', Metadata: { producer: 'orders-7' } })
    return lines
  }

  it('sets nothing aside for a byte order mark, and keeps it where another line is bad', async () => {
    const lines = good(30)
    lines[0] = `\ufeff${lines[0]}`
    await s3.putLines('events/mark/1.json.gz', lines)
    await expect(plan('events/mark/1.json.gz')).rejects.toThrow('has no malformed line (30 lines read). Nothing to do.')
    await s3.putLines('events/mark/2.json.gz', [...lines, '{"id":'])
    const made = await plan('events/mark/2.json.gz')
    expect(made.warnings.join()).toMatch(/begins with a byte order mark .* stays\./)
    await quarantineRecords.run(made, world.run(made).ctx)
    expect(gunzipSync(await s3.bytes('events/mark/2.json.gz')).toString()).toBe(`${lines.join('\n')}\n`)
    expect((await quarantineRecords.verify(made, world.read())).map((check) => check.ok)).toEqual([
      true,
      true,
      true,
      true,
    ])
  })

  it.each([
    ['short', 2],
    ['long', 2_000],
  ])('refuses a %s document over many lines, whatever share is allowed', async (name, n) => {
    const records = Array.from({ length: n }, (_, id) => ({ id }))
    await s3.putLines(`events/pretty/${name}.json.gz`, [JSON.stringify(records, null, 2)])
    await expect(plan(`events/pretty/${name}.json.gz`, { maxBadShare: 0.2 })).rejects.toThrow(
      /JSON document over \d+ lines, not JSON lines.*: no line of it is a record, and nothing is set aside/,
    )
  })

  it('shows the object as it is, the exact lines, and every call it will make; twice the same', async () => {
    await broken('events/order/1.json.gz')
    const { ETag, ContentLength } = await s3.head('events/order/1.json.gz')
    const first = await plan('events/order/1.json.gz')
    expect(first.summary).toBe('Set 1 of 100 lines of s3://lake/events/order/1.json.gz aside (1 %)')
    expect(first.targets[0]).toMatchObject({
      id: 's3:lake/lake/events/order/1.json.gz',
      details: {
        Bucket: 'lake',
        Key: 'events/order/1.json.gz',
        ETag,
        Size: `${ContentLength} bytes`,
        Lines: '100',
        'Line numbers': '41',
      },
    })
    expect(first.targets[0]?.fingerprint).toContain(ETag)
    expect(first.steps.map((s) => s.id)).toEqual(['copy', 'set-aside', 'rewrite'])
    expect(first.steps[1]?.detail).toMatch(/line 41 sha256:[0-9a-f]{12} ends inside a string: \{"id": 40, "note": "br/)
    expect(first.warnings.join()).toContain('keeps no versions')
    expect(digest(await plan('events/order/1.json.gz'))).toBe(digest(first))
  })

  it('keeps the original, sets the bad lines aside, leaves every good line, and can be checked', async () => {
    const key = 'events/dt=2026-01-02/a b.json.gz'
    const lines = await broken(key)
    const original = await s3.bytes(key)
    const proposed = await plan(key)
    const { ctx, recording } = world.run(proposed)
    expect(await quarantineRecords.run(proposed, ctx)).toMatch(
      /^1 malformed line is set aside in s3:\/\/lake\/quarantine\//,
    )
    expect(recording.finished.map((s) => s.id)).toEqual(['copy', 'set-aside', 'rewrite'])

    const after = gunzipSync(await s3.bytes(key))
      .toString()
      .split('\n')
    expect(after).toEqual(lines.toSpliced(40, 1))
    expect(await s3.head(key)).toMatchObject({ ContentType: 'application/json', Metadata: { producer: 'orders-7' } })
    const kept = (await s3.keys()).filter((k) => k?.startsWith(`quarantine/${key}`))
    expect(kept).toHaveLength(2)
    expect(await s3.bytes(kept.find((k) => k?.endsWith('.original.gz'))!)).toEqual(original)
    expect((await s3.bytes(kept.find((k) => k?.endsWith('.bad-lines.txt'))!)).toString()).toBe(`${lines[40]}\n`)
    expect((await quarantineRecords.verify(proposed, world.read())).map((c) => [c.title, c.ok])).toEqual([
      ['No malformed line is left', true],
      ['Every good line is there, byte for byte', true],
      ['The copy holds the original', true],
      ['The bad lines are kept', true],
    ])
    await expect(plan(key)).rejects.toThrow('has no malformed line')
  })

  it('writes the same bytes for the same lines, so that two runs give one object', async () => {
    for (const key of ['events/same/1.json.gz', 'events/same/2.json.gz']) {
      await broken(key)
      const proposed = await plan(key)
      await quarantineRecords.run(proposed, world.run(proposed).ctx)
    }
    const [one, two] = [await s3.bytes('events/same/1.json.gz'), await s3.bytes('events/same/2.json.gz')]
    expect(one).toEqual(two)
    expect(one.readUInt32LE(4)).toBe(0)
  })

  it('writes an object of several parts', async () => {
    const { randomBytes } = await import('node:crypto')
    const lines = Array.from({ length: 120 }, () => JSON.stringify({ blob: randomBytes(100_000).toString('base64') }))
    await s3.putLines('events/big/1.json.gz', [...lines.slice(0, 60), '{oops', ...lines.slice(60)])
    const proposed = await plan('events/big/1.json.gz')
    await quarantineRecords.run(proposed, world.run(proposed).ctx)
    expect((await s3.bytes('events/big/1.json.gz')).length).toBeGreaterThan(8 * 1024 * 1024)
    expect((await quarantineRecords.verify(proposed, world.read())).every((c) => c.ok)).toBe(true)
  })

  it.each([
    ['more bad lines than the share allows', ['{}', '{', '{}'], {}, 'above the limit of 5 %'],
    ['a file without a bad line', ['{}', '{}'], {}, 'has no malformed line'],
    ['an empty file', [''], {}, 'has no malformed line'],
  ])('refuses %s', async (_, lines, more, message) => {
    await s3.putLines('events/refuse/1.json.gz', lines)
    await expect(plan('events/refuse/1.json.gz', more)).rejects.toMatchObject({
      name: 'Refused',
      message: expect.stringContaining(message),
    })
  })

  it('refuses a share above the ceiling, whatever the playbook says', async () => {
    await expect(plan('events/refuse/1.json.gz', { maxBadShare: '0.9' })).rejects.toThrow(/maxBadShare/)
  })

  it('refuses what is outside of the allow-list, in quarantine, missing, or not gzip', async () => {
    await s3.put('events/refuse/plain.json.gz', Buffer.from('{'))
    const refusal = async (key: string) => plan(key).catch((e: Error) => `${e.name}: ${e.message}`)
    expect(await refusal('secret/1.json.gz')).toMatch(/^Refused: .*may not change s3:\/\/lake\/secret/)
    expect(await refusal('events-of-others/1.json.gz')).toMatch(/^Refused: .*may not change/)
    expect(await refusal('quarantine/1.json.gz')).toMatch(/^Refused: .*itself a copy/)
    expect(await refusal('events/none.json.gz')).toMatch(/^Refused: .*does not exist/)
    expect(await refusal('events/refuse/plain.json.gz')).toMatch(/^Refused: .*not a whole gzip file/)
  })

  it('touches nothing when the object was replaced after the plan', async () => {
    const key = 'events/replaced/1.json.gz'
    await broken(key)
    const proposed = await plan(key)
    const newer = gzipSync('{"newer":true}\n{')
    await s3.put(key, newer)
    await expect(quarantineRecords.run(proposed, world.run(proposed).ctx)).rejects.toThrow('no longer the object')
    expect(await s3.bytes(key)).toEqual(newer)
    expect((await s3.keys()).filter((k) => k?.startsWith(`quarantine/${key}`))).toEqual([])
  })

  it('leaves an object alone that is replaced while the new one is being written', async () => {
    const key = 'events/raced/1.json.gz'
    await broken(key)
    const proposed = await plan(key)
    const newer = gzipSync('{"newer":true}\n')
    let replaced = false
    const racing = watching(world.run(proposed).ctx, async (command) => {
      if (replaced || command !== 'UploadPartCommand') return
      replaced = true
      await s3.put(key, newer)
    })
    await expect(quarantineRecords.run(proposed, racing)).rejects.toThrow('no longer the object')
    expect(replaced).toBe(true)
    expect(await s3.bytes(key)).toEqual(newer)
  })

  it('asks the server to write and to copy only what has the planned ETag', async () => {
    const key = 'events/conditions/1.json.gz'
    await broken(key)
    const etag = (await s3.head(key)).ETag
    const proposed = await plan(key)
    const conditions: Record<string, unknown> = {}
    await quarantineRecords.run(
      proposed,
      watching(world.run(proposed).ctx, (command, input) => {
        conditions[command] = input.CopySourceIfMatch ?? input.IfMatch
      }),
    )
    expect(conditions).toMatchObject({ CopyObjectCommand: etag, CompleteMultipartUploadCommand: etag })
    expect(copySource({ bucket: 'lake', key: 'a/b=c d+e?.gz', etag: '"x"', versionId: 'v 1' })).toBe(
      'lake/a/b=c%20d%2Be%3F.gz?versionId=v%201',
    )
  })

  it('does not write over the original when its copy is not the original', async () => {
    const key = 'events/badcopy/1.json.gz'
    await broken(key)
    const before = await s3.bytes(key)
    const proposed = await plan(key)
    const { copyKey } = proposed.data as { copyKey: string }
    await s3.put(copyKey, gzipSync('{}'))
    const { ctx } = world.run(proposed, { done: { copy: 'etag', 'set-aside': 'key' } })
    await expect(quarantineRecords.run(proposed, ctx)).rejects.toThrow('does not hold the original')
    expect(await s3.bytes(key)).toEqual(before)
  })

  it('probes each step by looking: nothing done, all done, and somebody else was there', async () => {
    const key = 'events/probe/1.json.gz'
    await broken(key)
    const proposed = await plan(key)
    const landed = async () =>
      Promise.all(
        ['copy', 'set-aside', 'rewrite'].map(
          async (s) => (await quarantineRecords.probe(proposed, s, world.read())).landed,
        ),
      )
    expect(await landed()).toEqual(['no', 'no', 'no'])
    await quarantineRecords.run(proposed, world.run(proposed).ctx)
    expect(await landed()).toEqual(['yes', 'yes', 'yes'])
    await s3.putLines(key, ['{}'])
    expect(await landed()).toEqual(['yes', 'yes', 'cannot_tell'])
    expect((await quarantineRecords.verify(proposed, world.read()))[1]).toMatchObject({ ok: false })
  })

  it('takes a rewrite that has already landed for done when it is resumed', async () => {
    const key = 'events/resume/1.json.gz'
    await broken(key)
    const proposed = await plan(key)
    await quarantineRecords.run(proposed, world.run(proposed).ctx)
    const after = await s3.bytes(key)
    const { ctx } = world.run(proposed, { done: { copy: 'etag', 'set-aside': 'key' } })
    await quarantineRecords.run(proposed, ctx)
    expect(await s3.bytes(key)).toEqual(after)
  })

  it('takes the rewrite for done when only the reply to its last request was lost', async () => {
    const key = 'events/lost/1.json.gz'
    await broken(key)
    const proposed = await plan(key)
    const losing = watching(world.run(proposed).ctx, (command) => {
      if (command === 'CompleteMultipartUploadCommand') throw new Error('socket hang up')
    })
    expect(await quarantineRecords.run(proposed, losing)).toMatch(/^1 malformed line is set aside/)
    expect((await quarantineRecords.verify(proposed, world.read())).every((c) => c.ok)).toBe(true)
  })

  it.each([
    ['copy', /^PUT \/lake\/quarantine\/.*x-amz-copy-source/s],
    ['set-aside', /^PUT \/lake\/quarantine\/(?!.*x-amz-copy-source)/s],
    ['rewrite', /^POST \/lake\/events\/\S*\?\S*uploadId=/],
  ])('calls the step "%s" unanswered when its connection breaks', async (step, at) => {
    const key = `events/cut/${step}.json.gz`
    await broken(key)
    const wire = await breakingWire(Number(new URL(s3.endpoint).port), at)
    const far = worldAt(`http://127.0.0.1:${wire.port}`)
    try {
      const proposed = await plan(key)
      await expect(quarantineRecords.run(proposed, far.run(proposed).ctx)).rejects.toMatchObject({ name: 'Unanswered' })
      expect(wire.broken()).toBeGreaterThan(0)
      expect((await quarantineRecords.probe(proposed, step, world.read())).landed).toBe('no')
    } finally {
      await far.close()
      await wire.close()
    }
  })

  it('stops on abort and leaves the object as it was', async () => {
    const key = 'events/abort/1.json.gz'
    await broken(key)
    const before = await s3.bytes(key)
    const proposed = await plan(key)
    const stop = new AbortController()
    const { ctx } = world.run(proposed, { signal: stop.signal })
    const aborting = { ...ctx, progress: () => stop.abort(new Error('cancelled by a person')) }
    await expect(quarantineRecords.run(proposed, aborting)).rejects.toThrow()
    expect(await s3.bytes(key)).toEqual(before)
  })
})
