import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { setCapacity } from '../../../commands/dynamodb/set-capacity.ts'
import { throttling } from '../../../commands/dynamodb/throttling.ts'
import { digest } from '../../../src/domain/plan.ts'
import { startDynamo } from '../../../src/sandbox/targets/dynamodb.ts'
import type { World } from '../context.ts'
import { createWorld, propose } from '../context.ts'
import { breakingWire } from '../wire.ts'

const index = {
  AttributeDefinitions: [
    { AttributeName: 'id', AttributeType: 'S' as const },
    { AttributeName: 'day', AttributeType: 'S' as const },
  ],
  GlobalSecondaryIndexes: [
    {
      IndexName: 'by-day',
      KeySchema: [{ AttributeName: 'day', KeyType: 'HASH' as const }],
      Projection: { ProjectionType: 'ALL' as const },
      ProvisionedThroughput: { ReadCapacityUnits: 5, WriteCapacityUnits: 5 },
    },
  ],
}

describe('the capacity of a DynamoDB table', () => {
  let dynamo: Awaited<ReturnType<typeof startDynamo>>
  let world: World
  const names = ['events', 'demand', 'indexed', 'raced', 'busy', 'probed', 'aborted', 'gone', 'stolen', 'lost']

  const worldAt = (endpoint: string) =>
    createWorld({
      secrets: { K: 'local' },
      connections: {
        store: {
          kind: 'dynamodb',
          settings: {
            region: 'us-east-1',
            endpoint,
            accessKeyIdFrom: 'K',
            secretAccessKeyFrom: 'K',
            pollSeconds: 0.02,
            tables: Object.fromEntries(names.map((name) => [name, { maxRead: 50, maxWrite: 100 }])),
          },
        },
      },
    })

  beforeAll(async () => {
    dynamo = await startDynamo(150)
    world = worldAt(dynamo.endpoint)
    await Promise.all([
      dynamo.create('events', 10, 20),
      dynamo.create('demand', 0, 0, { BillingMode: 'PAY_PER_REQUEST' }),
      dynamo.create('indexed', 10, 20, index),
      ...['raced', 'busy', 'probed', 'aborted', 'stolen', 'lost'].map((name) => dynamo.create(name, 10, 20)),
    ])
  })
  afterAll(async () => {
    await world.close()
    await dynamo.close()
  })

  const look = (params: Record<string, unknown>) =>
    throttling.read(throttling.params.parse({ connection: 'store', ...params }), world.read())
  const plan = (table: string, params: Record<string, unknown>) =>
    propose(setCapacity, { connection: 'store', table, ...params }, world.read())
  const refusal = async (table: string, params: Record<string, unknown>) =>
    plan(table, params).catch((e: Error) => `${e.name}: ${e.message}`)

  it('shows provisioned against consumed with the ceiling, and what the alert did not say', async () => {
    const { summary, blocks } = await look({ table: 'indexed', consumedWrite: '20', throttledWrites: '340' })
    expect(summary).toBe('Table indexed uses all that is provisioned: writes (20 of 20).')
    expect(blocks[0]).toMatchObject({
      rows: [
        ['Read', '10', 'not in the alert', 'not in the alert', '50'],
        ['Write', '20', '20', '340', '100'],
      ],
    })
    expect(blocks[1]).toMatchObject({
      text: expect.stringContaining('Status ACTIVE; about $10.44 a month (AWS list price'),
    })
    expect(blocks[2]).toMatchObject({ rows: [['by-day', 'ACTIVE', '5', '5']] })
    expect(blocks[3]).toMatchObject({ type: 'chart', points: [{ value: 10 }, { value: 20 }, { value: 20 }] })
  })

  it('says that a table on demand has no capacity to raise, and reads no table that is not listed', async () => {
    expect((await look({ table: 'demand' })).summary).toContain('billed on demand')
    await expect(look({ table: 'payroll' })).rejects.toMatchObject({ name: 'Refused' })
  })

  it('raises the capacity, waits for ACTIVE, and tells what it cost before', async () => {
    const proposed = await plan('events', { write: '80' })
    expect(proposed.summary).toBe('Set the capacity of events from 10 read, 20 write to 10 read, 80 write units')
    expect(proposed.targets[0]?.details).toMatchObject({
      Write: '20 → 80 (ceiling 100)',
      // 60 units × $0.00065 × 730 h
      'Cost of the change': '+$28.47 a month of 730 h, $10.44 → $38.91',
    })
    expect(digest(await plan('events', { write: '80' }))).toBe(digest(proposed))
    const { ctx, recording } = world.run(proposed)
    expect(await setCapacity.run(proposed, ctx)).toBe(
      'events has 10 read, 80 write units now, before it had 10 read, 20 write.',
    )
    expect(recording.finished.map((s) => s.id)).toEqual(['update', 'wait'])
    expect(recording.progress[0]?.note).toContain('UPDATING')
    expect((await setCapacity.verify(proposed, world.read())).every((c) => c.ok)).toBe(true)
    expect(await refusal('events', { write: '80' })).toMatch(/^Refused: .*Nothing to do/)
  })

  it('warns of an index that will hold the writes back', async () => {
    expect((await plan('indexed', { write: '90' })).warnings[0]).toContain('by-day has 5 write units')
  })

  it('refuses above the ceiling, a decrease, no change, on demand, and tables it does not know', async () => {
    expect(await refusal('raced', { write: '101' })).toMatch(/^Refused: 101 write units are above the ceiling of 100/)
    expect(await refusal('raced', { read: '51', write: '20' })).toMatch(
      /^Refused: 51 read units are above the ceiling of 50/,
    )
    expect(await refusal('raced', { read: '9', write: '90' })).toMatch(/^Refused: .*does not lower/)
    expect(await refusal('raced', { write: '20' })).toMatch(/^Refused: .*Nothing to do/)
    expect(await refusal('demand', { write: '10' })).toMatch(/^Refused: .*on demand/)
    expect(await refusal('payroll', { write: '10' })).toMatch(/^Refused: .*does not list the table/)
    expect(await refusal('gone', { write: '10' })).toMatch(/^Refused: There is no table "gone"/)
  })

  it('refuses a table that is not ACTIVE', async () => {
    await dynamo.set('busy', 10, 21)
    expect(await refusal('busy', { write: '90' })).toMatch(/^Refused: busy is UPDATING/)
  })

  it('changes nothing when somebody changed the table after the plan', async () => {
    const proposed = await plan('raced', { write: '90' })
    await dynamo.set('raced', 10, 30)
    await expect(setCapacity.run(proposed, world.run(proposed).ctx)).rejects.toMatchObject({
      name: 'Refused',
      message: expect.stringContaining('approved was a change from 10 read, 20 write'),
    })
    expect((await setCapacity.verify(proposed, world.read()))[0]).toMatchObject({ ok: false })
  })

  it('ends with a clear sentence when the table comes to another capacity than the approved one', async () => {
    const proposed = await plan('stolen', { write: '90' })
    await dynamo.set('stolen', 10, 33)
    const { ctx } = world.run(proposed, { done: { update: 'sent' } })
    await expect(setCapacity.run(proposed, ctx)).rejects.toThrow('10 read, 33 write units: somebody else changed it')
  })

  it('does not wait for ever for a change that was never taken', async () => {
    await dynamo.create('gone', 10, 20)
    const proposed = await plan('gone', { write: '90' })
    const { ctx } = world.run(proposed, { done: { update: 'sent' } })
    await expect(setCapacity.run(proposed, ctx)).rejects.toThrow('the change was not taken')
  })

  it('probes by looking: untouched, on its way, set, and another capacity', async () => {
    const proposed = await plan('probed', { write: '90' })
    const landed = async (step: string) => (await setCapacity.probe(proposed, step, world.read())).landed
    expect([await landed('update'), await landed('wait')]).toEqual(['no', 'no'])
    await dynamo.set('probed', 10, 90)
    expect(await landed('wait')).toBe('no')
    await setCapacity.run(proposed, world.run(proposed, { done: { update: 'sent' } }).ctx)
    expect([await landed('update'), await landed('wait')]).toEqual(['yes', 'yes'])
    await dynamo.set('probed', 10, 95)
    await expect(setCapacity.run(proposed, world.run(proposed, { done: { update: 'sent' } }).ctx)).rejects.toThrow(
      '95 write',
    )
    expect(await landed('update')).toBe('cannot_tell')
  })

  it('calls a change unanswered that is on its way when the connection breaks', async () => {
    const wire = await breakingWire(Number(new URL(dynamo.endpoint).port), /UpdateTable/)
    const far = worldAt(`http://127.0.0.1:${wire.port}`)
    try {
      const proposed = await propose(setCapacity, { connection: 'store', table: 'lost', write: '90' }, far.read())
      await expect(setCapacity.run(proposed, far.run(proposed).ctx)).rejects.toMatchObject({ name: 'Unanswered' })
      expect(wire.broken()).toBeGreaterThan(0)
      expect((await setCapacity.probe(proposed, 'update', world.read())).landed).toBe('no')
    } finally {
      await far.close()
      await wire.close()
    }
  })

  it('stops waiting on abort', async () => {
    const proposed = await plan('aborted', { write: '90' })
    const stop = new AbortController()
    const { ctx } = world.run(proposed, { signal: stop.signal })
    const aborting = { ...ctx, progress: () => stop.abort(new Error('cancelled by a person')) }
    await expect(setCapacity.run(proposed, aborting)).rejects.toThrow()
    expect((await setCapacity.probe(proposed, 'update', world.read())).landed).not.toBe('no')
  })
})
