import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import { dynamodb } from './connection.ts'
import { changing } from './rights.ts'
import { kindOf, type Move, move, moveOf, targetsOf, unitsOf } from './scaling.ts'
import { settle } from './settle.ts'
import { ceilingOf, describe, HOURS_PER_MONTH, monthly, same, show, type Table, type Units } from './table.ts'
import { update } from './update.ts'

/** An index that gets other units. */
type Raised = Readonly<{ name: string; from: Units; to: Units }>
type Data = Readonly<{
  connection: string
  table: string
  id: string
  arn: string
  from: Units
  to: Units
  indexes: readonly Raised[]
  moves: readonly Move[]
}>

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
    indexes: z.enum(['keep', 'raise']).default('keep').describe('Indexes with fewer write units: keep or raise them'),
    minimum: z.enum(['keep', 'raise']).default('keep').describe('Minimum of auto scaling: keep it, or raise it too'),
  }),
  async plan({ connection, table: name, read, write, indexes, minimum }, ctx) {
    const { client, settings } = await ctx.connect(dynamodb, connection)
    const ceiling = ceilingOf(settings, connection, name)
    const table = await describe(client.tables, name, ctx.signal)
    const from = table.units
    const to: Units = { read: read ?? from.read, write }
    const raised: Raised[] = table.indexes
      .filter((index) => indexes === 'raise' && index.write < write)
      .map(({ name: own, read: kept, write: before }) => ({
        name: own,
        from: { read: kept, write: before },
        to: { read: kept, write },
      }))
    refuseUnlessRaise(name, table, to, ceiling, raised)
    const warnings = table.indexes
      .filter((index) => index.write < write && !raised.some((one) => one.name === index.name))
      .map(
        (i) =>
          `The index ${i.name} has ${i.write} write units: when it cannot keep up, writes to the table are throttled too.`,
      )
    if (table.replicas.length > 0)
      warnings.push(`A global table: the write units are paid in each replica (${table.replicas.join(', ')}) as well.`)
    const names = raised.map((one) => one.name)
    const targets = client.scaling ? await targetsOf(client.scaling, name, names, ctx.signal) : []
    if (!client.scaling)
      warnings.push('If Application Auto Scaling manages this table, it may change the capacity again.')
    if (targets === null)
      warnings.push(
        'Whether auto scaling manages this table cannot be looked up (application-autoscaling:DescribeScalableTargets is missing). If so, it may put the capacity back below its own maximum.',
      )
    const wanted = { table: name, units: to, indexes: raised.map((one) => ({ name: one.name, ...one.to })) }
    const moves = (targets ?? []).flatMap(
      (target) => moveOf(target, unitsOf(wanted, target), minimum === 'raise') ?? [],
    )
    for (const target of targets ?? []) {
      const kind = kindOf(target.dimension)
      const place = `${target.resource}, ${kind}`
      const moved = moves.find((one) => one.resource === target.resource && one.dimension === target.dimension)
      const min = moved?.to.min ?? target.min
      if (min < unitsOf(wanted, target)[kind])
        warnings.push(
          `Auto scaling (${place}) lowers it again to as little as ${min} units when less is consumed${target.suspended ? ', and its scaling out is suspended' : ''}.`,
        )
      else if (moved && moved.to.min > moved.from.min)
        warnings.push(`Auto scaling (${place}) keeps at least ${min} units until its owner lowers the minimum again.`)
    }
    const all = (pick: 'from' | 'to') =>
      monthly(settings, pick === 'from' ? from : to) +
      raised.reduce((sum, one) => sum + monthly(settings, one[pick]), 0)
    const gains = raised.map((one) => `, the index ${one.name} to ${one.to.write} write`).join('')
    return {
      summary: `Set the capacity of ${name} from ${show(from)} to ${show(to)} units${gains}`,
      targets: [
        {
          id: `dynamodb:${connection}/${name}`,
          name,
          fingerprint: [
            ...[table.id, table.status, from.read, from.write, table.lastIncrease, table.lastDecrease],
            ...raised.map((one) => `${one.name}=${one.from.write}`),
            ...(targets ?? []).map((one) => `${one.resource} ${one.dimension}=${one.min}-${one.max}`),
          ].join(' '),
          details: {
            Status: table.status,
            Read: `${from.read} → ${to.read} (ceiling ${ceiling.read})`,
            Write: `${from.write} → ${to.write} (ceiling ${ceiling.write})`,
            ...Object.fromEntries(
              raised.map((one) => [`Index ${one.name}`, `${one.from.write} → ${one.to.write} write`]),
            ),
            'Cost of the change': `+$${(all('to') - all('from')).toFixed(2)} a month of ${HOURS_PER_MONTH} h, $${all('from').toFixed(2)} → $${all('to').toFixed(2)}`,
            'Price from': settings.priceSource,
            'Last increase': table.lastIncrease,
            'Last decrease': `${table.lastDecrease}; ${table.decreasesToday} today`,
          },
        },
      ],
      steps: [
        ...(moves.length > 0
          ? [
              {
                id: 'scaling',
                title: 'Let auto scaling keep it',
                detail: moves
                  .map(
                    (one) =>
                      `RegisterScalableTarget ${one.resource} ${one.dimension} ${one.from.min}–${one.from.max} → ${one.to.min}–${one.to.max}`,
                  )
                  .join('\n'),
              },
            ]
          : []),
        {
          id: 'update',
          title: 'Set the capacity',
          detail: [
            `UpdateTable ${name} ReadCapacityUnits=${to.read} WriteCapacityUnits=${to.write}`,
            ...raised.map(
              (one) => `index ${one.name} ReadCapacityUnits=${one.to.read} WriteCapacityUnits=${one.to.write}`,
            ),
          ].join('\n'),
        },
        {
          id: 'wait',
          title: 'Wait until the table is ACTIVE',
          detail: `DescribeTable ${name} every ${settings.pollSeconds} s`,
        },
      ],
      warnings,
      data: { connection, table: name, id: table.id, arn: table.arn, from, to, indexes: raised, moves } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const { client, settings } = await ctx.connect(
      dynamodb,
      data.connection,
      data.arn ? changing(data.arn, data.moves.length > 0) : undefined,
    )
    if (data.moves.length > 0)
      await ctx.step('scaling', async () => {
        for (const one of data.moves) await move(client.scaling!, data.table, one, ctx.signal)
        return data.moves.length
      })
    await ctx.step('update', async () => {
      const now = await describe(client.tables, data.table, ctx.signal)
      if (now.id !== data.id) throw new Refused(`${data.table} is another table than the one that was approved.`)
      if (isSet(now, data)) return 'already set'
      if (now.status !== 'ACTIVE' || !isUntouched(now, data))
        throw new Refused(
          `${data.table} is ${now.status} with ${show(now.units)} units now; approved was a change from ${show(data.from)}.`,
        )
      const throughput = (of: Units) => ({ ReadCapacityUnits: of.read, WriteCapacityUnits: of.write })
      const input = {
        TableName: data.table,
        ...(!same(now.units, data.to) && { ProvisionedThroughput: throughput(data.to) }),
        ...(data.indexes.length > 0 && {
          GlobalSecondaryIndexUpdates: data.indexes.map(({ name: IndexName, to }) => ({
            Update: { IndexName, ProvisionedThroughput: throughput(to) },
          })),
        }),
      }
      await update(client.tables, input, ctx.signal)
      return 'sent'
    })
    await ctx.step('wait', () =>
      settle(
        client,
        settings,
        {
          table: data.table,
          isDone: (now) => isSet(now, data),
          isBefore: (now) => isUntouched(now, data),
          show: (now) => `${show(now.units)} units`,
        },
        ctx,
      ),
    )
    return `${data.table} has ${show(data.to)} units now, before it had ${show(data.from)}.`
  },
  async verify({ data }, ctx) {
    const now = await look(data, ctx)
    return [
      { title: 'The provisioned capacity is the approved one', ok: same(now.units, data.to), detail: show(now.units) },
      { title: 'The table is ACTIVE', ok: now.status === 'ACTIVE', detail: now.status },
      ...data.indexes.map((one) => {
        const index = now.indexes.find(({ name }) => name === one.name)
        return {
          title: `The index ${one.name} has ${one.to.write} write units`,
          ok: index !== undefined && index.status === 'ACTIVE' && same(index, one.to),
          detail: index ? `${show(index)}, ${index.status}` : 'it is gone',
        }
      }),
    ]
  },
  async probe({ data }, step, ctx) {
    if (step === 'scaling') {
      const { client } = await ctx.connect(dynamodb, data.connection)
      const names = data.indexes.map((one) => one.name)
      const targets = client.scaling ? await targetsOf(client.scaling, data.table, names, ctx.signal) : null
      const is = (one: Move, pick: 'from' | 'to') =>
        targets?.some(
          (t) =>
            t.resource === one.resource &&
            t.dimension === one.dimension &&
            t.min === one[pick].min &&
            t.max === one[pick].max,
        )
      const detail = `auto scaling is ${targets?.map((t) => `${t.resource} ${t.min}–${t.max}`).join(', ') ?? 'not to be seen'}`
      if (data.moves.every((one) => is(one, 'to'))) return { landed: 'yes', detail }
      return { landed: data.moves.every((one) => is(one, 'from')) ? 'no' : 'cannot_tell', detail }
    }
    const now = await look(data, ctx)
    const detail = `${data.table} is ${now.status} with ${show(now.units)} units`
    const done = now.id === data.id && isSet(now, data)
    if (step === 'wait') return { landed: done && now.status === 'ACTIVE' ? 'yes' : 'no', detail }
    if (done) return { landed: 'yes', detail }
    // While a table is UPDATING it still shows the old units, whoever changes it.
    const untouched = now.id === data.id && now.status === 'ACTIVE' && isUntouched(now, data)
    return { landed: untouched ? 'no' : 'cannot_tell', detail }
  },
})

async function look(data: Data, ctx: ReadContext): Promise<Table> {
  const { client } = await ctx.connect(dynamodb, data.connection)
  return describe(client.tables, data.table, ctx.signal)
}

const isAt = (now: Table, data: Data, pick: 'from' | 'to') =>
  same(now.units, data[pick]) &&
  data.indexes.every((one) => now.indexes.some(({ name, ...own }) => name === one.name && same(own, one[pick])))
const isSet = (now: Table, data: Data) => isAt(now, data, 'to')
const isUntouched = (now: Table, data: Data) => isAt(now, data, 'from')

function refuseUnlessRaise(name: string, table: Table, to: Units, ceiling: Units, raised: readonly Raised[]): void {
  const from = table.units
  if (table.onDemand) {
    const { write } = table.onDemandMax
    throw new Refused(
      `${name} is billed on demand: it has no provisioned capacity to set.${write === null ? '' : ` Its own maximum is ${write} write units a second; its owner can raise that.`}`,
    )
  }
  if (table.status !== 'ACTIVE')
    throw new Refused(`${name} is ${table.status}; its capacity can be changed when it is ACTIVE again.`)
  const busy = table.indexes.find((index) => index.status !== 'ACTIVE')
  if (busy) throw new Refused(`The index ${busy.name} of ${name} is ${busy.status}; wait until it is ACTIVE.`)
  for (const kind of ['read', 'write'] as const) {
    if (to[kind] < from[kind])
      throw new Refused(`${name} has ${from[kind]} ${kind} units; this command does not lower them to ${to[kind]}.`)
    if (to[kind] > from[kind] && to[kind] > ceiling[kind])
      throw new Refused(
        `${to[kind]} ${kind} units are above the ceiling of ${ceiling[kind]} for ${name}. Ask the owner of the connection to raise it.`,
      )
  }
  if (raised.some((one) => one.to.write > ceiling.write))
    throw new Refused(`${to.write} write units are above the ceiling of ${ceiling.write} for the indexes of ${name}.`)
  if (same(from, to) && raised.length === 0) throw new Refused(`${name} already has ${show(to)} units. Nothing to do.`)
}
