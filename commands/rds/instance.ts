import type { DBInstance, RDSClient } from '@aws-sdk/client-rds'
import {
  DBInstanceNotFoundFault,
  DescribeDBInstancesCommand,
  DescribeOrderableDBInstanceOptionsCommand,
} from '@aws-sdk/client-rds'
import { Refused } from '../../src/domain/command.ts'

/** A DB instance as RDS describes it; Refused if there is none. */
export async function findInstance(client: RDSClient, id: string, signal: AbortSignal): Promise<DBInstance> {
  try {
    const { DBInstances } = await client.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: id }), {
      abortSignal: signal,
    })
    const found = DBInstances?.find((one) => one.DBInstanceIdentifier === id)
    if (found) return found
  } catch (error) {
    if (!(error instanceof DBInstanceNotFoundFault)) throw error
  }
  throw new Refused(`There is no DB instance ${id} in this account and region.`)
}

export const classOf = (instance: DBInstance): string => instance.DBInstanceClass ?? 'unknown'
export const stateOf = (instance: DBInstance): string => instance.DBInstanceStatus ?? 'unknown'
/** Another class leaves the storage, and whether it grows by itself, as they are. */
export const storageOf = ({ AllocatedStorage, MaxAllocatedStorage, StorageType }: DBInstance): string =>
  [
    `${AllocatedStorage ?? 'unknown'} GiB${StorageType ? ` ${StorageType}` : ''}, stays as it is`,
    MaxAllocatedStorage ? `grows by itself up to ${MaxAllocatedStorage} GiB` : 'does not grow by itself',
  ].join('; ')
/** The class that it is getting, or null. */
export const pendingClass = (instance: DBInstance): string | null =>
  instance.PendingModifiedValues?.DBInstanceClass ?? null
/** Names of the changes that wait for the maintenance window or are being made; their values may be secret. */
export const pendingOf = (instance: DBInstance): string[] =>
  Object.entries(instance.PendingModifiedValues ?? {})
    .filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0))
    .map(([name]) => name)
    .sort()

/** Does RDS offer this class in the region for the engine and version of the instance? */
export async function isOffered(
  client: RDSClient,
  { Engine, EngineVersion }: DBInstance,
  DBInstanceClass: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { OrderableDBInstanceOptions = [] } = await client.send(
    new DescribeOrderableDBInstanceOptionsCommand({ Engine, EngineVersion, DBInstanceClass, MaxRecords: 20 }),
    { abortSignal: signal },
  )
  return OrderableDBInstanceOptions.some((option) => option.DBInstanceClass === DBInstanceClass)
}
