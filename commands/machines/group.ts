import {
  type AutoScalingClient,
  type AutoScalingGroup,
  DescribeAutoScalingGroupsCommand,
  DescribeInstanceRefreshesCommand,
  DescribeLifecycleHooksCommand,
  type Instance,
  type LifecycleHook,
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
  const found = AutoScalingGroups.find((one) => one.AutoScalingGroupName === name)
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

/** What the group waits for when a machine comes or goes, by name. */
export async function hooksOf(client: AutoScalingClient, name: string, signal: AbortSignal): Promise<LifecycleHook[]> {
  const { LifecycleHooks = [] } = await client.send(new DescribeLifecycleHooksCommand({ AutoScalingGroupName: name }), {
    abortSignal: signal,
  })
  return LifecycleHooks.sort((a, b) => (a.LifecycleHookName ?? '').localeCompare(b.LifecycleHookName ?? ''))
}

/** How long a hook may hold a machine, in minutes: its heartbeat, which is an hour unless it says otherwise. */
export const heldMinutes = (hook: LifecycleHook): number => Math.ceil((hook.HeartbeatTimeout ?? 3_600) / 60)

export const hookShown = (hook: LifecycleHook): string =>
  `${hook.LifecycleHookName}: ${(hook.LifecycleTransition ?? '').includes('TERMINATING') ? 'on leaving' : 'on coming'}, up to ${heldMinutes(hook)} minutes, then ${hook.DefaultResult ?? 'ABANDON'}`
