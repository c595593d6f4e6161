import { Fault, startJson } from './json-server.ts'

export type Step = {
  Id: string
  Name: string
  state: string
  created: number
  /** Looks until it has ended, once it was cancelled. */
  looks?: number
}
export type Group = {
  Id: string
  InstanceGroupType: string
  InstanceType: string
  RequestedInstanceCount: number
  RunningInstanceCount: number
  state: string
  /** The state of a scaling policy of its own. */
  policy?: string
}
export type Fleet = {
  Id: string
  InstanceFleetType: string
  TargetOnDemandCapacity: number
  TargetSpotCapacity: number
  ProvisionedOnDemandCapacity: number
  ProvisionedSpotCapacity: number
  state: string
}

const STATES = ['PENDING', 'RUNNING', 'CANCEL_PENDING', 'CANCELLED', 'INTERRUPTED', 'COMPLETED', 'FAILED']

/** EMR with one cluster j-1: its steps, and its groups or fleets, are state. */
export async function startEmr() {
  const state = {
    cluster: 'WAITING',
    release: 'emr-7.1.0',
    steps: [] as Step[],
    groups: [] as Group[],
    /** When there are some, the cluster has no groups. */
    fleets: [] as Fleet[],
    /** Limits of managed scaling, if it is on. */
    scaling: null as { min: number; max: number } | null,
    /** EC2's ids of the primary nodes. */
    primaries: [] as string[],
    /** Looks that a cancel takes. */
    looks: 2,
    /** What a cancelled step that ran becomes. */
    becomes: 'CANCELLED',
    /** Steps that EMR refuses to cancel, with its reason. */
    stubborn: new Map<string, string>(),
    /** How many steps or groups are on a page. */
    page: 50,
  }
  const need = (input: Record<string, unknown>) => {
    if (input.ClusterId !== 'j-1') throw new Fault('InvalidRequestException', 'Cluster id is not valid.')
  }
  const show = (step: Step) => ({
    Id: step.Id,
    Name: step.Name,
    Status: { State: step.state, Timeline: { CreationDateTime: step.created } },
  })
  function go(): void {
    for (const step of state.steps)
      if (step.state === 'CANCEL_PENDING') {
        step.looks = (step.looks ?? state.looks) - 1
        if (step.looks < 0) step.state = state.becomes
      }
  }
  function paged<T>(all: readonly T[], input: Record<string, unknown>) {
    const from = Number(input.Marker ?? 0)
    return {
      part: all.slice(from, from + state.page),
      more: all.length > from + state.page ? String(from + state.page) : undefined,
    }
  }
  const server = await startJson('elasticmapreduce', 'ElasticMapReduce', {
    DescribeCluster(input) {
      need(input)
      return {
        Cluster: {
          ...{ Id: 'j-1', Name: 'parsers', Status: { State: state.cluster }, ReleaseLabel: state.release },
          InstanceCollectionType: state.fleets.length > 0 ? 'INSTANCE_FLEET' : 'INSTANCE_GROUP',
        },
      }
    },
    ListSteps(input) {
      need(input)
      go()
      const wanted = input.StepStates as string[] | undefined
      const ids = input.StepIds as string[] | undefined
      if (ids && (ids.length > 10 || ids.length === 0))
        throw new Fault('InvalidRequestException', 'The maximum number of step ids is 10.')
      if (wanted?.some((one) => !STATES.includes(one))) throw new Fault('InvalidRequestException', 'StepStates')
      const all = state.steps.filter(
        (step) => (!wanted || wanted.includes(step.state)) && (!ids || ids.includes(step.Id)),
      )
      const { part, more } = paged(all, input)
      return { Steps: part.map(show), Marker: more }
    },
    CancelSteps(input) {
      need(input)
      const ids = input.StepIds as string[]
      const option = input.StepCancellationOption ?? 'SEND_INTERRUPT'
      if (ids.length > 256 || !['SEND_INTERRUPT', 'TERMINATE_PROCESS'].includes(String(option)))
        throw new Fault('InvalidRequestException', 'CancelSteps')
      return {
        CancelStepsInfoList: ids.map((id) => {
          const step = state.steps.find((one) => one.Id === id)
          const why = state.stubborn.get(id)
          if (why || !step || !['PENDING', 'RUNNING'].includes(step.state))
            return { StepId: id, Status: 'FAILED', Reason: why ?? 'Cannot cancel a step that has ended' }
          // It is asked to end. What waits behind it goes on waiting.
          step.state = 'CANCEL_PENDING'
          delete step.looks
          return { StepId: id, Status: 'SUBMITTED' }
        }),
      }
    },
    ListInstanceGroups(input) {
      need(input)
      if (state.fleets.length > 0)
        throw new Fault(
          'InvalidRequestException',
          'Instance fleets and instance groups are mutually exclusive. The EMR cluster specified in the request uses instance fleets. The ListInstanceGroups request is not supported for clusters that use instance fleets. Use the ListInstanceFleets request instead.',
        )
      const { part, more } = paged(state.groups, input)
      return {
        InstanceGroups: part.map(({ state: State, policy, ...group }) => ({
          ...group,
          Status: { State },
          ...(policy && { AutoScalingPolicy: { Status: { State: policy } } }),
        })),
        Marker: more,
      }
    },
    ListInstanceFleets(input) {
      need(input)
      if (state.fleets.length === 0)
        throw new Fault('InvalidRequestException', 'Instance fleets and instance groups are mutually exclusive.')
      const { part, more } = paged(state.fleets, input)
      return {
        InstanceFleets: part.map(({ state: State, ...fleet }) => ({
          ...fleet,
          Status: { State },
          InstanceTypeSpecifications: [{ InstanceType: 'm6g.xlarge', WeightedCapacity: 1 }],
        })),
        Marker: more,
      }
    },
    GetManagedScalingPolicy(input) {
      need(input)
      if (!state.scaling) return {}
      const { min, max } = state.scaling
      const ComputeLimits = { UnitType: 'Instances', MinimumCapacityUnits: min, MaximumCapacityUnits: max }
      return { ManagedScalingPolicy: { ComputeLimits } }
    },
    ListInstances(input) {
      need(input)
      const types = input.InstanceGroupTypes as string[] | undefined
      if (state.fleets.length > 0 ? input.InstanceFleetType !== 'MASTER' : types?.join() !== 'MASTER')
        throw new Fault('InvalidRequestException', 'the other kind of cluster')
      return {
        Instances: state.primaries.map((Ec2InstanceId) => ({
          Id: 'ci-1',
          Ec2InstanceId,
          Status: { State: 'RUNNING' },
        })),
      }
    },
    ModifyInstanceGroups(input) {
      for (const change of input.InstanceGroups as { InstanceGroupId: string; InstanceCount: number }[]) {
        const group = state.groups.find((one) => one.Id === change.InstanceGroupId)
        if (!group || group.InstanceGroupType === 'MASTER' || group.state !== 'RUNNING')
          throw new Fault('InvalidRequestException', 'The instance group cannot be resized.')
        group.RequestedInstanceCount = change.InstanceCount
        group.state = 'RESIZING'
      }
      return {}
    },
    ModifyInstanceFleet(input) {
      need(input)
      const change = input.InstanceFleet as Record<string, unknown>
      const fleet = state.fleets.find((one) => one.Id === change.InstanceFleetId)
      if (fleet?.state !== 'RUNNING') throw new Fault('InvalidRequestException', 'The fleet cannot be resized.')
      // A target that is not given is 0.
      fleet.TargetOnDemandCapacity = Number(change.TargetOnDemandCapacity ?? 0)
      fleet.TargetSpotCapacity = Number(change.TargetSpotCapacity ?? 0)
      fleet.state = 'RESIZING'
      return {}
    },
  })
  return { ...server, state }
}
