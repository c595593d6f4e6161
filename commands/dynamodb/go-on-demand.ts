import { z } from 'zod'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { dynamodb } from './connection.ts'
import { changing } from './rights.ts'
import { settle } from './settle.ts'
import { ceilingOf, describe, HOURS_PER_MONTH, monthly, show, type Table, type Units } from './table.ts'
import { update } from './update.ts'

type Data = Readonly<{
  connection: string
  table: string
  id: string
  arn: string
  max: Units
}>

/** Bills a table on demand, with the connection's ceilings as its maximum, and waits until it is ACTIVE again. */
export const goOnDemand = defineChange({
  id: 'dynamodb.go-on-demand',
  summary: 'Bill a provisioned table on demand, with a maximum',
  effect: 'idempotent',
  risk: 'high',
  // The switch takes DynamoDB minutes, for a large table many: developer guide, "Considerations when switching capacity modes".
  runMinutes: 120,
  params: z.object({
    connection: z.string().describe('DynamoDB connection'),
    table: z.string().describe('Table'),
  }),
  async plan({ connection, table: name }, ctx) {
    const { client, settings } = await ctx.connect(dynamodb, connection)
    const max = ceilingOf(settings, connection, name)
    if (!settings.tables[name]?.onDemand)
      throw new Refused(
        `The connection "${connection}" does not let ${name} be billed on demand. Its owner sets "onDemand".`,
      )
    const table = await describe(client.tables, name, ctx.signal)
    if (table.onDemand) throw new Refused(`${name} is billed on demand already. Nothing to do.`)
    if (table.status !== 'ACTIVE') throw new Refused(`${name} is ${table.status}; wait until it is ACTIVE.`)
    if (table.units.read > max.read || table.units.write > max.write)
      throw new Refused(
        `${name} has ${show(table.units)} units, more than its ceiling of ${show(max)}: it would get less.`,
      )
    const indexes = table.indexes.map((index) => index.name)
    return {
      summary: `Bill ${name} on demand, at most ${show(max)} units a second`,
      targets: [
        {
          id: `dynamodb:${connection}/${name}`,
          name,
          fingerprint: [table.id, table.status, table.units.read, table.units.write, ...indexes].join(' '),
          details: {
            Provisioned: show(table.units),
            'Cost now': `$${monthly(settings, table.units).toFixed(2)} a month of ${HOURS_PER_MONTH} h (${settings.priceSource})`,
            'At most': `${show(max)} units a second`,
          },
        },
      ],
      steps: [
        {
          id: 'switch',
          title: 'Bill it on demand',
          detail: `UpdateTable ${name} BillingMode=PAY_PER_REQUEST MaxReadRequestUnits=${max.read} MaxWriteRequestUnits=${max.write}`,
        },
        {
          id: 'wait',
          title: 'Wait until the table is ACTIVE',
          detail: `DescribeTable ${name} every ${settings.pollSeconds} s`,
        },
      ],
      warnings: [
        'Each request is paid from now on. Its owner goes back to provisioned capacity when the load is over.',
        'A table can go on demand four times in 24 hours. A hot key is throttled on demand as well.',
        ...(indexes.length > 0 ? [`Its indexes (${indexes.join(', ')}) have no maximum of their own.`] : []),
        ...(table.replicas.length > 0
          ? [`A global table: its replicas (${table.replicas.join(', ')}) go on demand, too.`]
          : []),
      ],
      data: { connection, table: name, id: table.id, arn: table.arn, max } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const { client, settings } = await ctx.connect(
      dynamodb,
      data.connection,
      data.arn ? changing(data.arn, false) : undefined,
    )
    const OnDemandThroughput = { MaxReadRequestUnits: data.max.read, MaxWriteRequestUnits: data.max.write }
    await ctx.step('switch', async () => {
      const now = await describe(client.tables, data.table, ctx.signal)
      if (now.id !== data.id) throw new Refused(`${data.table} is another table than the one that was approved.`)
      if (isDone(now, data)) return 'already on demand'
      if (now.status !== 'ACTIVE' || now.onDemand)
        throw new Refused(
          `${data.table} is ${now.status}${now.onDemand ? ' and on demand with another maximum' : ''} now.`,
        )
      const input = { TableName: data.table, BillingMode: 'PAY_PER_REQUEST' as const, OnDemandThroughput }
      await update(client.tables, input, ctx.signal)
      return 'sent'
    })
    await ctx.step('wait', () =>
      settle(
        client,
        settings,
        { table: data.table, isDone: (now) => isDone(now, data), isBefore: (now) => !now.onDemand, show: billing },
        ctx,
      ),
    )
    return `${data.table} is billed on demand now, at most ${show(data.max)} units a second.`
  },
  async verify({ data }, ctx) {
    const { client } = await ctx.connect(dynamodb, data.connection)
    const now = await describe(client.tables, data.table, ctx.signal)
    return [
      {
        title: 'The table is billed on demand, with the approved maximum',
        ok: isDone(now, data),
        detail: billing(now),
      },
      { title: 'The table is ACTIVE', ok: now.status === 'ACTIVE', detail: now.status },
    ]
  },
  async probe({ data }, step, ctx) {
    const { client } = await ctx.connect(dynamodb, data.connection)
    const now = await describe(client.tables, data.table, ctx.signal)
    const detail = `${data.table} is ${now.status}: ${billing(now)}`
    const done = now.id === data.id && isDone(now, data)
    if (step === 'wait') return { landed: done && now.status === 'ACTIVE' ? 'yes' : 'no', detail }
    if (done) return { landed: 'yes', detail }
    return { landed: now.id === data.id && now.status === 'ACTIVE' && !now.onDemand ? 'no' : 'cannot_tell', detail }
  },
})

const isDone = (now: Table, { max }: Data): boolean =>
  now.onDemand && now.onDemandMax.read === max.read && now.onDemandMax.write === max.write
const billing = (now: Table): string =>
  now.onDemand
    ? `on demand, at most ${now.onDemandMax.read ?? 'any'} read, ${now.onDemandMax.write ?? 'any'} write`
    : `${show(now.units)} units provisioned`
