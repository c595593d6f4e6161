import type { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling'
import { DescribeScalableTargetsCommand, RegisterScalableTargetCommand } from '@aws-sdk/client-application-auto-scaling'
import { Refused } from '../../src/domain/command.ts'
import { answered } from '../aws/answered.ts'
import { statusOf } from '../aws/refusals.ts'

/** What Application Auto Scaling keeps the units of a table or an index between. `dimension` is AWS's name. */
export type Target = Readonly<{ resource: string; dimension: string; min: number; max: number; suspended: boolean }>

/** A target whose limits a plan moves. */
export type Move = Readonly<{ resource: string; dimension: string; from: Limits; to: Limits }>
type Limits = Readonly<{ min: number; max: number }>

export const kindOf = (dimension: string): 'read' | 'write' => (/Read/.test(dimension) ? 'read' : 'write')
const placeOf = (table: string, index?: string) => `table/${table}${index === undefined ? '' : `/index/${index}`}`

/** The targets of a table and these indexes; null if that may not be asked. */
export async function targetsOf(
  client: ApplicationAutoScalingClient,
  table: string,
  indexes: readonly string[],
  signal: AbortSignal,
): Promise<readonly Target[] | null> {
  const resources = [placeOf(table), ...indexes.map((index) => placeOf(table, index))]
  const found: Target[] = []
  let NextToken: string | undefined
  try {
    do {
      const page = await client.send(
        new DescribeScalableTargetsCommand({ ServiceNamespace: 'dynamodb', ResourceIds: resources, NextToken }),
        { abortSignal: signal },
      )
      for (const one of page.ScalableTargets ?? []) {
        const { ResourceId: resource = '', ScalableDimension: dimension = '', MinCapacity: min, MaxCapacity: max } = one
        if (!resources.includes(resource) || min === undefined || max === undefined) continue
        const suspended = one.SuspendedState?.DynamicScalingOutSuspended === true
        found.push({ resource, dimension, min, max, suspended })
      }
      NextToken = page.NextToken
    } while (NextToken)
  } catch (error) {
    if (statusOf(error) === 403 || /AccessDenied/.test((error as Error).name)) return null
    throw error
  }
  return found.sort((a, b) => (`${a.resource} ${a.dimension}` < `${b.resource} ${b.dimension}` ? -1 : 1))
}

/** How far a target must move for these units: its maximum up to them, and its minimum too if that is wished. */
export function moveOf(
  target: Target,
  units: Readonly<{ read: number; write: number }>,
  raiseMinimum: boolean,
): Move | null {
  const wanted = units[kindOf(target.dimension)]
  const { min, max } = target
  const to = { min: raiseMinimum ? Math.max(min, wanted) : min, max: Math.max(max, wanted) }
  return to.min === min && to.max === max
    ? null
    : { resource: target.resource, dimension: target.dimension, from: { min, max }, to }
}

export const unitsOf = (
  all: Readonly<{ table: string; units: Units; indexes: readonly (Units & { name: string })[] }>,
  target: Target,
): Units => all.indexes.find((index) => placeOf(all.table, index.name) === target.resource) ?? all.units
type Units = Readonly<{ read: number; write: number }>

/** Sets the limits of one target, if it is still as it was planned or already as it shall be. */
export async function move(
  client: ApplicationAutoScalingClient,
  table: string,
  one: Move,
  signal: AbortSignal,
): Promise<void> {
  const index = one.resource.split('/index/')[1]
  const now = (await targetsOf(client, table, index === undefined ? [] : [index], signal))?.find(
    (target) => target.resource === one.resource && target.dimension === one.dimension,
  )
  if (now && now.min === one.to.min && now.max === one.to.max) return
  if (!now || now.min !== one.from.min || now.max !== one.from.max)
    throw new Refused(
      `Auto scaling of ${one.resource} is from ${now?.min ?? 'nothing'} to ${now?.max ?? 'nothing'} now; planned was from ${one.from.min} to ${one.from.max}.`,
    )
  await answered(`RegisterScalableTarget ${one.resource}`, signal, () =>
    client.send(
      new RegisterScalableTargetCommand({
        ServiceNamespace: 'dynamodb',
        ResourceId: one.resource,
        ScalableDimension: one.dimension as 'dynamodb:table:WriteCapacityUnits',
        MinCapacity: one.to.min,
        MaxCapacity: one.to.max,
      }),
      { abortSignal: signal },
    ),
  )
}
