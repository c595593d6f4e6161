import { z } from 'zod'
import type { EvidenceBlock } from '../../src/domain/command.ts'
import { defineRead } from '../../src/domain/command.ts'
import { dynamodb } from './connection.ts'
import { type Figure, type Figures, figuresOf } from './figures.ts'
import { summarise } from './judge.ts'
import { keysOf } from './keys.ts'
import { remarks, showEvents, showPeak } from './remarks.ts'
import { kindOf, targetsOf } from './scaling.ts'
import { ceilingOf, describe, monthly } from './table.ts'

const measured = (what: string) => z.coerce.number().min(0).optional().describe(what)

/** Shows a table's provisioned capacity beside what CloudWatch and the alert measured, its ceiling, its indexes and its throttled keys. */
export const throttling = defineRead({
  id: 'dynamodb.throttling',
  summary: 'Show the provisioned capacity of a table beside what is consumed and throttled',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('DynamoDB connection'),
    table: z.string().describe('Table'),
    consumedRead: measured('Read units consumed per second, as the alert measured them'),
    consumedWrite: measured('Write units consumed per second, as the alert measured them'),
    throttledReads: measured('Throttled reads, as the alert counted them'),
    throttledWrites: measured('Throttled writes, as the alert counted them'),
  }),
  async read(params, ctx) {
    const { client, settings } = await ctx.connect(dynamodb, params.connection)
    const ceiling = ceilingOf(settings, params.connection, params.table)
    const table = await describe(client.tables, params.table, ctx.signal)
    const names = table.indexes.map((index) => index.name)
    const { tables, scaling, cloudwatch } = client
    const [targets, keys, found] = await Promise.all([
      scaling ? targetsOf(scaling, params.table, names, ctx.signal) : [],
      keysOf(tables, cloudwatch, params.table, ctx.now(), ctx.signal),
      cloudwatch ? figuresOf(cloudwatch, params.table, names, ctx.now(), ctx.signal) : null,
    ])
    const figures: Figures | null = typeof found === 'string' ? null : found
    const { read, write } = table.units
    const given = (value: number | undefined) => (value === undefined ? 'not in the alert' : String(value))
    /** What CloudWatch measured, if it could be asked, and what the alert says. */
    const measured = (
      place: Figures['table'] | undefined,
      [consumed, throttled]: readonly [keyof Figures['table'], keyof Figures['table']],
    ) => {
      const says = [given(params[consumed]), given(params[throttled])]
      if (!place) return says
      const known = [params[consumed], params[throttled]].some((value) => value !== undefined)
      const alert = known ? `consumed: ${says[0]}; throttled: ${says[1]}` : says[0]!
      return [showPeak(place[consumed]), showEvents(place[throttled]), alert]
    }
    const provisioned = (units: number, max: number | null = null) =>
      table.onDemand ? `on demand${max === null ? '' : `, at most ${max}`}` : String(units)
    const blocks: EvidenceBlock[] = [
      {
        type: 'table',
        columns: [
          ...['Units/s', 'Provisioned'],
          ...(figures ? ['Consumed at most', 'Throttled', 'The alert says'] : ['Consumed', 'Throttled']),
          'Ceiling',
        ],
        rows: [
          [
            'Read',
            provisioned(read, table.onDemandMax.read),
            ...measured(figures?.table, ['consumedRead', 'throttledReads']),
            String(ceiling.read),
          ],
          [
            'Write',
            provisioned(write, table.onDemandMax.write),
            ...measured(figures?.table, ['consumedWrite', 'throttledWrites']),
            String(ceiling.write),
          ],
        ],
        omitted: 0,
      },
      {
        type: 'text',
        text: [
          `Status ${table.status}; ${table.onDemand ? 'on-demand billing' : `about $${monthly(settings, table.units).toFixed(2)} a month (${settings.priceSource})`}.`,
          `Last increase ${table.lastIncrease}; last decrease ${table.lastDecrease}.`,
          // "Service, account, and table quotas in Amazon DynamoDB", decreases of provisioned throughput.
          ...(table.onDemand
            ? []
            : [
                `Decreases today: ${table.decreasesToday}. Four are allowed at any time of a day (UTC), then one for each hour without one.`,
              ]),
          ...(figures
            ? [remarks(figures)]
            : [
                typeof found === 'string'
                  ? `CloudWatch could not be asked: ${found}. That does not mean 0.`
                  : 'CloudWatch is not asked: the connection has an endpoint of its own, and no cloudwatchEndpoint.',
              ]),
          keys.text,
          ...(table.replicas.length > 0 ? [`Global table, replicas in ${table.replicas.join(', ')}.`] : []),
        ].join('\n'),
      },
    ]
    if (table.indexes.length > 0)
      blocks.push({
        type: 'table',
        columns: [
          'Index',
          'Status',
          'Read',
          'Write',
          ...(figures ? ['Read at most', 'Write at most', 'Throttled'] : []),
        ],
        rows: table.indexes.map((i) => [
          i.name,
          i.status,
          provisioned(i.read, i.onDemandMax.read),
          provisioned(i.write, i.onDemandMax.write),
          ...(figures ? ofIndex(figures.indexes[i.name]!) : []),
        ]),
        omitted: 0,
      })
    if (targets === null)
      blocks.push({
        type: 'text',
        text: 'Auto scaling cannot be looked up (application-autoscaling:DescribeScalableTargets is missing).',
      })
    else if (targets.length > 0)
      blocks.push({
        type: 'table',
        columns: ['Auto scaling of', 'Units', 'Minimum', 'Maximum', 'Scaling out'],
        rows: targets.map((t) => [
          t.resource,
          kindOf(t.dimension),
          String(t.min),
          String(t.max),
          t.suspended ? 'suspended' : 'on',
        ]),
        omitted: 0,
      })
    if (keys.block) blocks.push(keys.block)
    const peak = (one: Figure | undefined) => (one?.kind === 'figures' ? Math.round(one.peak * 100) / 100 : undefined)
    const points = [
      { label: 'read provisioned', value: read },
      { label: 'read, by CloudWatch', value: peak(figures?.table.consumedRead) },
      { label: 'read consumed', value: params.consumedRead },
      { label: 'write provisioned', value: write },
      { label: 'write, by CloudWatch', value: peak(figures?.table.consumedWrite) },
      { label: 'write consumed', value: params.consumedWrite },
    ].filter((point): point is { label: string; value: number } => point.value !== undefined)
    if (!table.onDemand && points.length > 2)
      blocks.push({ type: 'chart', title: `Capacity of ${params.table}`, unit: 'units/s', points })
    return { summary: summarise(params, table, found), blocks }
  },
})

const ofIndex = (place: Figures['table']): string[] => [
  showPeak(place.consumedRead),
  showPeak(place.consumedWrite),
  `reads ${showEvents(place.throttledReads)}; writes ${showEvents(place.throttledWrites)}`,
]
