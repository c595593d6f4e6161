import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { goOnDemand } from '../../../commands/dynamodb/go-on-demand.ts'
import { setCapacity } from '../../../commands/dynamodb/set-capacity.ts'
import { throttling } from '../../../commands/dynamodb/throttling.ts'
import type { ChangeCommand } from '../../../src/domain/command.ts'
import { startSts } from '../aws/sts-server.ts'
import { createWorld, propose, type World } from '../context.ts'
import { Fault } from '../emr/json-server.ts'
import { startTable } from './table-server.ts'

describe('a table of DynamoDB', () => {
  let dynamo: Awaited<ReturnType<typeof startTable>>
  let world: World
  const worldOf = (more: object = {}, table: object = {}) =>
    createWorld({
      secrets: { K: 'local' },
      connections: {
        store: {
          kind: 'dynamodb',
          settings: {
            ...{ region: 'us-east-1', endpoint: dynamo.endpoint, accessKeyIdFrom: 'K', secretAccessKeyFrom: 'K' },
            ...{
              pollSeconds: 0.01,
              backoffMs: 1,
              tables: { orders: { maxRead: 50, maxWrite: 100, onDemand: true, ...table } },
            },
            ...more,
          },
        },
      },
    })
  beforeEach(async () => {
    dynamo = await startTable()
    world = worldOf()
  })
  afterEach(async () => {
    await world.close()
    await dynamo.close()
  })
  const plan = (command: ChangeCommand, more: Record<string, unknown> = {}) =>
    propose(command, { connection: 'store', table: 'orders', ...more }, world.read())
  const refusal = (command: ChangeCommand, more: Record<string, unknown> = {}) =>
    plan(command, more).catch((e: Error) => `${e.name}: ${e.message}`)
  const look = (more: Record<string, unknown> = {}) =>
    throttling.read(throttling.params.parse({ connection: 'store', table: 'orders', ...more }), world.read())

  it('goes on demand with a maximum, waits for it, and is told from one that another took there', async () => {
    const proposed = await plan(goOnDemand)
    expect(proposed.summary).toBe('Bill orders on demand, at most 50 read, 100 write units a second')
    expect((await goOnDemand.probe(proposed, 'switch', world.read())).landed).toBe('no')
    const { ctx, recording } = world.run(proposed)
    await goOnDemand.run(proposed, ctx)
    expect(recording.progress[0]?.note).toContain('UPDATING')
    expect((await goOnDemand.verify(proposed, world.read())).every((check) => check.ok)).toBe(true)
    expect((await goOnDemand.probe(proposed, 'wait', world.read())).landed).toBe('yes')
    expect(await refusal(goOnDemand)).toMatch(/on demand already/)
    expect(await refusal(setCapacity, { write: '80' })).toMatch(/^Refused: .*Its own maximum is 100 write units/)
    expect((await look({ consumedWrite: '100' })).summary).toMatch(/maximum of its own of 100 .* which is reached/)
    dynamo.state.max = { MaxWriteRequestUnits: 5 }
    expect((await goOnDemand.probe(proposed, 'switch', world.read())).landed).toBe('cannot_tell')
    expect((await goOnDemand.verify(proposed, world.read()))[0]?.ok).toBe(false)
  })

  it('does not go on demand where the connection does not let it, or has more than its ceiling', async () => {
    dynamo.state.units = { ReadCapacityUnits: 10, WriteCapacityUnits: 200 }
    expect(await refusal(goOnDemand)).toMatch(/^Refused: .*more than its ceiling/)
    await world.close()
    world = worldOf({}, { onDemand: false })
    expect(await refusal(goOnDemand)).toMatch(/^Refused: .*does not let orders be billed on demand/)
  })

  it('is waited for while DynamoDB is busy or broken down, and the thread says so', async () => {
    const proposed = await plan(setCapacity, { write: '80' })
    const { ctx, recording } = world.run(proposed)
    const running = setCapacity.run(proposed, {
      ...ctx,
      progress: (...args) => {
        if (recording.progress.length === 0)
          dynamo.state.faults = [
            ...Array(25).fill(new Fault('ThrottlingException', 'Rate exceeded')),
            new Fault('ProvisionedThroughputExceededException', 'slow'),
          ]
        ctx.progress(...args)
      },
    })
    expect(await running).toMatch(/^orders has 10 read, 80 write/)
    expect(recording.progress.some((one) => /looking again/.test(one.note ?? ''))).toBe(true)
    expect(dynamo.sent('UpdateTable')).toHaveLength(1)
  })

  it('is left as it is when a quota refuses, in a sentence', async () => {
    const proposed = await plan(setCapacity, { write: '80' })
    dynamo.state.quota = 'The requested WriteCapacityUnits, 80, is above the per-table maximum'
    await expect(setCapacity.run(proposed, world.run(proposed).ctx)).rejects.toMatchObject({
      name: 'Refused',
      message: expect.stringContaining('quota of the account or the table'),
    })
    expect(dynamo.sent('UpdateTable')).toHaveLength(1)
  })

  it('is not taken to have no capacity when DynamoDB does not say it', async () => {
    dynamo.state.hide = true
    expect(await refusal(setCapacity, { write: '80' })).toMatch(/^Refused: .*does not say what is provisioned/)
  })

  it('says whether its keys are counted, where they are, and what may not be asked', async () => {
    expect(JSON.stringify((await look()).blocks)).toContain('Contributor Insights is off')
    dynamo.state.insights = 'ENABLED'
    expect(JSON.stringify((await look()).blocks)).toContain(
      'in CloudWatch under DynamoDBContributorInsights-PKC-orders-1',
    )
    dynamo.state.insights = ''
    expect(JSON.stringify((await look()).blocks)).toContain('dynamodb:DescribeContributorInsights is missing')
    expect(JSON.stringify((await look()).blocks)).toContain('Decreases today: 3. Four are allowed')
  })

  it('is changed in a session that may change this table only', async () => {
    const role = 'arn:aws:iam::444455556666:role/keyturn'
    const sts = await startSts({ [role]: null })
    await world.close()
    world = worldOf({ roleArn: role, stsEndpoint: sts.endpoint })
    try {
      const proposed = await plan(setCapacity, { write: '80' })
      await setCapacity.run(proposed, world.run(proposed).ctx)
      expect(JSON.parse(sts.sent('AssumeRole').at(-1)?.get('Policy') ?? '').Statement).toEqual([
        {
          Effect: 'Allow',
          Action: ['dynamodb:DescribeTable', 'dynamodb:UpdateTable'],
          Resource: ['arn:aws:dynamodb:us-east-1:123456789012:table/orders'],
        },
      ])
    } finally {
      await sts.close()
    }
  })
})
