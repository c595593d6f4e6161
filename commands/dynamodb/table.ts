import type {
  DynamoDBClient,
  OnDemandThroughput,
  ProvisionedThroughputDescription,
  TableDescription,
} from '@aws-sdk/client-dynamodb'
import { DescribeTableCommand, ResourceNotFoundException } from '@aws-sdk/client-dynamodb'
import { Refused } from '../../src/domain/command.ts'
import type { Settings } from './connection.ts'

export type Units = Readonly<{ read: number; write: number }>

/** A month of 730 hours, as AWS counts it in its price examples. */
export const HOURS_PER_MONTH = 730

/** `onDemandMax` are request units a second that the table's owner allows at most; null for no such limit. */
type OnDemandMax = Readonly<{ read: number | null; write: number | null }>
export type Index = Units & Readonly<{ name: string; status: string; onDemandMax: OnDemandMax }>

export type Table = Readonly<{
  /** Of the table for good: another table of the same name has another one. */
  id: string
  arn: string
  status: string
  onDemand: boolean
  onDemandMax: OnDemandMax
  units: Units
  lastIncrease: string
  lastDecrease: string
  decreasesToday: number
  replicas: readonly string[]
  indexes: readonly Index[]
}>

/** The ceiling of a table; refuses one that the connection does not list. */
export function ceilingOf(settings: Settings, connection: string, name: string): Units {
  const found = Object.hasOwn(settings.tables, name) ? settings.tables[name] : undefined
  if (!found)
    throw new Refused(
      `The connection "${connection}" does not list the table "${name}". It lists: ${Object.keys(settings.tables).sort().join(', ') || 'none'}.`,
    )
  return { read: found.maxRead, write: found.maxWrite }
}

/** A table as DynamoDB describes it now. Refuses one that does not exist. */
export async function describe(client: DynamoDBClient, name: string, signal: AbortSignal): Promise<Table> {
  try {
    const { Table } = await client.send(new DescribeTableCommand({ TableName: name }), { abortSignal: signal })
    if (!Table) throw new Error(`DescribeTable ${name}: the reply has no table`)
    return toTable(name, Table)
  } catch (error) {
    if (error instanceof ResourceNotFoundException) throw new Refused(`There is no table "${name}".`)
    throw error
  }
}

function toTable(name: string, table: TableDescription): Table {
  const throughput = table.ProvisionedThroughput
  const billing = table.BillingModeSummary?.BillingMode ?? 'PROVISIONED'
  if (billing !== 'PROVISIONED' && billing !== 'PAY_PER_REQUEST')
    throw new Refused(`${name} is billed in a way that is not known here: ${billing}.`)
  const onDemand = billing === 'PAY_PER_REQUEST'
  const units = unitsOf(`table ${name}`, throughput, onDemand)
  return {
    id: table.TableId ?? table.TableArn ?? '',
    arn: table.TableArn ?? '',
    status: table.TableStatus ?? 'unknown',
    onDemand,
    onDemandMax: maxOf(table.OnDemandThroughput),
    units,
    lastIncrease: throughput?.LastIncreaseDateTime?.toISOString() ?? 'never',
    lastDecrease: throughput?.LastDecreaseDateTime?.toISOString() ?? 'never',
    decreasesToday: throughput?.NumberOfDecreasesToday ?? 0,
    replicas: (table.Replicas ?? []).map((r) => r.RegionName ?? '').sort(),
    indexes: (table.GlobalSecondaryIndexes ?? [])
      .map((index) => ({
        name: index.IndexName ?? '',
        status: index.IndexStatus ?? 'unknown',
        onDemandMax: maxOf(index.OnDemandThroughput),
        ...unitsOf(`index ${index.IndexName} of ${name}`, index.ProvisionedThroughput, onDemand),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  }
}

/** Refuses a description that leaves the units out: 0 would be taken for what is there. */
function unitsOf(what: string, throughput: ProvisionedThroughputDescription | undefined, onDemand: boolean): Units {
  const { ReadCapacityUnits: read, WriteCapacityUnits: write } = throughput ?? {}
  if (!onDemand && (typeof read !== 'number' || typeof write !== 'number'))
    throw new Refused(`DynamoDB does not say what is provisioned for the ${what}. Try again in a minute.`)
  return { read: read ?? 0, write: write ?? 0 }
}

/** -1 takes a limit away: SDK model, OnDemandThroughput. */
const maxOf = (of: OnDemandThroughput | undefined): OnDemandMax => ({
  read: (of?.MaxReadRequestUnits ?? -1) < 0 ? null : of!.MaxReadRequestUnits!,
  write: (of?.MaxWriteRequestUnits ?? -1) < 0 ? null : of!.MaxWriteRequestUnits!,
})

export const same = (a: Units, b: Units): boolean => a.read === b.read && a.write === b.write
export const show = ({ read, write }: Units): string => `${read} read, ${write} write`

/** Dollars for 730 hours of these units. */
export const monthly = (settings: Settings, units: Units): number =>
  HOURS_PER_MONTH * (units.read * settings.pricePerReadUnitHour + units.write * settings.pricePerWriteUnitHour)
