import {
  type AutoScalingClient,
  type AutoScalingGroup,
  DescribeAutoScalingGroupsCommand,
  DescribeInstanceRefreshesCommand,
  type Instance,
} from '@aws-sdk/client-auto-scaling'
import { Refused } from '../../src/domain/command.ts'

/** The group as Auto Scaling describes it; Refused if there is none. */
export async function findGroup(
  client: AutoScalingClient,
  name: string,
  signal: AbortSignal,
): Promise<AutoScalingGroup> {
  const { AutoScalingGroups = [] } = await client.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }),
    { abortSignal: signal },
  )
  const found = AutoScalingGroups[0]
  if (!found) throw new Refused(`There is no Auto Scaling group "${name}" in this account and region.`)
  return found
}

/** Refuses a group in which a terminated machine would not be replaced, or others are replaced already. */
export async function refuseUnlessSteady(
  client: AutoScalingClient,
  group: AutoScalingGroup,
  signal: AbortSignal,
): Promise<void> {
  const name = group.AutoScalingGroupName ?? ''
  const stopped = (group.SuspendedProcesses ?? []).map((one) => one.ProcessName ?? '')
  const needed = stopped.filter((one) => ['Launch', 'Terminate', 'HealthCheck', 'AddToLoadBalancer'].includes(one))
  if (group.Status) throw new Refused(`"${name}" is being deleted (${group.Status}).`)
  if (needed.length > 0)
    throw new Refused(`${needed.join(', ')} of "${name}" is suspended: a new machine would not come. Resume it first.`)
  const { InstanceRefreshes = [] } = await client.send(
    new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: name, MaxRecords: 1 }),
    { abortSignal: signal },
  )
  const refresh = InstanceRefreshes.find((one) => !one.EndTime)
  if (refresh)
    throw new Refused(`An instance refresh of "${name}" is going on (${refresh.Status}). Wait until it is over.`)
}

export const isInService = (one: Instance): boolean =>
  one.LifecycleState === 'InService' && one.HealthStatus?.toLowerCase() === 'healthy'

export const versionOf = (one: Instance): string =>
  one.LaunchTemplate
    ? `${one.LaunchTemplate.LaunchTemplateName} version ${one.LaunchTemplate.Version}`
    : (one.LaunchConfigurationName ?? 'unknown')
