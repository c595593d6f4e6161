import { z } from 'zod'
import type { EvidenceBlock } from '../../src/domain/command.ts'
import { defineRead } from '../../src/domain/command.ts'
import { dynamodb } from './connection.ts'
import { ceilingOf, describe, monthly } from './table.ts'

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
    const table = await describe(client, params.table, ctx.signal)
    const { read, write } = table.units
    const given = (value: number | undefined) => (value === undefined ? 'not in the alert' : String(value))
    const provisioned = (units: number) => (table.onDemand ? 'on demand' : String(units))
    const blocks: EvidenceBlock[] = [
      {
        type: 'table',
        columns: ['Units/s', 'Provisioned', 'Consumed', 'Throttled', 'Ceiling'],
        rows: [
          ['Read', provisioned(read), given(params.consumedRead), given(params.throttledReads), String(ceiling.read)],
          [
            'Write',
            provisioned(write),
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
          ...(table.replicas.length > 0 ? [`Global table, replicas in ${table.replicas.join(', ')}.`] : []),
        ].join('\n'),
      },
    ]
    if (table.indexes.length > 0)
      blocks.push({
        type: 'table',
        columns: ['Index', 'Status', 'Read', 'Write'],
        rows: table.indexes.map((i) => [i.name, i.status, provisioned(i.read), provisioned(i.write)]),
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
    return { summary: summarise(params, table.onDemand, table.units), blocks }
  },
})

type Measured = Readonly<{
  table: string
  consumedRead?: number
  consumedWrite?: number
  throttledReads?: number
  throttledWrites?: number
}>

function summarise(m: Measured, onDemand: boolean, units: { read: number; write: number }): string {
  const name = `Table ${m.table}`
  if (onDemand) return `${name} is billed on demand: there is no provisioned capacity to raise.`
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
  if (throttled.length > 0)
    return `${name} throttled ${throttled.join(' and ')}; ${units.read} read and ${units.write} write units are provisioned.`
  return `${name} has ${units.read} read and ${units.write} write units provisioned.`
}
