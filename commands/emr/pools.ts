import {
  type AutoScalingPolicyDescription,
  type Cluster,
  type EMRClient,
  GetManagedScalingPolicyCommand,
  type InstanceFleet,
  type InstanceGroup,
  ListInstanceFleetsCommand,
  ListInstanceGroupsCommand,
} from '@aws-sdk/client-emr'
import { isPassing } from '../aws/refusals.ts'
import { stateOf } from './look.ts'

/** An instance group, counted in machines, or an instance fleet, counted in units of capacity. A cluster has one kind only. */
export type Pool = Readonly<{
  id: string
  kind: 'group' | 'fleet'
  role: string
  type: string
  market: string
  wants: number
  runs: number
  state: string
  /** The two parts of what a fleet wants. */
  targets: Readonly<{ onDemand: number; spot: number }>
  /** The state of a scaling policy of this group alone. */
  policy: string
}>

/** Every group or fleet of the cluster, by id. */
export async function listPools(client: EMRClient, cluster: Cluster, signal: AbortSignal): Promise<Pool[]> {
  const pools: Pool[] = []
  const ClusterId = cluster.Id
  let Marker: string | undefined
  do {
    if (cluster.InstanceCollectionType === 'INSTANCE_FLEET') {
      const page = await client.send(new ListInstanceFleetsCommand({ ClusterId, Marker }), { abortSignal: signal })
      pools.push(...(page.InstanceFleets ?? []).map(ofFleet))
      Marker = page.Marker
    } else {
      const page = await client.send(new ListInstanceGroupsCommand({ ClusterId, Marker }), { abortSignal: signal })
      pools.push(...(page.InstanceGroups ?? []).map(ofGroup))
      Marker = page.Marker
    }
  } while (Marker)
  return pools.sort((a, b) => a.id.localeCompare(b.id))
}

const ofGroup = (group: InstanceGroup): Pool => ({
  id: group.Id ?? '',
  kind: 'group',
  role: group.InstanceGroupType ?? 'unknown',
  type: group.InstanceType ?? 'unknown',
  market: group.Market ?? 'unknown',
  wants: group.RequestedInstanceCount ?? 0,
  runs: group.RunningInstanceCount ?? 0,
  state: stateOf(group),
  targets: { onDemand: 0, spot: 0 },
  policy: policyOf(group.AutoScalingPolicy),
})

const policyOf = (policy: AutoScalingPolicyDescription | undefined): string => policy?.Status?.State ?? ''

const ofFleet = (fleet: InstanceFleet): Pool => {
  const targets = { onDemand: fleet.TargetOnDemandCapacity ?? 0, spot: fleet.TargetSpotCapacity ?? 0 }
  const markets = [targets.onDemand > 0 && 'ON_DEMAND', targets.spot > 0 && 'SPOT'].filter(Boolean)
  return {
    id: fleet.Id ?? '',
    kind: 'fleet',
    role: fleet.InstanceFleetType ?? 'unknown',
    type: [...new Set((fleet.InstanceTypeSpecifications ?? []).map((one) => one.InstanceType ?? ''))].sort().join(', '),
    market: markets.join(' and ') || 'none',
    wants: targets.onDemand + targets.spot,
    runs: (fleet.ProvisionedOnDemandCapacity ?? 0) + (fleet.ProvisionedSpotCapacity ?? 0),
    state: stateOf(fleet),
    targets,
    policy: '',
  }
}

/** What sets the cluster's size by itself, as one sentence; null where managed scaling is off. */
export async function managedScaling(client: EMRClient, id: string, signal: AbortSignal): Promise<string | null> {
  try {
    const { ManagedScalingPolicy: policy } = await client.send(new GetManagedScalingPolicyCommand({ ClusterId: id }), {
      abortSignal: signal,
    })
    const limits = policy?.ComputeLimits
    if (!limits) return null
    return `Managed scaling is on: it keeps the cluster between ${limits.MinimumCapacityUnits} and ${limits.MaximumCapacityUnits} ${(limits.UnitType ?? 'unknown units').toLowerCase()}, and sets another size again by itself.`
  } catch (error) {
    if (signal.aborted || isPassing(error)) throw error
    return `Whether managed scaling is on could not be seen: ${(error as Error).message}`
  }
}
