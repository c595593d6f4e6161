import { members, QueryFault, startQuery } from '../aws/query-server.ts'

export type Instance = {
  InstanceId: string
  LifecycleState: string
  HealthStatus: string
  looks: number
  ProtectedFromScaleIn?: boolean
}

/** Auto Scaling with one group, whose terminated machines go away and are replaced after some looks. */
export async function startScaling(name: string) {
  const state = {
    desired: 0,
    instances: [] as Instance[],
    suspended: [] as string[],
    refresh: null as string | null,
    hooks: [] as { LifecycleHookName: string; LifecycleTransition: string; HeartbeatTimeout: number }[],
    health: 'EC2',
    /** Looks until a new machine is in service. */
    looks: 2,
    /** How many machines were in service at each termination, that one included. */
    inServiceAtTermination: [] as number[],
    onReplaced: (_id: string) => {},
  }
  let next = 1
  const newId = () => `i-${(0xabc00000 + next++).toString(16)}`

  function go(): void {
    state.instances = state.instances.filter((one) => one.LifecycleState !== 'Terminating' || one.looks-- > 0)
    for (const one of state.instances)
      if (one.LifecycleState === 'Pending' && one.looks-- <= 0) {
        one.LifecycleState = 'InService'
        state.onReplaced(one.InstanceId)
      }
    const here = state.instances.filter((one) => one.LifecycleState !== 'Terminating').length
    for (let i = here; i < state.desired && !state.suspended.includes('Launch'); i++)
      state.instances.push({
        InstanceId: newId(),
        LifecycleState: 'Pending',
        HealthStatus: 'Healthy',
        looks: state.looks,
      })
  }

  const server = await startQuery('autoscaling', '2011-01-01', {
    DescribeAutoScalingGroups(form) {
      go()
      const wanted = members(form, 'AutoScalingGroupNames').map((one) => one[''])
      if (!wanted.includes(name)) return { AutoScalingGroups: [] }
      return {
        AutoScalingGroups: [
          {
            AutoScalingGroupName: name,
            MinSize: 1,
            MaxSize: 8,
            DesiredCapacity: state.desired,
            DefaultCooldown: 300,
            AvailabilityZones: ['us-east-1a'],
            HealthCheckType: state.health,
            HealthCheckGracePeriod: 300,
            CreatedTime: '2026-01-05T09:00:00.000Z',
            SuspendedProcesses: state.suspended.map((ProcessName) => ({ ProcessName, SuspensionReason: 'by hand' })),
            Instances: state.instances.map(({ looks: _, ...one }) => ({
              ProtectedFromScaleIn: false,
              ...one,
              InstanceType: 'm6i.large',
              AvailabilityZone: 'us-east-1a',
              LaunchTemplate: { LaunchTemplateId: 'lt-1', LaunchTemplateName: 'nightly', Version: '7' },
            })),
          },
        ],
      }
    },
    DescribeLifecycleHooks(form) {
      if (form.get('AutoScalingGroupName') !== name) throw new QueryFault('ValidationError', 'group not found')
      return {
        LifecycleHooks: state.hooks.map((hook) => ({ ...hook, AutoScalingGroupName: name, DefaultResult: 'ABANDON' })),
      }
    },
    DescribeInstanceRefreshes(form) {
      if (form.get('AutoScalingGroupName') !== name) throw new QueryFault('ValidationError', 'group not found')
      return {
        InstanceRefreshes: [
          state.refresh
            ? { InstanceRefreshId: 'r-2', Status: state.refresh }
            : { InstanceRefreshId: 'r-1', Status: 'Successful', EndTime: '2026-02-01T00:00:00.000Z' },
        ],
      }
    },
    SetDesiredCapacity(form) {
      const wanted = Number(form.get('DesiredCapacity'))
      if (form.get('AutoScalingGroupName') !== name) throw new QueryFault('ValidationError', 'group not found')
      if (!(wanted >= 1 && wanted <= 8))
        throw new QueryFault(
          'ValidationError',
          `New SetDesiredCapacity value ${wanted} is above max value 8 for the group`,
        )
      state.desired = wanted
      return {}
    },
    TerminateInstanceInAutoScalingGroup(form) {
      const one = state.instances.find((instance) => instance.InstanceId === form.get('InstanceId'))
      if (!one)
        throw new QueryFault(
          'ValidationError',
          `Instance Id not found - No managed instance found for ${form.get('InstanceId')}`,
        )
      if (!['true', 'false'].includes(form.get('ShouldDecrementDesiredCapacity') ?? ''))
        throw new QueryFault('ValidationError', 'ShouldDecrementDesiredCapacity')
      if (form.get('ShouldDecrementDesiredCapacity') === 'true') state.desired -= 1
      state.inServiceAtTermination.push(state.instances.filter((i) => i.LifecycleState === 'InService').length)
      one.LifecycleState = 'Terminating'
      one.looks = 1
      return {
        Activity: {
          ActivityId: 'a-1',
          AutoScalingGroupName: name,
          Cause: 'by hand',
          StatusCode: 'InProgress',
          StartTime: '2026-03-14T02:07:00Z',
        },
      }
    },
  })
  return {
    ...server,
    state,
    /** The group wants and has these machines, all in service. */
    hold(...ids: string[]) {
      Object.assign(state, {
        desired: ids.length,
        suspended: [],
        refresh: null,
        hooks: [],
        health: 'EC2',
        inServiceAtTermination: [],
        looks: 2,
      })
      state.instances = ids.map((InstanceId) => ({
        InstanceId,
        LifecycleState: 'InService',
        HealthStatus: 'Healthy',
        looks: 0,
      }))
    },
  }
}
export type Scaling = Awaited<ReturnType<typeof startScaling>>
