import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { throttling } from '../../../commands/dynamodb/throttling.ts'
import { startMischief } from '../../harness/mischief.ts'
import { createWorld, type World } from '../context.ts'
import { Fault } from '../emr/json-server.ts'
import { startCloudWatch } from './cloudwatch-server.ts'
import { startTable } from './table-server.ts'

const PKT = 'DynamoDBContributorInsights-PKT-orders-1'

describe('what CloudWatch measured of a table', () => {
  let dynamo: Awaited<ReturnType<typeof startTable>>
  let cloudwatch: Awaited<ReturnType<typeof startCloudWatch>>
  let world: World
  const worldOf = (cloudwatchEndpoint?: string) =>
    createWorld({
      now: () => new Date('2026-03-14T02:37:41.250Z'),
      secrets: { K: 'local' },
      connections: {
        store: {
          kind: 'dynamodb',
          settings: {
            ...{ region: 'us-east-1', endpoint: dynamo.endpoint, accessKeyIdFrom: 'K', secretAccessKeyFrom: 'K' },
            ...{ backoffMs: 1, tables: { orders: { maxRead: 50, maxWrite: 100 } }, cloudwatchEndpoint },
          },
        },
      },
    })
  beforeEach(async () => {
    dynamo = await startTable()
    cloudwatch = await startCloudWatch()
    world = worldOf(cloudwatch.endpoint)
  })
  afterEach(async () => {
    await world.close()
    await cloudwatch.close()
    await dynamo.close()
  })
  const look = async (given: object = {}) => {
    const params = throttling.params.parse({ connection: 'store', table: 'orders', ...given })
    const { summary, blocks } = await throttling.read(params, world.read())
    const [first, second] = blocks
    if (first?.type !== 'table' || second?.type !== 'text') throw new Error('other blocks')
    return { summary, blocks, cells: first.rows, text: second.text, all: JSON.stringify(blocks) }
  }
  /** Ten minutes ago it was at its worst. */
  const busy = () => {
    cloudwatch.state.points = {
      'ConsumedWriteCapacityUnits orders': [
        [1, 600],
        [10, 1200],
        [11, 300],
        [31, 90_000],
      ],
      'ConsumedReadCapacityUnits orders': [[4, 0.3]],
      'WriteThrottleEvents orders': [
        [10, 90],
        [9, 30],
      ],
      'ThrottledRequests orders PutItem': [[10, 70]],
    }
  }

  it('is shown as the highest minute by the second and when, beside what the alert says', async () => {
    busy()
    const { summary, cells, text, blocks } = await look({ consumedWrite: '19', throttledWrites: '40' })
    expect(cells).toEqual([
      ['Read', '10', 'under 0.01 at 02:33 UTC', 'no figures', 'not in the alert', '50'],
      ['Write', '20', '20 at 02:27 UTC', '120, up to 1.5/s at 02:27 UTC', 'consumed: 19; throttled: 40', '100'],
    ])
    expect(summary).toBe('Table orders uses all that is provisioned: writes (20 at 02:27 UTC of 20).')
    expect(text).toContain('Throttled requests: PutItem 70, up to 1.17/s at 02:27 UTC.')
    expect(text).toContain('"No figures" does not mean 0')
    expect(blocks.find((one) => one.type === 'chart')).toMatchObject({
      points: expect.arrayContaining([
        { label: 'write, by CloudWatch', value: 20 },
        { label: 'write consumed', value: 19 },
      ]),
    })
  })

  it('is asked for whole minutes, by the table and its operations, and read to its last page', async () => {
    busy()
    cloudwatch.state.page = 2
    const { cells } = await look()
    expect(cells[1]?.slice(2, 4)).toEqual(['20 at 02:27 UTC', '120, up to 1.5/s at 02:27 UTC'])
    const sent = cloudwatch.sent('GetMetricData')
    expect(sent.length).toBe(4)
    const { StartTime, EndTime, MetricDataQueries } = sent[0]!.input
    expect([StartTime, EndTime]).toEqual(['02:07', '02:37'].map((at) => Date.parse(`2026-03-14T${at}:00Z`) / 1000))
    expect(JSON.stringify(MetricDataQueries)).toContain('"Period":60,"Stat":"Sum"')
  })

  it('is never 0 where there are no figures', async () => {
    const { summary, cells, text } = await look()
    expect(cells.map((row) => row.slice(2, 5))).toEqual(Array(2).fill(['no figures', 'no figures', 'not in the alert']))
    expect(text).toContain('CloudWatch has no figures of the last 30 minutes that could be read. That does not mean 0.')
    expect(summary).toMatch(/What is consumed is not known: CloudWatch has no figures\.$/)
  })

  it.each([
    [
      new Fault('AccessDeniedException', 'User: u is not authorized', 403),
      /could not be asked: cloudwatch:GetMetricData is missing/,
    ],
    [new Fault('InternalServiceError', 'The service failed.', 500), /could not be asked: /],
    [new Fault('InvalidParameterValueException', 'password=hunter22'), /could not be asked: password=\[secret\]/],
  ])('is said to be not asked where it cannot be, and the rest is shown: %s', async (fault, says) => {
    cloudwatch.refuse('GetMetricData', 99, fault)
    const { summary, cells, text } = await look({ throttledWrites: '5' })
    expect(text).toMatch(says)
    expect(text).toContain('That does not mean 0.')
    expect(cells[1]).toEqual(['Write', '20', 'not in the alert', '5', '100'])
    expect(summary).toMatch(/throttled 5 writes.*What is consumed is not known: CloudWatch could not be asked\.$/)
  })

  it('is told apart where it is not whole, failed, or is of a state that nobody knows', async () => {
    busy()
    cloudwatch.state.status = {
      'ConsumedWriteCapacityUnits orders': { StatusCode: 'PartialData' },
      'ConsumedReadCapacityUnits orders': { StatusCode: 'InternalError' },
      'ReadThrottleEvents orders': { StatusCode: 'Forbidden', Messages: [{ Code: 'No', Value: 'not yours' }] },
      'ThrottledRequests orders GetItem': { StatusCode: 'SOMETHING_NEW' },
    }
    cloudwatch.state.messages = [{ Code: 'Busy', Value: 'Maximum number of allowed metrics exceeded' }]
    cloudwatch.surprise()
    const { cells, text } = await look()
    expect(cells[0]?.slice(2, 4)).toEqual(['at least under 0.01 at 02:33 UTC', 'not read'])
    expect(cells[1]?.[2]).toBe('at least 20 at 02:27 UTC')
    expect(text).toContain(
      'could not read reads throttled, throttled GetItem (Forbidden: No: not yours; SOMETHING_NEW)',
    )
    expect(text).toContain('Not whole, there may be more: reads consumed, writes consumed.')
    expect(text).toContain('CloudWatch says: Busy: Maximum number of allowed metrics exceeded.')
  })

  it('is asked of each index too', async () => {
    dynamo.state.indexes = ['by-date']
    cloudwatch.state.points = {
      'ConsumedWriteCapacityUnits orders by-date': [[2, 300]],
      'WriteThrottleEvents orders by-date': [[2, 12]],
    }
    const { summary, blocks } = await look({ consumedWrite: '3' })
    expect(blocks.find((one) => one.type === 'table' && one.columns[0] === 'Index')).toMatchObject({
      rows: [
        [
          ...['by-date', 'ACTIVE', '5', '5', 'no figures', '5 at 02:35 UTC'],
          'reads no figures; writes 12, up to 0.2/s at 02:35 UTC',
        ],
      ],
    })
    expect(summary).toContain('Throttled as well: the index by-date.')
  })

  it('is looked at only where CloudWatch is', async () => {
    await world.close()
    world = worldOf()
    const { text, cells } = await look()
    expect(text).toContain('CloudWatch is not asked: the connection has an endpoint of its own')
    expect(cells[0]).toEqual(['Read', '10', 'not in the alert', 'not in the alert', '50'])
    expect(cloudwatch.calls).toEqual([])
  })

  it('names the most throttled keys, some and short, and no secrets', async () => {
    dynamo.state.insights = 'ENABLED'
    dynamo.state.rules = ['DynamoDBContributorInsights-PKC-orders-1', PKT]
    cloudwatch.state.rules[PKT] = {
      labels: ['customer'],
      keys: [
        [
          ['c-1'],
          [
            [3, 400],
            [2, 20],
          ],
        ],
        [[`AKIA${'A'.repeat(16)}`], [[3, 500]]],
        ...Array.from({ length: 9 }, (_, i): [string[], [number, number][]] => [
          [`${'x'.repeat(99)}${i}`],
          [[5, 9 - i]],
        ]),
      ],
    }
    const { text, blocks, all } = await look()
    expect(text).toContain(`the throttled ones in CloudWatch under ${PKT}`)
    const keys = blocks.find((one) => one.type === 'table' && one.columns[0] === 'Throttled key')
    expect(keys).toMatchObject({
      rows: expect.arrayContaining([
        ['[secret]', 'about 500', '02:34 UTC'],
        ['c-1', 'about 400', '02:34 UTC'],
        [`${'x'.repeat(60)}…`, 'about 9', '02:32 UTC'],
      ]),
    })
    expect(keys?.type === 'table' && keys.rows.length).toBe(5)
    expect(all).not.toContain('AKIA')
  })

  it('says so where the keys cannot be asked, or none is named', async () => {
    dynamo.state.insights = 'ENABLED'
    dynamo.state.rules = [PKT]
    cloudwatch.refuse('GetInsightRuleReport', 1, new Fault('AccessDeniedException', 'not authorized', 403))
    expect((await look()).text).toContain(
      'could not be asked of CloudWatch: cloudwatch:GetInsightRuleReport is missing.',
    )
    cloudwatch.state.rules[PKT] = { labels: ['id'], keys: [] }
    expect((await look()).text).toContain('It names no throttled key of the last 30 minutes.')
  })

  it.each(['throttled', 'unavailable', 'lost', 'partial', 'slow', 'extra', 'nulls', 'unknown'] as const)(
    'is the same on a bad day, or said to be not known: %s',
    async (mischief) => {
      busy()
      dynamo.state.insights = 'ENABLED'
      dynamo.state.rules = [PKT]
      cloudwatch.state.rules[PKT] = { labels: ['id'], keys: [[['c-1'], [[3, 400]]]] }
      const proxy = await startMischief(cloudwatch.endpoint, 'aws-json')
      try {
        await world.close()
        world = worldOf(proxy.url)
        const usual = await look()
        for (const shift of mischief === 'nulls' ? [0, 1, 2] : [0]) {
          proxy.play(mischief, { shift })
          const { all, cells, summary } = await look()
          if (mischief !== 'nulls' && mischief !== 'unknown') expect(all).toBe(usual.all)
          expect(`${summary}${all}`).not.toMatch(/undefined|NaN|null|Zod|Cannot read/)
          expect(cells.flat()).not.toContain('0')
        }
      } finally {
        await proxy.close()
      }
    },
  )
})
