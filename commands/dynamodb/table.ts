import type { DynamoDBClient, TableDescription } from '@aws-sdk/client-dynamodb'
import { DescribeTableCommand, ResourceNotFoundException } from '@aws-sdk/client-dynamodb'
import { Refused } from '../../src/domain/command.ts'
import type { Settings } from './connection.ts'

export type Units = Readonly<{ read: number; write: number }>

/** A month of 730 hours, as AWS counts it in its price examples. */
export const HOURS_PER_MONTH = 730

export type Table = Readonly<{
  /** Of the table for good: another table of the same name has another one. */
  id: string
  status: string
  onDemand: boolean
  units: Units
  lastIncrease: string
  lastDecrease: string
  replicas: readonly string[]
  indexes: readonly (Units & { name: string; status: string })[]
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
    return toTable(Table)
  } catch (error) {
    if (error instanceof ResourceNotFoundException) throw new Refused(`There is no table "${name}".`)
    throw error
  }
}

function toTable(table: TableDescription): Table {
  const throughput = table.ProvisionedThroughput
  return {
    id: table.TableId ?? table.TableArn ?? '',
    status: table.TableStatus ?? 'unknown',
    onDemand: table.BillingModeSummary?.BillingMode === 'PAY_PER_REQUEST',
    units: { read: throughput?.ReadCapacityUnits ?? 0, write: throughput?.WriteCapacityUnits ?? 0 },
    lastIncrease: throughput?.LastIncreaseDateTime?.toISOString() ?? 'never',
    lastDecrease: throughput?.LastDecreaseDateTime?.toISOString() ?? 'never',
    replicas: (table.Replicas ?? []).map((r) => r.RegionName ?? '').sort(),
    indexes: (table.GlobalSecondaryIndexes ?? [])
      .map((index) => ({
        name: index.IndexName ?? '',
        status: index.IndexStatus ?? 'unknown',
        read: index.ProvisionedThroughput?.ReadCapacityUnits ?? 0,
        write: index.ProvisionedThroughput?.WriteCapacityUnits ?? 0,
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  }
}

export const same = (a: Units, b: Units): boolean => a.read === b.read && a.write === b.write
export const show = ({ read, write }: Units): string => `${read} read, ${write} write`

/** Dollars for 730 hours of these units. */
export const monthly = (settings: Settings, units: Units): number =>
  HOURS_PER_MONTH * (units.read * settings.pricePerReadUnitHour + units.write * settings.pricePerWriteUnitHour)
