import { setTimeout as wait } from 'node:timers/promises'
import { ResourceInUseException, UpdateTableCommand } from '@aws-sdk/client-dynamodb'
import { z } from 'zod'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { answered } from '../aws/answered.ts'
import { dynamodb } from './connection.ts'
import type { Table, Units } from './table.ts'
import { ceilingOf, describe, HOURS_PER_MONTH, monthly, same, show } from './table.ts'

type Data = Readonly<{ connection: string; table: string; id: string; from: Units; to: Units }>

/** DescribeTable is eventually consistent: for a few looks the table may still seem untouched. */
const STALE_LOOKS = 15

const units = z.coerce.number().int().min(1)

/** Raises the provisioned capacity of one table up to its ceiling, and waits until the table is ACTIVE again. */
export const setCapacity = defineChange({
  id: 'dynamodb.set-capacity',
  summary: 'Raise the provisioned capacity of a table, up to its ceiling',
  effect: 'idempotent',
  risk: 'medium',
  params: z.object({
    connection: z.string().describe('DynamoDB connection'),
    table: z.string().describe('Table'),
    write: units.describe('Write units per second'),
    read: units.optional().describe('Read units per second; empty keeps them'),
  }),
  async plan({ connection, table: name, read, write }, ctx) {
    const { client, settings } = await ctx.connect(dynamodb, connection)
    const ceiling = ceilingOf(settings, connection, name)
    const table = await describe(client, name, ctx.signal)
    const from = table.units
    const to: Units = { read: read ?? from.read, write }
    refuseUnlessRaise(name, table, to, ceiling)
    const cost = monthly(settings, to) - monthly(settings, from)
    const warnings = table.indexes
      .filter((index) => index.write < to.write)
      .map(
        (i) =>
          `The index ${i.name} has ${i.write} write units: when it cannot keep up, writes to the table are throttled too.`,
      )
    if (table.replicas.length > 0)
      warnings.push(`A global table: the write units are paid in each replica (${table.replicas.join(', ')}) as well.`)
    warnings.push('If Application Auto Scaling manages this table, it may change the capacity again.')
    return {
      summary: `Set the capacity of ${name} from ${show(from)} to ${show(to)} units`,
      targets: [
        {
          id: `dynamodb:${connection}/${name}`,
          name,
          fingerprint: [table.id, table.status, from.read, from.write, table.lastIncrease, table.lastDecrease].join(
            ' ',
          ),
          details: {
            Status: table.status,
            Read: `${from.read} → ${to.read} (ceiling ${ceiling.read})`,
            Write: `${from.write} → ${to.write} (ceiling ${ceiling.write})`,
            'Cost of the change': `+$${cost.toFixed(2)} a month of ${HOURS_PER_MONTH} h, $${monthly(settings, from).toFixed(2)} → $${monthly(settings, to).toFixed(2)}`,
            'Price from': settings.priceSource,
            'Last increase': table.lastIncrease,
            'Last decrease': table.lastDecrease,
          },
        },
      ],
      steps: [
        {
          id: 'update',
          title: 'Set the capacity',
          detail: `UpdateTable ${name} ReadCapacityUnits=${to.read} WriteCapacityUnits=${to.write}`,
        },
        {
          id: 'wait',
          title: 'Wait until the table is ACTIVE',
          detail: `DescribeTable ${name} every ${settings.pollSeconds} s`,
        },
      ],
      warnings,
      data: { connection, table: name, id: table.id, from, to } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const { client, settings } = await ctx.connect(dynamodb, data.connection)
    await ctx.step('update', async () => {
      const now = await describe(client, data.table, ctx.signal)
      if (now.id !== data.id) throw new Refused(`${data.table} is another table than the one that was approved.`)
      if (same(now.units, data.to)) return 'already set'
      if (now.status !== 'ACTIVE' || !same(now.units, data.from))
        throw new Refused(
          `${data.table} is ${now.status} with ${show(now.units)} units now; approved was a change from ${show(data.from)}.`,
        )
      const ProvisionedThroughput = { ReadCapacityUnits: data.to.read, WriteCapacityUnits: data.to.write }
      try {
        await answered(`UpdateTable ${data.table}`, ctx.signal, () =>
          client.send(new UpdateTableCommand({ TableName: data.table, ProvisionedThroughput }), {
            abortSignal: ctx.signal,
          }),
        )
      } catch (error) {
        // The SDK sent it again after a lost reply, or somebody was faster; the wait tells which.
        if (!(error instanceof ResourceInUseException)) throw error
      }
      return 'sent'
    })
    await ctx.step('wait', async () => {
      let began = false
      for (let looks = 1; ; looks++) {
        const now = await describe(client, data.table, ctx.signal)
        if (now.status === 'ACTIVE' && same(now.units, data.to)) return show(now.units)
        if (now.status === 'ACTIVE' && !same(now.units, data.from))
          throw new Error(`${data.table} has ${show(now.units)} units: somebody else changed it meanwhile.`)
        if (now.status === 'ACTIVE' && (began || looks >= STALE_LOOKS))
          throw new Error(`${data.table} is ACTIVE and still has ${show(now.units)} units: the change was not taken.`)
        began ||= now.status !== 'ACTIVE'
        ctx.progress(1, 2, `${data.table} is ${now.status} (look ${looks})`)
        await wait(settings.pollSeconds * 1000, undefined, { signal: ctx.signal })
      }
    })
    return `${data.table} has ${show(data.to)} units now, before it had ${show(data.from)}.`
  },
  async verify({ data }, ctx) {
    const { client } = await ctx.connect(dynamodb, data.connection)
    const now = await describe(client, data.table, ctx.signal)
    return [
      { title: 'The provisioned capacity is the approved one', ok: same(now.units, data.to), detail: show(now.units) },
      { title: 'The table is ACTIVE', ok: now.status === 'ACTIVE', detail: now.status },
    ]
  },
  async probe({ data }, step, ctx) {
    const { client } = await ctx.connect(dynamodb, data.connection)
    const now = await describe(client, data.table, ctx.signal)
    const detail = `${data.table} is ${now.status} with ${show(now.units)} units`
    const isSet = now.id === data.id && same(now.units, data.to)
    if (step === 'wait') return { landed: isSet && now.status === 'ACTIVE' ? 'yes' : 'no', detail }
    if (isSet) return { landed: 'yes', detail }
    // While a table is UPDATING it still shows the old units, whoever changes it.
    const untouched = now.id === data.id && now.status === 'ACTIVE' && same(now.units, data.from)
    return { landed: untouched ? 'no' : 'cannot_tell', detail }
  },
})

function refuseUnlessRaise(name: string, table: Table, to: Units, ceiling: Units): void {
  const from = table.units
  if (table.onDemand) throw new Refused(`${name} is billed on demand: it has no provisioned capacity to set.`)
  if (table.status !== 'ACTIVE')
    throw new Refused(`${name} is ${table.status}; its capacity can be changed when it is ACTIVE again.`)
  for (const kind of ['read', 'write'] as const) {
    if (to[kind] < from[kind])
      throw new Refused(`${name} has ${from[kind]} ${kind} units; this command does not lower them to ${to[kind]}.`)
    if (to[kind] > from[kind] && to[kind] > ceiling[kind])
      throw new Refused(
        `${to[kind]} ${kind} units are above the ceiling of ${ceiling[kind]} for ${name}. Ask the owner of the connection to raise it.`,
      )
  }
  if (same(from, to)) throw new Refused(`${name} already has ${show(to)} units. Nothing to do.`)
}
