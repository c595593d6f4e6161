import { DescribeContributorInsightsCommand, type DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { z } from 'zod'
import type { EvidenceBlock } from '../../src/domain/command.ts'
import { defineRead } from '../../src/domain/command.ts'
import { codeOf, statusOf } from '../aws/refusals.ts'
import { dynamodb } from './connection.ts'
import { kindOf, targetsOf } from './scaling.ts'
import { ceilingOf, describe, monthly, type Table } from './table.ts'

const measured = (what: string) => z.coerce.number().min(0).optional().describe(what)

/** Shows a table's provisioned capacity beside what the alert measured, its ceiling, and its indexes. */
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
    const [targets, insights] = await Promise.all([
      client.scaling ? targetsOf(client.scaling, params.table, names, ctx.signal) : [],
      insightsOf(client.tables, params.table, ctx.signal),
    ])
    const { read, write } = table.units
    const given = (value: number | undefined) => (value === undefined ? 'not in the alert' : String(value))
    const provisioned = (units: number, max: number | null = null) =>
      table.onDemand ? `on demand${max === null ? '' : `, at most ${max}`}` : String(units)
    const blocks: EvidenceBlock[] = [
      {
        type: 'table',
        columns: ['Units/s', 'Provisioned', 'Consumed', 'Throttled', 'Ceiling'],
        rows: [
          [
            'Read',
            provisioned(read, table.onDemandMax.read),
            given(params.consumedRead),
            given(params.throttledReads),
            String(ceiling.read),
          ],
          [
            'Write',
            provisioned(write, table.onDemandMax.write),
            given(params.consumedWrite),
            given(params.throttledWrites),
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
          insights,
          ...(table.replicas.length > 0 ? [`Global table, replicas in ${table.replicas.join(', ')}.`] : []),
        ].join('\n'),
      },
    ]
    if (table.indexes.length > 0)
      blocks.push({
        type: 'table',
        columns: ['Index', 'Status', 'Read', 'Write'],
        rows: table.indexes.map((i) => [
          i.name,
          i.status,
          provisioned(i.read, i.onDemandMax.read),
          provisioned(i.write, i.onDemandMax.write),
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
    const points = [
      { label: 'read provisioned', value: read },
      { label: 'read consumed', value: params.consumedRead },
      { label: 'write provisioned', value: write },
      { label: 'write consumed', value: params.consumedWrite },
    ].filter((point): point is { label: string; value: number } => point.value !== undefined)
    if (!table.onDemand && points.length > 2)
      blocks.push({ type: 'chart', title: `Capacity of ${params.table}`, unit: 'units/s', points })
    return { summary: summarise(params, table), blocks }
  },
})

type Measured = Readonly<{
  table: string
  consumedRead?: number
  consumedWrite?: number
  throttledReads?: number
  throttledWrites?: number
}>

/** Writes and reads a second that one partition takes: "DynamoDB burst and adaptive capacity". */
const PARTITION = { read: 3_000, write: 1_000 }

function summarise(m: Measured, { onDemand, onDemandMax, units }: Table): string {
  const name = `Table ${m.table}`
  if (onDemand) {
    const max = onDemandMax.write
    if (max === null) return `${name} is billed on demand: there is no provisioned capacity to raise.`
    const reached = m.consumedWrite !== undefined && m.consumedWrite >= max
    return `${name} is billed on demand, with a maximum of its own of ${max} write units a second${reached ? `, which is reached (${m.consumedWrite})` : ''}. Its owner can raise it.`
  }
  const over = [
    m.consumedRead !== undefined && m.consumedRead >= units.read ? `reads (${m.consumedRead} of ${units.read})` : '',
    m.consumedWrite !== undefined && m.consumedWrite >= units.write
      ? `writes (${m.consumedWrite} of ${units.write})`
      : '',
  ].filter(Boolean)
  if (over.length > 0) return `${name} uses all that is provisioned: ${over.join(' and ')}.`
  const throttled = [
    m.throttledReads ? `${m.throttledReads} reads` : '',
    m.throttledWrites ? `${m.throttledWrites} writes` : '',
  ].filter(Boolean)
  // Well below what is provisioned, and throttled all the same: one key, or one partition, takes it all.
  const hot = (['read', 'write'] as const).filter((kind) => {
    const [consumed, refused] =
      kind === 'read' ? [m.consumedRead, m.throttledReads] : [m.consumedWrite, m.throttledWrites]
    return consumed !== undefined && (refused ?? 0) > 0 && consumed < units[kind] / 2
  })
  const hint =
    hot.length > 0
      ? ` Less than half of that is used: a hot key or an index holds it back. A partition takes ${hot.map((kind) => `${PARTITION[kind]} ${kind} units`).join(' and ')} a second, however much is provisioned.`
      : ''
  if (throttled.length > 0)
    return `${name} throttled ${throttled.join(' and ')}; ${units.read} read and ${units.write} write units are provisioned.${hint}`
  return `${name} has ${units.read} read and ${units.write} write units provisioned.`
}

/** Whether Contributor Insights counts the keys of a table, as one sentence. */
async function insightsOf(client: DynamoDBClient, TableName: string, abortSignal: AbortSignal): Promise<string> {
  try {
    const found = await client.send(new DescribeContributorInsightsCommand({ TableName }), { abortSignal })
    const status = found.ContributorInsightsStatus
    if (status === 'ENABLED')
      return `Contributor Insights counts its keys: the hottest are in CloudWatch under ${found.ContributorInsightsRuleList?.join(', ') || 'Contributor Insights'}.`
    return `Contributor Insights is ${status === 'DISABLED' || status === undefined ? 'off' : status}: which keys are hot is not counted.`
  } catch (error) {
    if (abortSignal.aborted) throw error
    return statusOf(error) === 403 || /AccessDenied/.test(codeOf(error))
      ? 'Hot keys: Contributor Insights cannot be looked up (dynamodb:DescribeContributorInsights is missing).'
      : 'Hot keys: Contributor Insights does not answer.'
  }
}
