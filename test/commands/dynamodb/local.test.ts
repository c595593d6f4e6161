import {
  CreateTableCommand,
  type CreateTableCommandInput,
  DescribeTableCommand,
  UpdateTableCommand,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals'
import { goOnDemand } from '../../../commands/dynamodb/go-on-demand.ts'
import { setCapacity } from '../../../commands/dynamodb/set-capacity.ts'
import { throttling } from '../../../commands/dynamodb/throttling.ts'
import type { ChangeCommand } from '../../../src/domain/command.ts'
import { describeWith } from '../../harness/peer.ts'
import { createWorld, propose, type World } from '../context.ts'
import { startLocal } from './local.ts'
import { startScaling } from './scaling-server.ts'

const WRITE = 'dynamodb:table:WriteCapacityUnits'
const INDEX_WRITE = 'dynamodb:index:WriteCapacityUnits'

describeWith(['java'], 'a table of DynamoDB Local', () => {
  let local: Awaited<ReturnType<typeof startLocal>>
  let scaling: Awaited<ReturnType<typeof startScaling>>
  let world: World
  let made = 0
  let table = ''

  beforeAll(async () => {
    ;[local, scaling] = await Promise.all([startLocal(), startScaling()])
  })
  afterAll(async () => {
    await local.close()
    await scaling.close()
  })
  beforeEach(async () => {
    made += 1
    table = `orders-${made}`
    scaling.targets.clear()
    scaling.state.denied = false
    world = createWorld({
      secrets: { K: 'local' },
      connections: {
        store: {
          kind: 'dynamodb',
          settings: {
            ...{ region: 'us-east-1', endpoint: local.endpoint, scalingEndpoint: scaling.endpoint },
            ...{ accessKeyIdFrom: 'K', secretAccessKeyFrom: 'K', pollSeconds: 0.05, backoffMs: 1 },
            tables: { [table]: { maxRead: 50, maxWrite: 100, onDemand: true } },
          },
        },
      },
    })
  })
  afterEach(() => world.close())

  const create = async (more: Partial<CreateTableCommandInput> = {}) => {
    const units = { ReadCapacityUnits: 10, WriteCapacityUnits: 20 }
    await local.client.send(
      new CreateTableCommand({
        TableName: table,
        AttributeDefinitions: [
          { AttributeName: 'id', AttributeType: 'S' },
          { AttributeName: 'day', AttributeType: 'S' },
        ],
        KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
        ProvisionedThroughput: units,
        GlobalSecondaryIndexes: [
          {
            IndexName: 'by-day',
            KeySchema: [{ AttributeName: 'day', KeyType: 'HASH' }],
            Projection: { ProjectionType: 'ALL' },
            ProvisionedThroughput: { ...units, WriteCapacityUnits: 5 },
          },
        ],
        ...more,
      }),
    )
    await waitUntilTableExists(
      { client: local.client, maxWaitTime: 10, minDelay: 0.05, maxDelay: 0.1 },
      { TableName: table },
    )
  }
  const described = async () => (await local.client.send(new DescribeTableCommand({ TableName: table }))).Table!
  const plan = (command: ChangeCommand, more: Record<string, unknown> = {}) =>
    propose(command, { connection: 'store', table, ...more }, world.read())
  const look = async (more: Record<string, unknown> = {}) =>
    throttling.read(throttling.params.parse({ connection: 'store', table, ...more }), world.read())

  it('gets more write units, its index too if that is wished, and both can be checked', async () => {
    await create()
    expect((await plan(setCapacity, { write: '80' })).warnings.join()).toContain('by-day has 5 write units')
    const proposed = await plan(setCapacity, { write: '80', indexes: 'raise' })
    expect(proposed.targets[0]?.details).toMatchObject({ 'Index by-day': '5 → 80 write' })
    await setCapacity.run(proposed, world.run(proposed).ctx)
    const now = await described()
    expect(now.ProvisionedThroughput).toMatchObject({ ReadCapacityUnits: 10, WriteCapacityUnits: 80 })
    expect(now.GlobalSecondaryIndexes?.[0]?.ProvisionedThroughput).toMatchObject({ WriteCapacityUnits: 80 })
    expect((await setCapacity.verify(proposed, world.read())).map((check) => check.ok)).toEqual([true, true, true])
    for (const step of ['update', 'wait'])
      expect((await setCapacity.probe(proposed, step, world.read())).landed).toBe('yes')
  })

  it('gets the maximum of its auto scaling raised with it, which would put it back', async () => {
    await create()
    scaling.targets.set(`table/${table} ${WRITE}`, { MinCapacity: 5, MaxCapacity: 40 })
    scaling.targets.set(`table/${table} dynamodb:table:ReadCapacityUnits`, { MinCapacity: 5, MaxCapacity: 40 })
    scaling.targets.set(`table/${table}/index/by-day ${INDEX_WRITE}`, { MinCapacity: 5, MaxCapacity: 10 })
    const proposed = await plan(setCapacity, { write: '80', indexes: 'raise' })
    expect(proposed.steps.map((step) => step.id)).toEqual(['scaling', 'update', 'wait'])
    expect(proposed.warnings.join()).toContain(`(table/${table}, write) lowers it again to as little as 5 units`)
    expect((await setCapacity.probe(proposed, 'scaling', world.read())).landed).toBe('no')
    await setCapacity.run(proposed, world.run(proposed).ctx)
    expect(Object.fromEntries(scaling.targets)).toEqual({
      [`table/${table} ${WRITE}`]: { MinCapacity: 5, MaxCapacity: 80 },
      [`table/${table} dynamodb:table:ReadCapacityUnits`]: { MinCapacity: 5, MaxCapacity: 40 },
      [`table/${table}/index/by-day ${INDEX_WRITE}`]: { MinCapacity: 5, MaxCapacity: 80 },
    })
    expect((await setCapacity.probe(proposed, 'scaling', world.read())).landed).toBe('yes')
  })

  it('gets the minimum raised as well where a person wants it kept', async () => {
    await create()
    scaling.targets.set(`table/${table} ${WRITE}`, { MinCapacity: 5, MaxCapacity: 90, suspended: true })
    expect((await plan(setCapacity, { write: '80' })).warnings.join()).toContain('its scaling out is suspended')
    const proposed = await plan(setCapacity, { write: '80', minimum: 'raise' })
    expect(proposed.warnings.join()).toContain('keeps at least 80 units until its owner lowers the minimum again')
    await setCapacity.run(proposed, world.run(proposed).ctx)
    expect(scaling.targets.get(`table/${table} ${WRITE}`)).toMatchObject({ MinCapacity: 80, MaxCapacity: 90 })
  })

  it('stays as it is when its auto scaling is another one than was planned', async () => {
    await create()
    scaling.targets.set(`table/${table} ${WRITE}`, { MinCapacity: 5, MaxCapacity: 40 })
    const proposed = await plan(setCapacity, { write: '80' })
    scaling.targets.set(`table/${table} ${WRITE}`, { MinCapacity: 5, MaxCapacity: 30 })
    await expect(setCapacity.run(proposed, world.run(proposed).ctx)).rejects.toMatchObject({ name: 'Refused' })
    expect((await described()).ProvisionedThroughput).toMatchObject({ WriteCapacityUnits: 20 })
  })

  it('says what it may not ask of auto scaling, and goes on', async () => {
    await create()
    scaling.state.denied = true
    expect((await plan(setCapacity, { write: '80' })).warnings.join()).toContain('DescribeScalableTargets is missing')
    expect(JSON.stringify((await look()).blocks)).toContain('DescribeScalableTargets is missing')
  })

  it('goes on demand; this version of DynamoDB Local knows no maximum, which is not taken for the approved one', async () => {
    await create()
    const proposed = await plan(goOnDemand)
    expect(proposed.warnings.join()).toContain('Its indexes (by-day) have no maximum of their own')
    await expect(goOnDemand.run(proposed, world.run(proposed).ctx)).rejects.toThrow('at most any read, any write')
    expect((await described()).BillingModeSummary).toMatchObject({ BillingMode: 'PAY_PER_REQUEST' })
    expect((await goOnDemand.verify(proposed, world.read()))[0]?.ok).toBe(false)
  })

  it('is said to have a hot key when it throttles though little is used', async () => {
    await create()
    scaling.targets.set(`table/${table} ${WRITE}`, { MinCapacity: 5, MaxCapacity: 40 })
    const { summary, blocks } = await look({ consumedWrite: '4', throttledWrites: '900' })
    expect(summary).toMatch(/Less than half of that is used: a hot key .* 1000 write units a second/)
    const text = JSON.stringify(blocks)
    expect(text).toContain('Decreases today: 0. Four are allowed')
    expect(text).toContain(`["table/${table}","write","5","40","on"]`)
    expect(text).toMatch(/Contributor Insights/)
  })

  it('is left alone when somebody changed it since the plan', async () => {
    await create()
    const proposed = await plan(setCapacity, { write: '80' })
    await local.client.send(
      new UpdateTableCommand({
        TableName: table,
        ProvisionedThroughput: { ReadCapacityUnits: 10, WriteCapacityUnits: 30 },
      }),
    )
    await expect(setCapacity.run(proposed, world.run(proposed).ctx)).rejects.toMatchObject({ name: 'Refused' })
  })
})
