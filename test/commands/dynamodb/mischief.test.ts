import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { setCapacity } from '../../../commands/dynamodb/set-capacity.ts'
import { throttling } from '../../../commands/dynamodb/throttling.ts'
import { type Mischief, startMischief } from '../../harness/mischief.ts'
import { createWorld, propose, type World } from '../context.ts'
import { startTable } from './table-server.ts'

/** What no library may say to a person. */
const RAW = /Zod|Cannot read prop|Unexpected token|undefined|Deserialization|\[object|NaN/

describe('DynamoDB as it is on a bad day', () => {
  let dynamo: Awaited<ReturnType<typeof startTable>>
  let proxy: Awaited<ReturnType<typeof startMischief>>
  let world: World
  beforeEach(async () => {
    dynamo = await startTable()
    proxy = await startMischief(dynamo.endpoint, 'aws-json')
    world = createWorld({
      secrets: { K: 'local' },
      connections: {
        store: {
          kind: 'dynamodb',
          settings: {
            ...{ region: 'us-east-1', endpoint: proxy.url, accessKeyIdFrom: 'K', secretAccessKeyFrom: 'K' },
            ...{ pollSeconds: 0.01, backoffMs: 1, tables: { orders: { maxRead: 50, maxWrite: 100 } } },
          },
        },
      },
    })
  })
  afterEach(async () => {
    await world.close()
    await proxy.close()
    await dynamo.close()
  })
  const at = { connection: 'store', table: 'orders' }
  const plan = () => propose(setCapacity, { ...at, write: '80' }, world.read())

  it.each<Mischief>(['throttled', 'unavailable', 'expired', 'lost', 'partial', 'slow', 'extra'])(
    'is told of the same, and changed once: %s',
    async (mischief) => {
      const proposed = await plan()
      proxy.play(mischief)
      const { summary } = await throttling.read(throttling.params.parse(at), world.read())
      expect(summary).toBe('Table orders has 10 read and 20 write units provisioned.')
      proxy.play(mischief)
      await setCapacity.run(proposed, world.run(proposed).ctx)
      expect(dynamo.state.units).toEqual({ ReadCapacityUnits: 10, WriteCapacityUnits: 80 })
      expect(dynamo.sent('UpdateTable').length).toBeLessThanOrEqual(mischief === 'lost' ? 2 : 1)
    },
  )

  it.each([
    ['nulls', 0],
    ['nulls', 1],
    ['nulls', 2],
    ['unknown', 0],
  ] as const)('says what it is not told, and takes it for nothing else: %s %i', async (mischief, shift) => {
    proxy.play(mischief, { shift })
    const said = await plan().then(
      ({ summary }) => summary,
      (error: Error) => `${error.name}: ${error.message}`,
    )
    expect(said).not.toMatch(RAW)
    expect(said).toMatch(/^Refused: |^Set the capacity of orders from 10 read, 20 write to/)
    const looked = await throttling.read(throttling.params.parse(at), world.read()).then(
      (evidence) => JSON.stringify(evidence),
      (error: Error) => error.message,
    )
    expect(looked).not.toMatch(RAW)
  })
})
